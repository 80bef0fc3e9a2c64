//! Memories in address space that a thread keeps for its next guest: to reserve it and to give it back
//! takes as long as the whole rest of a small guest's run, and holds up the other threads.

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
use wasmer::sys::vm::{LinearMemory, VMMemory, VMMemoryDefinition};
use wasmer::{MemoryError, MemoryStyle, MemoryType, Pages, WASM_PAGE_SIZE};

thread_local! {
    static SPARE: Spare = Spare::new();
}

/// What a thread's last guest has left.
struct Spare {
    space: Cell<Option<Space>>,
    /// Whether the thread is to keep any.
    keeps: bool,
}

/// The threads that keep address space, or might.
static KEEPING: AtomicUsize = AtomicUsize::new(0);

/// So many threads keep address space, some 8 GiB each: a process may have no more than 512.
const MOST_THREADS: usize = 32;

/// So much may have been accessible of what is kept: its page tables are kept with it.
const MOST_ACCESSIBLE: usize = 64 << 20;

impl Spare {
    fn new() -> Self {
        let before = KEEPING.fetch_add(1, Ordering::Relaxed);
        let is_limited = getrlimit(Resource::As).current.is_some();
        Spare {
            space: Cell::new(None),
            keeps: before < MOST_THREADS && !is_limited,
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        KEEPING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Address space. Of its beginning, so much is accessible; and that is all zeros while nobody has it.
#[derive(Debug)]
struct Space {
    base: NonNull<c_void>,
    reserved: usize,
    accessible: usize,
    /// More may have been accessible for a moment.
    is_soiled: bool,
}

// SAFETY: it is owned, like a box of bytes.
unsafe impl Send for Space {}
// SAFETY: without `&mut` it gives only numbers away.
unsafe impl Sync for Space {}

impl Space {
    /// What the thread has left, if it is as large, or else new.
    fn take(reserved: usize, accessible: usize) -> io::Result<Self> {
        // A thread that is about to end has nothing any more.
        let spare = SPARE.try_with(|spare| spare.space.take()).ok().flatten();
        let mut space = match spare.filter(|spare| spare.reserved == reserved) {
            Some(space) => space,
            None => Space::reserve(reserved)?,
        };
        space.set_accessible(accessible)?;
        Ok(space)
    }

    fn reserve(reserved: usize) -> io::Result<Self> {
        // SAFETY: it is put where nothing is yet.
        let base =
            unsafe { mmap_anonymous(null_mut(), reserved, ProtFlags::empty(), MapFlags::PRIVATE)? };
        let base = NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Space {
            base,
            reserved,
            accessible: 0,
            is_soiled: false,
        })
    }

    fn set_accessible(&mut self, bytes: usize) -> io::Result<()> {
        if bytes > self.reserved {
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
        debug_assert!(range.end <= self.reserved);
        // SAFETY: the range is within the space, which nobody else has. No reference into it is
        // alive: a guest's memory grows while nothing else looks at it.
        unsafe {
            mprotect(
                self.base.byte_add(range.start).as_ptr(),
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
            let is_worth_it = spare.keeps && self.accessible <= MOST_ACCESSIBLE;
            if is_worth_it && !self.is_soiled && self.clear() {
                spare.space.set(Some(self));
            }
        });
    }

    /// Whether all that is accessible could be made zeros.
    fn clear(&self) -> bool {
        // SAFETY: the range is within the space, which nobody else has. Linux promises zeros for the
        // next access to private anonymous pages after this: madvise(2), MADV_DONTNEED.
        let cleared =
            unsafe { madvise(self.base.as_ptr(), self.accessible, Advice::LinuxDontNeed) };
        cleared.is_ok()
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // SAFETY: it was mapped by `reserve`, and nobody has it any more.
        let gone = unsafe { munmap(self.base.as_ptr(), self.reserved) };
        debug_assert!(gone.is_ok(), "{gone:?}");
    }
}

/// How much address space such a memory needs: one that never moves, and is one thread's.
pub(crate) fn needed(ty: &MemoryType, style: &MemoryStyle) -> Option<usize> {
    match style {
        MemoryStyle::Static {
            bound,
            offset_guard_size,
        } if !ty.shared => {
            let guard = usize::try_from(*offset_guard_size).ok()?;
            bound.bytes().0.checked_add(guard)
        }
        _ => None,
    }
}

/// A memory of a guest, in address space that is kept when it is dropped: as much as is
/// [`needed`].
///
/// # Safety
///
/// `definition` is where the guest looks for its memory, for as long as the memory is there.
pub(crate) unsafe fn create(
    needed: usize,
    ty: &MemoryType,
    style: &MemoryStyle,
    mut definition: NonNull<VMMemoryDefinition>,
) -> Result<VMMemory, MemoryError> {
    let space = Space::take(needed, ty.minimum.bytes().0)
        .map_err(|error| MemoryError::Region(error.to_string()))?;
    // SAFETY: the caller's promise.
    *unsafe { definition.as_mut() } = VMMemoryDefinition {
        base: space.base.as_ptr().cast(),
        current_length: space.accessible,
    };
    Ok(VMMemory(Box::new(KeptMemory {
        space: ManuallyDrop::new(space),
        ty: *ty,
        style: *style,
        definition,
    })))
}

#[derive(Debug)]
struct KeptMemory {
    space: ManuallyDrop<Space>,
    /// As declared.
    ty: MemoryType,
    style: MemoryStyle,
    definition: NonNull<VMMemoryDefinition>,
}

// SAFETY: as for wasmer's own memories, which have the same parts: whoever has the store has it alone.
unsafe impl Send for KeptMemory {}
// SAFETY: likewise.
unsafe impl Sync for KeptMemory {}

impl Drop for KeptMemory {
    fn drop(&mut self) {
        // SAFETY: nothing looks at it after this.
        unsafe { ManuallyDrop::take(&mut self.space) }.keep();
    }
}

impl LinearMemory for KeptMemory {
    fn ty(&self) -> MemoryType {
        MemoryType {
            minimum: self.size(),
            ..self.ty
        }
    }

    fn size(&self) -> Pages {
        Pages((self.space.accessible / WASM_PAGE_SIZE) as u32)
    }

    fn style(&self) -> MemoryStyle {
        self.style
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        let current = self.size();
        let refused = MemoryError::CouldNotGrow {
            current,
            attempted_delta: delta,
        };
        let maximum = self.ty.maximum.unwrap_or(Pages::max_value());
        let Some(wanted) = current.checked_add(delta).filter(|size| *size <= maximum) else {
            return Err(refused);
        };
        let grown = self.space.set_accessible(wanted.bytes().0);
        grown.map_err(|_| refused)?;
        // SAFETY: `create` was promised that it is there, and the guest waits for this.
        unsafe { self.definition.as_mut() }.current_length = self.space.accessible;
        Ok(current)
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        self.definition
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync>, MemoryError> {
        Err(MemoryError::UnsupportedOperation {
            message: "the copy would be nobody's".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const RESERVED: usize = 16 << 20;

    fn bytes(space: &mut Space) -> &mut [u8] {
        // SAFETY: so much is accessible, and it is borrowed with the space.
        unsafe { std::slice::from_raw_parts_mut(space.base.as_ptr().cast(), space.accessible) }
    }

    #[test]
    fn what_is_kept_is_taken_again_and_empty() {
        let mut space = Space::take(RESERVED, 128 << 10).expect("space");
        let base = space.base;
        bytes(&mut space).fill(0xff);
        space.set_accessible(256 << 10).expect("more");
        assert!(bytes(&mut space)[128 << 10..].iter().all(|byte| *byte == 0));
        bytes(&mut space).fill(0xff);
        space.keep();
        for accessible in [64 << 10, 0, 1 << 20] {
            let mut space = Space::take(RESERVED, accessible).expect("space");
            assert_eq!((space.base, space.accessible), (base, accessible));
            assert!(bytes(&mut space).iter().all(|byte| *byte == 0));
            bytes(&mut space).fill(0xff);
            space.keep();
        }
    }

    #[test]
    fn what_was_very_large_is_not_kept() {
        let space = Space::take(2 * MOST_ACCESSIBLE, MOST_ACCESSIBLE + 4096).expect("space");
        space.keep();
        assert!(SPARE.with(|spare| spare.space.take()).is_none());
    }

    #[test]
    fn no_more_is_accessible_than_is_reserved() {
        let mut space = Space::take(RESERVED, RESERVED).expect("space");
        assert!(space.set_accessible(RESERVED + 1).is_err());
        assert_eq!(space.accessible, RESERVED);
    }

    /// Whether the byte can be read, as the kernel says it.
    fn is_readable(space: &Space, at: usize) -> bool {
        let (_reader, mut writer) = io::pipe().expect("a pipe");
        // SAFETY: the byte is within the space, and the kernel looks whether it is accessible.
        let byte =
            unsafe { std::slice::from_raw_parts(space.base.byte_add(at).cast().as_ptr(), 1) };
        let written = writer.write(byte).map_err(|error| error.raw_os_error());
        assert!(
            matches!(written, Ok(1) | Err(Some(libc::EFAULT))),
            "{written:?}"
        );
        written.is_ok()
    }

    #[test]
    fn growth_that_fails_half_way_leaves_nothing_accessible_and_nothing_to_keep() {
        let mut space = Space::take(RESERVED, 1 << 20).expect("space");
        bytes(&mut space).fill(0xff);
        space.keep();
        let mut space = Space::take(RESERVED, 64 << 10).expect("space");
        assert!(!is_readable(&space, 128 << 10));
        // What is mapped for reading alone from a file that others write cannot be made writable.
        let file = std::env::current_exe().and_then(std::fs::File::open);
        // SAFETY: it replaces what nobody has.
        unsafe {
            rustix::mm::mmap(
                space.base.byte_add(2 << 20).as_ptr(),
                4096,
                ProtFlags::empty(),
                MapFlags::SHARED | MapFlags::FIXED,
                file.expect("this program"),
                0,
            )
            .expect("a mapping in the way");
        }
        assert!(space.set_accessible(4 << 20).is_err());
        assert_eq!(space.accessible, 64 << 10);
        assert!(is_readable(&space, 0));
        assert!(!is_readable(&space, 128 << 10));
        space.keep();
        assert!(SPARE.with(|spare| spare.space.take()).is_none());
    }
}
