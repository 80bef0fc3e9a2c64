//! The documents of the OCI image specification, as far as they are read and written here.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasmrun_guest::{Error, ErrorKind, Result};

use crate::{Digest, Limits, media_type};

/// The annotation that says what a layer's file is called.
pub const TITLE: &str = "org.opencontainers.image.title";
/// The annotation in `index.json` that says what an image is called.
pub(crate) const NAME: &str = "org.opencontainers.image.ref.name";

/// What points to a blob: its type, its digest and its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// For which platform it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// That of these bytes.
    pub(crate) fn of(media_type: &str, bytes: &[u8]) -> Descriptor {
        Descriptor {
            media_type: media_type.into(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }
}

/// An operating system and an architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `wasi`, `wasip1` or `wasip2` for what runs here.
    pub os: String,
    /// `wasm` for what runs here.
    pub architecture: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// The configuration and the layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        [&self.config].into_iter().chain(&self.layers)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    pub manifests: Vec<Descriptor>,
}

/// The configuration of a wasm artifact.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WasmConfig {
    /// When it was made, as RFC 3339 has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(flatten)]
    pub platform: Platform,
    #[serde(default)]
    pub layer_digests: Vec<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Component>,
}

/// What a component has to do with others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Component {
    #[serde(default)]
    pub exports: Vec<String>,
    #[serde(default)]
    pub imports: Vec<String>,
}

/// The configuration of an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ImageConfig {
    #[serde(flatten)]
    pub platform: Platform,
    #[serde(default)]
    pub config: Execution,
    pub rootfs: RootFs,
}

/// How what is in an image is run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Execution {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RootFs {
    #[serde(rename = "type")]
    pub kind: String,
    /// The digests of the layers, decompressed.
    pub diff_ids: Vec<Digest>,
}

/// What a manifest's place has: one, or a choice of them.
#[derive(Debug)]
pub(crate) enum Document {
    Manifest(Manifest),
    Index(Index),
}

/// What is read before it is known which of the documents it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Reads what `name` is, which somebody said to be of a media type.
    pub fn read(name: &str, said: Option<&str>, bytes: &[u8]) -> Result<Document> {
        let head: Head = json(name, "manifest", bytes)?;
        let invalid = |what: String| Error::new(ErrorKind::Invalid, format!("{name}: {what}"));
        if head.schema_version != 2 {
            let version = head.schema_version;
            return Err(invalid(format!(
                "its manifest is of version {version}, and only version 2 is known"
            )));
        }
        let said = said.filter(|said| is_known(said));
        if let (Some(said), Some(own)) = (said, &head.media_type)
            && said != own
        {
            return Err(invalid(format!(
                "its manifest calls itself {own}, but it is said to be {said}"
            )));
        }
        let media_type = head.media_type.as_deref().or(said);
        match (media_type, head.config, head.manifests) {
            (Some(media_type), ..) if !is_known(media_type) => Err(invalid(format!(
                "{media_type} is no manifest of an image that is known"
            ))),
            (_, Some(_), Some(_)) => Err(invalid(
                "it cannot be told whether it is a manifest or an index, as it has both config and manifests".into(),
            )),
            (media_type, None, Some(_)) if media_type.is_none_or(media_type::is_index) => {
                json(name, "index", bytes).map(Document::Index)
            }
            (media_type, Some(_), None) if media_type.is_none_or(media_type::is_manifest) => {
                json(name, "manifest", bytes).map(Document::Manifest)
            }
            _ => Err(invalid(
                "its manifest has neither a config nor manifests, as its type demands".into(),
            )),
        }
    }

    pub fn media_type(&self) -> &str {
        match self {
            Document::Manifest(Manifest { media_type, .. }) => {
                media_type.as_deref().unwrap_or(media_type::MANIFEST)
            }
            Document::Index(Index { media_type, .. }) => {
                media_type.as_deref().unwrap_or(media_type::INDEX)
            }
        }
    }
}

fn is_known(media_type: &str) -> bool {
    media_type::is_manifest(media_type) || media_type::is_index(media_type)
}

/// Reads a document of `name`.
pub(crate) fn json<T: DeserializeOwned>(name: &str, what: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        let message = format!("{name}: its {what} is malformed");
        Error::new(ErrorKind::Invalid, message).with_source(error)
    })
}

/// What is written of a document.
pub(crate) fn written(document: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|error| {
        Error::new(ErrorKind::Io, "a manifest cannot be written").with_source(error)
    })
}

