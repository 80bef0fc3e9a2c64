//! `poll_oneoff`, whose simplest use is to sleep.
//!
//! What cannot be waited for is an event of its own, and what never has to be is ready: files and directories. For one
//! relative time the thread sleeps; else what is waited for are futures. Where only the guest moves its clocks, nothing
//! waits for a time: unless something else is ready at once, the first of the times has come.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use wasmtime_wasi::p0::types as old;
use wasmtime_wasi::p1::types::{
    self, Errno, Event, Eventtype, Subclockflags, Subscription, SubscriptionU,
};
use wiggle::{GuestMemory, GuestType};

use crate::call::{Result, count, pointer, running};
use crate::descriptors::Descriptor;
use crate::streams::End;
use crate::surroundings::Clocks;
use crate::{Abi, Wasi, block_on};

/// The most subscriptions at once: POSIX has the bound on open files for it, and each costs us
/// some hundred bytes.
const MOST: u32 = 4096;

pub(crate) fn poll_oneoff(
    abi: Abi,
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    subscriptions: i32,
    events: i32,
    number: i32,
    ready: i32,
) -> Result<()> {
    let asked = match abi {
        Abi::Preview1 => read(memory, subscriptions, number, |asked: Subscription| asked)?,
        Abi::Unstable => read(memory, subscriptions, number, renewed)?,
    };
    let happened = wait(wasi, &asked)?;
    let happened_number = happened.len();
    let events = pointer::<Event>(events).as_array(happened_number as types::Size);
    for (event, at) in happened.into_iter().zip(events.iter()) {
        memory.write(at?, event)?;
    }
    count(memory, ready, happened_number)
}

/// What the guest asks for.
fn read<T: GuestType>(
    memory: &GuestMemory<'_>,
    at: i32,
    number: i32,
    renewed: impl Fn(T) -> Subscription,
) -> Result<Vec<Subscription>> {
    match number.cast_unsigned() {
        0 => return Err(Errno::Inval.into()),
        1..=MOST => {}
        _ => return Err(Errno::Nomem.into()),
    }
    let all = pointer::<T>(at).as_array(number.cast_unsigned());
    let all = all.iter().map(|at| Ok(renewed(memory.read(at?)?)));
    all.collect()
}

/// The same as the older layout has it.
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

/// What comes of a subscription.
enum Fate {
    /// It has happened, or cannot.
    Told(Errno),
    /// It happens when this is over.
    Awaited(Awaited),
    /// It happens when the guest has let so much time pass.
    Due(Duration),
    /// It never happens.
    Never,
}

type Awaited = Pin<Box<dyn Future<Output = ()>>>;

/// Waits until something has happened: the events, in the order of the subscriptions.
fn wait(wasi: &mut Wasi, asked: &[Subscription]) -> Result<Vec<Event>> {
    if let [
        Subscription {
            userdata,
            u: SubscriptionU::Clock(clock),
        },
    ] = asked
        && let Clocks::Host { .. } = wasi.clocks
        && let Ok(left) = left(wasi, clock)
    {
        return match wasi.control.sleep(left) {
            Some(reason) => Err(reason.into()),
            None => Ok(vec![event(*userdata, Errno::Success, Eventtype::Clock)]),
        };
    }
    running(&wasi.control)?;
    let mut happened = Vec::new();
    let mut awaited = Vec::new();
    let mut due = Vec::new();
    for (place, subscription) in asked.iter().enumerate() {
        match fate(wasi, &subscription.u) {
            Fate::Told(errno) => happened.push((place, errno)),
            Fate::Awaited(future) => awaited.push((place, future)),
            Fate::Due(left) => due.push((place, left)),
            Fate::Never => {}
        }
    }
    let waits = happened.is_empty() && due.is_empty();
    while waits && awaited.is_empty() {
        if let Some(reason) = wasi.control.sleep(Duration::MAX) {
            return Err(reason.into());
        }
    }
    if !awaited.is_empty() {
        let over = block_on(&wasi.control, poll_fn(|cx| over(&mut awaited, waits, cx)))?;
        happened.extend(over.into_iter().map(|place| (place, Errno::Success)));
    }
    if let Clocks::Virtual(clock) = &wasi.clocks
        && let Some(first) = due.iter().map(|(_, left)| *left).min()
    {
        if happened.is_empty() {
            // What is left is less than there are nanoseconds in 64 bits.
            clock.pass(first.as_nanos() as u64);
            due.retain(|(_, left)| *left == first);
            happened.extend(due.into_iter().map(|(place, _)| (place, Errno::Success)));
        } else {
            // As by a look, so that a guest that asks until a time has come is told so some day.
            clock.read();
        }
    }
    happened.sort_by_key(|(place, _)| *place);
    let events = happened.into_iter().map(|(place, errno)| {
        let subscription = &asked[place];
        event(subscription.userdata, errno, kind(subscription))
    });
    Ok(events.collect())
}

/// Which are over. Whether that is waited for until one is.
fn over(awaited: &mut [(usize, Awaited)], waits: bool, cx: &mut Context<'_>) -> Poll<Vec<usize>> {
    let over = awaited
        .iter_mut()
        .filter_map(|(place, future)| future.as_mut().poll(cx).is_ready().then_some(*place))
        .collect::<Vec<_>>();
    match over.is_empty() && waits {
        true => Poll::Pending,
        false => Poll::Ready(over),
    }
}

fn fate(wasi: &mut Wasi, subscription: &SubscriptionU) -> Fate {
    let (fd, reads) = match subscription {
        SubscriptionU::Clock(clock) => {
            return match left(wasi, clock) {
                Ok(Duration::ZERO) => Fate::Told(Errno::Success),
                Ok(left) if matches!(wasi.clocks, Clocks::Virtual(_)) => Fate::Due(left),
                Ok(left) => Fate::Awaited(Box::pin(async move { tokio::time::sleep(left).await })),
                Err(errno) => Fate::Told(errno),
            };
        }
        SubscriptionU::FdRead(fd) => (fd.file_descriptor, true),
        SubscriptionU::FdWrite(fd) => (fd.file_descriptor, false),
    };
    let stream = match wasi.descriptors.get(u32::from(fd).cast_signed()) {
        Err(_) => return Fate::Told(Errno::Badf),
        Ok(Descriptor::File(_) | Descriptor::Directory(_)) => return Fate::Told(Errno::Success),
        Ok(Descriptor::Stream(stream)) => stream,
    };
    // What cannot be waited for says why when it is read or written.
    match stream.end() {
        End::Input(source) if reads => {
            let source = source.clone();
            Fate::Awaited(Box::pin(async move { drop(source.readable().await) }))
        }
        End::Output(sink) if !reads => {
            let sink = sink.clone();
            Fate::Awaited(Box::pin(async move { drop(sink.writable().await) }))
        }
        _ => Fate::Never,
    }
}

/// How long it is until a time has come.
fn left(wasi: &Wasi, clock: &types::SubscriptionClock) -> Result<Duration, Errno> {
    let now = wasi.clocks.now(clock.id)?;
    let is_absolute = clock
        .flags
        .contains(Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME);
    let begin = if is_absolute { now } else { 0 };
    Ok(Duration::from_nanos(clock.timeout.saturating_sub(begin)))
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
