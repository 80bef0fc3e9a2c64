//! Counting what a guest has of something that is limited.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How much a guest has of something it may have only so much of: bytes of all its memories, elements
/// of all its tables. A tool for backends.
#[derive(Debug)]
pub struct Account {
    used: AtomicU64,
    limit: u64,
    refused: AtomicBool,
}

impl Account {
    /// Nothing used yet. Without a limit it only counts.
    pub fn new(limit: Option<u64>) -> Self {
        Account {
            used: AtomicU64::new(0),
            limit: limit.unwrap_or(u64::MAX),
            refused: AtomicBool::new(false),
        }
    }

    /// Takes some more, all of it or nothing. Whether the limit allows it.
    pub fn take(&self, amount: u64) -> bool {
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

    /// Takes what a memory or table grows by. What exceeds its own maximum is refused as well, and
    /// is no matter of the limit.
    pub fn grow(&self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        maximum.is_none_or(|maximum| desired <= maximum)
            && self.take(desired.saturating_sub(current) as u64)
    }

    /// Gives back what was taken and, after all, not had.
    pub fn give_back(&self, amount: u64) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
    }

    /// How much is used now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether the limit ever refused something.
    pub fn has_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growths_add_up_until_the_limit() {
        let account = Account::new(Some(10));
        assert!(account.grow(0, 4, None));
        assert!(account.grow(0, 5, None));
        assert!(!account.grow(4, 6, None));
        assert!(account.has_refused());
        assert!(account.grow(4, 5, None));
        assert_eq!(account.used(), 10);
        account.give_back(1);
        assert!(account.take(1));
    }

    #[test]
    fn a_growth_beyond_the_guests_own_maximum_costs_nothing() {
        let account = Account::new(Some(10));
        assert!(!account.grow(0, 9, Some(8)));
        assert_eq!((account.used(), account.has_refused()), (0, false));
    }
}
