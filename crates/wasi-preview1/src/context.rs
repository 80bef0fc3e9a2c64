//! From a checked task to a guest's streams, and to the context that wasmtime-wasi's functions work on for a component.

use std::mem;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use wasmrun_core::stdio::{Input, Output};
use wasmrun_core::{Clock, Error, ErrorKind, Random, Result, Task};
use wasmtime_wasi::{HostWallClock, WasiCtxBuilder};

use crate::block;
use crate::stdio::{Outputs, Sink, Source, Writer};

/// A WASI context for a component, in which it sees what `task` gives it and nothing else, and what is to be
/// [written](Outputs::written) at its end. Takes the task's streams. Files and the network are not of it: they are a matter
/// of `wasmrun-wasi-preview2`.
///
/// Waiting in it is done by futures that [`block_on`](crate::block_on) can cut short.
///
/// # Errors
///
/// [`Io`](ErrorKind::Io) for a stream that cannot be used.
pub fn context(task: &mut Task) -> Result<(WasiCtxBuilder, Outputs)> {
    // Here it can still fail; later, a component may have used up the descriptors it needs. (Of those
    // of preview1 some are always left.)
    block::reactor().map_err(|source| {
        Error::new(
            ErrorKind::Io,
            "cannot prepare to wait for streams and clocks",
        )
        .with_source(source)
    })?;
    let streams = Streams::of(task)?;
    let outputs = Outputs {
        stdout: Writer::new(streams.stdout),
        stderr: Writer::new(streams.stderr),
    };
    let mut context = surroundings(task);
    context
        .stdin(streams.stdin)
        .stdout(outputs.stdout.clone())
        .stderr(outputs.stderr.clone());
    Ok((context, outputs))
}

/// The standard streams of a guest.
pub(crate) struct Streams {
    pub(crate) stdin: Source,
    pub(crate) stdout: Sink,
    pub(crate) stderr: Sink,
}

impl Streams {
    /// They lead nowhere.
    pub(crate) fn nowhere() -> Self {
        Streams {
            stdin: Source::Null,
            stdout: Sink::Null,
            stderr: Sink::Null,
        }
    }

    /// Takes those of the task.
    pub(crate) fn of(task: &mut Task) -> Result<Self> {
        Ok(Streams {
            stdin: Source::of(mem::replace(&mut task.stdin, Input::Null))?,
            stdout: Sink::stdout(mem::replace(&mut task.stdout, Output::Null))?,
            stderr: Sink::stderr(mem::replace(&mut task.stderr, Output::Null))?,
        })
    }
}

/// What a component sees, without its streams.
fn surroundings(task: &Task) -> WasiCtxBuilder {
    let mut context = WasiCtxBuilder::new();
    context.args(&task.args).envs(&task.env);
    if let Some(directory) = &task.working_directory {
        context.initial_cwd(directory);
    }
    if let Clock::Fixed(nanoseconds) = task.clock {
        context.wall_clock(FixedClock(Duration::from_nanos(nanoseconds)));
    }
    if let Random::Seeded(seed) = task.random {
        seed_random(&mut context, seed);
    }
    context
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    context
}

/// Every source of random numbers follows from the seed, each with a sequence of its own.
fn seed_random(context: &mut WasiCtxBuilder, seed: u64) {
    let other = seed ^ 0x9e37_79b9_7f4a_7c15;
    context
        .secure_random(Xoshiro256PlusPlus::seed_from_u64(seed))
        .insecure_random(Xoshiro256PlusPlus::seed_from_u64(other))
        .insecure_random_seed(u128::from(seed) << 64 | u128::from(other));
}

struct FixedClock(Duration);

impl HostWallClock for FixedClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}
