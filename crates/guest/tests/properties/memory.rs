//! Whatever a guest claims, it is inspected in memory that is in proportion to what it is.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

pub fn in_proportion(bytes: &[u8], inspect: impl FnOnce(&[u8])) {
    let peak = Peak::measured(|| inspect(bytes));
    // The text format takes a syntax tree, and everything takes a little.
    let allowed = 400 * bytes.len() + (1 << 20);
    assert!(peak <= allowed, "{peak} for {} bytes", bytes.len());
}

/// Counts what each thread allocates.
pub struct Peak;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

impl Peak {
    /// The most that was allocated at once while `work` ran, in bytes.
    pub fn measured(work: impl FnOnce()) -> usize {
        LIVE.set(0);
        PEAK.set(0);
        work();
        PEAK.get()
    }

    fn more(bytes: usize) {
        let live = LIVE.get().saturating_add(bytes);
        LIVE.set(live);
        PEAK.set(PEAK.get().max(live));
    }
}

// SAFETY: all of it is the system's allocator; what is counted are numbers of the thread's own, which
// need neither allocation nor destruction.
unsafe impl GlobalAlloc for Peak {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Peak::more(layout.size());
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get().saturating_sub(layout.size()));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // Counted though the system may never have to give it: it was asked for.
        Peak::more(layout.size());
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc_zeroed(layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Peak = Peak;
