//! What all files of one file system share: its limits, its clock, and its numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::content::PAGE_SIZE;
use super::{MemoryLimits, MemoryUse};
use crate::{Errno, Result, device};

/// What all files of one file system share.
pub(super) struct Space {
    pub(super) device: u64,
    pub(super) pages: Arc<Budget>,
    pub(super) entries: Budget,
    clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    next_inode: AtomicU64,
}

impl Space {
    pub(super) fn new(
        limits: MemoryLimits,
        clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> Arc<Self> {
        // Without a limit, the count of bytes still does not overflow.
        let pages = limits.bytes.unwrap_or(u64::MAX) / PAGE_SIZE as u64;
        let entries = limits.entries.or(limits.bytes.map(|_| pages + 1));
        Arc::new(Space {
            device: device::next(),
            pages: Arc::new(Budget::new(pages)),
            entries: Budget::new(entries.unwrap_or(u64::MAX)),
            clock,
            next_inode: AtomicU64::new(1),
        })
    }

    /// Nanoseconds since 1970. The clock is foreign code, so no lock may be held.
    pub(super) fn now(&self) -> u64 {
        (self.clock)()
    }

    pub(super) fn next_inode(&self) -> u64 {
        self.next_inode.fetch_add(1, Relaxed)
    }

    pub(super) fn used(&self) -> MemoryUse {
        MemoryUse {
            bytes: self.pages.used() * PAGE_SIZE as u64,
            entries: self.entries.used(),
        }
    }
}

/// How many of something there may be, and how many there are.
pub(super) struct Budget {
    limit: u64,
    used: AtomicU64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Budget {
            limit,
            used: AtomicU64::new(0),
        }
    }

    /// Takes all of `count`, or [`Errno::Nospc`].
    pub(super) fn take(&self, count: u64) -> Result<()> {
        let within = |used: u64| used.checked_add(count).filter(|&used| used <= self.limit);
        match self.used.fetch_update(Relaxed, Relaxed, within) {
            Ok(_) => Ok(()),
            Err(_) => Err(Errno::Nospc),
        }
    }

    /// Takes `count` even beyond the limit.
    pub(super) fn take_anyway(&self, count: u64) {
        self.used.fetch_add(count, Relaxed);
    }

    /// Gives back what was taken.
    pub(super) fn give(&self, count: u64) {
        self.used.fetch_sub(count, Relaxed);
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }
}
