//! One thread that keeps every deadline of the process.
//!
//! A thread for each run would cost more than a small guest's whole run does.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

/// What has a deadline.
pub(crate) trait Due: Send + Sync {
    /// Its deadline has come.
    fn expire(&self);
}

/// Lets something expire at `deadline`, unless it is gone or the returned [`Alarm`] is dropped before.
///
/// # Errors
///
/// The operating system refuses the one thread this needs.
pub(crate) fn arm(deadline: Instant, due: Weak<dyn Due>) -> io::Result<Alarm> {
    let mut schedule = schedule();
    if !schedule.running {
        std::thread::Builder::new()
            .name("wasmrun-watchdog".into())
            .spawn(watch)?;
        schedule.running = true;
    }
    let key = (deadline, schedule.next);
    schedule.next += 1;
    schedule.alarms.insert(key, due);
    let too_late = schedule.wakes.is_none_or(|wakes| deadline < wakes);
    if too_late {
        schedule.wakes = Some(deadline);
    }
    drop(schedule);
    if too_late {
        CHANGED.notify_one();
    }
    Ok(Alarm(key))
}

/// A deadline that stands until this is dropped.
pub(crate) struct Alarm(Key);

impl Alarm {
    pub(crate) fn deadline(&self) -> Instant {
        self.0.0
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // The thread finds out when it wakes next; to wake it would take longer than a small guest runs.
        schedule().alarms.remove(&self.0);
    }
}

type Key = (Instant, u64);

struct Schedule {
    running: bool,
    next: u64,
    alarms: BTreeMap<Key, Weak<dyn Due>>,
    /// When the thread wakes by itself, if it does.
    wakes: Option<Instant>,
}

static SCHEDULE: Mutex<Schedule> = Mutex::new(Schedule {
    running: false,
    next: 0,
    alarms: BTreeMap::new(),
    wakes: None,
});
static CHANGED: Condvar = Condvar::new();

fn schedule() -> MutexGuard<'static, Schedule> {
    // Nothing that can panic runs under this lock.
    SCHEDULE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch() {
    let mut schedule = schedule();
    loop {
        let now = Instant::now();
        let first = schedule.alarms.first_key_value();
        schedule.wakes = first.map(|(&(deadline, _), _)| deadline);
        schedule = match schedule.wakes {
            Some(deadline) if deadline <= now => {
                let due = schedule.alarms.pop_first();
                drop(schedule);
                // Without the lock: what is gone after this takes it to drop its alarm.
                if let Some(due) = due.and_then(|(_, due)| due.upgrade()) {
                    due.expire();
                }
                self::schedule()
            }
            Some(deadline) => {
                CHANGED
                    .wait_timeout(schedule, deadline - now)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            None => CHANGED
                .wait(schedule)
                .unwrap_or_else(PoisonError::into_inner),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use super::*;

    struct Named(&'static str, Sender<&'static str>);

    impl Due for Named {
        fn expire(&self) {
            let _ = self.1.send(self.0);
        }
    }

    #[test]
    fn alarms_ring_in_order_and_dropped_ones_never() {
        let (sender, rung) = channel();
        let named = |name| Arc::new(Named(name, sender.clone())) as Arc<dyn Due>;
        let (early, late, dropped, gone) = (
            named("early"),
            named("late"),
            named("dropped"),
            named("gone"),
        );
        let now = Instant::now();
        let set = |milliseconds, due: &Arc<dyn Due>| {
            let deadline = now + Duration::from_millis(milliseconds);
            arm(deadline, Arc::downgrade(due)).expect("a thread")
        };
        let _late = set(60, &late);
        drop(set(10, &dropped));
        let _gone = set(15, &gone);
        drop(gone);
        let _early = set(20, &early);
        let patience = Duration::from_secs(30);
        let next = || rung.recv_timeout(patience).ok();
        assert_eq!([next(), next()], [Some("early"), Some("late")]);
    }
}
