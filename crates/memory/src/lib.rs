//! Memories in address space that a thread keeps for its next guest: to reserve it and to give it back
//! takes as long as the whole rest of a small guest's run, and holds up the other threads.
//!
//! For Linux, whose `madvise` promises zeros. Elsewhere there is nothing here.

#[cfg(target_os = "linux")]
mod space;

#[cfg(target_os = "linux")]
pub use space::{Layout, Space};
