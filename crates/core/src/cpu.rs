//! Processor time.

use std::time::Duration;

/// The clock that counts the processor time of a thread of this process, or of another process, from its start on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuClock(clock::Id);

impl CpuClock {
    /// That of the calling thread, for any thread of this process to read. `None` where the system has none.
    pub(crate) fn of_this_thread() -> Option<Self> {
        clock::of_this_thread().map(CpuClock)
    }

    /// That of a process. `None` where the system has none, or there is no such process.
    pub(crate) fn of_process(id: u32) -> Option<Self> {
        clock::of_process(id).map(CpuClock)
    }

    /// What it shows. `None` once what it counts for is gone.
    pub(crate) fn read(&self) -> Option<Duration> {
        clock::read(self.0)
    }
}

#[cfg(target_os = "linux")]
mod clock {
    use std::time::Duration;

    use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
    use nix::unistd::{Pid, gettid};

    pub(super) type Id = ClockId;

    pub(super) fn of_this_thread() -> Option<Id> {
        // What `pthread_getcpuclockid` computes: the kernel's number for what its scheduler counts for a thread.
        const SCHEDULED_THREAD: i32 = 6;
        Some(ClockId::from_raw(
            !gettid().as_raw() << 3 | SCHEDULED_THREAD,
        ))
    }

    pub(super) fn of_process(id: u32) -> Option<Id> {
        clock_getcpuclockid(Pid::from_raw(id.try_into().ok()?)).ok()
    }

    pub(super) fn read(id: Id) -> Option<Duration> {
        clock_gettime(id).ok().map(Duration::from)
    }
}

#[cfg(not(target_os = "linux"))]
mod clock {
    use std::time::Duration;

    pub(super) type Id = std::convert::Infallible;

    pub(super) fn of_this_thread() -> Option<Id> {
        None
    }

    pub(super) fn of_process(_: u32) -> Option<Id> {
        None
    }

    pub(super) fn read(id: Id) -> Option<Duration> {
        match id {}
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_that_computes_is_seen_by_another_and_gone_once_it_has_ended() {
        let of_this_thread = || CpuClock::of_this_thread().expect("a clock");
        let clock = thread::scope(|scope| {
            let (sender, clock) = std::sync::mpsc::channel();
            let (go, gone) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                let _ = sender.send(of_this_thread());
                while gone.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {}
            });
            let clock = clock.recv().expect("its clock");
            while clock.read().expect("it runs") < Duration::from_millis(2) {}
            drop(go);
            clock
        });
        while clock.read().is_some() {}
    }

    #[test]
    fn a_process_has_one_until_it_is_waited_for() {
        let mut child = Command::new("true").spawn().expect("a process");
        let clock = CpuClock::of_process(child.id()).expect("a clock");
        assert!(clock.read().is_some());
        child.wait().expect("its end");
        assert_eq!(clock.read(), None);
    }
}
