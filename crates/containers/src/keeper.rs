//! The one thread that looks after all containers of a process: it sees which have ended, and starts those again that are to be.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::container::Container;

/// What the keeper is to look at.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    due: Mutex<Due>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Due {
    /// Now, because their runs have ended.
    now: Vec<Arc<Container>>,
    /// At some time, in the order of times; of equal ones, in that in which they were put down.
    later: BTreeMap<(Instant, u64), Arc<Container>>,
    put_down: u64,
    is_over: bool,
}

impl Agenda {
    pub(crate) fn now(&self, container: Arc<Container>) {
        self.due().now.push(container);
        self.changed.notify_one();
    }

    pub(crate) fn at(&self, time: Instant, container: Arc<Container>) {
        let mut due = self.due();
        due.put_down += 1;
        let key = (time, due.put_down);
        due.later.insert(key, container);
        drop(due);
        self.changed.notify_one();
    }

    /// Starts the thread.
    pub(crate) fn keep(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        let agenda = self.clone();
        let thread = thread::Builder::new().name("wasmrun-containers".into());
        thread.spawn(move || {
            while let Some(container) = agenda.next() {
                container.look();
            }
        })
    }

    /// Ends the thread.
    pub(crate) fn end(&self) {
        let mut due = self.due();
        let Due { now, later, .. } = &mut *due;
        let forgotten = (std::mem::take(now), std::mem::take(later));
        due.is_over = true;
        drop(due);
        self.changed.notify_one();
        drop(forgotten);
    }

    /// Waits for the next; `None` at the end.
    fn next(&self) -> Option<Arc<Container>> {
        let mut due = self.due();
        loop {
            if due.is_over {
                return None;
            }
            if let Some(container) = due.now.pop() {
                return Some(container);
            }
            let Some(((time, _), _)) = due.later.first_key_value() else {
                let waited = self.changed.wait(due);
                due = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = time.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return due.later.pop_first().map(|(_, container)| container);
            }
            let waited = self.changed.wait_timeout(due, left);
            due = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        // Nothing that can panic runs under this lock.
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
