//! Bounds on what grows: memories, tables, instances.

use wasmrun_core::{Account, Limits, NetworkStats, Usage};
use wasmtime::ResourceLimiter;

/// Counts what a guest has, over all its memories and tables together, and refuses what exceeds the
/// limits. A growth that the system refuses in the end stays counted: rather too strict than too lax.
pub(crate) struct Limiter {
    usage: Usage,
    instances: usize,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits, usage: Usage) -> Self {
        let instances = limits.instances.unwrap_or(u64::MAX);
        Limiter {
            usage,
            instances: usize::try_from(instances).unwrap_or(usize::MAX),
        }
    }

    fn account(&self) -> &Account {
        self.usage.account()
    }

    /// What the guest had of the network, if that is counted.
    pub(crate) fn network(&self) -> Option<NetworkStats> {
        self.usage.traffic().stats()
    }

    /// Whether something was refused because of a limit on memory or tables.
    pub(crate) fn has_refused(&self) -> bool {
        self.account().has_refused()
    }

    /// The largest size of all together: they never shrink.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.account().bytes()
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.account().grow_memory(current, desired, maximum))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.account().grow_table(current, desired, maximum))
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        usize::MAX
    }
}
