//! What threads keep for their next guests.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, getrlimit};

use crate::reservation::Reservation;

/// Whether the process may have only so much address space (`ulimit -v`): too little, perhaps, to reserve gigabytes for
/// each memory.
pub fn is_address_space_limited() -> bool {
    getrlimit(Resource::As).current.is_some()
}

thread_local! {
    pub(crate) static SPARE: Spare = Spare::new();
}

/// What a thread's last guest has left.
pub(crate) struct Spare {
    pub(crate) memory: Cell<Option<Reservation>>,
    pub(crate) stack: Cell<Option<Reservation>>,
    /// Whether it is one of the threads that keep a memory.
    keeps: Cell<bool>,
    /// Whether the process has only so much address space.
    is_limited: bool,
}

/// The threads that keep a memory.
static KEEPING: AtomicUsize = AtomicUsize::new(0);

/// So many threads keep one, with 4 to 8 GiB of address space each: a process may have no more than 512.
const MOST_THREADS: usize = 32;

impl Spare {
    fn new() -> Self {
        Spare {
            memory: Cell::new(None),
            stack: Cell::new(None),
            keeps: Cell::new(false),
            is_limited: is_address_space_limited(),
        }
    }

    pub(crate) fn may_keep_stack(&self) -> bool {
        !self.is_limited
    }

    pub(crate) fn may_keep_memory(&self) -> bool {
        if !self.keeps.get() && !self.is_limited {
            let one_more = |keeping| (keeping < MOST_THREADS).then_some(keeping + 1);
            let admitted = KEEPING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
            self.keeps.set(admitted.is_ok());
        }
        self.keeps.get()
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        if self.keeps.get() {
            KEEPING.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