/// Fails if a document that says its size is larger than documents may be.
pub(crate) fn is_small(name: &str, what: &str, size: u64) -> Result<()> {
    if size <= Limits::DOCUMENT {
        return Ok(());
    }
    let most = Limits::DOCUMENT;
    Err(Error::new(
        ErrorKind::Invalid,
        format!("{name}: its {what} has {size} bytes, and no more than {most} are read"),
    ))
}

/// The operating systems that a program for WebAssembly is for, best first: every engine has preview1 as its own.
const SYSTEMS: [&str; 3] = ["wasip1", "wasi", "wasip2"];
const ARCHITECTURE: &str = "wasm";

/// The manifest of an index that can be run here.
pub(crate) fn choose<'a>(name: &str, index: &'a Index) -> Result<&'a Descriptor> {
    let manifests = index.manifests.iter();
    let best = manifests.filter_map(|descriptor| {
        let rank = match &descriptor.platform {
            Some(platform) if platform.architecture == ARCHITECTURE => {
                SYSTEMS.iter().position(|os| *os == platform.os)?
            }
            // What says nothing of a platform is what there is, if there is nothing else.
            None if index.manifests.len() == 1 => 0,
            _ => return None,
        };
        Some((rank, descriptor))
    });
    if let Some((_, best)) = best.min_by_key(|(rank, _)| *rank) {
        if media_type::is_manifest(&best.media_type) {
            return Ok(best);
        }
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{name}: its index leads to {}, where an image's manifest is expected",
                best.media_type
            ),
        ));
    }
    let platforms = index.manifests.iter().map(|descriptor| {
        let platform = descriptor.platform.as_ref();
        platform.map_or("of none".into(), |Platform { os, architecture }| {
            format!("{os}/{architecture}")
        })
    });
    let platforms: Vec<String> = platforms.take(20).collect();
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "{name} is for no platform that runs here: it is for {}, and wasip1/wasm, wasi/wasm or wasip2/wasm is expected",
            match platforms.as_slice() {
                [] => "none".into(),
                platforms => platforms.join(", "),
            }
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[(&str, &str)]) -> Index {
        let manifests = platforms.iter().enumerate().map(|(n, (os, architecture))| {
            let mut descriptor =
                Descriptor::of(media_type::MANIFEST, &[u8::try_from(n).expect("few")]);
            descriptor.platform = Some(Platform {
                os: (*os).into(),
                architecture: (*architecture).into(),
            });
            descriptor
        });
        Index {
            schema_version: 2,
            media_type: None,
            manifests: manifests.collect(),
        }
    }

    #[test]
    fn an_index_leads_to_what_runs_here() {
        let many = index(&[
            ("linux", "amd64"),
            ("wasip2", "wasm"),
            ("wasip1", "wasm"),
            ("unknown", "unknown"),
        ]);
        let chosen = choose("x", &many).expect("one of them");
        assert_eq!(chosen.platform.as_ref().expect("it has one").os, "wasip1");
        let error = choose("x", &index(&[("linux", "amd64"), ("js", "wasm")])).expect_err("none");
        assert!(
            error.to_string().contains("linux/amd64, js/wasm"),
            "{error}"
        );
        choose("x", &index(&[])).expect_err("nothing");
    }

    #[test]
    fn what_is_no_manifest_is_refused_in_one_line() {
        let config = r#"{"mediaType":"a","digest":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","size":1}"#;
        let good = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#);
        assert!(matches!(
            Document::read("x", None, good.as_bytes()),
            Ok(Document::Manifest(_))
        ));
        for (text, said, why) in [
            ("", None, "malformed"),
            ("[]", None, "malformed"),
            (r#"{"schemaVersion":1}"#, None, "version 1"),
            (r#"{"schemaVersion":2}"#, None, "neither"),
            (
                r#"{"schemaVersion":2,"mediaType":"text/html"}"#,
                None,
                "text/html",
            ),
            (
                r#"{"schemaVersion":2,"manifests":[],"config":{}}"#,
                None,
                "both",
            ),
            (&good, Some(media_type::INDEX), "neither"),
            (
                &format!(
                    r#"{{"schemaVersion":2,"mediaType":"{}"}}"#,
                    media_type::MANIFEST
                ),
                Some(media_type::INDEX),
                "said to be",
            ),
            (&good.replace("sha256", "sha512"), None, "malformed"),
            (&good.replace(":1}", ":-1}"), None, "malformed"),
        ] {
            let error = Document::read("x", said, text.as_bytes())
                .expect_err(text)
                .to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
