//! An image layout on the disk: blobs by digest, and what they are called.
//!
//! Everything is written to a file of another name first, and each file that more than one process changes has a lock.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;
use wasmrun_guest::{Error, ErrorKind, Result};

use crate::manifest::{self, Descriptor, Index};
use crate::{Digest, Limits, media_type, stamp};

/// What the file `oci-layout` says.
pub(crate) const VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// A last use is told to the minute, so that not every start writes.
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub root: PathBuf,
}

/// Where something is kept that has a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// As it was transferred.
    Blob,
    /// A layer, decompressed.
    Tar,
    /// The program of an image.
    Program,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Blob, Kind::Tar, Kind::Program];

    fn directory(self) -> &'static str {
        match self {
            Kind::Blob => "blobs/sha256",
            Kind::Tar => "wasmrun/tars",
            Kind::Program => "wasmrun/programs",
        }
    }
}

/// What was found of an image when it was looked into, by the digest of its manifest.
const FOUND: &str = "wasmrun/found";
/// Which files had their digest, and when they were last used.
const SEEN: &str = "wasmrun/seen";
/// What is not transferred whole.
const PARTIAL: &str = "wasmrun/partial";

impl Layout {
    pub fn open(root: &Path) -> Result<Layout> {
        let layout = Layout { root: root.into() };
        let make = || {
            stamp::make_dir(root)?;
            for kind in Kind::ALL {
                fs::create_dir_all(root.join(kind.directory()))?;
            }
            for directory in [FOUND, SEEN, PARTIAL] {
                fs::create_dir_all(root.join(directory))?;
            }
            match fs::exists(root.join("oci-layout"))? {
                true => Ok(()),
                false => layout.put(&root.join("oci-layout"), VERSION.as_bytes()),
            }
        };
        make().map_err(|error| {
            let message = format!("the store in {} cannot be made", root.display());
            Error::new(ErrorKind::Io, message).with_source(error)
        })?;
        let version = layout.io("oci-layout", fs::read_to_string(root.join("oci-layout")))?;
        match serde_json::from_str::<BTreeMap<String, String>>(&version) {
            Ok(version)
                if version
                    .get("imageLayoutVersion")
                    .is_some_and(|of| of == "1.0.0") => {}
            _ => {
                let what = format!(
                    "{} is no image layout of version 1.0.0: see its file oci-layout",
                    root.display()
                );
                return Err(Error::new(ErrorKind::Config, what));
            }
        }
        Ok(layout)
    }

    pub fn path(&self, kind: Kind, digest: Digest) -> PathBuf {
        self.root.join(kind.directory()).join(digest.hex())
    }

    /// The error of an operation on the store.
    pub fn io<T>(&self, what: &str, result: io::Result<T>) -> Result<T> {
        result.map_err(|error| {
            let message = format!("the store in {}: {what}", self.root.display());
            Error::new(ErrorKind::Io, message).with_source(error)
        })
    }

    /// A file that takes its name once it is complete.
    pub fn temporary(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(self.root.join(PARTIAL))
    }

    /// Gives a complete file its name.
    pub fn settle(&self, file: NamedTempFile, path: &Path) -> io::Result<()> {
        file.as_file().sync_data()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    fn put(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = self.temporary()?;
        file.write_all(content)?;
        self.settle(file, path)
    }

    /// Keeps a small blob.
    pub fn keep(&self, content: &[u8]) -> Result<Digest> {
        let digest = Digest::of(content);
        if !self.has(Kind::Blob, digest)? {
            let path = self.path(Kind::Blob, digest);
            self.io("a blob cannot be written", self.put(&path, content))?;
        }
        Ok(digest)
    }

    /// Whether something is there and has its digest. What has another is removed.
    pub fn has(&self, kind: Kind, digest: Digest) -> Result<bool> {
        let path = self.path(kind, digest);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => self.io("it cannot be read", opened)?,
        };
        let whole = self.is_whole(&mut file, kind, digest);
        if self.io("it cannot be read", whole)? {
            return Ok(true);
        }
        tracing::warn!(%digest, "damaged in the store, and removed");
        self.io("what is damaged cannot be removed", remove(&path))?;
        Ok(false)
    }

