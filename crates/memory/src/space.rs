//! Address space that is kept when it is dropped.

use std::cell::Cell;
use std::ffi::c_void;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap,
};
use rustix::process::{Resource, getrlimit};

thread_local! {
    static SPARE: Spare = Spare::new();
}

/// What a thread's last guest has left.
struct Spare {
    reservation: Cell<Option<Reservation>>,
    /// Whether it is one of the threads that keep some.
    keeps: Cell<bool>,
    /// Whether the process has only so much address space.
    is_limited: bool,
}

/// The threads that keep address space.
static KEEPING: AtomicUsize = AtomicUsize::new(0);

/// So many threads keep address space, 4 to 8 GiB each: a process may have no more than 512.
const MOST_THREADS: usize = 32;

/// So much may have been accessible of what is kept: its page tables are kept with it.
const MOST_ACCESSIBLE: usize = 64 << 20;

impl Spare {
    fn new() -> Self {
        Spare {
            reservation: Cell::new(None),
            keeps: Cell::new(false),
            is_limited: getrlimit(Resource::As).current.is_some(),
        }
    }

    fn may_keep(&self) -> bool {
        if !self.keeps.get() && !self.is_limited {
            let one_more = |keeping| (keeping < MOST_THREADS).then_some(keeping + 1);
            let admitted = KEEPING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
            self.keeps.set(admitted.is_ok());
        }
        self.keeps.get()
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        if self.keeps.get() {
            KEEPING.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Where a guest's memory is to be within what is reserved for it, in bytes. All are whole pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// So much before it is never accessible.
    pub before: usize,
    /// So much it may grow to.
    pub capacity: usize,
    /// So much behind that is never accessible.
    pub behind: usize,
}

impl Layout {
    fn total(self) -> Option<usize> {
        self.before
            .checked_add(self.capacity)?
            .checked_add(self.behind)
    }
}

/// A guest's memory. It begins with zeros, never moves, and grows. Dropped, it is given back, and its
/// address space is the thread's for its next guest.
#[derive(Debug)]
pub struct Space(ManuallyDrop<Reservation>);

impl Space {
    /// Of which `accessible` bytes, whole pages, are accessible.
    ///
    /// # Errors
    ///
    /// What the system says where it has no more, or not as much in one piece.
    pub fn take(layout: Layout, accessible: usize) -> io::Result<Self> {
        // A thread that is about to end has nothing any more.
        let spare = SPARE.try_with(|spare| spare.reservation.take());
        let spare = spare.ok().flatten();
        let mut reservation = match spare.filter(|spare| spare.layout == layout) {
            Some(spare) => spare,
            None => Reservation::new(layout)?,
        };
        reservation.set_accessible(accessible)?;
        Ok(Space(ManuallyDrop::new(reservation)))
    }

    /// Where it begins.
    pub fn start(&self) -> NonNull<u8> {
        self.0.start().cast()
    }

    /// So many bytes are accessible.
    pub fn accessible(&self) -> usize {
        self.0.accessible
    }

    /// Where it is within what is reserved for it.
    pub fn layout(&self) -> Layout {
        self.0.layout
    }

    /// Makes `accessible` bytes, whole pages, accessible, if they are not.
    ///
    /// # Errors
    ///
    /// What the system says where it has no more. Nothing has changed then.
    pub fn grow(&mut self, accessible: usize) -> io::Result<()> {
        // What is given up would have to be cleared.
        let accessible = accessible.max(self.0.accessible);
        self.0.set_accessible(accessible)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // SAFETY: nothing looks at it after this.
        unsafe { ManuallyDrop::take(&mut self.0) }.keep();
    }
}

/// What the system has reserved. What of it is accessible is all zeros while nobody has it.
#[derive(Debug)]
struct Reservation {
    base: NonNull<c_void>,
    /// From there.
    total: usize,
    layout: Layout,
    accessible: usize,
    /// More may have been accessible for a moment.
    is_soiled: bool,
}

// SAFETY: it is owned, like a box of bytes.
unsafe impl Send for Reservation {}
// SAFETY: without `&mut` it gives only numbers away.
unsafe impl Sync for Reservation {}

impl Reservation {
    fn new(layout: Layout) -> io::Result<Self> {
        let total = layout.total().ok_or(io::ErrorKind::OutOfMemory)?;
        // Pages are the system's to find once they are written to, as wasmtime has it for its own.
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: it is put where nothing is yet.
        let base = unsafe { mmap_anonymous(null_mut(), total, ProtFlags::empty(), flags)? };
        let base = NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Reservation {
            base,
            total,
            layout,
            accessible: 0,
            is_soiled: false,
        })
    }

    fn start(&self) -> NonNull<c_void> {
        // SAFETY: it is within what is reserved.
        unsafe { self.base.byte_add(self.layout.before) }
    }

    fn set_accessible(&mut self, bytes: usize) -> io::Result<()> {
        if bytes > self.layout.capacity {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if bytes < self.accessible {
            self.protect(bytes..self.accessible, MprotectFlags::empty())?;
        } else if bytes > self.accessible {
            let more = self.accessible..bytes;
            let read_write = MprotectFlags::READ | MprotectFlags::WRITE;
            if let Err(error) = self.protect(more.clone(), read_write) {
                // A part of it may be accessible now: mprotect(2) goes from mapping to mapping.
                self.is_soiled = true;
                let undone = self.protect(more, MprotectFlags::empty());
                undone.expect("a guest must not go on with more memory than it knows of");
                return Err(error);
            }
        }
        self.accessible = bytes;
        Ok(())
    }

    fn protect(&mut self, range: Range<usize>, access: MprotectFlags) -> io::Result<()> {
        debug_assert!(range.end <= self.layout.capacity);
        // SAFETY: the range is within what is reserved, which nobody else has. No reference into it is
        // alive: a guest's memory grows while nothing else looks at it.
        unsafe {
            mprotect(
                self.start().byte_add(range.start).as_ptr(),
                range.len(),
                access,
            )?
        };
        Ok(())
    }

    /// Keeps it for the thread's next guest, if that is worth while.
    fn keep(self) {
        // A thread that is about to end keeps nothing more.
        let _ = SPARE.try_with(|spare| {
            let is_worth_it = self.accessible <= MOST_ACCESSIBLE && !self.is_soiled;
            if is_worth_it && spare.may_keep() && self.clear() {
                spare.reservation.set(Some(self));
            }
        });
    }

    /// Whether all that is accessible could be made zeros.
    fn clear(&self) -> bool {
        // SAFETY: the range is within what is reserved, which nobody else has. Linux promises zeros
        // for the next access to private anonymous pages after this: madvise(2), MADV_DONTNEED.
        let cleared = unsafe {
            madvise(
                self.start().as_ptr(),
                self.accessible,
                Advice::LinuxDontNeed,
            )
        };
        cleared.is_ok()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: it was mapped by `new`, and nobody has it any more.
        let gone = unsafe { munmap(self.base.as_ptr(), self.total) };
        debug_assert!(gone.is_ok(), "{gone:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const LAYOUT: Layout = Layout {
        before: 64 << 10,
        capacity: 16 << 20,
        behind: 64 << 10,
    };

    fn bytes(space: &mut Space) -> &mut [u8] {
        // SAFETY: so much is accessible, and it is borrowed with the space.
        unsafe { std::slice::from_raw_parts_mut(space.start().as_ptr(), space.accessible()) }
    }

    fn is_kept() -> bool {
        SPARE.with(|spare| spare.reservation.take()).is_some()
    }

    #[test]
    fn what_is_dropped_is_taken_again_and_empty() {
        let mut space = Space::take(LAYOUT, 128 << 10).expect("space");
        let start = space.start();
        bytes(&mut space).fill(0xff);
        space.grow(256 << 10).expect("more");
        assert!(bytes(&mut space)[128 << 10..].iter().all(|byte| *byte == 0));
        bytes(&mut space).fill(0xff);
        drop(space);
        for accessible in [64 << 10, 0, 1 << 20] {
            let mut space = Space::take(LAYOUT, accessible).expect("space");
            assert_eq!((space.start(), space.accessible()), (start, accessible));
            assert!(bytes(&mut space).iter().all(|byte| *byte == 0));
            bytes(&mut space).fill(0xff);
        }
    }

    #[test]
    fn what_was_very_large_is_not_kept() {
        let capacity = 2 * MOST_ACCESSIBLE;
        let layout = Layout { capacity, ..LAYOUT };
        drop(Space::take(layout, MOST_ACCESSIBLE + 4096).expect("space"));
        assert!(!is_kept());
    }

    #[test]
    fn what_was_laid_out_otherwise_is_not_taken() {
        drop(Space::take(LAYOUT, 64 << 10).expect("space"));
        let behind = 2 * LAYOUT.behind;
        let other = Layout { behind, ..LAYOUT };
        let space = Space::take(other, 64 << 10).expect("space");
        assert_eq!(space.0.layout, other);
    }

    #[test]
    fn no_more_is_accessible_than_there_is_and_nothing_around_it() {
        let mut space = Space::take(LAYOUT, LAYOUT.capacity).expect("space");
        assert!(space.grow(LAYOUT.capacity + 4096).is_err());
        assert_eq!(space.accessible(), LAYOUT.capacity);
        assert!(is_readable(&space, 0));
        assert!(is_readable(&space, LAYOUT.capacity as isize - 1));
        assert!(!is_readable(&space, -1));
        assert!(!is_readable(&space, LAYOUT.capacity as isize));
    }

    #[test]
    fn more_than_there_can_be_is_an_error() {
        for capacity in [usize::MAX, 1 << 60] {
            assert!(Space::take(Layout { capacity, ..LAYOUT }, 0).is_err());
        }
    }

    /// Whether the byte can be read, as the kernel says it.
    fn is_readable(space: &Space, at: isize) -> bool {
        let (_reader, mut writer) = io::pipe().expect("a pipe");
        // SAFETY: the byte is within what is reserved, and the kernel looks whether it is accessible.
        let byte = unsafe { std::slice::from_raw_parts(space.start().as_ptr().offset(at), 1) };
        let written = writer.write(byte).map_err(|error| error.raw_os_error());
        assert!(
            matches!(written, Ok(1) | Err(Some(libc::EFAULT))),
            "{written:?}"
        );
        written.is_ok()
    }

    #[test]
    fn growth_that_fails_half_way_leaves_nothing_accessible_and_nothing_to_keep() {
        let mut space = Space::take(LAYOUT, 1 << 20).expect("space");
        bytes(&mut space).fill(0xff);
        drop(space);
        let mut space = Space::take(LAYOUT, 64 << 10).expect("space");
        assert!(!is_readable(&space, 128 << 10));
        // What is mapped for reading alone from a file that others write cannot be made writable.
        let file = std::env::current_exe().and_then(std::fs::File::open);
        // SAFETY: it replaces what nobody has.
        unsafe {
            rustix::mm::mmap(
                space.start().byte_add(2 << 20).as_ptr().cast(),
                4096,
                ProtFlags::empty(),
                MapFlags::SHARED | MapFlags::FIXED,
                file.expect("this program"),
                0,
            )
            .expect("a mapping in the way");
        }
        assert!(space.grow(4 << 20).is_err());
        assert_eq!(space.accessible(), 64 << 10);
        assert!(is_readable(&space, 0));
        assert!(!is_readable(&space, 128 << 10));
        drop(space);
        assert!(!is_kept());
    }
}
