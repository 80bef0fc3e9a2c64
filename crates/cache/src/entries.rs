//! Which code belongs to which guest, engine and options.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use wasmrun_core::{Artifact, CodeCache, CodeKey, CompileOptions, Digest, Miss, Result};

use crate::place::{UNFINISHED, unreadable, write};
use crate::platform::Stamp;
use crate::record::{self, Found};
use crate::{Cache, platform};

/// How many digits of a digest go into the name of a record, which itself holds all of them.
const NAMED: usize = 32;

/// A record in `entries`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    key: Digest,
    guest_name: String,
    pub(crate) guest: Digest,
    engine: String,
    engine_version: String,
    fuel: bool,
    interruptible: bool,
    stack: Option<u64>,
    pub(crate) code: Digest,
    bytes: u64,
    /// When the code was last seen to have its digest.
    compared: Option<Compared>,
}

/// A state of a file of code, which it leaves when anybody writes to it, and that can be told from
/// what a crash made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Compared {
    /// Which start of the system this was under.
    boot: String,
    stamp: Stamp,
}

/// A program that is kept, compiled.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// The guest's name when it was compiled.
    pub guest: String,
    /// The digest of its binary.
    pub guest_digest: Digest,
    /// The engine that compiled it.
    pub engine: String,
    /// The engine's version.
    pub engine_version: String,
    /// It counts fuel.
    pub fuel: bool,
    /// It can be ended, by a timeout or by killing it.
    pub interruptible: bool,
    /// It runs with this many bytes of stack.
    pub stack: Option<u64>,
    /// The size of its code, in bytes.
    pub bytes: u64,
    /// When it was last used, to the minute; seconds since 1970.
    #[serde(serialize_with = "seconds")]
    pub last_used: SystemTime,
    /// The file its code is in.
    #[serde(serialize_with = "wasmrun_core::guest::serialize_path")]
    pub path: PathBuf,
}

fn seconds<S: serde::Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
        .serialize(to)
}

/// A record and where it is.
pub(crate) struct Kept {
    pub record: Record,
    pub path: PathBuf,
    pub last_used: SystemTime,
}

impl CodeCache for Cache {
    fn find(&self, key: &CodeKey<'_>) -> Result<Artifact, Miss> {
        let digest = digest(key);
        let path = self.0.place.entries.join(name(key, digest));
        let record: Record = match record::read(&path) {
            Found::Whole(record) => record,
            Found::Nothing => return Err(self.why_missing(key)),
            Found::Damaged => return Err(self.drop_entry(&path)),
            Found::Unreadable => return Err(Miss::Unreadable),
        };
        if record.key != digest || record.guest != key.guest.digest() {
            return Err(self.drop_entry(&path));
        }
        let code = self.code(&record);
        let Some(metadata) = of_complete(&code, &record) else {
            return Err(self.drop_entry(&path));
        };
        let state = self.state(&metadata);
        if state.is_some() && state == record.compared {
            record::used(&path);
        } else if is_whole(&code, &record) {
            self.note_comparison(&path, record, state);
        } else {
            // Not for any other entry either.
            let _ = fs::remove_file(&code);
            return Err(self.drop_entry(&path));
        }
        // SAFETY: the directory is closed to everybody but us (`Place::open`), and we put nothing
        // under `code` but what `keep` was given, nothing under `entries` but what says for which
        // key that was; both names say what the content is to be. The entry is whole, is that of
        // this key, and its code had its digest since the system was started, before which an
        // interrupted write could have spoilt it, and was not written to since. No file here is
        // ever written to again once it has its name: it is only replaced or removed, which leaves
        // what is mapped alone.
        Ok(unsafe { Artifact::trusted(code) })
    }

    fn keep(&self, key: &CodeKey<'_>, artifact: &[u8]) -> Result<(), String> {
        let bytes = artifact.len() as u64;
        let max = self.0.max_bytes;
        if bytes > max {
            return Err(format!("{bytes} bytes of code exceed the cache's {max}"));
        }
        let digest = digest(key);
        let CompileOptions {
            fuel,
            interruptible,
            stack,
            ..
        } = key.options;
        let mut record = Record {
            key: digest,
            guest_name: key.guest.name().into(),
            guest: key.guest.digest(),
            engine: key.engine.name.clone(),
            engine_version: key.engine.version.clone(),
            fuel,
            interruptible,
            stack,
            code: Digest::of(artifact),
            bytes,
            compared: None,
        };
        let place = &self.0.place;
        let mut keep = || {
            let _lock = self.lock_for_writing()?;
            // The code first: an entry without it would be a damaged one.
            write(&place.code, &record.code.to_string(), &[artifact])?;
            record.compared = self.state(&fs::symlink_metadata(self.code(&record))?);
            record::write(&place.entries, &name(key, digest), &record)
        };
        keep().map_err(|error| format!("{error} ({})", self.dir().display()))?;
        self.stay_within(max);
        Ok(())
    }

    fn forget(&self, key: &CodeKey<'_>) {
        let path = self.0.place.entries.join(name(key, digest(key)));
        self.drop_entry(&path);
    }
}

