//! Images as registries have them, written as a file that `ctr image import` reads.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const OCI: &str = "application/vnd.oci.image.";

/// Writes an image for `wasi/wasm` whose one layer has these files, and which is run by these words.
pub fn wasm(to: &Path, name: &str, files: &[(&str, &[u8])], entrypoint: &[&str], more: Value) {
    Image::of_files(name, ("wasi", "wasm"), files, entrypoint, more).write(to);
}

/// Writes an ordinary image.
pub fn linux(to: &Path, name: &str, files: &[(&str, &[u8])], entrypoint: &[&str]) {
    Image::of_files(
        name,
        ("linux", architecture()),
        files,
        entrypoint,
        json!({}),
    )
    .write(to);
}

/// Writes an artifact as the CNCF's working group lays it out: the module itself is the layer.
pub fn artifact(to: &Path, name: &str, module: &[u8]) {
    let config = json!({
        "created": "2026-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": "wasip1",
        "layerDigests": [digest(module)],
    });
    Image {
        name: name.to_owned(),
        platform: ("wasip1", "wasm"),
        config: ("application/vnd.wasm.config.v0+json", config.to_string()),
        layer: ("application/wasm", module.to_vec()),
        told: None,
    }
    .write(to);
}

/// Writes an image that says of its layer that it is another.
pub fn lying(to: &Path, name: &str, files: &[(&str, &[u8])], entrypoint: &[&str]) {
    let mut image = Image::of_files(name, ("wasi", "wasm"), files, entrypoint, json!({}));
    image.told = Some(digest(b"something else"));
    image.write(to);
}

struct Image {
    name: String,
    platform: (&'static str, &'static str),
    config: (&'static str, String),
    layer: (&'static str, Vec<u8>),
    /// The layer's digest, if it is not to be the true one.
    told: Option<String>,
}

impl Image {
    /// `more` goes into the config of what is run.
    fn of_files(
        name: &str,
        platform: (&'static str, &'static str),
        files: &[(&str, &[u8])],
        entrypoint: &[&str],
        more: Value,
    ) -> Image {
        let mut layer = tar::Builder::new(Vec::new());
        for (path, content) in files {
            append(&mut layer, path, content);
        }
        let layer = layer.into_inner().expect("memory");
        let mut run = json!({ "Entrypoint": entrypoint });
        for (key, value) in more.as_object().into_iter().flatten() {
            run[key] = value.clone();
        }
        let config = json!({
            "architecture": platform.1,
            "os": platform.0,
            "config": run,
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        });
        Image {
            name: name.to_owned(),
            platform,
            config: (
                "application/vnd.oci.image.config.v1+json",
                config.to_string(),
            ),
            layer: ("application/vnd.oci.image.layer.v1.tar", layer),
            told: None,
        }
    }

    fn write(&self, to: &Path) {
        let layer_digest = self.told.clone().unwrap_or_else(|| digest(&self.layer.1));
        let config = self.config.1.as_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": format!("{OCI}manifest.v1+json"),
            "config": { "mediaType": self.config.0, "digest": digest(config), "size": config.len() },
            "layers": [{ "mediaType": self.layer.0, "digest": layer_digest, "size": self.layer.1.len() }],
        })
        .to_string();
        let index = json!({
            "schemaVersion": 2,
            "manifests": [{
                "mediaType": format!("{OCI}manifest.v1+json"),
                "digest": digest(manifest.as_bytes()),
                "size": manifest.len(),
                "platform": { "os": self.platform.0, "architecture": self.platform.1 },
                "annotations": { "io.containerd.image.name": self.name },
            }],
        })
        .to_string();
        let mut layout = tar::Builder::new(File::create(to).expect("a file"));
        append(
            &mut layout,
            "oci-layout",
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        );
        append(&mut layout, "index.json", index.as_bytes());
        let blobs = [
            (digest(config), config),
            (digest(manifest.as_bytes()), manifest.as_bytes()),
            (layer_digest, &self.layer.1),
        ];
        for (digest, blob) in blobs {
            let path = format!("blobs/{}", digest.replace(':', "/"));
            append(&mut layout, &path, blob);
        }
        layout.finish().expect("a file");
    }
}

fn append<W: Write>(archive: &mut tar::Builder<W>, path: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o755);
    archive
        .append_data(&mut header, path, content)
        .expect("an archive");
}

fn digest(of: &[u8]) -> String {
    let bytes = Sha256::digest(of);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// As Go, and with it containerd, calls this machine's.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
