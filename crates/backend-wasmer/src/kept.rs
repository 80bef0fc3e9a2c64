//! Memories in address space that a thread keeps for its next guest: to reserve it and to give it back
//! takes as long as the whole rest of a small guest's run, and holds up the other threads.

use std::cell::Cell;
use std::ffi::c_void;
use std::io;
use std::mem::ManuallyDrop;
use std::ptr::{NonNull, null_mut};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap,
};
use wasmer::sys::vm::{LinearMemory, VMMemory, VMMemoryDefinition};
use wasmer::{MemoryError, MemoryStyle, MemoryType, Pages, WASM_PAGE_SIZE};

thread_local! {
    /// What the thread's last guest has left.
    static SPARE: Cell<Option<Space>> = const { Cell::new(None) };
}

/// So much may have been accessible of what is kept: its page tables are kept with it.
const MOST_KEPT: usize = 64 << 20;

/// Address space. Of its beginning, so much is accessible; and that is all zeros while nobody has it.
#[derive(Debug)]
struct Space {
    base: NonNull<c_void>,
    reserved: usize,
    accessible: usize,
}

// SAFETY: it is owned, like a box of bytes.
unsafe impl Send for Space {}
// SAFETY: without `&mut` it gives only numbers away.
unsafe impl Sync for Space {}

impl Space {
    /// What the thread has left, if it is as large, or else new.
    fn take(reserved: usize, accessible: usize) -> io::Result<Self> {
        // A thread that is about to end has nothing any more.
        let spare = SPARE.try_with(Cell::take).ok().flatten();
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
        })
    }

    fn set_accessible(&mut self, bytes: usize) -> io::Result<()> {
        if bytes > self.reserved {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let (from, to, access) = if bytes > self.accessible {
            let read_write = MprotectFlags::READ | MprotectFlags::WRITE;
            (self.accessible, bytes, read_write)
        } else {
            (bytes, self.accessible, MprotectFlags::empty())
        };
        if from < to {
            // SAFETY: the range is within the space, which nobody else has. No reference into it is
            // alive: a guest's memory grows while nothing else looks at it.
            unsafe { mprotect(self.base.byte_add(from).as_ptr(), to - from, access)? };
        }
        self.accessible = bytes;
        Ok(())
    }

    /// Keeps it for the thread's next guest, if that is worth while.
    fn keep(self) {
        if self.accessible > MOST_KEPT {
            return;
        }
        // SAFETY: the range is within the space, which nobody else has. Linux promises zeros for the
        // next access to private anonymous pages after this: madvise(2), MADV_DONTNEED.
        let cleared =
            unsafe { madvise(self.base.as_ptr(), self.accessible, Advice::LinuxDontNeed) };
        if cleared.is_ok() {
            // A thread that is about to end keeps nothing more.
            let _ = SPARE.try_with(|spare| spare.set(Some(self)));
        }
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
        let space = Space::take(2 * MOST_KEPT, MOST_KEPT + 4096).expect("space");
        space.keep();
        assert!(SPARE.take().is_none());
    }

    #[test]
    fn no_more_is_accessible_than_is_reserved() {
        let mut space = Space::take(RESERVED, RESERVED).expect("space");
        assert!(space.set_accessible(RESERVED + 1).is_err());
        assert_eq!(space.accessible, RESERVED);
    }
}
