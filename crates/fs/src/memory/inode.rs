//! What files, directories and symbolic links have in common.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::space::Space;
use crate::{FileType, Result, SetTime, SetTimes, Stat};

/// How old the time of the last read may get: a day, in nanoseconds.
const ACCESSED_AGE: u64 = 24 * 60 * 60 * 1_000_000_000;

/// What files, directories and symbolic links have in common. It is charged as an entry as long as it lives.
pub(super) struct Inode {
    pub(super) number: u64,
    /// Changed only under the lock of the tree.
    pub(super) links: AtomicU64,
    pub(super) space: Arc<Space>,
    times: Mutex<Times>,
}

#[derive(Clone, Copy)]
struct Times {
    accessed: u64,
    modified: u64,
    changed: u64,
}

impl Inode {
    /// The inode of the root, for which there is always room.
    pub(super) fn root(space: Arc<Space>) -> Self {
        space.entries.take_anyway(1);
        let now = space.now();
        Self::charged(space, 2, now)
    }

    pub(super) fn new(space: &Arc<Space>, links: u64, now: u64) -> Result<Self> {
        space.entries.take(1)?;
        Ok(Self::charged(Arc::clone(space), links, now))
    }

    fn charged(space: Arc<Space>, links: u64, now: u64) -> Self {
        Inode {
            number: space.next_inode(),
            links: AtomicU64::new(links),
            space,
            times: Mutex::new(Times {
                accessed: now,
                modified: now,
                changed: now,
            }),
        }
    }

    pub(super) fn stat(&self, file_type: FileType, size: u64) -> Stat {
        let Times {
            accessed,
            modified,
            changed,
        } = *self.times();
        Stat {
            file_type,
            device: self.space.device,
            inode: self.number,
            links: self.links.load(Relaxed),
            size,
            accessed,
            modified,
            changed,
        }
    }

    pub(super) fn set_times(&self, SetTimes { accessed, modified }: SetTimes) {
        if (accessed, modified) == (SetTime::Keep, SetTime::Keep) {
            return;
        }
        let now = self.space.now();
        let set = |time: &mut u64, to| match to {
            SetTime::Keep => {}
            SetTime::Now => *time = now,
            SetTime::To(nanoseconds) => *time = nanoseconds,
        };
        let mut times = self.times();
        set(&mut times.accessed, accessed);
        set(&mut times.modified, modified);
        times.changed = now;
    }

    /// It was read. As with `relatime`, that shows only if it is news to who compares it with the last change, and once
    /// a day.
    pub(super) fn mark_accessed(&self) {
        let now = self.space.now();
        let mut times = self.times();
        let stale = times.accessed <= times.modified.max(times.changed);
        if stale || now.saturating_sub(times.accessed) >= ACCESSED_AGE {
            times.accessed = now;
        }
    }

    /// Its content was changed.
    pub(super) fn mark_modified(&self, now: u64) {
        let mut times = self.times();
        times.modified = now;
        times.changed = now;
    }

    /// Its names were changed.
    pub(super) fn mark_changed(&self, now: u64) {
        self.times().changed = now;
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inode {
    fn drop(&mut self) {
        self.space.entries.give(1);
    }
}
