//! What happens to containers, told to whoever wants to know.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use wasmrun::NoEvent;

use crate::State;

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerEvent {
    /// When.
    pub time: SystemTime,
    /// Which it is.
    pub id: String,
    /// What it is.
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happened {
    /// It was created.
    Created,
    /// It was started, by somebody or by its [policy](crate::RestartPolicy).
    Started,
    /// It ended, like this, and is started again after a pause.
    Restarts {
        /// How it ended.
        ended: State,
        /// The pause.
        pause: Duration,
    },
    /// It ended, like this.
    Ended(State),
    /// It was removed.
    Removed,
}

/// So many events are kept for those who are slow to listen.
const KEPT: usize = 1024;

/// Where all events go.
#[derive(Debug, Default)]
pub(crate) struct Happenings {
    kept: Mutex<Kept>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<ContainerEvent>,
    /// How many have gone: the number of the first that is here.
    first: u64,
    is_over: bool,
}

impl Happenings {
    pub(crate) fn tell(&self, id: &str, what: Happened) {
        let mut kept = self.kept();
        if kept.events.len() == KEPT {
            kept.events.pop_front();
            kept.first += 1;
        }
        kept.events.push_back(ContainerEvent {
            time: SystemTime::now(),
            id: id.to_owned(),
            what,
        });
        self.changed.notify_all();
    }

    /// There will be no more.
    pub(crate) fn end(&self) {
        self.kept().is_over = true;
        self.changed.notify_all();
    }

    pub(crate) fn listen(self: &Arc<Self>) -> ContainerEvents {
        let kept = self.kept();
        ContainerEvents {
            next: kept.first + kept.events.len() as u64,
            all: self.clone(),
            missed: 0,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing that can panic runs under this lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happens to containers from now on, in order. It ends when their [keeper](crate::Containers) does.
///
/// Whoever falls a thousand events behind [misses](ContainerEvents::missed) the oldest, and holds nobody up.
#[derive(Debug)]
pub struct ContainerEvents {
    all: Arc<Happenings>,
    next: u64,
    missed: u64,
}

impl ContainerEvents {
    /// Waits so long for the next event.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](NoEvent::TimedOut) if there was none, [`Over`](NoEvent::Over) if there will be none.
    pub fn recv_timeout(&mut self, time: Duration) -> Result<ContainerEvent, NoEvent> {
        // A deadline beyond what the clock can tell is none.
        self.next_until(Instant::now().checked_add(time))
    }

    /// How many events were missed.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn next_until(&mut self, until: Option<Instant>) -> Result<ContainerEvent, NoEvent> {
        let mut kept = self.all.kept();
        loop {
            let gone = kept.first.saturating_sub(self.next);
            self.missed += gone;
            self.next += gone;
            let index = usize::try_from(self.next - kept.first).unwrap_or(usize::MAX);
            if let Some(event) = kept.events.get(index) {
                self.next += 1;
                return Ok(event.clone());
            }
            if kept.is_over {
                return Err(NoEvent::Over);
            }
            kept = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => {
                    let waited = self.all.changed.wait(kept);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
                Some(Duration::ZERO) => return Err(NoEvent::TimedOut),
                Some(left) => {
                    let waited = self.all.changed.wait_timeout(kept, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Iterator for ContainerEvents {
    type Item = ContainerEvent;

    fn next(&mut self) -> Option<ContainerEvent> {
        self.next_until(None).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_too_slowly_misses_the_oldest() {
        let all = Arc::new(Happenings::default());
        all.tell("before", Happened::Created);
        let mut listener = all.listen();
        for _ in 0..KEPT + 2 {
            all.tell("x", Happened::Started);
        }
        all.end();
        assert_eq!(listener.by_ref().count(), KEPT);
        assert_eq!(listener.missed(), 2);
        let none = listener.recv_timeout(Duration::MAX);
        assert_eq!(none, Err(NoEvent::Over));
    }

    #[test]
    fn nothing_happens_in_time() {
        let all = Arc::new(Happenings::default());
        let none = all.listen().recv_timeout(Duration::ZERO);
        assert_eq!(none, Err(NoEvent::TimedOut));
    }
}
