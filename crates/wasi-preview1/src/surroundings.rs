//! What a guest is told of itself and of time, and chance.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::{SysRng, Xoshiro256PlusPlus};
use rand::{Rng, SeedableRng, TryRng};
use wasmrun_core::{Clock, Random, Task, VirtualClock, VirtualTime};
use wasmtime_wasi::p1::types::{Clockid, Errno, Size, Timestamp};
use wiggle::{GuestMemory, GuestPtr};

use crate::Wasi;
use crate::call::{Result, argument, buffer, pointer, running};

/// Strings, each with a NUL behind it.
pub(crate) struct Strings {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Strings {
    pub(crate) fn new<'a>(strings: impl Iterator<Item = [&'a str; 3]>) -> Self {
        let mut all = Strings {
            bytes: Vec::new(),
            starts: Vec::new(),
        };
        for parts in strings {
            // Longer than any guest's memory they are refused as they are written there.
            all.starts.push(all.bytes.len() as u32);
            parts
                .iter()
                .for_each(|part| all.bytes.extend_from_slice(part.as_bytes()));
            all.bytes.push(0);
        }
        all
    }

    /// Puts their number and length into the guest's memory.
    fn sizes(&self, memory: &mut GuestMemory<'_>, count: i32, length: i32) -> Result<()> {
        let length_of = |length: usize| Size::try_from(length).map_err(|_| Errno::Overflow);
        memory.write(pointer(count), length_of(self.starts.len())?)?;
        Ok(memory.write(pointer(length), length_of(self.bytes.len())?)?)
    }

    /// Puts them there, and pointers to them.
    fn put(&self, memory: &mut GuestMemory<'_>, pointers: i32, bytes: i32) -> Result<()> {
        let places = self.starts.iter().flat_map(|start| {
            let place = bytes.cast_unsigned().wrapping_add(*start);
            place.to_le_bytes()
        });
        let places: Vec<u8> = places.collect();
        for (bytes, to) in [(&places, pointers), (&self.bytes, bytes)] {
            let length = Size::try_from(bytes.len()).map_err(|_| Errno::Overflow)?;
            let to = GuestPtr::<[u8]>::new((to.cast_unsigned(), length));
            memory.copy_from_slice(bytes, to)?;
        }
        Ok(())
    }
}

pub(crate) fn args_get(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    argv: i32,
    buffer: i32,
) -> Result<()> {
    wasi.args.put(memory, argv, buffer)
}

pub(crate) fn args_sizes_get(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    count: i32,
    size: i32,
) -> Result<()> {
    wasi.args.sizes(memory, count, size)
}

pub(crate) fn environ_get(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    environ: i32,
    buffer: i32,
) -> Result<()> {
    wasi.env.put(memory, environ, buffer)
}

pub(crate) fn environ_sizes_get(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    count: i32,
    size: i32,
) -> Result<()> {
    wasi.env.sizes(memory, count, size)
}

/// The clocks of a guest: one since 1970, and one since the guest began. There are none of processor time.
pub(crate) enum Clocks {
    /// The host's, of which the wall clock may stand still.
    Host {
        stopped: Option<Timestamp>,
        began: Instant,
    },
    /// Those that only the guest moves.
    Virtual(VirtualClock),
}

impl Clocks {
    /// The host's.
    pub(crate) fn host() -> Self {
        Clocks::Host {
            stopped: None,
            began: Instant::now(),
        }
    }

    pub(crate) fn of(task: &Task) -> Self {
        match (&task.virtual_clock, task.clock) {
            (Some(clock), _) => Clocks::Virtual(clock.clone()),
            (None, Clock::Fixed(nanoseconds)) => Clocks::Host {
                stopped: Some(nanoseconds),
                began: Instant::now(),
            },
            (None, _) => Clocks::host(),
        }
    }

    /// What a clock tells a guest that looks.
    fn read(&self, id: Clockid) -> Result<Timestamp, Errno> {
        match self {
            Clocks::Virtual(clock) => of(clock.read(), id),
            Clocks::Host { .. } => self.now(id),
        }
    }

    /// What a clock would tell.
    pub(crate) fn now(&self, id: Clockid) -> Result<Timestamp, Errno> {
        match (self, id) {
            (Clocks::Virtual(clock), id) => of(clock.peek(), id),
            (Clocks::Host { stopped, .. }, Clockid::Realtime) => {
                let since = || SystemTime::now().duration_since(UNIX_EPOCH);
                Ok(stopped.unwrap_or_else(|| nanoseconds(since().unwrap_or_default())))
            }
            (Clocks::Host { began, .. }, Clockid::Monotonic) => Ok(nanoseconds(began.elapsed())),
            (Clocks::Host { .. }, _) => Err(Errno::Inval),
        }
    }
}

fn of(time: VirtualTime, id: Clockid) -> Result<Timestamp, Errno> {
    match id {
        Clockid::Realtime => Ok(time.wall),
        Clockid::Monotonic => Ok(time.monotonic),
        _ => Err(Errno::Inval),
    }
}

fn nanoseconds(duration: Duration) -> Timestamp {
    Timestamp::try_from(duration.as_nanos()).unwrap_or(Timestamp::MAX)
}

pub(crate) fn clock_res_get(
    _: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    id: i32,
    resolution: i32,
) -> Result<()> {
    match argument(id)? {
        Clockid::Realtime | Clockid::Monotonic => {}
        _ => return Err(Errno::Inval.into()),
    }
    Ok(memory.write(pointer::<Timestamp>(resolution), 1)?)
}

pub(crate) fn clock_time_get(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    id: i32,
    _: i64,
    time: i32,
) -> Result<()> {
    let now = wasi.clocks.read(argument(id)?)?;
    Ok(memory.write(pointer::<Timestamp>(time), now)?)
}

/// Where a guest's random numbers come from.
pub(crate) enum Chance {
    System,
    Seeded(Xoshiro256PlusPlus),
}

impl Chance {
    pub(crate) fn new(random: Random) -> Self {
        match random {
            Random::Seeded(seed) => Chance::Seeded(Xoshiro256PlusPlus::seed_from_u64(seed)),
            _ => Chance::System,
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        match self {
            // A component with this seed gets the same of wasmtime-wasi.
            Chance::Seeded(sequence) => bytes.fill_with(|| sequence.next_u32() as u8),
            Chance::System => SysRng.try_fill_bytes(bytes).map_err(|_| Errno::Io)?,
        }
        Ok(())
    }
}

pub(crate) fn random_get(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    to: i32,
    length: i32,
) -> Result<()> {
    // Gigabytes of them take their time.
    const PIECE: usize = 64 << 10;
    let whole = buffer(to, length);
    if let Some(bytes) = memory.as_slice_mut(whole)? {
        for piece in bytes.chunks_mut(PIECE) {
            running(&wasi.control)?;
            wasi.chance.fill(piece)?;
        }
        return Ok(());
    }
    let mut piece = vec![0; PIECE.min(whole.len() as usize)];
    let mut at = 0;
    while at < whole.len() {
        running(&wasi.control)?;
        let length = (whole.len() - at).min(PIECE as u32);
        let bytes = &mut piece[..length as usize];
        wasi.chance.fill(bytes)?;
        let to = GuestPtr::<[u8]>::new((to.cast_unsigned() + at, length));
        memory.copy_from_slice(bytes, to)?;
        at += length;
    }
    Ok(())
}