    /// Whether a file has its digest. It is compared when the file is another than when that was last done, and after each
    /// start of the system.
    fn is_whole(&self, file: &mut File, kind: Kind, digest: Digest) -> io::Result<bool> {
        let seen = self.seen(kind, digest);
        let now = stamp::of(&file.metadata()?);
        if let (Some(now), Ok(before)) = (&now, fs::read_to_string(&seen))
            && *now == before
        {
            used(&seen);
            return Ok(true);
        }
        if Digest::of_reader(file)? != digest {
            return Ok(false);
        }
        if let Some(now) = now {
            self.put(&seen, now.as_bytes())?;
        }
        Ok(true)
    }

    fn seen(&self, kind: Kind, digest: Digest) -> PathBuf {
        let kind = match kind {
            Kind::Blob => "blob",
            Kind::Tar => "tar",
            Kind::Program => "program",
        };
        self.root
            .join(SEEN)
            .join(format!("{kind}-{}", digest.hex()))
    }

    /// When a blob was last looked at.
    pub fn last_used(&self, digest: Digest) -> SystemTime {
        let seen = fs::metadata(self.seen(Kind::Blob, digest));
        let time = seen.and_then(|metadata| metadata.modified());
        time.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// A small blob, which is compared with its digest each time.
    pub fn read(&self, name: &str, what: &str, descriptor: &Descriptor) -> Result<Vec<u8>> {
        manifest::is_small(name, what, descriptor.size)?;
        let path = self.path(Kind::Blob, descriptor.digest);
        let mut content = Vec::new();
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(missing(name, what, descriptor.digest));
            }
            opened => self.io("it cannot be read", opened)?,
        };
        let read = file.take(Limits::DOCUMENT + 1).read_to_end(&mut content);
        self.io("it cannot be read", read)?;
        if Digest::of(&content) != descriptor.digest {
            self.io("what is damaged cannot be removed", remove(&path))?;
            return Err(damaged(name, what, descriptor.digest));
        }
        Ok(content)
    }

    /// The path of something that has its digest.
    pub fn checked(&self, name: &str, what: &str, kind: Kind, digest: Digest) -> Result<PathBuf> {
        let path = self.path(kind, digest);
        match self.io("it cannot be read", fs::exists(&path))? {
            false => Err(missing(name, what, digest)),
            true if self.has(kind, digest)? => Ok(path),
            true => Err(damaged(name, what, digest)),
        }
    }

    /// What was found of an image before.
    pub fn found(&self, manifest: Digest) -> Option<Vec<u8>> {
        fs::read(self.root.join(FOUND).join(manifest.hex())).ok()
    }

    pub fn keep_found(&self, manifest: Digest, found: &[u8]) -> Result<()> {
        let path = self.root.join(FOUND).join(manifest.hex());
        self.io("it cannot be written", self.put(&path, found))
    }

    /// The index of all images, which is `index.json`.
    pub fn index(&self) -> Result<Index> {
        let name = self.root.join("index.json");
        let content = match fs::read(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Index {
                    schema_version: 2,
                    media_type: Some(media_type::INDEX.into()),
                    manifests: Vec::new(),
                });
            }
            content => self.io("its index cannot be read", content)?,
        };
        manifest::json(&name.to_string_lossy(), "index", &content)
    }

    /// Changes `index.json`. Who reads it meanwhile has it as it was.
    pub fn change_index<T>(&self, change: impl FnOnce(&mut Vec<Descriptor>) -> T) -> Result<T> {
        let _lock = self.io(
            "its lock",
            self.lock_file("index.lock").and_then(|lock| {
                lock.lock()?;
                Ok(lock)
            }),
        )?;
        let mut index = self.index()?;
        let changed = change(&mut index.manifests);
        let content = manifest::written(&index)?;
        let path = self.root.join("index.json");
        self.io("its index cannot be written", self.put(&path, &content))?;
        Ok(changed)
    }

    fn lock_file(&self, name: &str) -> io::Result<File> {
        let path = self.root.join("wasmrun").join(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).open(path)
    }

    /// Held by who adds blobs, or reads them one after the other: nothing is removed meanwhile.
    pub fn in_use(&self) -> Result<File> {
        let lock = self.lock_file("lock").and_then(|lock| {
            lock.lock_shared()?;
            Ok(lock)
        });
        self.io("its lock", lock)
    }

    /// Held by who removes blobs.
    pub fn alone(&self) -> Result<File> {
        let lock = self.io("its lock", self.lock_file("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::InUse,
                format!(
                    "nothing is removed from the store in {}: somebody else transfers something; try again when that is done",
                    self.root.display()
                ),
            )),
            Err(TryLockError::Error(error)) => self.io("its lock", Err(error)),
        }
    }

    /// The file that a blob is transferred to, locked, with what an interrupted transfer left in it; `None` if the blob is
    /// there by now.
    pub fn partial(&self, digest: Digest) -> Result<Option<File>> {
        loop {
            let path = self.root.join(PARTIAL).join(digest.hex());
            let open = || {
                let mut options = OpenOptions::new();
                let options = options.read(true).write(true).create(true).truncate(false);
                let file = options.open(&path)?;
                file.lock()?;
                Ok(file)
            };
            let file = self.io("a blob cannot be written", open())?;
            if self.has(Kind::Blob, digest)? {
                // It may be that we made this file anew after somebody else was done.
                let _ = fs::remove_file(&path);
                return Ok(None);
            }
            // Who waited for the lock has the file that meanwhile became the blob, or was removed.
            let same = file
                .metadata()
                .and_then(|own| Ok(stamp::is_same_file(&own, &fs::metadata(&path)?)));
            if same.unwrap_or(false) {
                return Ok(Some(file));
            }
        }
    }

    /// Makes a file of [`partial`](Layout::partial) the blob.
    pub fn complete(&self, file: &File, digest: Digest) -> Result<()> {
        let from = self.root.join(PARTIAL).join(digest.hex());
        let complete = || {
            file.sync_data()?;
            fs::rename(&from, self.path(Kind::Blob, digest))?;
            if let Some(now) = stamp::of(&file.metadata()?) {
                self.put(&self.seen(Kind::Blob, digest), now.as_bytes())?;
            }
            Ok(())
        };
        self.io("a blob cannot be written", complete())
    }

    /// Removes whatever `keeps` does not want, and what nobody needs any more; returns how many files that were, and
    /// their bytes. The caller is [`alone`](Layout::alone).
    pub fn sweep(&self, keeps: impl Fn(Kind, Digest) -> bool) -> Result<(u64, u64)> {
        let mut removed = (0, 0);
        let mut sweep = |directory: &str, keep: &dyn Fn(&str) -> bool| -> io::Result<()> {
            for entry in fs::read_dir(self.root.join(directory))? {
                let entry = entry?;
                if !entry.file_name().to_str().is_some_and(keep) {
                    removed.0 += 1;
                    removed.1 += entry.metadata()?.len();
                    remove(&entry.path())?;
                }
            }
            Ok(())
        };
        let digest = |name: &str| format!("sha256:{name}").parse::<Digest>().ok();
        let mut all = || {
            for kind in Kind::ALL {
                let keep = |name: &str| digest(name).is_some_and(|digest| keeps(kind, digest));
                sweep(kind.directory(), &keep)?;
            }
            sweep(PARTIAL, &|_| false)
        };
        self.io("what nobody needs cannot be removed", all())?;
        let swept = removed;
        let blob = |name: &str| digest(name).is_some_and(|digest| keeps(Kind::Blob, digest));
        let seen = |name: &str| match name.split_once('-') {
            Some(("blob", name)) => blob(name),
            Some((kind, name)) => digest(name).is_some_and(|digest| {
                let kind = if kind == "tar" {
                    Kind::Tar
                } else {
                    Kind::Program
                };
                keeps(kind, digest)
            }),
            None => false,
        };
        let records = [(FOUND, &blob as &dyn Fn(&str) -> bool), (SEEN, &seen)];
        for (directory, keep) in records {
            for entry in self.io("it cannot be read", fs::read_dir(self.root.join(directory)))? {
                let entry = self.io("it cannot be read", entry)?;
                if !entry.file_name().to_str().is_some_and(keep) {
                    self.io("what nobody needs cannot be removed", remove(&entry.path()))?;
                }
            }
        }
        Ok(swept)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Notes that something was used, if that is not known already.
fn used(seen: &Path) {
    let note = || -> io::Result<()> {
        let file = File::open(seen)?;
        let now = SystemTime::now();
        let last = file.metadata()?.modified()?;
        if now.duration_since(last).is_ok_and(|since| since >= MINUTE) {
            file.set_modified(now)?;
        }
        Ok(())
    };
    // It decides only what is removed first.
    let _ = note();
}

fn missing(name: &str, what: &str, digest: Digest) -> Error {
    Error::new(
        ErrorKind::GuestNotFound,
        format!("{name}: its {what} {digest} is not in the store; pull it again"),
    )
}

fn damaged(name: &str, what: &str, digest: Digest) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!(
            "{name}: its {what} {digest} was damaged in the store and is removed; pull it again"
        ),
    )
}
