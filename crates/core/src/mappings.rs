//! Whether there is room for the mappings of more guests.
//!
//! A process has 65,530 mappings on most systems (`vm.max_map_count`), and a guest with a thread takes up to a dozen. A
//! thread that begins where there are none left ends the process, as Rust cannot make its signal stack.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Guests that have a thread of their own.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// So few guests that there is room for them, whatever else the process has.
const FEW: usize = 512;
/// After so many more it is asked again.
const BATCH: usize = 64;
/// What these take at most, and some.
const MAPPINGS: usize = BATCH * 16;

/// One guest that has a thread, until it is dropped.
pub(crate) struct Counted(());

impl Counted {
    /// # Errors
    ///
    /// The system would not map what one more may take.
    pub(crate) fn new() -> io::Result<Self> {
        let counted = Counted(());
        let live = LIVE.fetch_add(1, Relaxed);
        if live >= FEW && live.is_multiple_of(BATCH) {
            room(MAPPINGS).map_err(|error| {
                let message = format!(
                    "{live} guests run already, and the system has no mappings for more \
                     (vm.max_map_count): {error}"
                );
                io::Error::new(error.kind(), message)
            })?;
        }
        Ok(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Relaxed);
    }
}

/// Fails if the system does not give so many mappings more.
#[cfg(target_os = "linux")]
fn room(mappings: usize) -> io::Result<()> {
    use std::ptr;

    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

    let page = rustix::param::page_size();
    let length = mappings * page;
    // SAFETY: the address space is taken for this, nobody else knows of it, and nothing is read or written there. Every
    // other page is made another mapping, and all are given back.
    unsafe {
        let begin = mmap_anonymous(
            ptr::null_mut(),
            length,
            ProtFlags::empty(),
            MapFlags::PRIVATE | MapFlags::NORESERVE,
        )?;
        let divided = (0..mappings).step_by(2).try_for_each(|number| {
            mprotect(begin.byte_add(number * page), page, MprotectFlags::READ)
        });
        munmap(begin, length)?;
        Ok(divided?)
    }
}

#[cfg(not(target_os = "linux"))]
fn room(_: usize) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_some_mappings_and_not_for_any_number() {
        room(MAPPINGS).expect("a test has few");
        let most = std::fs::read_to_string("/proc/sys/vm/max_map_count").expect("Linux says it");
        let most: usize = most.trim().parse().expect("a number");
        // Where there may be millions, to ask for them takes too long.
        if most < 1 << 20 {
            room(most + 2).expect_err("there are no more than that");
        }
    }
}
