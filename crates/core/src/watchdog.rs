//! One thread that keeps every deadline of the process.
//!
//! A thread for each run would cost more than a small guest's whole run does.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::control::{Control, Interrupt};

/// Interrupts `control` at `deadline`, unless the returned [`Alarm`] is dropped before.
///
/// # Errors
///
/// The operating system refuses the one thread this needs.
pub(crate) fn arm(deadline: Instant, control: Control) -> io::Result<Alarm> {
    let mut schedule = schedule();
    if !schedule.running {
        std::thread::Builder::new()
            .name("wasmrun-watchdog".into())
            .spawn(watch)?;
        schedule.running = true;
    }
    let key = (deadline, schedule.next);
    schedule.next += 1;
    schedule.alarms.insert(key, control);
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
    alarms: BTreeMap<Key, Control>,
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
                if let Some((_, control)) = due {
                    control.interrupt(Interrupt::Timeout);
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn alarms_ring_in_order_and_dropped_ones_never() {
        let (early, late, dropped) = (Control::new(), Control::new(), Control::new());
        let now = Instant::now();
        let _late = arm(now + Duration::from_millis(60), late.clone()).expect("a thread");
        drop(arm(now + Duration::from_millis(10), dropped.clone()).expect("a thread"));
        let _early = arm(now + Duration::from_millis(20), early.clone()).expect("a thread");
        assert_eq!(
            early.sleep(Duration::from_secs(30)),
            Some(Interrupt::Timeout)
        );
        assert_eq!(
            late.sleep(Duration::from_secs(30)),
            Some(Interrupt::Timeout)
        );
        assert_eq!(dropped.interrupted(), None);
    }
}
