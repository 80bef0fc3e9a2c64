//! One run of an executable: started, fed, listened to, ended.

mod launch;
#[cfg(unix)]
#[path = "spawn/unix.rs"]
mod platform;
#[cfg(not(unix))]
#[path = "spawn/other.rs"]
mod platform;

pub(crate) use launch::{Launch, Status, Streams};
pub(crate) use platform::{Dialogue, Words, execute, make_private, memory_file, symlink};
