//! `poll_oneoff`, whose simplest use is to sleep.
//!
//! What cannot be waited for is an event of its own, and what never has to be is ready: files and
//! directories. The rest is wasmtime-wasi's to wait for. For one relative time it puts the thread to sleep,
//! and nothing would wake it: that sleep is ours, which is cut short when the guest is to end.

use std::time::Duration;

use wasmtime_wasi::p0::types as old;
use wasmtime_wasi::p1::types::{
    self, Clockid, Errno, Event, Eventtype, Subclockflags, Subscription, SubscriptionU,
};
use wasmtime_wasi::p1::wasi_snapshot_preview1::{fd_fdstat_get, poll_oneoff};
use wiggle::{GuestError, GuestMemory, GuestPtr, GuestType};

use crate::call::{SUCCESS, pointer};
use crate::{Stop, Wasi, block_on, block_on_ready};

/// What the guest passes: where the subscriptions are, where the events go, how many there are, and
/// where it wants to read how many events there were.
type Arguments = [i32; 4];

/// The most subscriptions at once: POSIX has the bound on open files for it, and each costs us
/// some hundred bytes.
const MOST: u32 = 4096;

pub(crate) fn preview1(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    arguments: Arguments,
) -> Result<i32, Stop> {
    poll::<Subscription>(wasi, memory, arguments, |subscription| subscription)
}

/// The same for the older layout of subscriptions.
pub(crate) fn unstable(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    arguments: Arguments,
) -> Result<i32, Stop> {
    poll(wasi, memory, arguments, renewed)
}

fn renewed(subscription: old::Subscription) -> Subscription {
    Subscription {
        userdata: subscription.userdata,
        u: match subscription.u {
            old::SubscriptionU::Clock(clock) => SubscriptionU::Clock(clock.into()),
            old::SubscriptionU::FdRead(fd) => SubscriptionU::FdRead(fd.into()),
            old::SubscriptionU::FdWrite(fd) => SubscriptionU::FdWrite(fd.into()),
        },
    }
}

fn poll<T: GuestType>(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    [subscriptions, events, count, ready]: Arguments,
    renewed: impl Fn(T) -> Subscription,
) -> Result<i32, Stop> {
    // The guest may be to end.
    wasi.enter()?;
    match count.cast_unsigned() {
        0 => return Ok(Errno::Inval as i32),
        1..=MOST => {}
        _ => return Ok(Errno::Nomem as i32),
    }
    let subscriptions = pointer::<T>(subscriptions).as_array(count.cast_unsigned());
    let asked = subscriptions
        .iter()
        .map(|at| memory.read(at?).map(&renewed));
    let asked = match asked.collect::<Result<Vec<_>, _>>() {
        Ok(asked) => asked,
        Err(error) => return errno(error),
    };
    let happened = wait(wasi, &asked)?;
    let count = happened.len() as types::Size;
    let events = pointer::<Event>(events).as_array(count);
    for (event, at) in happened.into_iter().zip(events.iter()) {
        if let Err(error) = at.and_then(|at| memory.write(at, event)) {
            return errno(error);
        }
    }
    let written = memory.write(pointer::<types::Size>(ready), count);
    written.map_err(Stop::trap)?;
    Ok(SUCCESS)
}

/// What comes of a subscription.
enum Fate {
    /// It has happened, or cannot.
    Told(Errno),
    Awaited,
    /// Nothing ever does.
    Never,
}

/// Waits until something has happened: the events, in the order of the subscriptions.
fn wait(wasi: &mut Wasi, asked: &[Subscription]) -> Result<Vec<Event>, Stop> {
    if let [Subscription { userdata, u }] = asked
        && let SubscriptionU::Clock(clock) = u
        && is_waited_for(clock.id)
        && !is_absolute(clock)
    {
        let (_, control) = wasi.enter()?;
        return match control.sleep(Duration::from_nanos(clock.timeout)) {
            Some(reason) => Err(reason.into()),
            None => Ok(vec![event(*userdata, Errno::Success, Eventtype::Clock)]),
        };
    }
    let mut happened = Vec::new();
    let mut awaited = Vec::new();
    for (place, subscription) in asked.iter().enumerate() {
        match fate(wasi, &subscription.u)? {
            Fate::Told(errno) => {
                happened.push((
                    place,
                    event(subscription.userdata, errno, kind(subscription)),
                ));
            }
            Fate::Awaited => awaited.push((place, subscription)),
            Fate::Never => {}
        }
    }
    for place in ready(wasi, &awaited, happened.is_empty())? {
        let subscription = &asked[place];
        let event = event(subscription.userdata, Errno::Success, kind(subscription));
        happened.push((place, event));
    }
    happened.sort_by_key(|(place, _)| *place);
    Ok(happened.into_iter().map(|(_, event)| event).collect())
}

