//! Ending a running guest: the one place where deadlines and kills meet the engines.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::watchdog::{self, Alarm, Due};
use crate::{Error, ErrorKind, Outcome, Result};

/// Why a guest is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// Its time ran out.
    Timeout,
    /// The caller wants it gone.
    Kill,
    /// It wrote more than it may.
    Output,
}

impl Interrupt {
    /// The outcome of a guest that was ended for this reason.
    pub fn outcome(self) -> Outcome {
        match self {
            Interrupt::Timeout => Outcome::TimedOut,
            Interrupt::Kill => Outcome::Killed,
            Interrupt::Output => Outcome::TooMuchOutput,
        }
    }
}

/// The line between whoever may end a run and the engine that compiles or runs the guest. A control is for
/// one run, or for compiling once.
///
/// A backend registers what ends *its* guest with [`Control::on_interrupt`] (bump an epoch, signal
/// a process group), and looks at [`Control::interrupted`] where it is about to block. It need not
/// know why: core turns the reason into the outcome.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// 0 while nothing happened, then the [`Interrupt`] plus 1.
    reason: AtomicU8,
    /// The guest is asked to end, and may go on.
    asked: AtomicBool,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    time: Mutex<Time>,
}

/// The time after which the guest is to end.
#[derive(Default)]
enum Time {
    #[default]
    Stands,
    /// It was over at once, or never is.
    HasNoAlarm,
    Runs(Alarm),
}

#[derive(Default)]
struct Waiting {
    next_hook: u64,
    hooks: BTreeMap<u64, (Occasion, OnOccasion)>,
    wakers: Vec<Waker>,
}

type OnOccasion = Arc<dyn Fn() + Send + Sync>;

/// What a hook is called at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    Interrupt,
    Look,
}

