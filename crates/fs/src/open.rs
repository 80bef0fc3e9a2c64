//! How many files guests may have open.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Errno, Result};

/// The most files one run may have open, however many this process may.
const MOST_OF_A_RUN: u32 = 4096;

/// Files that a guest has opened, counted: all of a run, or some. What is dropped is closed.
#[derive(Debug, Default)]
pub struct OpenFiles(u32);

/// The files that all runs have opened.
static OPEN: AtomicU32 = AtomicU32::new(0);

impl OpenFiles {
    /// What was opened, by the descriptors of the host that it holds: a directory holds two.
    pub fn of(files: u32) -> Self {
        let mut counted = OpenFiles::default();
        counted.more(files);
        counted
    }

    /// Whether one more may be opened.
    ///
    /// # Errors
    ///
    /// [`Errno::Mfile`] if these are as many as a guest may have open, [`Errno::Nfile`] if all guests together have too
    /// many.
    pub fn room(&self) -> Result<()> {
        if self.0 >= most_open_files() {
            Err(Errno::Mfile)
        } else if OPEN.load(Ordering::Relaxed) >= ours() / 4 * 3 {
            Err(Errno::Nfile)
        } else {
            Ok(())
        }
    }

    /// Counts a file that was opened.
    pub fn more(&mut self, files: u32) {
        self.0 += files;
        OPEN.fetch_add(files, Ordering::Relaxed);
    }

    /// Counts a descriptor that was closed: one of those, or one the guest was given.
    pub fn less(&mut self, files: u32) {
        let files = files.min(self.0);
        self.0 -= files;
        OPEN.fetch_sub(files, Ordering::Relaxed);
    }
}

impl Drop for OpenFiles {
    fn drop(&mut self) {
        // Runs on other threads share the count: most have nothing to say there.
        if self.0 > 0 {
            OPEN.fetch_sub(self.0, Ordering::Relaxed);
        }
    }
}

/// How many files one guest may have open: at most half of what this process may.
pub fn most_open_files() -> u32 {
    (ours() / 2).min(MOST_OF_A_RUN)
}

/// How many files this process may have open. Guests get a part of them: the rest is for their
/// streams and directories, and for whoever runs them.
fn ours() -> u32 {
    static OURS: OnceLock<u32> = OnceLock::new();
    *OURS.get_or_init(|| descriptors().unwrap_or(1024))
}

#[cfg(unix)]
fn descriptors() -> Option<u32> {
    use rustix::process::{Resource, getrlimit};

    // Unlimited is more than anybody counts.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    Some(u32::try_from(limit).unwrap_or(u32::MAX))
}

#[cfg(not(unix))]
fn descriptors() -> Option<u32> {
    None
}
