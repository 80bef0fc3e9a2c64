//! The clocks of a component: wasmtime-wasi's, or those that only the component moves.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use wasmrun_core::VirtualClock;
use wasmtime::Result;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::clocks::{WasiClocksCtxView, WasiClocksView as _};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::{self, Duration, Instant};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::{self, Datetime};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::FilesView;
use crate::stat::datetime;

/// The clocks of one run that only its guest moves, and the times that the guest waits for. Clones are the same.
#[derive(Clone)]
pub(crate) struct Time {
    pub(crate) clock: VirtualClock,
    /// How often each time of the monotonic clock is waited for.
    awaited: Arc<Mutex<BTreeMap<u64, usize>>>,
    /// Who waits for times by WASI 0.3.
    #[cfg(feature = "p3")]
    pub(crate) sleepers: crate::p3::Sleepers,
}

impl Time {
    pub(crate) fn new(clock: VirtualClock) -> Self {
        Time {
            clock,
            awaited: Arc::default(),
            #[cfg(feature = "p3")]
            sleepers: crate::p3::Sleepers::default(),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.peek().monotonic
    }

    fn awaited(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        // Nothing that can panic runs under this lock.
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the functions work on.
pub(crate) enum Clocks<'a> {
    Host(WasiClocksCtxView<'a>),
    Virtual(Time, &'a mut ResourceTable),
}

pub(crate) struct HasClocks;

impl HasData for HasClocks {
    type Data<'a> = Clocks<'a>;
}

pub(crate) fn clocks<T: FilesView>(state: &mut T) -> Clocks<'_> {
    match state.files().files.time.clone() {
        Some(time) => Clocks::Virtual(time, state.ctx().table),
        None => Clocks::Host(state.clocks()),
    }
}

impl wall_clock::Host for Clocks<'_> {
    fn now(&mut self) -> Result<Datetime> {
        match self {
            Clocks::Host(host) => wall_clock::Host::now(host),
            Clocks::Virtual(time, _) => Ok(datetime(time.clock.read().wall)),
        }
    }

    fn resolution(&mut self) -> Result<Datetime> {
        match self {
            Clocks::Host(host) => wall_clock::Host::resolution(host),
            Clocks::Virtual(..) => Ok(datetime(1)),
        }
    }
}

impl monotonic_clock::Host for Clocks<'_> {
    fn now(&mut self) -> Result<Instant> {
        match self {
            Clocks::Host(host) => monotonic_clock::Host::now(host),
            Clocks::Virtual(time, _) => Ok(time.clock.read().monotonic),
        }
    }

    fn resolution(&mut self) -> Result<Duration> {
        match self {
            Clocks::Host(host) => monotonic_clock::Host::resolution(host),
            Clocks::Virtual(..) => Ok(1),
        }
    }

    fn subscribe_instant(&mut self, when: Instant) -> Result<Resource<DynPollable>> {
        match self {
            Clocks::Host(host) => host.subscribe_instant(when),
            Clocks::Virtual(time, table) => alarm(table, time, when),
        }
    }

    fn subscribe_duration(&mut self, duration: Duration) -> Result<Resource<DynPollable>> {
        match self {
            Clocks::Host(host) => host.subscribe_duration(duration),
            Clocks::Virtual(time, table) => {
                let when = time.now().saturating_add(duration);
                alarm(table, time, when)
            }
        }
    }
}

fn alarm(table: &mut ResourceTable, time: &Time, when: Instant) -> Result<Resource<DynPollable>> {
    let alarm = table.push(Alarm {
        time: time.clone(),
        when,
    })?;
    subscribe(table, alarm)
}

/// A time of a virtual clock that can be waited for. It is not waited: unless something that is polled with it is ready at
/// once, the first of the times that are polled has come.
struct Alarm {
    time: Time,
    when: Instant,
}

#[async_trait]
impl Pollable for Alarm {
    async fn ready(&mut self) {
        if self.when <= self.time.now() {
            return;
        }
        let waiting = Waiting::begin(&self.time, self.when);
        let mut asked = false;
        poll_fn(|cx| {
            // Whatever else is polled is asked once before time passes, and other alarms are heard of.
            if !asked {
                asked = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match waiting.come() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

/// A time that is waited for as long as this is kept.
struct Waiting<'a> {
    time: &'a Time,
    when: Instant,
    /// When that began.
    since: Instant,
}

impl<'a> Waiting<'a> {
    fn begin(time: &'a Time, when: Instant) -> Self {
        *time.awaited().entry(when).or_default() += 1;
        Waiting {
            time,
            when,
            since: time.now(),
        }
    }

    /// Whether the time has come, which it has if none that is waited for comes before. Then it has passed.
    fn come(&self) -> bool {
        let first = self.time.awaited().keys().next().copied();
        let has_come = first.is_none_or(|first| first >= self.when);
        if has_come {
            let left = self.when.saturating_sub(self.time.now());
            self.time.clock.pass(left);
        }
        has_come
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut awaited = self.time.awaited();
        if let Some(count) = awaited.get_mut(&self.when) {
            *count -= 1;
            if *count == 0 {
                awaited.remove(&self.when);
            }
        }
        drop(awaited);
        if self.time.now() == self.since {
            // As by a look, so that a guest that asks until a time has come is told so some day.
            self.time.clock.read();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use wasmrun_core::Clock;

    use super::*;

    fn time() -> Time {
        let clock = VirtualClock::of(Clock::Virtual { start: 0, step: 3 });
        Time::new(clock.expect("a virtual clock"))
    }

    /// What comes of waiting for these times together, round by round: which have come.
    fn waited(time: &Time, times: &[u64], rounds: usize) -> Vec<Vec<u64>> {
        let alarm = |when: &u64| Alarm {
            time: time.clone(),
            when: *when,
        };
        let mut alarms: Vec<_> = times.iter().map(alarm).collect();
        let mut waiting: Vec<_> = alarms
            .iter_mut()
            .map(|alarm| (alarm.when, alarm.ready()))
            .collect();
        let mut cx = Context::from_waker(Waker::noop());
        let mut round = || {
            let come = waiting.iter_mut().filter_map(|(when, ready)| {
                let is_ready = ready.as_mut().poll(&mut cx).is_ready();
                is_ready.then_some(*when)
            });
            come.collect()
        };
        (0..rounds).map(|_| round()).collect()
    }

    #[test]
    fn the_first_time_comes_when_all_else_was_asked_once() {
        let time = time();
        assert_eq!(waited(&time, &[20, 5, 10, 5], 2), [vec![], vec![5, 5]]);
        assert_eq!(time.now(), 5);
        assert!(time.awaited().is_empty());
    }

    #[test]
    fn a_time_that_is_over_has_come() {
        let time = time();
        time.clock.pass(7);
        assert_eq!(waited(&time, &[6, 9, 7], 1), [[6, 7]]);
    }

    #[test]
    fn to_wait_in_vain_is_a_look() {
        let time = time();
        assert_eq!(waited(&time, &[6, 9], 1), [[0; 0]]);
        assert_eq!(time.now(), 3);
        waited(&time, &[6], 1);
        assert_eq!(waited(&time, &[6], 1), [[6]]);
    }
}
