//! A place for what is thrown away afterwards, whether we end by ourselves or on a signal.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, process, thread};

use tempfile::TempDir;
use walkdir::WalkDir;
use wasmrun::{Error, ErrorKind, Killer, Result, exit_code};

use crate::signals;

/// How long a guest that is killed may take to be gone, with all that was made for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A directory that goes when this goes, and when a signal ends us.
pub struct Scratch {
    dir: TempDir,
    ending: Arc<Mutex<Ending>>,
}

/// What a signal finds.
#[derive(Default)]
struct Ending {
    signal: Option<u8>,
    /// What ends a guest that would outlive us.
    guest: Option<Killer>,
    /// What ends other processes of ours.
    processes: Option<Box<dyn FnOnce() + Send>>,
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
        let dir = private("wasmrun-").map_err(failed)?;
        let ending = Arc::new(Mutex::new(Ending::default()));
        let (path, shared) = (dir.path().to_owned(), ending.clone());
        signals::watch(move |signal| on_signal(signal, &shared, &path)).map_err(|source| {
            Error::new(ErrorKind::Io, "cannot watch for signals").with_source(source)
        })?;
        Ok(Scratch { dir, ending })
    }

    /// Has a signal end these processes as well.
    pub fn ends(&self, processes: impl FnOnce() + Send + 'static) {
        lock(&self.ending).processes = Some(Box::new(processes));
    }

    /// Has a signal kill the guest, until this is called again without one. What waited for the guest
    /// has to call it then: where it was killed on a signal, this ends us.
    pub fn kills(&self, guest: Option<Killer>) {
        let mut ending = lock(&self.ending);
        if let (None, Some(signal)) = (&guest, ending.signal) {
            end(signal, self.path());
        }
        ending.guest = guest;
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
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

/// A temporary directory that nobody else may enter: there will be copies of what may be private.
#[cfg(unix)]
fn private(prefix: &str) -> io::Result<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix(prefix)
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir()
}

/// Elsewhere that of a user is private.
#[cfg(not(unix))]
fn private(prefix: &str) -> io::Result<TempDir> {
    TempDir::with_prefix(prefix)
}

fn lock(ending: &Mutex<Ending>) -> MutexGuard<'_, Ending> {
    // What a panic leaves is still what there is to end.
    ending.lock().unwrap_or_else(PoisonError::into_inner)
}

fn on_signal(signal: u8, ending: &Mutex<Ending>, path: &Path) {
    let mut found = lock(ending);
    let again = found.signal.replace(signal).is_some();
    if let Some(processes) = found.processes.take() {
        processes();
    }
    match found.guest.take() {
        Some(guest) if !again => {
            guest.kill();
            drop(found);
            // Whoever waits for the guest ends us, and sooner.
            thread::sleep(PATIENCE);
            end(signal, path);
        }
        _ => end(signal, path),
    }
}

fn end(signal: u8, path: &Path) -> ! {
    remove(path);
    process::exit(exit_code::of_signal(signal).into());
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
