//! Opening files: how many a guest may have open, and what it may not open.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use wasmtime_wasi::p1::types;
use wasmtime_wasi::p1::wasi_snapshot_preview1::path_filestat_get;
use wiggle::{GuestMemory, GuestPtr, GuestType};

use crate::call::{SUCCESS, guest_error};
use crate::{Stop, Wasi, block_on_ready};

/// The most files one run may have open, however many this process may.
const MOST_OF_A_RUN: u32 = 4096;

/// The files a run has opened. Closed with it.
#[derive(Debug, Default)]
pub(crate) struct Opened(u32);

/// The files that all runs have opened.
static OPEN: AtomicU32 = AtomicU32::new(0);

impl Opened {
    /// What keeps the guest from opening one more: what it has itself, or all guests together.
    fn refusal(&self) -> Option<types::Errno> {
        if self.0 >= most_open_files() {
            Some(types::Errno::Mfile)
        } else if OPEN.load(Ordering::Relaxed) >= ours() / 4 * 3 {
            Some(types::Errno::Nfile)
        } else {
            None
        }
    }

    /// Counts a file that was opened.
    pub(crate) fn more(&mut self) {
        self.0 += 1;
        OPEN.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a descriptor that was closed: one of those, or one the guest was given.
    pub(crate) fn less(&mut self) {
        if let Some(left) = self.0.checked_sub(1) {
            self.0 = left;
            OPEN.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Opened {
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

/// What keeps the guest from opening a path, if that is ours to say.
///
/// A FIFO or socket is none of the files that a directory is shown for; and to open a FIFO blocks
/// in the kernel, where no deadline reaches the guest. (A device stays open to those whom the
/// caller shows one.)
pub(crate) fn refusal(
    wasi: &mut Wasi,
    memory: &GuestMemory<'_>,
    [fd, flags, path, len]: [i32; 4],
) -> Result<Option<i32>, Stop> {
    if let Some(errno) = wasi.opened.refusal() {
        return Ok(Some(errno as i32));
    }
    let path = GuestPtr::<[u8]>::new((path.cast_unsigned(), len.cast_unsigned()));
    let (context, control) = wasi.enter()?;
    // A path that cannot be read, or is longer than any, is for the function itself to refuse.
    let Some(path) = memory
        .as_cow(path)
        .ok()
        .filter(|path| path.len() <= LONGEST)
    else {
        return Ok(None);
    };
    // The function writes what it finds into its caller's memory, so it is given one of its own.
    let found = types::Filestat::guest_size();
    let mut own = vec![0; found as usize];
    own.extend_from_slice(&path);
    let mut own = GuestMemory::Unshared(&mut own);
    let at = found.cast_signed();
    let look = path_filestat_get(context, &mut own, fd, flags, at, len, 0);
    let openable = match block_on_ready(control, look)? {
        Ok(SUCCESS) => own
            .read(GuestPtr::<types::Filestat>::new(0))
            .is_ok_and(|found| found.filetype != types::Filetype::Unknown),
        // What is not there, or out of reach: the function says so.
        Ok(_) => true,
        // wasmtime-wasi has no word for sockets. Flags that there are none of are told by the function.
        Err(error) => guest_error(&error).is_some(),
    };
    Ok((!openable).then_some(types::Errno::Nxio as i32))
}

/// Longer than any path a system takes.
const LONGEST: usize = 64 << 10;
