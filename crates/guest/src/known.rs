//! What is known of a guest, to be kept for the next time.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::inspect::Facts;
use crate::kind::GuestKind;
use crate::scan::Scanned;
use crate::wasi::WasiVersion;

/// What is known of a guest without its bytes: enough to check what it needs, not to compile it.
///
/// It can be serialized, and is then good for the wasmrun that made it, by its version and
/// [`FINGERPRINT`](crate::FINGERPRINT): another one may look for more. Made by [`Guest::known`](crate::Guest::known).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    pub(crate) kind: GuestKind,
    pub(crate) wasi: WasiVersion,
    /// The file holds text, and the size and digest are those of its translation.
    pub(crate) text: bool,
    pub(crate) size: u64,
    pub(crate) digest: Digest,
    pub(crate) scanned: Scanned,
    pub(crate) facts: Facts,
}

impl Known {
    /// [`Guest::digest`](crate::Guest::digest).
    pub fn digest(&self) -> Digest {
        self.digest
    }
}
