//! A session of its own for each run, killed whole.

mod dialogue;
mod leader;
mod pump;
mod start;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::{Ended, Launch, Status, Streams};

pub(crate) use dialogue::Dialogue;
pub(crate) use pump::{Words, execute};
pub(crate) use std::os::unix::fs::symlink;

/// How often a wait that nothing may ever end looks whether it still makes sense.
const TICK: Duration = Duration::from_millis(50);

/// How long output may keep coming, or its pipe stay open, without a byte, after all processes of
/// the group were killed: only one that left the group can still hold it.
const STRAGGLERS: u32 = 20;

/// Keeps other users out of a directory.
pub(crate) fn make_private(builder: &mut tempfile::Builder<'_, '_>) {
    builder.permissions(std::fs::Permissions::from_mode(0o700));
}
