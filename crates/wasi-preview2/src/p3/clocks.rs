//! The clocks of a component: wasmtime-wasi's, or those that only the component moves.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use wasmtime::Result;
use wasmtime::component::Accessor;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p3::bindings::clocks::{monotonic_clock, system_clock, types};

use super::HasSystem;
use super::stat::instant;
use crate::System;
use crate::clocks::Time;

impl types::Host for &mut System {}

impl system_clock::Host for &mut System {
    fn now(&mut self) -> Result<system_clock::Instant> {
        match &self.files.time {
            Some(time) => Ok(instant(time.clock.read().wall)),
            None => system_clock::Host::now(&mut self.clocks()),
        }
    }

    fn get_resolution(&mut self) -> Result<types::Duration> {
        match &self.files.time {
            Some(_) => Ok(1),
            None => system_clock::Host::get_resolution(&mut self.clocks()),
        }
    }
}

impl monotonic_clock::Host for &mut System {
    fn now(&mut self) -> Result<monotonic_clock::Mark> {
        match &self.files.time {
            Some(time) => Ok(time.clock.read().monotonic),
            None => monotonic_clock::Host::now(&mut self.clocks()),
        }
    }

    fn get_resolution(&mut self) -> Result<types::Duration> {
        match &self.files.time {
            Some(_) => Ok(1),
            None => monotonic_clock::Host::get_resolution(&mut self.clocks()),
        }
    }
}

impl<T: WasiView + 'static> monotonic_clock::HostWithStore<T> for HasSystem {
    async fn wait_until(store: &Accessor<T, Self>, when: monotonic_clock::Mark) -> Result<()> {
        if let Some(time) = virtual_time(store) {
            sleep(&time, when).await;
            return Ok(());
        }
        let theirs = store.with_getter::<WasiClocks>(T::clocks);
        <WasiClocks as monotonic_clock::HostWithStore<T>>::wait_until(&theirs, when).await
    }

    async fn wait_for(store: &Accessor<T, Self>, duration: types::Duration) -> Result<()> {
        if let Some(time) = virtual_time(store) {
            let when = time.now().saturating_add(duration);
            sleep(&time, when).await;
            return Ok(());
        }
        let theirs = store.with_getter::<WasiClocks>(T::clocks);
        <WasiClocks as monotonic_clock::HostWithStore<T>>::wait_for(&theirs, duration).await
    }
}

fn virtual_time<T: 'static>(store: &Accessor<T, HasSystem>) -> Option<Time> {
    store.with(|mut access| access.get().files.time.clone())
}

/// Who waits for times of a virtual clock, by the time and a number of their own. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Sleepers(Arc<Mutex<Asleep>>);

#[derive(Default)]
struct Asleep {
    by_time: BTreeMap<(u64, u64), Waker>,
    numbers: u64,
}

impl Sleepers {
    fn all(&self) -> MutexGuard<'_, Asleep> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self) -> u64 {
        let mut all = self.all();
        all.numbers += 1;
        all.numbers
    }
}

/// Waits until it is `when`, which it becomes when nothing else is left to be done.
async fn sleep(time: &Time, when: u64) {
    if when <= time.now() {
        return;
    }
    let sleeper = Sleeper {
        time,
        key: (when, time.sleepers.number()),
        since: time.now(),
    };
    poll_fn(|cx| match when <= time.now() {
        true => Poll::Ready(()),
        false => {
            let waker = cx.waker().clone();
            time.sleepers.all().by_time.insert(sleeper.key, waker);
            Poll::Pending
        }
    })
    .await;
}

/// One of the sleepers, as long as this is kept.
struct Sleeper<'a> {
    time: &'a Time,
    key: (u64, u64),
    /// When it began to wait.
    since: u64,
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.time.sleepers.all().by_time.remove(&self.key);
        if self.time.now() == self.since {
            // As by a look, so that a component that asks until a time has come is told so some day.
            self.time.clock.read();
        }
    }
}

/// The passing of the time that only a component moves, if it has such clocks.
pub struct Passing(Option<Time>);

impl std::fmt::Debug for Passing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Passing").field(&self.0.is_some()).finish()
    }
}

impl System {
    /// The passing of this component's time.
    pub fn passing(&self) -> Passing {
        Passing(self.files.time.clone())
    }
}

impl Passing {
    /// Does `work`, which is all that a component does. When nothing of it can be done at once, the first of the times that
    /// the component waits for has come.
    pub async fn during<F: Future>(self, work: F) -> F::Output {
        let mut work = pin!(work);
        let Some(time) = self.0 else {
            return work.await;
        };
        poll_fn(|cx| {
            let woken = Arc::new(Woken {
                is_woken: AtomicBool::new(false),
                outer: cx.waker().clone(),
            });
            let waker = Waker::from(woken.clone());
            let polled = work.as_mut().poll(&mut Context::from_waker(&waker));
            if polled.is_pending() && !woken.is_woken.load(Ordering::Acquire) {
                pass(&time);
            }
            polled
        })
        .await
    }
}

/// Lets the first of the times come that are waited for.
fn pass(time: &Time) {
    let mut asleep = time.sleepers.all();
    let Some(((when, _), _)) = asleep.by_time.first_key_value() else {
        return;
    };
    let when = *when;
    time.clock.pass(when.saturating_sub(time.now()));
    let later = asleep.by_time.split_off(&(when, u64::MAX));
    let come = std::mem::replace(&mut asleep.by_time, later);
    drop(asleep);
    come.into_values().for_each(Waker::wake);
}

/// Whether something can be done again, and whom to tell that waits for it.
struct Woken {
    is_woken: AtomicBool,
    outer: Waker,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.outer.wake_by_ref();
    }
}
