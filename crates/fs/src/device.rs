//! The numbers of the file systems that are not the host's.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Far from the numbers of the devices of a host, which have 32 bits in practice.
static NEXT: AtomicU64 = AtomicU64::new(1 << 32);

/// The number of a new file system, which no other of this process has.
pub(crate) fn next() -> u64 {
    NEXT.fetch_add(1, Relaxed)
}
