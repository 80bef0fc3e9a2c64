//! A session of its own for each run, killed whole.

mod dialogue;
mod leader;
mod pump;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, Signal};

use super::{Ended, KEPT_VARIABLES, Launch, Status, Streams};

pub(crate) use dialogue::Dialogue;
pub(crate) use pump::{Words, execute};

/// How often a wait that nothing may ever end looks whether it still makes sense.
const TICK: Duration = Duration::from_millis(50);

/// How long output may keep coming, or its pipe stay open, without a byte, after all processes of
/// the group were killed: only one that left the group can still hold it.
const STRAGGLERS: u32 = 20;

/// Keeps other users out of a directory.
pub(crate) fn make_private(builder: &mut tempfile::Builder<'_, '_>) {
    builder.permissions(std::fs::Permissions::from_mode(0o700));
}

fn command(launch: &Launch) -> Command {
    let mut command = Command::new(&launch.executable);
    command
        .args(&launch.args)
        .env_clear()
        // It depends on nothing of ours.
        .current_dir("/");
    for name in KEPT_VARIABLES {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let parent = rustix::process::getpid();
    // SAFETY: it only makes system calls, which is allowed between fork and exec.
    unsafe { command.pre_exec(move || detach(parent)) };
    command
}

/// Called in the child before it becomes the runtime.
fn detach(parent: Pid) -> io::Result<()> {
    // A session rather than a process group: a background group that reads from the terminal is
    // stopped, a process without a terminal of its own is not.
    rustix::process::setsid()?;
    // A runtime that aborts leaves no file behind.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none)?;
    // A closed reader is an error the guest sees, as it is in an engine of this process.
    // SAFETY: ignoring a signal installs no handler.
    if unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    die_with(parent)
}

/// Ties the child's life to that of the thread that started it, which waits for it.
#[cfg(target_os = "linux")]
fn die_with(parent: Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before.
    if rustix::process::getppid() != Some(parent) {
        return Err(Errno::SRCH.into());
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn die_with(_: Pid) -> io::Result<()> {
    Ok(())
}
