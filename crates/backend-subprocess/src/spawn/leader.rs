//! The process at the head of a session, and all that came of it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, waitpid};

use wasmrun_core::Usage;

use crate::spawn::launch::Status;

/// How often a wait that nothing may ever end looks whether it still makes sense.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// How long output may keep coming, or its pipe stay open, without a byte, after all processes of
/// the group were killed: only one that left the group can still hold it.
pub(super) const STRAGGLERS: u32 = 20;

/// The process at the head of the session. Dropping it kills the session.
pub(super) struct Leader {
    pid: Pid,
    usage: Usage,
    pub(super) group: Arc<Group>,
    /// Readable once the process has ended; `None` where the system has no such thing.
    pub(super) exit: Option<OwnedFd>,
}

impl Leader {
    pub(super) fn new(pid: Pid, usage: &Usage) -> Self {
        usage.in_process(pid.as_raw_pid().unsigned_abs());
        Leader {
            pid,
            usage: usage.clone(),
            group: Arc::new(Group(Mutex::new(Some(pid)))),
            exit: exit_of(pid),
        }
    }

    /// Ends what is left of the group, and waits for its leader.
    pub(super) fn end(&mut self) -> io::Result<Status> {
        // Until it is waited for, the leader's number stays its own, so that the group's does too.
        self.group.await_leader();
        self.group.kill();
        let mut leader = self.group.leader();
        let status = self.wait();
        *leader = None;
        let status = status?;
        Ok(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Status::Code(code),
            (None, signal) => Status::Signal(signal.unwrap_or_default()),
        })
    }

    fn wait(&self) -> io::Result<WaitStatus> {
        // Once it is waited for, there is nothing to look at.
        self.usage.cpu();
        let ended = retry_on_intr(|| waitpid(Some(self.pid), WaitOptions::empty()))?;
        // There is none only for those who do not wait.
        let (_, status) = ended.ok_or(io::ErrorKind::WouldBlock)?;
        Ok(status)
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.group.kill();
        let mut leader = self.group.leader();
        if leader.take().is_some() {
            // Killed, so it ends; how is of no interest any more.
            let _ = self.wait();
        }
    }
}

/// The process group of a run, until its leader is waited for.
pub(super) struct Group(Mutex<Option<Pid>>);

impl Group {
    fn leader(&self) -> MutexGuard<'_, Option<Pid>> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn kill(&self) {
        if let Some(leader) = *self.leader() {
            // It fails only if there is nobody left.
            let _ = rustix::process::kill_process_group(leader, Signal::KILL);
        }
    }

    /// Waits for the leader to end, and leaves it to be waited for again.
    pub(super) fn await_leader(&self) {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let Some(leader) = *self.leader() else { return };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        // If there is nothing to wait for, that is as good.
        let _ = retry_on_intr(|| waitid(WaitId::Pid(leader), options));
    }
}

#[cfg(target_os = "linux")]
fn exit_of(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn exit_of(_: Pid) -> Option<OwnedFd> {
    None
}
