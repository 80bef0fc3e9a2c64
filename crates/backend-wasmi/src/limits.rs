//! Bounds on what grows: memories and tables.

use wasmi::ResourceLimiter;
use wasmi::errors::{MemoryError, TableError};
use wasmi_core::LimiterError;
use wasmrun_core::{Account, Limits};

/// Counts what a guest has, over all its memories and tables together, and refuses what exceeds the
/// limits.
pub(crate) struct Limiter {
    memory: Account,
    table_elements: Account,
    /// What the growth under way, which may fail yet, has taken.
    taken: u64,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Limiter {
            memory: Account::new(limits.memory),
            table_elements: Account::new(limits.table_elements),
            taken: 0,
        }
    }

    /// The largest size of all memories together: they never shrink.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.memory.used()
    }
}

/// Ours do not fail: that would be a trap.
type Answer<T> = Result<T, LimiterError>;

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Answer<bool> {
        self.taken = desired.saturating_sub(current) as u64;
        Ok(self.memory.grow(current, desired, maximum))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Answer<bool> {
        self.taken = desired.saturating_sub(current) as u64;
        Ok(self.table_elements.grow(current, desired, maximum))
    }

    /// Also when it is only paused for want of fuel, to be tried again.
    fn memory_grow_failed(&mut self, _: &MemoryError) -> Answer<()> {
        self.memory.give_back(self.taken);
        Ok(())
    }

    fn table_grow_failed(&mut self, _: &TableError) -> Answer<()> {
        self.table_elements.give_back(self.taken);
        Ok(())
    }

    fn instances(&self) -> usize {
        usize::MAX
    }

    fn tables(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        usize::MAX
    }
}
