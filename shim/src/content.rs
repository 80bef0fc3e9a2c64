//! What containerd keeps: the WebAssembly layers of a container's image.
//!
//! Three calls of its interface, with the few fields of their messages that are read here. So nothing has to be generated,
//! which would need the compiler of protocol buffers.

use std::path::Path;
use std::time::Duration;

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// The longest that containerd may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest manifest that is read.
const MAX_MANIFEST: u64 = 4 << 20;
/// The largest program that is read, as for wasmrun.
const MAX_LAYER: u64 = 256 << 20;

/// A WebAssembly layer of an image.
pub struct Layer {
    /// What its author called it.
    pub title: Option<String>,
    /// Its binary.
    pub bytes: Vec<u8>,
}

/// Finds the layer of a container's image that `program` names, if the image has WebAssembly binaries for layers: the only one, or
/// the one of that title.
///
/// # Errors
///
/// A line, if containerd does not answer, or if none or several layers are meant.
pub fn layer(
    address: &Path,
    namespace: &str,
    container: &str,
    program: &str,
) -> Result<Option<Layer>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let found = async {
        let mut containerd = Containerd::connect(address, namespace).await?;
        containerd.layer(container, program).await
    };
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, found)
            .await
            .unwrap_or_else(|_| Err(format!("containerd has not answered for {PATIENCE:?}")))
    })
}

