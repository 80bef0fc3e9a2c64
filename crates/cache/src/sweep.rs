//! Removing: what is too much, what is damaged, what nothing refers to.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::IgnoredAny;
use wasmrun_core::guest::Known;
use wasmrun_core::{Digest, Error, ErrorKind, Result};

use crate::entries::{Item, files, is_whole};
use crate::place::unreadable;
use crate::record::{self, Found};
use crate::seen::Seen;
use crate::{Cache, Entry};

/// How long a file that is written without the lock may be without anything that refers to it: someone may be about
/// to.
const UNFINISHED_FOR: Duration = Duration::from_secs(60 * 60);

/// What was removed from a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Removed {
    /// Compiled programs.
    pub entries: u64,
    /// Bytes on disk, everything counted.
    pub bytes: u64,
}

/// What [`Cache::verify`] found.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// Programs that are as they were when they were kept.
    pub good: u64,
    /// Programs that were not, and are removed.
    pub damaged: Vec<Entry>,
    /// Records of which nothing could be read, and that are removed.
    pub unreadable: u64,
}

/// Held by those who write an entry, or by the one who removes: an entry and its code are two files,
/// and must not part. The system frees it when its holder dies.
pub(crate) struct Lock {
    _file: File,
}

impl Cache {
    /// Compares every program with the digest it was kept under, and removes those that differ.
    /// Reads all of the cache. One that cannot be written to is read as it is, without keeping others away.
    ///
    /// # Errors
    ///
    /// [`Io`](wasmrun_core::ErrorKind::Io) if the directory cannot be read, or not be written where
    /// something is to be removed.
    pub fn verify(&self) -> Result<Verified> {
        let _lock = match self.lock_file() {
            Err(error) if is_closed(&error) => None,
            file => Some(self.locked(file)?),
        };
        let mut verified = Verified {
            good: 0,
            damaged: Vec::new(),
            unreadable: 0,
        };
        for file in finished(files(&self.0.place.entries)?) {
            match record::read(&file.path) {
                Found::Whole(record) if is_whole(&self.code(&record), &record) => {
                    verified.good += 1;
                }
                Found::Whole(record) => {
                    remove(&file.path)?;
                    remove(&self.code(&record))?;
                    let entry = self.entry(record, file.modified);
                    verified.damaged.push(entry);
                }
                Found::Nothing => {}
                Found::Damaged | Found::Unreadable => {
                    remove(&file.path)?;
                    verified.unreadable += 1;
                }
            }
        }
        let place = &self.0.place;
        for directory in [&place.guests, &place.answers] {
            for file in finished(files(directory)?) {
                if let Found::Damaged | Found::Unreadable = record::read::<IgnoredAny>(&file.path) {
                    remove(&file.path)?;
                    verified.unreadable += 1;
                }
            }
        }
        Ok(verified)
    }

    /// Removes all that is kept. The directory itself, and what is not of the cache, stays.
    ///
    /// # Errors
    ///
    /// [`Io`](wasmrun_core::ErrorKind::Io) if something cannot be removed.
    pub fn clear(&self) -> Result<Removed> {
        let _lock = self.lock()?;
        let place = &self.0.place;
        let mut removed = Removed::default();
        for directory in place.all() {
            for file in files(directory)? {
                removed.bytes += remove(&file.path)?;
                removed.entries += u64::from(directory == &place.entries && !file.is_unfinished());
            }
        }
        Ok(removed)
    }

    /// Removes the programs that were used longest ago until at most `max_bytes` or no programs are left, and
    /// all that no program needs. What is known of guests that were just read stays, as do versions of
    /// executables.
    ///
    /// # Errors
    ///
    /// [`Io`](wasmrun_core::ErrorKind::Io) if something cannot be removed.
    pub fn prune(&self, max_bytes: u64) -> Result<Removed> {
        let _lock = self.lock()?;
        self.reduce(max_bytes)
    }

    /// [`prune`](Cache::prune), where it is needed and nobody else is at it.
    pub(crate) fn stay_within(&self, max_bytes: u64) {
        let reduce = || {
            if self.bytes()? > max_bytes
                && let Some(_lock) = self.try_lock()?
            {
                self.reduce(max_bytes)?;
            }
            Ok(())
        };
        if let Err::<_, Error>(error) = reduce() {
            tracing::debug!(%error, "the cache is larger than it should be");
        }
    }