fn fate(wasi: &mut Wasi, subscription: &SubscriptionU) -> Result<Fate, Stop> {
    let (fd, way) = match subscription {
        SubscriptionU::Clock(clock) if is_waited_for(clock.id) => return Ok(Fate::Awaited),
        SubscriptionU::Clock(_) => return Ok(Fate::Told(Errno::Inval)),
        SubscriptionU::FdRead(fd) => (fd.file_descriptor, types::Rights::FD_READ),
        SubscriptionU::FdWrite(fd) => (fd.file_descriptor, types::Rights::FD_WRITE),
    };
    let mut own = vec![0; types::Fdstat::guest_size() as usize];
    let mut own = GuestMemory::Unshared(&mut own);
    let (context, control) = wasi.enter()?;
    let asked = fd_fdstat_get(context, &mut own, u32::from(fd).cast_signed(), 0);
    match block_on_ready(control, asked)?.map_err(Stop::trap)? {
        SUCCESS => {}
        _ => return Ok(Fate::Told(Errno::Badf)),
    }
    let rights = own.read(pointer::<types::Rights>(8)).map_err(Stop::trap)?;
    Ok(match rights {
        // A stream has one of these and nothing else.
        rights if rights == way => Fate::Awaited,
        types::Rights::FD_READ | types::Rights::FD_WRITE => Fate::Never,
        _ => Fate::Told(Errno::Success),
    })
}

fn is_waited_for(clock: Clockid) -> bool {
    matches!(clock, Clockid::Realtime | Clockid::Monotonic)
}

fn is_absolute(clock: &types::SubscriptionClock) -> bool {
    clock
        .flags
        .contains(Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME)
}

/// Waits for subscriptions, unless that is not to be: the places of those that are ready.
fn ready(
    wasi: &mut Wasi,
    awaited: &[(usize, &Subscription)],
    waits: bool,
) -> Result<Vec<usize>, Stop> {
    const NOW: types::Userdata = u64::MAX;
    let (context, control) = wasi.enter()?;
    while awaited.is_empty() {
        if !waits {
            return Ok(Vec::new());
        }
        if let Some(reason) = control.sleep(Duration::MAX) {
            return Err(reason.into());
        }
    }
    let mut all: Vec<_> = awaited
        .iter()
        .map(|(place, subscription)| Subscription {
            userdata: *place as u64,
            u: subscription.u.clone(),
        })
        .collect();
    if !waits {
        all.push(Subscription {
            userdata: NOW,
            u: SubscriptionU::Clock(types::SubscriptionClock {
                id: Clockid::Monotonic,
                timeout: 0,
                precision: 0,
                flags: Subclockflags::empty(),
            }),
        });
    }
    // Not many more than the most.
    let count = all.len() as u32;
    let events = count * Subscription::guest_size();
    let number = events + count * Event::guest_size();
    let mut own = vec![0; number as usize + 4];
    let mut own = GuestMemory::Unshared(&mut own);
    let at = GuestPtr::<Subscription>::new(0).as_array(count);
    for (at, subscription) in at.iter().zip(all) {
        own.write(at.map_err(Stop::trap)?, subscription)
            .map_err(Stop::trap)?;
    }
    let [events, count, number] = [events, count, number].map(u32::cast_signed);
    let poll = poll_oneoff(context, &mut own, 0, events, count, number);
    let errno = block_on(control, poll)?.map_err(Stop::trap)?;
    if errno != SUCCESS {
        return Err(Stop::Trap(format!("cannot wait: errno {errno}")));
    }
    let number: types::Size = own.read(pointer(number)).map_err(Stop::trap)?;
    let events = pointer::<Event>(events).as_array(number);
    let events = events.iter().map(|at| own.read(at?));
    let events = events.collect::<Result<Vec<_>, _>>().map_err(Stop::trap)?;
    let places = events.into_iter().map(|event| event.userdata);
    Ok(places
        .filter(|place| *place != NOW)
        .map(|place| place as usize)
        .collect())
}

fn kind(subscription: &Subscription) -> Eventtype {
    match subscription.u {
        SubscriptionU::Clock(_) => Eventtype::Clock,
        SubscriptionU::FdRead(_) => Eventtype::FdRead,
        SubscriptionU::FdWrite(_) => Eventtype::FdWrite,
    }
}

/// That something can be done at once, without a word of how much.
fn event(userdata: types::Userdata, error: Errno, type_: Eventtype) -> Event {
    Event {
        userdata,
        error,
        type_,
        fd_readwrite: types::EventFdReadwrite {
            flags: types::Eventrwflags::empty(),
            nbytes: u64::from(error == Errno::Success && type_ != Eventtype::Clock),
        },
    }
}

/// What the guest gets for memory it handed over that cannot be used.
fn errno(error: GuestError) -> Result<i32, Stop> {
    let errno = types::Error::from(error).downcast().map_err(Stop::trap)?;
    Ok(errno as i32)
}