impl Cache {
    /// Every program that is kept, the last used first.
    ///
    /// # Errors
    ///
    /// [`Io`](wasmrun_core::ErrorKind::Io) if the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = self
            .kept()?
            .into_iter()
            .map(|kept| self.entry(kept.record, kept.last_used))
            .collect();
        entries.reverse();
        Ok(entries)
    }

    pub(crate) fn entry(&self, record: Record, last_used: SystemTime) -> Entry {
        Entry {
            path: self.code(&record),
            guest: record.guest_name,
            guest_digest: record.guest,
            engine: record.engine,
            engine_version: record.engine_version,
            fuel: record.fuel,
            interruptible: record.interruptible,
            stack: record.stack,
            bytes: record.bytes,
            last_used,
        }
    }

    /// All whole records, the longest unused first.
    pub(crate) fn kept(&self) -> Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for file in files(&self.0.place.entries)? {
            if let Found::Whole(record) = record::read(&file.path) {
                kept.push(Kept {
                    record,
                    path: file.path,
                    last_used: file.modified,
                });
            }
        }
        kept.sort_by_key(|kept| kept.last_used);
        Ok(kept)
    }

    pub(crate) fn code(&self, record: &Record) -> PathBuf {
        self.0.place.code.join(record.code.to_string())
    }

    /// Removes an entry that is no good. Its code stays until it is swept up: another entry may
    /// have the same.
    fn drop_entry(&self, path: &Path) -> Miss {
        if let Err(error) = fs::remove_file(path) {
            tracing::debug!(path = %path.display(), %error, "cannot remove a damaged entry");
        }
        Miss::Damaged
    }

    /// `None` where the system says too little to know it again.
    fn state(&self, code: &Metadata) -> Option<Compared> {
        Some(Compared {
            boot: self.boot()?.to_owned(),
            stamp: Stamp::of(code)?,
        })
    }

    fn note_comparison(&self, path: &Path, mut record: Record, state: Option<Compared>) {
        record.compared = state;
        let note = || {
            let name = path.file_name().and_then(|name| name.to_str());
            let _lock = self.lock_for_writing()?;
            record::write(&self.0.place.entries, name.unwrap_or_default(), &record)
        };
        if let Err::<_, io::Error>(error) = note() {
            tracing::debug!(path = %path.display(), %error, "cannot note a comparison");
        }
    }

    /// What there is instead of an entry for `key`.
    fn why_missing(&self, key: &CodeKey<'_>) -> Miss {
        let of_guest = name_start(key);
        let records: Vec<Record> = files(&self.0.place.entries)
            .unwrap_or_default()
            .into_iter()
            .filter(|file| file.name.starts_with(&of_guest))
            .filter_map(|file| match record::read(&file.path) {
                Found::Whole(record) => Some(record),
                _ => None,
            })
            .collect();
        let of_engine = |record: &&Record| record.engine == key.engine.name;
        let of_version = |record: &&Record| record.engine_version == key.engine.version;
        if records.is_empty() {
            Miss::Unseen
        } else if !records.iter().any(|record| of_engine(&record)) {
            Miss::OtherEngine
        } else if !records
            .iter()
            .filter(of_engine)
            .any(|record| of_version(&record))
        {
            Miss::OtherVersion
        } else {
            Miss::OtherSettings
        }
    }
}

/// What the system says of the code, if it is there, ours, and as long as it should be.
fn of_complete(code: &Path, record: &Record) -> Option<Metadata> {
    let metadata = fs::symlink_metadata(code).ok()?;
    let is_complete = platform::is_our_file(&metadata) && metadata.len() == record.bytes;
    is_complete.then_some(metadata)
}

/// Whether the code is what it was when it was kept.
pub(crate) fn is_whole(code: &Path, record: &Record) -> bool {
    of_complete(code, record).is_some()
        && File::open(code)
            .and_then(Digest::of_reader)
            .is_ok_and(|digest| digest == record.code)
}

fn digest(key: &CodeKey<'_>) -> Digest {
    let CodeKey {
        guest,
        engine,
        options,
        identity,
        ..
    } = key;
    let guest = guest.digest();
    let options = format!(
        "fuel {} interruptible {} stack {:?}",
        options.fuel, options.interruptible, options.stack
    );
    let mut all = Vec::new();
    for part in [
        guest.as_bytes(),
        engine.name.as_bytes(),
        engine.version.as_bytes(),
        options.as_bytes(),
        identity,
    ] {
        // With its length, so that no two lists of parts look the same.
        all.extend((part.len() as u64).to_le_bytes());
        all.extend(part);
    }
    Digest::of(&all)
}

fn name_start(key: &CodeKey<'_>) -> String {
    format!("{}-", &key.guest.digest().to_string()[..NAMED])
}

fn name(key: &CodeKey<'_>, digest: Digest) -> String {
    name_start(key) + &digest.to_string()[..NAMED]
}

/// A file of ours.
pub(crate) struct Item {
    pub name: String,
    pub path: PathBuf,
    pub bytes: u64,
    pub modified: SystemTime,
}

impl Item {
    pub(crate) fn is_unfinished(&self) -> bool {
        self.name.starts_with(UNFINISHED)
    }
}

/// The files in one of our directories, as far as they have names that we give.
pub(crate) fn files(directory: &Path) -> Result<Vec<Item>> {
    let read = || -> io::Result<Vec<Item>> {
        let mut files = Vec::new();
        for file in fs::read_dir(directory)? {
            let file = file?;
            let ours = |name: &String| {
                name.starts_with(UNFINISHED)
                    || name
                        .bytes()
                        .all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
            };
            let Some(name) = file.file_name().into_string().ok().filter(ours) else {
                continue;
            };
            // It may have been removed in between.
            let Ok(metadata) = file.metadata() else {
                continue;
            };
            if metadata.is_file() {
                files.push(Item {
                    name,
                    path: file.path(),
                    bytes: metadata.len(),
                    modified: metadata.modified()?,
                });
            }
        }
        Ok(files)
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|source| unreadable(directory, source)),
    }
}
