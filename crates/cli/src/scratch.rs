//! A place for what is thrown away afterwards, whether we end by ourselves or on a signal.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, process};

use tempfile::TempDir;
use walkdir::WalkDir;
use wasmrun::{Error, ErrorKind, Result, exit_code};

use crate::signals;

type LastWill = Box<dyn FnOnce() + Send>;

/// A directory that goes when this goes, and when a signal ends us. Runtimes we have started end
/// with us.
pub struct Scratch {
    dir: TempDir,
    last_will: Arc<Mutex<Option<LastWill>>>,
}

impl Scratch {
    pub fn new() -> Result<Self> {
        let failed = |source| {
            Error::new(
                ErrorKind::Io,
                format!(
                    "cannot make a directory in {}; TMPDIR names another place",
                    env::temp_dir().display()
                ),
            )
            .with_source(source)
        };
        let dir = TempDir::with_prefix("wasmrun-").map_err(failed)?;
        let last_will = Arc::new(Mutex::new(None::<LastWill>));
        let (path, last) = (dir.path().to_owned(), last_will.clone());
        signals::watch(move |signal| {
            if let Some(last) = last.lock().unwrap_or_else(PoisonError::into_inner).take() {
                last();
            }
            remove(&path);
            process::exit(exit_code::of_signal(signal).into());
        })
        .map_err(|source| {
            Error::new(ErrorKind::Io, "cannot watch for signals").with_source(source)
        })?;
        Ok(Scratch { dir, last_will })
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What a signal is to do before it ends us.
    pub fn on_signal(&self, last: impl FnOnce() + Send + 'static) {
        let mut slot = self
            .last_will
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Box::new(last));
    }

    /// A new directory in it.
    pub fn directory(&self) -> Result<Directory> {
        TempDir::new_in(self.path())
            .map(Directory)
            .map_err(|source| {
                Error::new(
                    ErrorKind::Io,
                    format!("cannot make a directory in {}", self.path().display()),
                )
                .with_source(source)
            })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(self.path());
    }
}

/// A directory that goes when this goes.
pub struct Directory(TempDir);

impl Directory {
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        remove(self.path());
    }
}

/// Removes a directory, and directories in it that may not be written to as well. What then remains
/// is for the system to clear away: it is in its directory for such things.
fn remove(path: &Path) {
    if fs::remove_dir_all(path).is_ok() {
        return;
    }
    for entry in WalkDir::new(path).into_iter().flatten() {
        if entry.file_type().is_dir() {
            make_writable(entry.path());
        }
    }
    let _ = fs::remove_dir_all(path);
}

#[cfg(unix)]
fn make_writable(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
}

#[cfg(not(unix))]
fn make_writable(_: &Path) {}
