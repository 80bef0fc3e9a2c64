//! Memories and stacks in address space that a thread keeps for its next guest; memories made with the data they
//! begin with.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use wasmrun_memory::{Image, Layout, Space, Stack};
use wasmtime::{Config, LinearMemory, MemoryCreator, MemoryType, StackCreator, StackMemory};

/// Has them in place of wasmtime's own.
/// A memory larger than what is reserved at first is reserved with so much `room` to grow into.
pub(crate) fn keep_memories(config: &mut Config, room: u64) {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    config.with_host_memory(Arc::new(Memories { room }));
}

/// Has them for asynchronous calls in place of wasmtime's own.
pub(crate) fn keep_stacks(config: &mut Config) {
    config.with_host_stack(Arc::new(Stacks));
}

thread_local! {
    /// What the next memory is to begin with: wasmtime does not tell which one it asks for.
    static NEXT: Cell<Option<Arc<Image>>> = const { Cell::new(None) };
}

/// Makes an instance of a guest with one memory, which is to begin with `image`, and may run it.
pub(crate) fn beginning_with<T>(image: Option<&Arc<Image>>, make: impl FnOnce() -> T) -> T {
    /// Nor is it for another guest if this one could not have its memory.
    struct Forget;
    impl Drop for Forget {
        fn drop(&mut self) {
            NEXT.take();
        }
    }
    let Some(image) = image else {
        return make();
    };
    NEXT.set(Some(image.clone()));
    let _forget = Forget;
    make()
}

/// The image, if a memory of so many bytes is the one that begins with it. wasmtime asks for other memories
/// as well, for what its collector collects; these have nothing at first.
fn image_for(bytes: usize) -> Option<Arc<Image>> {
    let image = NEXT.take()?;
    if image.place().end <= bytes {
        return Some(image);
    }
    NEXT.set(Some(image));
    None
}

struct Memories {
    room: usize,
}

// SAFETY: each is mapped for itself alone, and is all zeros, or the data that were taken out of the guest (`Space`).
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let reserved = reserved.unwrap_or(0);
        let maximum = maximum.unwrap_or(usize::MAX);
        let capacity = if minimum <= reserved {
            reserved
        } else {
            with_room(minimum, self.room, maximum)
        };
        let layout = Layout {
            // As wasmtime has it around its own.
            before: guard,
            capacity,
            behind: guard,
        };
        match Space::take(layout, minimum, image_for(minimum).as_deref()) {
            Ok(space) => Ok(Box::new(KeptMemory {
                space,
                room: self.room,
                maximum,
            })),
            Err(error) => Err(format!("cannot have {minimum} bytes: {error}")),
        }
    }
}

fn with_room(bytes: usize, room: usize, maximum: usize) -> usize {
    bytes.saturating_add(room).min(maximum).max(bytes)
}

struct KeptMemory {
    space: Space,
    room: usize,
    maximum: usize,
}

// SAFETY: what is behind its pages, which are whole, cannot be accessed; and it moves only to become
// larger than its capacity.
unsafe impl LinearMemory for KeptMemory {
    fn byte_size(&self) -> usize {
        self.space.accessible()
    }

    fn byte_capacity(&self) -> usize {
        self.space.layout().capacity
    }

    fn grow_to(&mut self, bytes: usize) -> wasmtime::Result<()> {
        if bytes > self.byte_capacity() {
            self.space = self.larger(bytes)?;
        } else {
            self.space.grow(bytes)?;
        }
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.space.start().as_ptr()
    }
}

impl KeptMemory {
    /// As it is, of so many `bytes`.
    fn larger(&self, bytes: usize) -> io::Result<Space> {
        let layout = Layout {
            capacity: with_room(bytes, self.room, self.maximum),
            ..self.space.layout()
        };
        let space = Space::take(layout, bytes, None)?;
        // SAFETY: so much is accessible on both sides, and they are apart from each other.
        unsafe {
            let from = self.space.start().as_ptr();
            from.copy_to_nonoverlapping(space.start().as_ptr(), self.space.accessible());
        }
        Ok(space)
    }
}

struct Stacks;

// SAFETY: each is mapped for itself alone, whole pages with one below them that cannot be accessed. It holds what
// the thread's last guest left there unless it is to be zeroed, as with wasmtime's own pool of stacks: whoever has
// a stack writes to it before he reads.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, bytes: usize, zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        debug_assert!(!zeroed, "`Config::async_stack_zeroing` is off");
        Ok(Box::new(KeptStack(Stack::take(bytes)?)))
    }
}

struct KeptStack(Stack);

// SAFETY: as above; it is where it is until it is dropped.
unsafe impl StackMemory for KeptStack {
    fn top(&self) -> *mut u8 {
        self.0.range().end
    }

    fn range(&self) -> Range<usize> {
        let Range { start, end } = self.0.range();
        start.expose_provenance()..end.expose_provenance()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        self.0.guard()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 64 << 10;
    const ROOM: usize = 1 << 20;
    const KEPT: Memories = Memories { room: ROOM };

    fn bytes(memory: &mut dyn LinearMemory) -> &mut [u8] {
        // SAFETY: so much is accessible, and it is borrowed with the memory.
        unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), memory.byte_size()) }
    }

    #[test]
    fn a_memory_moves_to_grow_beyond_its_capacity_and_keeps_what_it_has() {
        let ty = MemoryType::new(1, None);
        let made = KEPT.new_memory(ty, PAGE, None, Some(2 * PAGE), PAGE);
        let mut memory = made.expect("a memory");
        let first = memory.as_ptr();
        memory.grow_to(2 * PAGE).expect("more");
        assert_eq!(memory.as_ptr(), first);
        bytes(&mut *memory).fill(1);
        memory.grow_to(3 * PAGE).expect("more");
        assert_ne!(memory.as_ptr(), first);
        assert_eq!(memory.byte_size(), 3 * PAGE);
        let (old, new) = bytes(&mut *memory).split_at(2 * PAGE);
        assert!(old.iter().all(|byte| *byte == 1));
        assert!(new.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_memory_larger_than_what_is_reserved_can_grow_without_moving() {
        let capacity = |maximum| {
            let ty = MemoryType::new(2, None);
            let made = KEPT.new_memory(ty, 2 * PAGE, maximum, Some(PAGE), PAGE);
            made.expect("a memory").byte_capacity()
        };
        assert_eq!(capacity(None), 2 * PAGE + ROOM);
        assert_eq!(capacity(Some(3 * PAGE)), 3 * PAGE);
        assert_eq!(capacity(Some(2 * PAGE)), 2 * PAGE);
    }

    #[test]
    fn more_than_there_is_is_an_error() {
        for minimum in [1 << 60, usize::MAX - PAGE + 1] {
            let ty = MemoryType::new(1, None);
            assert!(KEPT.new_memory(ty, minimum, None, Some(0), PAGE).is_err());
        }
    }
}
