//! Bounds on what grows: memories and tables.

use wasmi::ResourceLimiter;
use wasmi::errors::{MemoryError, TableError};
use wasmi_core::LimiterError;
use wasmrun_core::{Account, Usage};

/// Counts what a guest has, over all its memories and tables together, and refuses what exceeds the
/// limits.
pub(crate) struct Limiter {
    usage: Usage,
    /// What the growth under way, which may fail yet, has taken.
    taken: u64,
}

impl Limiter {
    pub(crate) fn new(usage: Usage) -> Self {
        Limiter { usage, taken: 0 }
    }

    fn account(&self) -> &Account {
        self.usage.account()
    }

    /// Tells what of its fuel the guest has used.
    pub(crate) fn tell_fuel(&self, used: u64) {
        self.usage.tell_fuel(used);
    }

    /// The largest size of all together: they never shrink.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.account().bytes()
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
        Ok(self.account().grow_memory(current, desired, maximum))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Answer<bool> {
        self.taken = desired.saturating_sub(current) as u64;
        Ok(self.account().grow_table(current, desired, maximum))
    }

    /// Also when it is only paused for want of fuel, to be tried again.
    fn memory_grow_failed(&mut self, _: &MemoryError) -> Answer<()> {
        self.account().give_back_memory(self.taken);
        Ok(())
    }

    fn table_grow_failed(&mut self, _: &TableError) -> Answer<()> {
        self.account().give_back_table(self.taken);
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
