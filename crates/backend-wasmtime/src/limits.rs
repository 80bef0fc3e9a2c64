//! Bounds on what grows: memories, tables, instances.

use wasmrun_core::Limits;
use wasmtime::ResourceLimiter;

/// Counts what a guest has, over all its memories and tables together, and refuses what exceeds the
/// limits. A growth that the system refuses in the end stays counted: rather too strict than too lax.
pub(crate) struct Limiter {
    memory: Account,
    table_elements: Account,
    instances: usize,
}

struct Account {
    used: u64,
    limit: u64,
    refused: bool,
}

impl Account {
    fn new(limit: Option<u64>) -> Self {
        Account {
            used: 0,
            limit: limit.unwrap_or(u64::MAX),
            refused: false,
        }
    }

    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        // wasmtime would refuse this itself, later, when it is counted already.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false;
        }
        let used = self.used.saturating_add((desired - current) as u64);
        if used > self.limit {
            self.refused = true;
            return false;
        }
        self.used = used;
        true
    }
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        let instances = limits.instances.unwrap_or(u64::MAX);
        Limiter {
            memory: Account::new(limits.memory),
            table_elements: Account::new(limits.table_elements),
            instances: usize::try_from(instances).unwrap_or(usize::MAX),
        }
    }

    /// Whether something was refused because of a limit on memory or tables.
    pub(crate) fn has_refused(&self) -> bool {
        self.memory.refused || self.table_elements.refused
    }

    /// The largest size of all memories together: they never shrink.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.memory.used
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.memory.grow(current, desired, maximum))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.table_elements.grow(current, desired, maximum))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growths_add_up_over_all_memories_until_the_limit() {
        let mut account = Account::new(Some(10));
        assert!(account.grow(0, 4, None));
        assert!(account.grow(0, 5, None));
        assert!(!account.grow(4, 6, None));
        assert!(account.refused);
        assert!(account.grow(4, 5, None));
        assert_eq!(account.used, 10);
    }

    #[test]
    fn a_growth_beyond_the_guests_own_maximum_costs_nothing() {
        let mut account = Account::new(Some(10));
        assert!(!account.grow(0, 9, Some(8)));
        assert_eq!((account.used, account.refused), (0, false));
    }
}
