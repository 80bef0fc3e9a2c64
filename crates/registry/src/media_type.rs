//! The media types that are read and written here.

/// A manifest of the OCI image specification.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An index of such manifests.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A manifest as docker writes it; it has the same fields.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// An index as docker writes it; it has the same fields.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The configuration of an image.
pub const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The configuration of an image as docker writes it.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// The configuration of a [wasm artifact](https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/).
pub const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// A WebAssembly binary.
pub const WASM: &str = "application/wasm";

/// Configurations that older tools gave artifacts, of which nothing is read.
const OTHER_CONFIGS: &[&str] = &[
    "application/vnd.wasm.config.v1+json",
    "application/vnd.unknown.config.v1+json",
    "application/vnd.oci.empty.v1+json",
];

/// Whether a layer of this media type is a WebAssembly binary: `application/wasm` and what older tools wrote in its place.
///
/// ```
/// assert!(wasmrun_registry::is_wasm_media_type("application/wasm"));
/// assert!(!wasmrun_registry::is_wasm_media_type("application/vnd.oci.image.layer.v1.tar"));
/// ```
pub fn is_wasm_media_type(media_type: &str) -> bool {
    matches!(
        media_type,
        WASM | "application/vnd.wasm.content.layer.v1+wasm"
            | "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm"
    )
}

pub(crate) fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, MANIFEST | DOCKER_MANIFEST)
}

pub(crate) fn is_index(media_type: &str) -> bool {
    matches!(media_type, INDEX | DOCKER_INDEX)
}

pub(crate) fn is_image_config(media_type: &str) -> bool {
    matches!(media_type, IMAGE_CONFIG | DOCKER_CONFIG)
}

pub(crate) fn is_artifact_config(media_type: &str) -> bool {
    media_type == WASM_CONFIG || OTHER_CONFIGS.contains(&media_type)
}

/// How the tar archive of a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// How a layer of files is compressed; `None` for everything else.
pub(crate) fn files(media_type: &str) -> Option<Compression> {
    Some(match media_type {
        "application/vnd.oci.image.layer.v1.tar" => Compression::None,
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip" => Compression::Gzip,
        "application/vnd.oci.image.layer.v1.tar+zstd" => Compression::Zstd,
        _ => return None,
    })
}
