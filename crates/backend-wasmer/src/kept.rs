//! Memories in address space that a thread keeps for its next guest.

use std::ptr::NonNull;

use wasmer::sys::vm::{LinearMemory, VMMemory, VMMemoryDefinition};
use wasmer::{MemoryError, MemoryStyle, MemoryType, Pages, WASM_PAGE_SIZE};
use wasmrun_memory::{Layout, Space};

/// What such a memory needs: one that never moves, and is one thread's.
pub(crate) fn needed(ty: &MemoryType, style: &MemoryStyle) -> Option<Layout> {
    match style {
        MemoryStyle::Static {
            bound,
            offset_guard_size,
        } if !ty.shared => Some(Layout {
            before: 0,
            capacity: bound.bytes().0,
            behind: usize::try_from(*offset_guard_size).ok()?,
        }),
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
    needed: Layout,
    ty: &MemoryType,
    style: &MemoryStyle,
    mut definition: NonNull<VMMemoryDefinition>,
) -> Result<VMMemory, MemoryError> {
    let space = Space::take(needed, ty.minimum.bytes().0, None)
        .map_err(|error| MemoryError::Region(error.to_string()))?;
    // SAFETY: the caller's promise.
    *unsafe { definition.as_mut() } = VMMemoryDefinition {
        base: space.start().as_ptr(),
        current_length: space.accessible(),
    };
    Ok(VMMemory(Box::new(KeptMemory {
        space,
        ty: *ty,
        style: *style,
        definition,
    })))
}

#[derive(Debug)]
struct KeptMemory {
    space: Space,
    /// As declared.
    ty: MemoryType,
    style: MemoryStyle,
    definition: NonNull<VMMemoryDefinition>,
}

// SAFETY: as for wasmer's own memories, which have the same parts: whoever has the store has it alone.
unsafe impl Send for KeptMemory {}
// SAFETY: likewise.
unsafe impl Sync for KeptMemory {}

impl LinearMemory for KeptMemory {
    fn ty(&self) -> MemoryType {
        MemoryType {
            minimum: self.size(),
            ..self.ty
        }
    }

    fn size(&self) -> Pages {
        Pages((self.space.accessible() / WASM_PAGE_SIZE) as u32)
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
        self.space.grow(wanted.bytes().0).map_err(|_| refused)?;
        // SAFETY: `create` was promised that it is there, and the guest waits for this.
        unsafe { self.definition.as_mut() }.current_length = self.space.accessible();
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