struct Containerd {
    grpc: Grpc<Channel>,
    namespace: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GetContainer {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GotContainer {
    #[prost(message, optional, tag = "1")]
    container: Option<Container>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Container {
    #[prost(string, tag = "3")]
    image: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GetImage {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GotImage {
    #[prost(message, optional, tag = "1")]
    image: Option<Image>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Image {
    #[prost(message, optional, tag = "3")]
    target: Option<Target>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Target {
    #[prost(string, tag = "2")]
    digest: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ReadContent {
    #[prost(string, tag = "1")]
    digest: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Piece {
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

/// An index or a manifest of the OCI image specification.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Manifest {
    manifests: Vec<Descriptor>,
    layers: Vec<Descriptor>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    annotations: std::collections::HashMap<String, String>,
    platform: Option<Platform>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Platform {
    architecture: String,
}

impl Descriptor {
    /// As [`wasmrun`](https://docs.rs/wasmrun) takes them: what the artifact specification has, and what older tools wrote.
    fn is_wasm(&self) -> bool {
        matches!(
            &*self.media_type,
            "application/wasm"
                | "application/vnd.wasm.content.layer.v1+wasm"
                | "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm"
        )
    }

    fn title(&self) -> Option<&str> {
        let title = self.annotations.get("org.opencontainers.image.title");
        title.map(String::as_str)
    }
}

impl Containerd {
    async fn connect(address: &Path, namespace: &str) -> Result<Self, String> {
        let path = address.to_owned();
        let connect = move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        };
        let channel = Endpoint::from_static("http://containerd")
            .connect_with_connector(service_fn(connect))
            .await
            .map_err(|error| {
                format!(
                    "cannot connect to containerd at {}: {error}",
                    address.display()
                )
            })?;
        Ok(Containerd {
            grpc: Grpc::new(channel),
            namespace: namespace.into(),
        })
    }

    async fn layer(&mut self, container: &str, program: &str) -> Result<Option<Layer>, String> {
        let got: GotContainer = self
            .ask(
                "/containerd.services.containers.v1.Containers/Get",
                GetContainer {
                    id: container.into(),
                },
            )
            .await?;
        let Some(name) = got.container.map(|container| container.image) else {
            return Ok(None);
        };
        // A container without an image: its root file system is all it has.
        if name.is_empty() {
            return Ok(None);
        }
        let got: GotImage = self
            .ask(
                "/containerd.services.images.v1.Images/Get",
                GetImage { name },
            )
            .await?;
        let Some(target) = got.image.and_then(|image| image.target) else {
            return Ok(None);
        };
        let mut manifest = self.manifest(&target.digest).await?;
        if let Some(chosen) = for_wasm(&manifest.manifests) {
            let digest = chosen.digest.clone();
            manifest = self.manifest(&digest).await?;
        }
        let Some(chosen) = choose(&manifest.layers, program)? else {
            return Ok(None);
        };
        if chosen.size > MAX_LAYER {
            return Err(format!(
                "the layer {} has {} bytes, and at most {MAX_LAYER} are read",
                chosen.digest, chosen.size
            ));
        }
        Ok(Some(Layer {
            title: chosen.title().map(str::to_owned),
            bytes: self.read(&chosen.digest, chosen.size).await?,
        }))
    }

    async fn manifest(&mut self, digest: &str) -> Result<Manifest, String> {
        let bytes = self.read(digest, MAX_MANIFEST).await?;
        serde_json::from_slice(&bytes).map_err(|error| format!("the manifest {digest}: {error}"))
    }

    async fn read(&mut self, digest: &str, most: u64) -> Result<Vec<u8>, String> {
        let path = "/containerd.services.content.v1.Content/Read";
        let message = ReadContent {
            digest: digest.into(),
        };
        let request = self.request(path, message).await?;
        let codec = ProstCodec::<ReadContent, Piece>::default();
        let answer = self
            .grpc
            .server_streaming(request, PathAndQuery::from_static(path), codec)
            .await;
        let mut pieces = answer
            .map_err(|status| refused(path, &status))?
            .into_inner();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces
            .message()
            .await
            .map_err(|status| refused(path, &status))?
        {
            bytes.extend(piece.data);
            if bytes.len() as u64 > most {
                return Err(format!("{digest} is larger than {most} bytes"));
            }
        }
        Ok(bytes)
    }

    async fn ask<M, A>(&mut self, path: &'static str, message: M) -> Result<A, String>
    where
        M: prost::Message + Default + 'static,
        A: prost::Message + Default + 'static,
    {
        let request = self.request(path, message).await?;
        let codec = ProstCodec::<M, A>::default();
        let answer = self
            .grpc
            .unary(request, PathAndQuery::from_static(path), codec)
            .await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| refused(path, &status))
    }

    async fn request<M>(&mut self, path: &str, message: M) -> Result<Request<M>, String> {
        self.grpc
            .ready()
            .await
            .map_err(|error| format!("containerd, {path}: {error}"))?;
        let mut request = Request::new(message);
        let namespace = MetadataValue::try_from(&self.namespace)
            .map_err(|error| format!("the namespace {}: {error}", self.namespace))?;
        request
            .metadata_mut()
            .insert("containerd-namespace", namespace);
        Ok(request)
    }
}

fn refused(path: &str, status: &Status) -> String {
    format!("containerd, {path}: {}", status.message())
}

/// Of an index, the manifest that is for WebAssembly: by its platform, or because there is no other.
fn for_wasm(manifests: &[Descriptor]) -> Option<&Descriptor> {
    let is_wasm = |manifest: &&Descriptor| {
        manifest
            .platform
            .as_ref()
            .is_some_and(|platform| platform.architecture == "wasm")
    };
    let only = || match manifests {
        [only] => Some(only),
        _ => None,
    };
    manifests.iter().find(is_wasm).or_else(only)
}

fn choose<'l>(layers: &'l [Descriptor], program: &str) -> Result<Option<&'l Descriptor>, String> {
    let mut wasm = layers.iter().filter(|layer| layer.is_wasm());
    let (Some(first), more) = (wasm.next(), wasm.next()) else {
        return Ok(None);
    };
    if more.is_none() {
        return Ok(Some(first));
    }
    let name = program.rsplit('/').next().unwrap_or(program);
    let mut meant = layers
        .iter()
        .filter(|layer| layer.is_wasm() && layer.title() == Some(name));
    match (meant.next(), meant.next()) {
        (Some(meant), None) => Ok(Some(meant)),
        _ => {
            let titles: Vec<_> = layers.iter().filter_map(Descriptor::title).collect();
            Err(format!(
                "the image has several WebAssembly layers, and the command names none of them by its title; there are {}",
                titles.join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(json: serde_json::Value) -> Manifest {
        serde_json::from_value(json).expect("a manifest")
    }

    #[test]
    fn the_only_layer_is_meant_whatever_the_command_says_and_of_several_the_one_of_its_title() {
        let layer = |title: &str, media_type: &str| {
            serde_json::json!({
                "mediaType": media_type, "digest": format!("sha256:{title}"), "size": 8,
                "annotations": {"org.opencontainers.image.title": title},
            })
        };
        let one = manifest(serde_json::json!({
            "layers": [layer("readme", "text/plain"), layer("a.wasm", "application/wasm")],
        }));
        let chosen = |manifest: &Manifest, program: &str| {
            let chosen = choose(&manifest.layers, program);
            chosen.map(|layer| layer.and_then(|layer| layer.title().map(str::to_owned)))
        };
        assert_eq!(chosen(&one, "/anything"), Ok(Some("a.wasm".into())));
        let two = manifest(serde_json::json!({
            "layers": [layer("a.wasm", "application/wasm"), layer("b.wasm", "application/wasm")],
        }));
        assert_eq!(chosen(&two, "/bin/b.wasm"), Ok(Some("b.wasm".into())));
        let error = chosen(&two, "/c.wasm").expect_err("neither");
        assert!(error.contains("a.wasm, b.wasm"), "{error}");
        let none = manifest(serde_json::json!({"layers": [layer("x", "text/plain")]}));
        assert_eq!(chosen(&none, "/x"), Ok(None));
    }

    #[test]
    fn of_an_index_the_manifest_for_wasm_is_read() {
        let index = manifest(serde_json::json!({"manifests": [
            {"digest": "sha256:1", "platform": {"architecture": "amd64", "os": "linux"}},
            {"digest": "sha256:2", "platform": {"architecture": "wasm", "os": "wasi"}},
        ]}));
        let chosen = for_wasm(&index.manifests).expect("one");
        assert_eq!(chosen.digest, "sha256:2");
        let plain = manifest(serde_json::json!({"manifests": [{"digest": "sha256:3"}]}));
        assert!(for_wasm(&plain.manifests).is_some());
    }
}
