//! Counting what a guest has of what is limited.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::Limits;

/// What a guest has of all its memories and tables, within its [`Limits`]. A tool for backends.
#[derive(Debug)]
pub struct Account {
    bytes: Count,
    elements: Count,
}

impl Account {
    /// Nothing used yet.
    pub fn new(limits: &Limits) -> Self {
        Account {
            bytes: Count::new(limits.memory.unwrap_or(u64::MAX)),
            elements: Count::new(limits.most_table_elements()),
        }
    }

    /// Takes what a memory grows by, in bytes: all of it or nothing. Whether the limits allow it. What
    /// exceeds the memory's own maximum is refused as well, and is no matter of theirs.
    pub fn grow_memory(&self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        is_within(desired, maximum) && self.bytes.take(growth(current, desired))
    }

    /// Takes what a table grows by, in elements: likewise.
    pub fn grow_table(&self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        let elements = growth(current, desired);
        if !is_within(desired, maximum) || !self.elements.take(elements) {
            return false;
        }
        let taken = self.bytes.take(bytes_of(elements));
        if !taken {
            self.elements.give_back(elements);
        }
        taken
    }

    /// Gives back what [`grow_memory`](Account::grow_memory) took and, after all, was not had.
    pub fn give_back_memory(&self, bytes: u64) {
        self.bytes.give_back(bytes);
    }

    /// Gives back what [`grow_table`](Account::grow_table) took and, after all, was not had.
    pub fn give_back_table(&self, elements: u64) {
        self.elements.give_back(elements);
        self.bytes.give_back(bytes_of(elements));
    }

    /// Hears that so many bytes are used, of an engine that does not ask before something grows.
    pub fn see(&self, bytes: u64) {
        self.bytes.used.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Bytes that are used now, as [`Limits::memory`] counts them.
    pub fn bytes(&self) -> u64 {
        self.bytes.used.load(Ordering::Relaxed)
    }

    /// Whether the limits ever refused something.
    pub fn has_refused(&self) -> bool {
        [&self.bytes, &self.elements]
            .iter()
            .any(|count| count.refused.load(Ordering::Relaxed))
    }
}

fn is_within(desired: usize, maximum: Option<usize>) -> bool {
    maximum.is_none_or(|maximum| desired <= maximum)
}

fn growth(current: usize, desired: usize) -> u64 {
    desired.saturating_sub(current) as u64
}

fn bytes_of(elements: u64) -> u64 {
    elements.saturating_mul(Limits::TABLE_ELEMENT_BYTES)
}

/// How much there is of something of which there may be only so much.
#[derive(Debug)]
struct Count {
    used: AtomicU64,
    limit: u64,
    refused: AtomicBool,
}

impl Count {
    fn new(limit: u64) -> Self {
        Count {
            used: AtomicU64::new(0),
            limit,
            refused: AtomicBool::new(false),
        }
    }

    fn take(&self, amount: u64) -> bool {
        let within = |used: u64| used.checked_add(amount).filter(|sum| *sum <= self.limit);
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, within)
            .is_ok();
        if !taken {
            self.refused.store(true, Ordering::Relaxed);
        }
        taken
    }

    fn give_back(&self, amount: u64) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(memory: Option<u64>, table_elements: Option<u64>) -> Account {
        Account::new(&Limits {
            memory,
            table_elements,
            ..Limits::default()
        })
    }

    #[test]
    fn growths_add_up_until_the_limit() {
        let account = account(Some(10), None);
        assert!(account.grow_memory(0, 4, None));
        assert!(account.grow_memory(0, 5, None));
        assert!(!account.grow_memory(4, 6, None));
        assert!(account.has_refused());
        assert!(account.grow_memory(4, 5, None));
        assert_eq!(account.bytes(), 10);
        account.give_back_memory(1);
        assert!(account.grow_memory(9, 10, None));
    }

    #[test]
    fn a_growth_beyond_the_guests_own_maximum_costs_nothing() {
        let account = account(Some(10), Some(10));
        assert!(!account.grow_memory(0, 9, Some(8)));
        assert!(!account.grow_table(0, 9, Some(8)));
        assert_eq!((account.bytes(), account.has_refused()), (0, false));
    }

    #[test]
    fn tables_count_as_memory_and_take_all_or_nothing() {
        let account = account(Some(100), Some(4));
        assert!(!account.grow_table(0, 5, None));
        assert!(!account.grow_table(0, 4, None), "128 bytes are too many");
        assert!(account.grow_table(0, 3, None));
        assert_eq!(account.bytes(), 96);
        assert!(!account.grow_memory(0, 5, None));
        account.give_back_table(3);
        assert!(account.grow_memory(0, 68, None) && account.grow_table(0, 1, None));
    }

    #[test]
    fn no_guest_has_more_elements_than_the_most_there_are() {
        let most = Limits::MAX_TABLE_ELEMENTS as usize;
        for limit in [None, Some(u64::MAX)] {
            let account = account(None, limit);
            assert!(account.grow_table(0, most, None));
            assert!(!account.grow_table(most, most + 1, None));
        }
    }
}
