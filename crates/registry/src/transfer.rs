//! Images from a registry to the store, and from the store to a registry.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::thread;
use std::time::Duration;

use ureq::http::{Response, header};
use ureq::{Body, Timeout};
use wasmrun_guest::{Error, ErrorKind, PullPolicy, Result};

use crate::client::{Call, Client, Scope};
use crate::digest::Hasher;
use crate::layout::Kind;
use crate::manifest::{self, Descriptor, Document, Manifest};
use crate::progress::{Event, Progress};
use crate::store::INDEX_DIGEST;
use crate::{Digest, Image, Reference, Store, image, media_type};

/// So often in a row a transfer may end without having brought anything.
const FAILURES: u32 = 3;

impl Store {
    /// The image of a reference, which is got from its registry where the policy says so.
    ///
    /// Whatever is interrupted is gone on with the next time. Any number of threads and processes may get the same at the
    /// same time: each blob is transferred once.
    ///
    /// # Errors
    ///
    /// Those of [`find`](Store::find); [`GuestNotFound`](ErrorKind::GuestNotFound) if it is not there;
    /// [`Io`](ErrorKind::Io) if the registry cannot be reached, or does not let us in; [`Invalid`](ErrorKind::Invalid) if
    /// what it sends is not what the digests say.
    pub fn pull(
        &self,
        client: &Client,
        reference: &Reference,
        policy: PullPolicy,
        progress: &dyn Progress,
    ) -> Result<Image> {
        if policy == PullPolicy::Always {
            return self.get(client, reference, progress);
        }
        let here = match self.find(reference) {
            Ok(Some(image)) => return Ok(image),
            Ok(None) => Error::new(
                ErrorKind::GuestNotFound,
                format!("{reference} is not in the store; `wasmrun pull` gets it"),
            ),
            Err(error) => error,
        };
        let repairable = matches!(here.kind(), ErrorKind::GuestNotFound | ErrorKind::Invalid);
        if policy == PullPolicy::Never || !repairable {
            return Err(here);
        }
        self.get(client, reference, progress)
    }

    fn get(
        &self,
        client: &Client,
        reference: &Reference,
        progress: &dyn Progress,
    ) -> Result<Image> {
        let _lock = self.layout.in_use()?;
        let (document, mut descriptor, mut content) =
            self.document(client, reference, &reference.manifest())?;
        let name = reference.to_string();
        let manifest = match document {
            Document::Manifest(manifest) => manifest,
            Document::Index(index) => {
                let digest = descriptor.digest;
                let chosen = manifest::choose(&name, &index)?;
                let (document, found, bytes) =
                    self.document(client, reference, &chosen.digest.to_string())?;
                (descriptor, content) = (found, bytes);
                descriptor
                    .annotations
                    .insert(INDEX_DIGEST.into(), digest.to_string());
                match document {
                    Document::Manifest(manifest) => manifest,
                    Document::Index(_) => {
                        let message = format!(
                            "{name}: its index leads to an index, where an image is expected"
                        );
                        return Err(Error::new(ErrorKind::Unsupported, message));
                    }
                }
            }
        };
        image::check(&name, &manifest, &self.limits)?;
        for blob in manifest.blobs() {
            self.download(client, reference, blob, progress)?;
        }
        self.layout.keep(&content)?;
        let image = self.image(reference, &descriptor)?;
        self.call(&reference.name(), descriptor)?;
        Ok(image)
    }

