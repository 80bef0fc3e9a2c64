//! A registry that does what a test wants.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use wasmrun_registry::{Client, Reference, Store};

use crate::content::Blob;

/// A request, as a test sees it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// With the query.
    pub path: String,
    /// In lower case.
    pub headers: HashMap<String, String>,
}

impl Asked {
    pub fn is_blob(&self) -> bool {
        self.method == "GET" && self.path.contains("/blobs/sha256:")
    }

    pub fn is_manifest(&self) -> bool {
        self.path.contains("/manifests/")
    }

    fn range(&self) -> Option<usize> {
        let range = self.headers.get("range")?;
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    }
}

/// Answers a request itself, and says so, or leaves it to the registry.
type Hook = Box<dyn Fn(&Asked, &mut TcpStream) -> bool + Send + Sync>;

#[derive(Default)]
struct State {
    blobs: HashMap<String, Vec<u8>>,
    manifests: HashMap<String, Blob>,
    asked: Vec<Asked>,
}

/// A registry on the loopback interface.
#[derive(Clone)]
pub struct Registry {
    pub address: String,
    state: Arc<Mutex<State>>,
    hook: Arc<Hook>,
}

impl Registry {
    pub fn honest() -> Registry {
        Registry::with(|_, _| false)
    }

    pub fn with(hook: impl Fn(&Asked, &mut TcpStream) -> bool + Send + Sync + 'static) -> Registry {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let registry = Registry {
            address: listener.local_addr().expect("an address").to_string(),
            state: Arc::default(),
            hook: Arc::new(Box::new(hook)),
        };
        let own = registry.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let registry = own.clone();
                thread::spawn(move || registry.serve(stream));
            }
        });
        registry
    }

    /// The same content, behaving otherwise.
    pub fn behaving(
        &self,
        hook: impl Fn(&Asked, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Registry {
        let other = Registry::with(hook);
        {
            let (mine, mut theirs) = (self.state(), other.state());
            theirs.blobs.clone_from(&mine.blobs);
            theirs.manifests.clone_from(&mine.manifests);
        }
        other
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a manifest at a tag and at its digest, with its blobs.
    pub fn put(&self, tag: &str, manifest: &Blob, blobs: &[&Blob]) {
        let mut state = self.state();
        state.manifests.insert(tag.into(), manifest.clone());
        let digest = manifest.digest().to_string();
        state.manifests.insert(digest, manifest.clone());
        for blob in blobs {
            state
                .blobs
                .insert(blob.digest().to_string(), blob.bytes.clone());
        }
    }

    /// What was asked until now.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    pub fn reference(&self, tag: &str) -> Reference {
        format!("oci://{}/some/thing:{tag}", self.address)
            .parse()
            .expect("a reference")
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let mut asked = Asked {
            method: words.next()?.into(),
            path: words.next()?.into(),
            headers: HashMap::new(),
        };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(':') else {
                break;
            };
            asked
                .headers
                .insert(name.to_ascii_lowercase(), value.trim().into());
        }
        let length = asked
            .headers
            .get("content-length")
            .and_then(|length| length.parse().ok());
        let mut body = Vec::new();
        reader
            .take(length.unwrap_or_default())
            .read_to_end(&mut body)
            .ok()?;
        self.state().asked.push(asked.clone());
        let mut stream = stream;
        if !(self.hook)(&asked, &mut stream) {
            self.answer(&asked, &mut stream);
        }
        Some(())
    }

    fn answer(&self, asked: &Asked, stream: &mut TcpStream) {
        let state = self.state();
        let last = asked.path.rsplit('/').next().unwrap_or_default();
        if asked.path == "/v2/" {
            return reply(stream, "200 OK", "", b"{}");
        }
        if asked.is_manifest() {
            return match state.manifests.get(last) {
                Some(manifest) => {
                    let headers = format!("Content-Type: {}\r\n", manifest.media_type);
                    reply(stream, "200 OK", &headers, &manifest.bytes);
                }
                None => reply(
                    stream,
                    "404 Not Found",
                    "",
                    br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
                ),
            };
        }
        match (state.blobs.get(last), asked.range()) {
            (Some(blob), Some(from)) if from < blob.len() => {
                let headers = format!(
                    "Content-Range: bytes {from}-{}/{}\r\n",
                    blob.len() - 1,
                    blob.len()
                );
                reply(stream, "206 Partial Content", &headers, &blob[from..]);
            }
            (Some(blob), _) => reply(stream, "200 OK", "", blob),
            (None, _) => reply(stream, "404 Not Found", "", b""),
        }
    }
}

pub fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    head(stream, status, headers, body.len() as u64);
    let _ = stream.write_all(body);
}

/// The head alone, with the length of a body that does not have to come.
pub fn head(stream: &mut TcpStream, status: &str, headers: &str, length: u64) {
    let _ = stream.write_all(
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
        )
        .as_bytes(),
    );
}

/// A store in a directory of its own.
pub fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path().join("store")).expect("a store");
    (directory, store)
}

pub fn client() -> Client {
    Client::anonymous()
}
