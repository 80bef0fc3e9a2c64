//! What the tests put into registries.

use std::fmt::Display;
use std::io::Write;

use wasmrun_registry::Digest;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub const WASM: &str = "application/wasm";
pub const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// A blob and its type.
#[derive(Clone)]
pub struct Blob {
    pub media_type: String,
    pub bytes: Vec<u8>,
}

impl Blob {
    pub fn new(media_type: &str, bytes: impl Into<Vec<u8>>) -> Blob {
        Blob {
            media_type: media_type.into(),
            bytes: bytes.into(),
        }
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    pub fn descriptor(&self) -> String {
        self.described("")
    }

    /// With more fields, which begin with a comma.
    pub fn described(&self, more: &str) -> String {
        let Blob { media_type, bytes } = self;
        format!(
            r#"{{"mediaType":"{media_type}","digest":"{}","size":{}{more}}}"#,
            self.digest(),
            bytes.len()
        )
    }
}

/// A module of preview1 that does nothing, and is another for each `name`.
pub fn preview1(name: &str) -> Vec<u8> {
    let text = format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (memory (export "memory") 1) (func (export "_start")) (@custom "name of it" "{name}"))"#
    );
    wat::parse_str(text).expect("a module")
}

/// A component that imports something of WASI 0.2.
pub fn preview2() -> Vec<u8> {
    let text = r#"(component (import "wasi:cli/environment@0.2.0" (instance)))"#;
    wat::parse_str(text).expect("a component")
}

pub fn manifest(config: &Blob, layers: &[&Blob]) -> Blob {
    let layers: Vec<String> = layers.iter().map(|layer| layer.descriptor()).collect();
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}]}}"#,
        config.descriptor(),
        layers.join(",")
    );
    Blob::new(MANIFEST, text)
}

pub fn wasm_config(os: &str) -> Blob {
    Blob::new(
        WASM_CONFIG,
        format!(r#"{{"os":"{os}","architecture":"wasm"}}"#),
    )
}

/// The manifest, the configuration and the layer of an artifact.
pub fn artifact(program: Vec<u8>) -> [Blob; 3] {
    let layer = Blob::new(WASM, program);
    let config = wasm_config("wasip1");
    [manifest(&config, &[&layer]), config, layer]
}

/// The configuration of an image whose layers have these digests, decompressed.
pub fn image_config(os: &str, run: &str, diffs: &[Digest]) -> Blob {
    let diffs: Vec<String> = diffs.iter().map(|diff| format!("\"{diff}\"")).collect();
    let text = format!(
        r#"{{"os":"{os}","architecture":"wasm","config":{run},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diffs.join(",")
    );
    Blob::new(IMAGE_CONFIG, text)
}

/// An archive of files.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, name, *content)
            .expect("a member");
    }
    archive.into_inner().expect("an archive")
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("it is memory");
    encoder.finish().expect("it is memory")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Fails unless an error is one line that says all of these.
#[track_caller]
pub fn says(error: &impl Display, all: &[&str]) {
    let told = error.to_string();
    assert!(!told.contains('\n'), "{told}");
    for part in all {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
}