    /// What the cache takes on disk.
    fn bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for directory in self.0.place.all() {
            bytes += files(directory)?.iter().map(|file| file.bytes).sum::<u64>();
        }
        Ok(bytes)
    }

    fn reduce(&self, max_bytes: u64) -> Result<Removed> {
        let mut removed = self.sweep()?;
        let mut bytes = self.bytes()?;
        let kept = self.kept()?;
        let mut uses: HashMap<Digest, usize> = HashMap::new();
        for kept in &kept {
            *uses.entry(kept.record.code).or_default() += 1;
        }
        for oldest in kept {
            if bytes <= max_bytes {
                break;
            }
            let mut freed = remove(&oldest.path)?;
            // Entries of two engines' versions, say, may have the same code.
            let uses = uses.entry(oldest.record.code).or_default();
            *uses = uses.saturating_sub(1);
            if *uses == 0 {
                freed += remove(&self.code(&oldest.record))?;
            }
            removed.entries += 1;
            removed.bytes += freed;
            bytes = bytes.saturating_sub(freed);
        }
        Ok(removed)
    }

    /// Removes what nothing refers to, unless someone may be about to.
    fn sweep(&self) -> Result<Removed> {
        let kept = self.kept()?;
        let code: HashSet<Digest> = kept.iter().map(|kept| kept.record.code).collect();
        let guests: HashSet<Digest> = kept.iter().map(|kept| kept.record.guest).collect();
        let mut removed = Removed::default();
        let place = &self.0.place;
        for directory in place.all() {
            for file in files(directory)? {
                let is_needed = if file.is_unfinished() {
                    false
                } else if directory == &place.code {
                    file.name.parse().is_ok_and(|digest| code.contains(&digest))
                } else if directory == &place.guests {
                    match record::read::<Seen<Known>>(&file.path) {
                        Found::Whole(record) => guests.contains(&record.known.digest()),
                        _ => false,
                    }
                } else {
                    true
                };
                // Who writes these has the lock, which is ours now.
                let is_dead = [&place.code, &place.entries].contains(&directory);
                if !is_needed && (is_dead || is_abandoned(&file)) {
                    removed.bytes += remove(&file.path)?;
                }
            }
        }
        Ok(removed)
    }

    fn lock(&self) -> Result<Lock> {
        self.locked(self.lock_file())
    }

    fn locked(&self, file: io::Result<File>) -> Result<Lock> {
        let lock = file.and_then(|file| {
            file.lock()?;
            Ok(Lock { _file: file })
        });
        lock.map_err(|source| unreadable(self.dir(), source))
    }

    /// Keeps others from removing. Does not wait for them: what is not kept now will be another time.
    pub(crate) fn lock_for_writing(&self) -> io::Result<Lock> {
        let file = self.lock_file()?;
        match file.try_lock_shared() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(io::Error::other("entries are being removed")),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn try_lock(&self) -> Result<Option<Lock>> {
        let file = self
            .lock_file()
            .map_err(|source| unreadable(self.dir(), source))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(unreadable(self.dir(), source)),
        }
    }

    fn lock_file(&self) -> io::Result<File> {
        let lock = &self.0.place.lock;
        if let Some(directory) = lock.parent() {
            fs::create_dir_all(directory)?;
        }
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(lock)
    }
}

/// Whether there is nothing that we could write to, and so nothing to be locked.
fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

fn finished(files: Vec<Item>) -> impl Iterator<Item = Item> {
    files.into_iter().filter(|file| !file.is_unfinished())
}

fn is_abandoned(file: &Item) -> bool {
    SystemTime::now()
        .duration_since(file.modified)
        .is_ok_and(|age| age > UNFINISHED_FOR)
}

/// Removes a file; returns how long it was.
fn remove(path: &Path) -> Result<u64> {
    let remove = || -> io::Result<u64> {
        let bytes = fs::symlink_metadata(path)?.len();
        fs::remove_file(path)?;
        Ok(bytes)
    };
    match remove() {
        // Someone else was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        removed => removed.map_err(|source| {
            Error::new(ErrorKind::Io, format!("cannot remove {}", path.display()))
                .with_source(source)
        }),
    }
}
