//! `poll_oneoff`, whose simplest use is to sleep.
//!
//! wasmtime-wasi puts the thread to sleep for that, and nothing would wake it. So a guest that asks
//! for one relative time sleeps here, where it can be told to end, and finds the same event
//! afterwards. All other waiting is done in futures.

use std::time::Duration;

use wasmtime_wasi::p0::{self, wasi_unstable};
use wasmtime_wasi::p1::{types, wasi_snapshot_preview1};
use wiggle::{GuestError, GuestMemory, GuestPtr};

use crate::{Stop, Wasi, block_on};

pub(crate) fn preview1(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    subscriptions: i32,
    events: i32,
    count: i32,
    ready: i32,
) -> Result<i32, Stop> {
    let (context, control) = wasi.enter()?;
    if count == 1
        && let Ok(subscription) = memory.read(pointer::<types::Subscription>(subscriptions))
        && let types::SubscriptionU::Clock(clock) = &subscription.u
        && !clock
            .flags
            .contains(types::Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME)
    {
        if let Some(reason) = control.sleep(Duration::from_nanos(clock.timeout)) {
            return Err(reason.into());
        }
        let written = memory.write(pointer(events), slept(subscription.userdata));
        return returned(memory, written, ready);
    }
    let poll =
        wasi_snapshot_preview1::poll_oneoff(context, memory, subscriptions, events, count, ready);
    block_on(control, poll)?.map_err(Stop::trap)
}

pub(crate) fn unstable(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    subscriptions: i32,
    events: i32,
    count: i32,
    ready: i32,
) -> Result<i32, Stop> {
    let (context, control) = wasi.enter()?;
    let place = pointer::<p0::types::Subscription>(subscriptions);
    if count == 1
        && let Ok(subscription) = memory.read(place)
        && let p0::types::SubscriptionU::Clock(clock) = &subscription.u
        && !clock
            .flags
            .contains(p0::types::Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME)
    {
        if let Some(reason) = control.sleep(Duration::from_nanos(clock.timeout)) {
            return Err(reason.into());
        }
        // The event first, then the subscription once more: where the two overlap, wasmtime-wasi
        // leaves the subscription.
        let written = memory
            .write(pointer(events), slept(subscription.userdata))
            .and_then(|()| memory.write(place, subscription));
        return returned(memory, written, ready);
    }
    let poll = wasi_unstable::poll_oneoff(context, memory, subscriptions, events, count, ready);
    block_on(control, poll)?.map_err(Stop::trap)
}

/// The event of a clock that has run down, as wasmtime-wasi writes it.
fn slept(userdata: types::Userdata) -> types::Event {
    types::Event {
        userdata,
        error: types::Errno::Success,
        type_: types::Eventtype::Clock,
        fd_readwrite: types::EventFdReadwrite {
            flags: types::Eventrwflags::empty(),
            nbytes: 1,
        },
    }
}

/// What the guest gets for one event: an errno, and, if that is success, the count.
fn returned(
    memory: &mut GuestMemory<'_>,
    written: Result<(), GuestError>,
    ready: i32,
) -> Result<i32, Stop> {
    if let Err(error) = written {
        let errno = types::Error::from(error).downcast().map_err(Stop::trap)?;
        return Ok(errno as i32);
    }
    memory
        .write(pointer::<types::Size>(ready), 1)
        .map_err(Stop::trap)?;
    Ok(types::Errno::Success as i32)
}

fn pointer<T>(address: i32) -> GuestPtr<T> {
    GuestPtr::new(address.cast_unsigned())
}
