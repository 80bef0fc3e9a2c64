//! Bounds on memories and tables, kept where wasmer makes them and lets them grow.

use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use wasmer::sys::vm::{
    ExpectedValue, LinearMemory, Trap, VMGlobal, VMGlobalDefinition, VMMemory, VMMemoryDefinition,
    VMTable, VMTableDefinition, WaiterError, on_host_stack,
};
use wasmer::sys::{BaseTunables, Tunables};
use wasmer::{GlobalType, MemoryError, MemoryStyle, MemoryType, Pages, TableStyle, TableType};
use wasmrun_core::{Account, Control, Limits, Usage};

use crate::checkpoints::Flag;
#[cfg(target_os = "linux")]
use crate::kept;

/// Far less than [`Growth`](crate::growth::Growth) has a guest try where it must not grow.
const MOST: u32 = Limits::MAX_TABLE_ELEMENTS as u32;

/// What makes the memories and tables of one run.
pub(crate) struct Bounded {
    base: BaseTunables,
    usage: Usage,
    flag: Option<Arc<Flag>>,
    control: Control,
}

impl Bounded {
    /// What `base` makes, within the limits that `usage` knows. A guest that waits for its memory to change wakes when
    /// `control` is interrupted.
    pub(crate) fn new(base: BaseTunables, usage: Usage, control: &Control) -> Self {
        Bounded {
            base,
            usage,
            flag: None,
            control: control.clone(),
        }
    }

    /// Tells `flag` where the guest's last global is. The flag must forget it before the guest's
    /// instance is dropped.
    pub(crate) fn with_flag(mut self, flag: Option<Arc<Flag>>) -> Self {
        self.flag = flag;
        self
    }

    /// What the guest has, without what its tables [grow](crate::growth) by.
    fn account(&self) -> &Account {
        self.usage.account()
    }

    fn bounded_memory(
        &self,
        initial: Pages,
        make: impl FnOnce() -> Result<VMMemory, MemoryError>,
    ) -> Result<VMMemory, MemoryError> {
        let bytes = initial.bytes().0;
        if !self.account().grow_memory(0, bytes, None) {
            return Err(MemoryError::Generic(format!(
                "it has {bytes} bytes, more than memories and tables together may have"
            )));
        }
        let memory = make().inspect_err(|_| self.account().give_back_memory(bytes as u64))?;
        Ok(VMMemory(Box::new(BoundedMemory {
            memory,
            usage: self.usage.clone(),
            control: self.control.clone(),
        })))
    }

    fn bounded_table(
        &self,
        declared: &TableType,
        make: impl FnOnce(&TableType) -> Result<VMTable, String>,
    ) -> Result<VMTable, String> {
        let initial = declared.minimum;
        if !self.account().grow_table(0, initial as usize, None) {
            return Err(format!(
                "it has {initial} elements, more than all tables together may have"
            ));
        }
        let mut table = *declared;
        // Guests have to be refused some growth even by a table that declares no maximum.
        table.maximum = Some(declared.maximum.map_or(MOST, |maximum| maximum.min(MOST)));
        make(&table)
    }
}

impl Tunables for Bounded {
    fn memory_style(&self, memory: &MemoryType) -> MemoryStyle {
        self.base.memory_style(memory)
    }

    fn table_style(&self, table: &TableType) -> TableStyle {
        self.base.table_style(table)
    }

    fn create_host_memory(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
    ) -> Result<VMMemory, MemoryError> {
        self.bounded_memory(ty.minimum, || self.base.create_host_memory(ty, style))
    }

    unsafe fn create_vm_memory(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
        definition: NonNull<VMMemoryDefinition>,
    ) -> Result<VMMemory, MemoryError> {
        self.bounded_memory(ty.minimum, || {
            #[cfg(target_os = "linux")]
            if let Some(needed) = kept::needed(ty, style) {
                // SAFETY: the caller's promise, handed on.
                return unsafe { kept::create(needed, ty, style, definition) };
            }
            // SAFETY: likewise.
            unsafe { self.base.create_vm_memory(ty, style, definition) }
        })
    }

    fn create_host_table(&self, ty: &TableType, style: &TableStyle) -> Result<VMTable, String> {
        self.bounded_table(ty, |table| self.base.create_host_table(table, style))
    }

    unsafe fn create_vm_table(
        &self,
        ty: &TableType,
        style: &TableStyle,
        definition: NonNull<VMTableDefinition>,
    ) -> Result<VMTable, String> {
        // SAFETY: the caller's promise, handed on.
        let make = |table: &_| unsafe { self.base.create_vm_table(table, style, definition) };
        self.bounded_table(ty, make)
    }

    unsafe fn create_vm_global(
        &self,
        ty: GlobalType,
        definition: NonNull<VMGlobalDefinition>,
    ) -> Result<VMGlobal, String> {
        if let Some(flag) = &self.flag {
            // SAFETY: whoever gave the flag keeps the promise of `with_flag`.
            unsafe { flag.place(definition) };
        }
        // SAFETY: the caller's promise, handed on.
        unsafe { self.base.create_vm_global(ty, definition) }
    }
}

/// A memory that counts what it grows by.
#[derive(Debug)]
struct BoundedMemory {
    memory: VMMemory,
    usage: Usage,
    control: Control,
}

impl LinearMemory for BoundedMemory {
    fn ty(&self) -> MemoryType {
        self.memory.ty()
    }

    fn size(&self) -> Pages {
        self.memory.size()
    }

    fn style(&self) -> MemoryStyle {
        self.memory.style()
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        let (current, bytes) = (self.size(), delta.bytes().0);
        let desired = current.bytes().0.saturating_add(bytes);
        if !self
            .usage
            .account()
            .grow_memory(current.bytes().0, desired, None)
        {
            return Err(MemoryError::CouldNotGrow {
                current,
                attempted_delta: delta,
            });
        }
        self.memory
            .grow(delta)
            .inspect_err(|_| self.usage.account().give_back_memory(bytes as u64))
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        self.memory.vmmemory()
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    unsafe fn initialize_with_data(&self, start: usize, data: &[u8]) -> Result<(), Trap> {
        // SAFETY: the caller's promise, handed on.
        unsafe { self.memory.initialize_with_data(start, data) }
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync>, MemoryError> {
        Err(MemoryError::UnsupportedOperation {
            message: "the copy of a bounded memory would not be counted".into(),
        })
    }

    /// Waits for another thread to change the memory. The guest has no other threads, so only time
    /// and interrupts end it. wasmer has compared the expected value already.
    unsafe fn do_wait(
        &mut self,
        _: u32,
        _: ExpectedValue,
        timeout: Option<Duration>,
    ) -> Result<u32, WaiterError> {
        const TIMED_OUT: u32 = 2;
        if !self.memory.ty().shared {
            return Err(WaiterError::Unimplemented);
        }
        // Not on the guest's stack, which may be nearly used up.
        match on_host_stack(|| self.control.sleep(timeout.unwrap_or(Duration::MAX))) {
            None => Ok(TIMED_OUT),
            Some(_) => Err(WaiterError::AtomicsDisabled),
        }
    }
}
