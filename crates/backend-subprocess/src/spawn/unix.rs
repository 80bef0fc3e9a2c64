//! A session of its own for each run, killed whole.

mod dialogue;
mod leader;
mod pump;
mod start;

use std::os::unix::fs::PermissionsExt;

pub(crate) use dialogue::Dialogue;
pub(crate) use pump::{Words, execute};
pub(crate) use std::os::unix::fs::symlink;

/// Keeps other users out of a directory.
pub(crate) fn make_private(builder: &mut tempfile::Builder<'_, '_>) {
    builder.permissions(std::fs::Permissions::from_mode(0o700));
}
