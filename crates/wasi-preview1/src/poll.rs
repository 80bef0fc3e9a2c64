//! `poll_oneoff`, whose simplest use is to sleep.
//!
//! wasmtime-wasi puts the thread to sleep for that, and nothing would wake it. So a guest that asks
//! for one relative time sleeps here, where it can be told to end, and finds the same event
//! afterwards. All other waiting is done in futures.

use std::time::Duration;

use wasmtime_wasi::p0::types as old;
use wasmtime_wasi::p1::{types, wasi_snapshot_preview1};
use wiggle::{GuestError, GuestMemory, GuestPtr, GuestType};

use crate::{Stop, Wasi, block_on};

/// What the guest passes: where the subscriptions are, where the events go, how many there are, and
/// where it wants to read how many events there were.
type Arguments = [i32; 4];

/// The most subscriptions at once: POSIX has the bound on open files for it, and each costs us
/// some hundred bytes.
const MOST: u32 = 4096;

pub(crate) fn preview1(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    [subscriptions, events, count, ready]: Arguments,
) -> Result<i32, Stop> {
    let (context, control) = wasi.enter()?;
    if count.cast_unsigned() > MOST {
        return Ok(types::Errno::Nomem as i32);
    }
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

/// The same for the older layout of subscriptions: rewritten in place, they take less room.
///
/// wasmtime-wasi rewrites each one in its old place, and so finds only the first.
pub(crate) fn unstable(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    arguments: Arguments,
) -> Result<i32, Stop> {
    let [subscriptions, _, count, _] = arguments;
    if count.cast_unsigned() > MOST {
        return Ok(types::Errno::Nomem as i32);
    }
    let old = pointer::<old::Subscription>(subscriptions).as_array(count.cast_unsigned());
    let new = pointer::<types::Subscription>(subscriptions).as_array(count.cast_unsigned());
    let size = old.len() * old::Subscription::guest_size();
    let whole = GuestPtr::<[u8]>::new((old.offset_base(), size));
    let bytes = match memory.to_vec(whole) {
        Ok(bytes) => bytes,
        Err(error) => return errno(error),
    };
    let returned = match rewrite(memory, old, new) {
        Ok(()) => preview1(wasi, memory, arguments)?,
        Err(error) => errno(error)?,
    };
    memory.copy_from_slice(&bytes, whole).map_err(Stop::trap)?;
    Ok(returned)
}

fn rewrite(
    memory: &mut GuestMemory<'_>,
    old: GuestPtr<[old::Subscription]>,
    new: GuestPtr<[types::Subscription]>,
) -> Result<(), GuestError> {
    // The new ones never reach beyond the old one that is read next.
    for (old, new) in old.iter().zip(new.iter()) {
        let subscription = memory.read(old?)?;
        memory.write(new?, renewed(subscription))?;
    }
    Ok(())
}

fn renewed(subscription: old::Subscription) -> types::Subscription {
    types::Subscription {
        userdata: subscription.userdata,
        u: match subscription.u {
            old::SubscriptionU::Clock(clock) => types::SubscriptionU::Clock(clock.into()),
            old::SubscriptionU::FdRead(fd) => types::SubscriptionU::FdRead(fd.into()),
            old::SubscriptionU::FdWrite(fd) => types::SubscriptionU::FdWrite(fd.into()),
        },
    }
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
        return errno(error);
    }
    memory
        .write(pointer::<types::Size>(ready), 1)
        .map_err(Stop::trap)?;
    Ok(types::Errno::Success as i32)
}

/// What the guest gets for memory it handed over that cannot be used.
fn errno(error: GuestError) -> Result<i32, Stop> {
    let errno = types::Error::from(error).downcast().map_err(Stop::trap)?;
    Ok(errno as i32)
}

fn pointer<T>(address: i32) -> GuestPtr<T> {
    GuestPtr::new(address.cast_unsigned())
}