    /// A manifest or an index, by tag or digest.
    fn document(
        &self,
        client: &Client,
        reference: &Reference,
        manifest: &str,
    ) -> Result<(Document, Descriptor, Vec<u8>)> {
        let scope = Scope::pull(reference);
        let mut call = Call::get(client.place(reference, &format!("manifests/{manifest}"))?);
        let accepted = [
            media_type::MANIFEST,
            media_type::INDEX,
            media_type::DOCKER_MANIFEST,
            media_type::DOCKER_INDEX,
        ];
        call.headers.push((header::ACCEPT, accepted.join(", ")));
        let mut response = client.send(&scope, call)?;
        if !response.status().is_success() {
            return Err(client.refused(&scope, reference, response));
        }
        let content = client.document(reference.registry(), "manifest", &mut response)?;
        let found = Digest::of(&content);
        let headers = response.headers();
        let said = headers
            .get("docker-content-digest")
            .and_then(|value| value.to_str().ok());
        for expected in [said, manifest.contains(':').then_some(manifest)]
            .into_iter()
            .flatten()
        {
            // Of a digest of another algorithm that a registry mentions besides, nothing is known.
            if expected.starts_with("sha256:") && expected != found.to_string() {
                let message = format!(
                    "{reference}: its manifest has the digest {found}, where {expected} is expected"
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        let said = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let said = said.map(|said| said.split(';').next().unwrap_or_default().trim());
        let document = Document::read(&reference.to_string(), said, &content)?;
        let descriptor = Descriptor::of(document.media_type(), &content);
        Ok((document, descriptor, content))
    }

    fn download(
        &self,
        client: &Client,
        reference: &Reference,
        blob: &Descriptor,
        progress: &dyn Progress,
    ) -> Result<()> {
        if self.layout.has(Kind::Blob, blob.digest)? {
            return Ok(());
        }
        let Some(file) = self.layout.partial(blob.digest)? else {
            return Ok(());
        };
        progress.event(Event::Begins {
            digest: blob.digest,
            bytes: blob.size,
        });
        let mut download = Download {
            client,
            reference,
            blob,
            file,
            hasher: Hasher::default(),
            have: 0,
            progress,
        };
        let continued = self
            .layout
            .io("a blob cannot be read", download.take_up())?;
        let mut whole = download.finish(&self.layout)?;
        if whole != blob.digest && continued {
            // What was left of another time may be what is wrong.
            self.layout
                .io("a blob cannot be written", download.begin_anew())?;
            whole = download.finish(&self.layout)?;
        }
        if whole != blob.digest {
            self.layout
                .io("a blob cannot be written", download.begin_anew())?;
            let message = format!(
                "{reference}: {} sends a blob of the digest {whole} in the place of {}, which is refused",
                reference.registry(),
                blob.digest
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.layout.complete(&download.file, blob.digest)?;
        progress.event(Event::Ends {
            digest: blob.digest,
        });
        Ok(())
    }

    /// Sends an image to the registry of its reference. What the registry has already is not transferred.
    ///
    /// # Errors
    ///
    /// [`GuestNotFound`](ErrorKind::GuestNotFound) if it is not in the store; [`Invalid`](ErrorKind::Invalid) if it is
    /// damaged; [`Io`](ErrorKind::Io) if the registry cannot be reached, or does not take it.
    pub fn push(
        &self,
        client: &Client,
        reference: &Reference,
        progress: &dyn Progress,
    ) -> Result<Digest> {
        let _lock = self.layout.in_use()?;
        let Some(descriptor) = self.descriptor(reference)? else {
            let message =
                format!("{reference} is not in the store; `wasmrun images` shows what is there");
            return Err(Error::new(ErrorKind::GuestNotFound, message));
        };
        let name = reference.to_string();
        let content = self.layout.read(&name, "manifest", &descriptor)?;
        let manifest: Manifest = manifest::json(&name, "manifest", &content)?;
        for blob in manifest.blobs() {
            let path = self
                .layout
                .checked(&name, "blob", Kind::Blob, blob.digest)?;
            let mut file = self.layout.io("a blob cannot be read", File::open(path))?;
            upload(client, reference, blob, &mut file, progress)?;
        }
        let scope = Scope::push(reference);
        let mut body = io::Cursor::new(content);
        let size = body.get_ref().len() as u64;
        let response = client.send(
            &scope,
            Call {
                method: "PUT",
                url: client.place(reference, &format!("manifests/{}", reference.manifest()))?,
                headers: vec![(header::CONTENT_TYPE, descriptor.media_type.clone())],
                body: Some((&mut body, size)),
                small: true,
            },
        )?;
        match response.status().is_success() {
            true => Ok(descriptor.digest),
            false => Err(client.refused(&scope, reference, response)),
        }
    }
}

/// A blob on its way to the store.
struct Download<'a> {
    client: &'a Client,
    reference: &'a Reference,
    blob: &'a Descriptor,
    file: File,
    hasher: Hasher,
    have: u64,
    progress: &'a dyn Progress,
}

/// Why a piece of a blob was the last for now.
enum Broken {
    /// It makes no sense to go on.
    Stop(Error),
    /// It may work another time.
    Again(Error),
}

impl Download<'_> {
    /// Takes up what an interrupted transfer left; tells whether it left anything.
    fn take_up(&mut self) -> io::Result<bool> {
        let left = self.file.metadata()?.len();
        if left > self.blob.size {
            self.begin_anew()?;
            return Ok(false);
        }
        self.file.seek(SeekFrom::Start(0))?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = self.file.read(&mut buffer)?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
                break;
            };
            self.hasher.update(piece);
            self.have += read as u64;
        }
        self.advanced();
        Ok(self.have > 0)
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.hasher = Hasher::default();
        self.have = 0;
        Ok(())
    }

    fn advanced(&self) {
        self.progress.event(Event::Advances {
            digest: self.blob.digest,
            bytes: self.have,
        });
    }

    /// Gets all that is missing; returns the digest of the whole.
    fn finish(&mut self, layout: &crate::layout::Layout) -> Result<Digest> {
        let mut failures = 0;
        while self.have < self.blob.size {
            let before = self.have;
            let error = match self.piece() {
                Ok(()) if self.have == self.blob.size => break,
                Ok(()) => {
                    let message = format!(
                        "{}: {} ends after {} bytes of a blob of {}",
                        self.reference,
                        self.reference.registry(),
                        self.have,
                        self.blob.size
                    );
                    Error::new(ErrorKind::Io, message)
                }
                Err(Broken::Again(error)) => error,
                Err(Broken::Stop(error)) => return Err(error),
            };
            failures = if self.have > before { 0 } else { failures + 1 };
            if failures >= FAILURES {
                return Err(error);
            }
            tracing::debug!(blob = %self.blob.digest, have = self.have, %error, "the transfer goes on");
            thread::sleep(Duration::from_millis(100) * (1 << failures));
        }
        layout.io("a blob cannot be written", self.file.flush())?;
        Ok(self.hasher.clone().digest())
    }

    /// Gets as much as one answer has.
    fn piece(&mut self) -> Result<(), Broken> {
        let scope = Scope::pull(self.reference);
        let place = format!("blobs/{}", self.blob.digest);
        let mut call = Call::get(
            self.client
                .place(self.reference, &place)
                .map_err(Broken::Stop)?,
        );
        call.small = false;
        if self.have > 0 {
            call.headers
                .push((header::RANGE, format!("bytes={}-", self.have)));
        }
        let mut response =
            self.client
                .send(&scope, call)
                .map_err(|error| match is_silence(&error) {
                    true => Broken::Stop(error),
                    false => Broken::Again(error),
                })?;
        let status = response.status().as_u16();
        match status {
            200 if self.have > 0 => self.begin_anew().map_err(|error| self.unwritten(error))?,
            200 => {}
            206 if self.is_rest(&response) => {}
            206 | 416 => {
                self.begin_anew().map_err(|error| self.unwritten(error))?;
                return Err(Broken::Again(
                    self.error("sends another part of a blob than was asked for"),
                ));
            }
            429 | 500..=599 => {
                return Err(Broken::Again(self.client.refused(
                    &scope,
                    self.reference,
                    response,
                )));
            }
            _ => {
                return Err(Broken::Stop(self.client.refused(
                    &scope,
                    self.reference,
                    response,
                )));
            }
        }
        let missing = self.blob.size - self.have;
        if let Some(length) = response.body().content_length()
            && length > missing
        {
            let what =
                format!("sends a blob that is {length} bytes long, where {missing} are expected");
            return Err(Broken::Stop(self.error(&what)));
        }
        self.write(response.body_mut())
    }

    fn write(&mut self, body: &mut Body) -> Result<(), Broken> {
        let mut reader = body.as_reader();
        let mut buffer = vec![0; 1 << 16];
        let before = self.have;
        loop {
            let read = reader.read(&mut buffer).map_err(|error| {
                let error = self.client.failed(self.reference.registry(), error.into());
                match is_silence(&error) && self.have == before {
                    true => Broken::Stop(error),
                    false => Broken::Again(error),
                }
            })?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
                return Ok(());
            };
            if read as u64 > self.blob.size - self.have {
                let what = format!(
                    "sends more of a blob than the {} bytes that it has",
                    self.blob.size
                );
                self.begin_anew().map_err(|error| self.unwritten(error))?;
                return Err(Broken::Stop(self.error(&what)));
            }
            self.file
                .write_all(piece)
                .map_err(|error| self.unwritten(error))?;
            self.hasher.update(piece);
            self.have += read as u64;
            self.advanced();
        }
    }

