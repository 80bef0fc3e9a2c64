//! A session of its own for each run, killed whole.

mod dialogue;
mod leader;
#[cfg(target_os = "linux")]
mod memory_file;
mod pump;
mod start;
mod starter;

use std::os::unix::fs::PermissionsExt;

pub(crate) use dialogue::Dialogue;
#[cfg(target_os = "linux")]
pub(crate) use memory_file::memory_file;
pub(crate) use pump::{Words, execute};
pub(crate) use std::os::unix::fs::symlink;

/// Keeps other users out of a directory.
pub(crate) fn make_private(builder: &mut tempfile::Builder<'_, '_>) {
    builder.permissions(std::fs::Permissions::from_mode(0o700));
}

/// There are no such files here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn memory_file(_: &str, _: &[u8]) -> Option<(std::path::PathBuf, std::fs::File)> {
    None
}