impl Waiting {
    fn hooks_at(&self, occasion: Occasion) -> Vec<OnOccasion> {
        let hooks = self.hooks.values().filter(|(at, _)| *at == occasion);
        hooks.map(|(_, hook)| hook.clone()).collect()
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control")
            .field("reason", &self.reason())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn reason(&self) -> Option<Interrupt> {
        match self.reason.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Interrupt::Timeout),
            2 => Some(Interrupt::Kill),
            _ => Some(Interrupt::Output),
        }
    }

    fn interrupt(&self, reason: Interrupt) {
        let value = match reason {
            Interrupt::Timeout => 1,
            Interrupt::Kill => 2,
            Interrupt::Output => 3,
        };
        let (hooks, wakers) = {
            let mut waiting = self.waiting();
            if self
                .reason
                .compare_exchange(0, value, Ordering::SeqCst, Ordering::SeqCst)
                .is_err()
            {
                return;
            }
            let hooks = waiting.hooks_at(Occasion::Interrupt);
            (hooks, std::mem::take(&mut waiting.wakers))
        };
        self.changed.notify_all();
        for hook in hooks {
            hook();
        }
        for waker in wakers {
            waker.wake();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that can panic runs under this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        // Likewise.
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Due for Shared {
    fn expire(&self) {
        // An alarm may ring while it is taken back, or replaced.
        let is_over = match &*self.time() {
            Time::Runs(alarm) => alarm.deadline() <= Instant::now(),
            Time::Stands | Time::HasNoAlarm => false,
        };
        if is_over {
            self.interrupt(Interrupt::Timeout);
        }
    }
}

impl Control {
    /// A line on which nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the time run, at the end of which this [interrupts](Control::interrupt) for
    /// [`Timeout`](Interrupt::Timeout): from now on, unless it runs already. A run that compiles has begun when
    /// that does, and has what is left of its time.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) if the operating system refuses the one thread that all deadlines need.
    pub fn expire_after(&self, time: Duration) -> Result<()> {
        let mut running = self.0.time();
        if matches!(*running, Time::Stands) {
            *running = self.time_of(time)?;
        }
        Ok(())
    }

    /// Lets the time of a call run, of an instance that this control is for. [`stop_time`](Control::stop_time) ends
    /// that, unless it is over.
    pub(crate) fn restart_time(&self, time: Duration) -> Result<()> {
        // What was there is dropped outside the lock.
        let alarm = self.time_of(time)?;
        let _before = std::mem::replace(&mut *self.0.time(), alarm);
        Ok(())
    }

    /// Whether a time runs, or did.
    pub(crate) fn has_time(&self) -> bool {
        !matches!(&*self.0.time(), Time::Stands)
    }

    /// From now on no time runs.
    pub(crate) fn stop_time(&self) {
        let _before = std::mem::take(&mut *self.0.time());
    }

    fn time_of(&self, time: Duration) -> Result<Time> {
        let now = Instant::now();
        match now.checked_add(time) {
            // A deadline beyond what the clock can tell is none.
            None => Ok(Time::HasNoAlarm),
            Some(deadline) if deadline <= now => {
                self.interrupt(Interrupt::Timeout);
                Ok(Time::HasNoAlarm)
            }
            Some(deadline) => {
                let due: Weak<dyn Due> = Arc::downgrade(&self.0) as _;
                let alarm = watchdog::arm(deadline, due).map_err(|source| {
                    Error::new(ErrorKind::Io, "cannot start a thread for time limits")
                        .with_source(source)
                })?;
                Ok(Time::Runs(alarm))
            }
        }
    }

    /// What is left of the time that [runs](Control::expire_after); `None` if none does, or never ends.
    pub fn time_left(&self) -> Option<Duration> {
        if self.interrupted() == Some(Interrupt::Timeout) {
            return Some(Duration::ZERO);
        }
        match &*self.0.time() {
            Time::Runs(alarm) => Some(alarm.deadline().saturating_duration_since(Instant::now())),
            Time::Stands | Time::HasNoAlarm => None,
        }
    }

    /// Asks the guest to end. The first reason stands; later ones change nothing.
    pub fn interrupt(&self, reason: Interrupt) {
        self.0.interrupt(reason);
    }

    /// Why the guest is to end, once it is.
    pub fn interrupted(&self) -> Option<Interrupt> {
        self.0.reason()
    }

    /// Asks the guest to end by itself, where it has a way to notice.
    pub(crate) fn ask_to_end(&self) {
        self.0.asked.store(true, Ordering::SeqCst);
    }

    /// Whether the guest was asked to end by itself.
    pub(crate) fn is_asked_to_end(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Registers what ends the guest, until the returned [`Hook`] is dropped. Called at once if
    /// the guest is to end already, and from another thread otherwise; it must not block. A hook
    /// may still be running for a moment after its [`Hook`] is dropped.
    #[must_use]
    pub fn on_interrupt(&self, hook: impl Fn() + Send + Sync + 'static) -> Hook {
        let hook: OnOccasion = Arc::new(hook);
        let registered = self.register(Occasion::Interrupt, hook.clone());
        if self.interrupted().is_some() {
            hook();
        }
        registered
    }

    /// Registers what has the guest [tell](crate::Usage::tell_fuel) what it has used, whenever somebody wants to know.
    /// For the rest, as [`on_interrupt`](Control::on_interrupt).
    #[must_use]
    pub fn on_look(&self, hook: impl Fn() + Send + Sync + 'static) -> Hook {
        self.register(Occasion::Look, Arc::new(hook))
    }

    fn register(&self, occasion: Occasion, hook: OnOccasion) -> Hook {
        let mut waiting = self.0.waiting();
        let key = waiting.next_hook;
        waiting.next_hook += 1;
        waiting.hooks.insert(key, (occasion, hook));
        Hook {
            control: self.clone(),
            key,
        }
    }

    /// Has the guest tell what it has used. Whether there is one that does.
    pub(crate) fn look(&self) -> bool {
        let hooks = self.0.waiting().hooks_at(Occasion::Look);
        hooks.iter().for_each(|hook| hook());
        !hooks.is_empty()
    }

    /// Resolves once the guest is to end; for host calls that wait as futures.
    pub fn poll_interrupted(&self, cx: &mut Context<'_>) -> Poll<Interrupt> {
        let mut waiting = self.0.waiting();
        if let Some(reason) = self.interrupted() {
            return Poll::Ready(reason);
        }
        if !waiting
            .wakers
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            waiting.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Sleeps for `time`, or until the guest is to end.
    pub fn sleep(&self, time: Duration) -> Option<Interrupt> {
        // A deadline beyond what the clock can tell is "for ever".
        let until = Instant::now().checked_add(time);
        let mut waiting = self.0.waiting();
        loop {
            if let Some(reason) = self.interrupted() {
                return Some(reason);
            }
            waiting = match until {
                None => self
                    .0
                    .changed
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.0
                        .changed
                        .wait_timeout(waiting, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }
}

/// Keeps a hook of [`Control::on_interrupt`] or [`Control::on_look`] registered.
#[derive(Debug)]
pub struct Hook {
    control: Control,
    key: u64,
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.control.0.waiting().hooks.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn the_first_reason_stands() {
        let control = Control::new();
        control.interrupt(Interrupt::Kill);
        control.interrupt(Interrupt::Timeout);
        assert_eq!(control.interrupted(), Some(Interrupt::Kill));
    }

    #[test]
    fn a_hook_runs_once_whenever_it_is_registered() {
        let (control, calls) = (Control::new(), Arc::new(AtomicUsize::new(0)));
        let count = |calls: &Arc<AtomicUsize>| {
            let calls = calls.clone();
            move || {
                calls.fetch_add(1, Ordering::SeqCst);
            }
        };
        let _before = control.on_interrupt(count(&calls));
        drop(control.on_interrupt(count(&calls)));
        control.interrupt(Interrupt::Kill);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        let _after = control.on_interrupt(count(&calls));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn no_time_at_all_is_over_at_once_and_the_first_time_stands() {
        let over = Control::new();
        over.expire_after(Duration::ZERO).expect("no thread");
        assert_eq!(over.interrupted(), Some(Interrupt::Timeout));
        let endless = Control::new();
        for time in [Duration::MAX, Duration::ZERO] {
            endless.expire_after(time).expect("no thread");
            assert_eq!(endless.interrupted(), None);
        }
    }

    #[test]
    fn a_sleep_is_cut_short() {
        let control = Control::new();
        let sleeper = control.clone();
        let slept = std::thread::spawn(move || sleeper.sleep(Duration::MAX));
        control.interrupt(Interrupt::Timeout);
        assert_eq!(slept.join().ok().flatten(), Some(Interrupt::Timeout));
    }
}
