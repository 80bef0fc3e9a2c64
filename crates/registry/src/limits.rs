//! How much may come from elsewhere.

use std::time::Duration;

/// How much of a registry's or an archive's word is taken. What goes beyond is refused before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a layer as it is transferred. 4 GiB by default.
    pub layer: u64,
    /// Layers of an image. 128 by default.
    pub layers: usize,
    /// Bytes of all layers of an image, decompressed. 16 GiB by default.
    pub unpacked: u64,
    /// Files, directories and links in all layers of an image. 500,000 by default.
    pub entries: u64,
    /// How long it may take until a registry is connected to. 10 seconds by default.
    pub connect: Duration,
    /// For how long a registry may be silent. 30 seconds by default. A manifest, a configuration and whatever else is small
    /// has to be there within twice that time.
    pub silence: Duration,
}

impl Limits {
    /// The largest manifest, index or configuration, in bytes: 4 MiB, as the [specification] advises registries.
    ///
    /// [specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests
    pub const DOCUMENT: u64 = 4 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            layer: 4 << 30,
            layers: 128,
            unpacked: 16 << 30,
            entries: 500_000,
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
        }
    }
}
