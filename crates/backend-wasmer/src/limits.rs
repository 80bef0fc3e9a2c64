//! Bounds on memories and tables, kept where wasmer makes them and lets them grow.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wasmer::sys::vm::{
    ExpectedValue, LinearMemory, Trap, VMGlobal, VMGlobalDefinition, VMMemory, VMMemoryDefinition,
    VMTable, VMTableDefinition, WaiterError, on_host_stack,
};
use wasmer::sys::{BaseTunables, Tunables};
use wasmer::{GlobalType, MemoryError, MemoryStyle, MemoryType, Pages, TableStyle, TableType};
use wasmrun_core::guest::TableDecl;
use wasmrun_core::{Account, Control, Limits};

use crate::checkpoints::Flag;
#[cfg(target_os = "linux")]
use crate::kept;

/// The elements a table may grow to where no bound is asked for: what wasmer lets a table declare,
/// but does not hold it to when it grows.
const MAX_TABLE: u64 = 10_000_000;

/// What makes the memories and tables of one run.
pub(crate) struct Bounded {
    base: BaseTunables,
    memory: Arc<Account>,
    /// How far each table may grow, in the order of their making.
    tables: Vec<u32>,
    tables_made: AtomicUsize,
    flag: Option<Arc<Flag>>,
    control: Control,
}

impl Bounded {
    /// What `base` makes, within `limits`, for a guest that declares `tables`. A guest that waits
    /// for its memory to change wakes when `control` is interrupted.
    pub(crate) fn new(
        base: BaseTunables,
        limits: &Limits,
        tables: &[TableDecl],
        control: &Control,
    ) -> Self {
        Bounded {
            base,
            memory: Arc::new(Account::new(limits.memory)),
            tables: table_bounds(tables, limits.table_elements),
            tables_made: AtomicUsize::new(0),
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

    pub(crate) fn memory(&self) -> Arc<Account> {
        self.memory.clone()
    }

    fn bounded_memory(
        &self,
        initial: Pages,
        make: impl FnOnce() -> Result<VMMemory, MemoryError>,
    ) -> Result<VMMemory, MemoryError> {
        let bytes = size(initial);
        if !self.memory.take(bytes) {
            return Err(MemoryError::Generic(format!(
                "it has {bytes} bytes, more than all memories together may have"
            )));
        }
        let memory = make().inspect_err(|_| self.memory.give_back(bytes))?;
        Ok(VMMemory(Box::new(BoundedMemory {
            memory,
            used: self.memory.clone(),
            control: self.control.clone(),
        })))
    }

    fn bounded_table(&self, declared: &TableType) -> TableType {
        let place = self.tables_made.fetch_add(1, Ordering::Relaxed);
        let bound = self.tables.get(place).copied().unwrap_or(declared.minimum);
        let mut table = *declared;
        table.maximum = Some(declared.maximum.map_or(bound, |maximum| maximum.min(bound)));
        table
    }
}

/// How far each table may grow, so that all together keep the bound. wasmer's tables cannot share
/// one count, so what the bound leaves is divided evenly among those that can grow.
fn table_bounds(tables: &[TableDecl], bound: Option<u64>) -> Vec<u32> {
    let grows = |table: &TableDecl| table.maximum.is_none_or(|maximum| maximum > table.initial);
    let share = match bound {
        None => MAX_TABLE,
        Some(bound) => {
            let declared: u64 = tables.iter().map(|table| table.initial).sum();
            let growing = tables.iter().filter(|table| grows(table)).count() as u64;
            bound.saturating_sub(declared) / growing.max(1)
        }
    };
    let bound_of = |table: &TableDecl| {
        let size = table.initial.saturating_add(share).min(MAX_TABLE);
        u32::try_from(size.max(table.initial)).unwrap_or(u32::MAX)
    };
    tables.iter().map(bound_of).collect()
}

fn size(pages: Pages) -> u64 {
    pages.bytes().0 as u64
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
        self.base.create_host_table(&self.bounded_table(ty), style)
    }

    unsafe fn create_vm_table(
        &self,
        ty: &TableType,
        style: &TableStyle,
        definition: NonNull<VMTableDefinition>,
    ) -> Result<VMTable, String> {
        // SAFETY: the caller's promise, handed on.
        unsafe {
            self.base
                .create_vm_table(&self.bounded_table(ty), style, definition)
        }
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
    used: Arc<Account>,
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
        let bytes = size(delta);
        if !self.used.take(bytes) {
            return Err(MemoryError::CouldNotGrow {
                current: self.size(),
                attempted_delta: delta,
            });
        }
        self.memory
            .grow(delta)
            .inspect_err(|_| self.used.give_back(bytes))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn table(initial: u64, maximum: Option<u64>) -> TableDecl {
        TableDecl {
            imported: false,
            initial,
            maximum,
        }
    }

    #[test]
    fn one_table_gets_the_whole_bound() {
        assert_eq!(table_bounds(&[table(2, None)], Some(10)), [10]);
    }

    #[test]
    fn tables_that_can_grow_share_what_the_bound_leaves() {
        let tables = [table(2, None), table(3, Some(3)), table(1, None)];
        assert_eq!(table_bounds(&tables, Some(10)), [4, 5, 3]);
        let most: u32 = [4, 3, 3].iter().sum();
        assert!(most <= 10);
    }

    #[test]
    fn no_table_grows_without_end() {
        assert_eq!(table_bounds(&[table(1, None)], None), [10_000_000]);
    }
}