    /// Whether an answer is what is missing.
    fn is_rest(&self, response: &Response<Body>) -> bool {
        let range = response.headers().get(header::CONTENT_RANGE);
        let range = range.and_then(|range| range.to_str().ok());
        range.is_some_and(|range| range.starts_with(&format!("bytes {}-", self.have)))
    }

    fn error(&self, what: &str) -> Error {
        let message = format!("{}: {} {what}", self.reference, self.reference.registry());
        Error::new(ErrorKind::Invalid, message)
    }

    fn unwritten(&self, error: io::Error) -> Broken {
        let message = format!("{}: a blob cannot be written", self.reference);
        Broken::Stop(Error::new(ErrorKind::Io, message).with_source(error))
    }
}

/// Whether nothing was heard for as long as is waited.
fn is_silence(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<ureq::Error>());
    matches!(source, Some(ureq::Error::Timeout(timeout)) if *timeout != Timeout::Connect)
}

fn upload(
    client: &Client,
    reference: &Reference,
    blob: &Descriptor,
    file: &mut File,
    progress: &dyn Progress,
) -> Result<()> {
    let scope = Scope::push(reference);
    let mut call = Call::get(client.place(reference, &format!("blobs/{}", blob.digest))?);
    call.method = "HEAD";
    if client.send(&scope, call)?.status().is_success() {
        return Ok(());
    }
    progress.event(Event::Begins {
        digest: blob.digest,
        bytes: blob.size,
    });
    let mut nothing = io::Cursor::new([]);
    let begin = client.place(reference, "blobs/uploads/")?;
    let response = client.send(
        &scope,
        Call {
            method: "POST",
            url: begin.clone(),
            headers: Vec::new(),
            body: Some((&mut nothing, 0)),
            small: true,
        },
    )?;
    if response.status().as_u16() != 202 {
        return Err(client.refused(&scope, reference, response));
    }
    let mut place = client.location(reference.registry(), &begin, response.headers())?;
    place
        .query_pairs_mut()
        .append_pair("digest", &blob.digest.to_string());
    let mut content = Told {
        file,
        digest: blob.digest,
        bytes: 0,
        progress,
    };
    let response = client.send(
        &scope,
        Call {
            method: "PUT",
            url: place,
            headers: vec![(header::CONTENT_TYPE, "application/octet-stream".into())],
            body: Some((&mut content, blob.size)),
            small: false,
        },
    )?;
    if !response.status().is_success() {
        return Err(client.refused(&scope, reference, response));
    }
    progress.event(Event::Ends {
        digest: blob.digest,
    });
    Ok(())
}

/// A file that tells how much of it was read.
struct Told<'a> {
    file: &'a mut File,
    digest: Digest,
    bytes: u64,
    progress: &'a dyn Progress,
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.bytes += read as u64;
        self.progress.event(Event::Advances {
            digest: self.digest,
            bytes: self.bytes,
        });
        Ok(read)
    }
}

impl Seek for Told<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes = self.file.seek(to)?;
        Ok(self.bytes)
    }
}
