//! The processes that this one is the parent of: containers, the short-lived ones that make them, and orphans.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::process::{WaitOptions, WaitStatus, wait};

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// Its exit code, or 128 and the signal that ended it.
    pub code: u32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// When.
    pub at: SystemTime,
}

type Told = Box<dyn FnOnce(Exit) + Send>;

/// Waits for all children in one thread, which tells of each whoever asked for it.
pub struct Children {
    state: Mutex<State>,
    /// There may be a child now.
    some: Condvar,
}

#[derive(Default)]
struct State {
    asked: HashMap<i32, Told>,
    /// Of those that nobody asked for yet. They are kept while somebody may.
    ended: HashMap<i32, Exit>,
    /// How many are about to learn of children that they will ask for.
    expecting: usize,
}

impl Children {
    /// Begins to wait.
    pub fn new() -> std::io::Result<Arc<Children>> {
        let children = Arc::new(Children {
            state: Mutex::default(),
            some: Condvar::new(),
        });
        let waiting = Arc::clone(&children);
        thread::Builder::new()
            .name("children".into())
            .stack_size(128 << 10)
            .spawn(move || waiting.wait_for_all())?;
        Ok(children)
    }

    /// Keeps how children end until the value is dropped: for children that are made before their number is known.
    pub fn expect(self: &Arc<Self>) -> Expecting {
        self.lock().expecting += 1;
        self.some.notify_one();
        Expecting(Arc::clone(self))
    }

    /// Calls `told` once the child has ended, which may be at once.
    pub fn on_exit(&self, pid: i32, told: impl FnOnce(Exit) + Send + 'static) {
        let mut state = self.lock();
        match state.ended.remove(&pid) {
            None => {
                state.asked.insert(pid, Box::new(told));
            }
            Some(exit) => {
                drop(state);
                told(exit);
            }
        }
    }

    fn wait_for_all(&self) {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => self.ended(pid.as_raw_nonzero().get(), status),
                Ok(None) => {}
                // There are none. Until somebody may have made one, there is nothing to wait for.
                Err(_) => {
                    let state = self.lock();
                    if state.expecting == 0 && state.asked.is_empty() {
                        drop(self.some.wait(state));
                    } else {
                        drop(state);
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            }
        }
    }

    fn ended(&self, pid: i32, status: WaitStatus) {
        let signal = status.terminating_signal();
        let code = match (status.exit_status(), signal) {
            (Some(code), _) => code.unsigned_abs(),
            (None, Some(signal)) => 128 + signal.unsigned_abs(),
            (None, None) => return,
        };
        let exit = Exit {
            code,
            signal,
            at: SystemTime::now(),
        };
        let mut state = self.lock();
        match state.asked.remove(&pid) {
            Some(told) => {
                drop(state);
                told(exit);
            }
            None if state.expecting > 0 => {
                state.ended.insert(pid, exit);
            }
            None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who will ask for a child.
pub struct Expecting(Arc<Children>);

impl Drop for Expecting {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.expecting -= 1;
        if state.expecting == 0 {
            state.ended.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn each_end_is_told_to_who_asked_whenever_that_was() {
        let children = Children::new().expect("a thread");
        let (tell, told) = mpsc::channel();
        for n in 0..20 {
            let expecting = children.expect();
            let script = match n % 2 {
                0 => format!("exit {n}"),
                _ => "kill -KILL $$".to_owned(),
            };
            let mut command = Command::new("sh");
            #[expect(
                clippy::zombie_processes,
                reason = "it is waited for by who is tried here"
            )]
            let child = command.args(["-c", &script]).spawn().expect("sh");
            if n % 4 < 2 {
                thread::sleep(Duration::from_millis(20));
            }
            let tell = tell.clone();
            let pid = i32::try_from(child.id()).expect("a number");
            children.on_exit(pid, move |exit| {
                let _ = tell.send((n, exit.code, exit.signal));
            });
            drop(expecting);
        }
        let mut all: Vec<_> = told.iter().take(20).collect();
        all.sort_unstable();
        for (n, code, signal) in all {
            let expected = match n % 2 {
                0 => (n, None),
                _ => (137, Some(9)),
            };
            assert_eq!((code, signal), expected, "{n}");
        }
        assert!(children.lock().ended.is_empty());
    }
}
