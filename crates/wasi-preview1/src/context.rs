//! From a checked task to what a guest sees: of a component, the context that wasmtime-wasi's functions work on.

use std::error::Error as StdError;
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use wasmrun_core::stdio::{Input, Output};
use wasmrun_core::{
    Access, Clock, Error, ErrorKind, MemoryMount, Mount, MountSource, Network, Random, Result, Task,
};
use wasmrun_fs::{Directory, Kept, Memory, MemoryLimits, Mounted, Overlay, World};
use wasmtime_wasi::{FsPerms, HostWallClock, WasiCtxBuilder};

use crate::block;
use crate::stdio::{Outputs, Sink, Source, Writer};

/// A WASI context for a component, in which it sees what `task` gives it and nothing else, and what is to be
/// [written](Outputs::written) at its end. Takes the task's streams.
///
/// Waiting in it is done by futures that [`block_on`](crate::block_on) can cut short.
///
/// # Errors
///
/// [`Preopen`](ErrorKind::Preopen) for a directory that cannot be opened, [`Io`](ErrorKind::Io) for
/// a stream that cannot be used.
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
    let mut context = surroundings(task)?;
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

/// The files that the guest sees, if it sees any.
pub(crate) fn world(task: &Task) -> Result<Option<World>> {
    if task.mounts.is_empty() {
        return Ok(None);
    }
    let mounts = task.mounts.iter().map(|mount| mounted(task, mount));
    Ok(Some(World::new(mounts.collect::<Result<_>>()?)))
}

fn mounted(task: &Task, mount: &Mount) -> Result<Mounted> {
    let at = |root| Mounted::new(&mount.path, root, mount.access);
    match &mount.source {
        MountSource::File(host) => Mounted::bind_file(host, &mount.path, mount.access)
            .map_err(|error| unopened(host, mount, error)),
        MountSource::Overlay(overlay) => {
            let lowers = overlay.lower.iter().map(|lower| root(task, mount, lower));
            let lowers: Vec<_> = lowers.collect::<Result<_>>()?;
            let changed = Overlay::new(lowers.clone(), root(task, mount, &overlay.upper)?);
            let shown = changed.root();
            let host = matches!(overlay.lower[..], [MountSource::Bind(_), ..]);
            let commits_to = lowers.first().filter(|_| host).cloned();
            let kept = Kept::new(changed, lowers, commits_to);
            task.layers.keep(&mount.path, Arc::new(kept));
            Ok(at(shown))
        }
        MountSource::Memory(_) => {
            let shown = root(task, mount, &mount.source)?;
            let kept = Kept::of_empty(shown.clone());
            task.layers.keep(&mount.path, Arc::new(kept));
            Ok(at(shown))
        }
        source => Ok(at(root(task, mount, source)?)),
    }
}

/// The root of what is mounted.
fn root(task: &Task, mount: &Mount, source: &MountSource) -> Result<Arc<dyn Directory>> {
    match source {
        MountSource::Bind(host) => {
            wasmrun_fs::host(host).map_err(|error| unopened(host, mount, error))
        }
        MountSource::Tar(archive) => tar(archive).map_err(|error| unopened(archive, mount, error)),
        MountSource::Memory(memory) => Ok(in_memory(memory, task.clock).root()),
        other => Err(unknown(other)),
    }
}

#[cfg(unix)]
fn tar(archive: &Path) -> Result<Arc<dyn Directory>, wasmrun_fs::TarError> {
    Ok(wasmrun_fs::Tar::open(archive, wasmrun_fs::TarLimits::default())?.root())
}

#[cfg(not(unix))]
fn tar(_: &Path) -> Result<Arc<dyn Directory>, std::io::Error> {
    Err(std::io::ErrorKind::Unsupported.into())
}

fn in_memory(mount: &MemoryMount, clock: Clock) -> Memory {
    let limits = MemoryLimits {
        bytes: Some(mount.bytes.unwrap_or(MemoryMount::DEFAULT_BYTES)),
        entries: mount.entries,
    };
    match clock {
        Clock::Fixed(nanoseconds) => Memory::with_clock(limits, Arc::new(move || nanoseconds)),
        _ => Memory::new(limits),
    }
}

fn unopened(
    host: &Path,
    mount: &Mount,
    source: impl Into<Box<dyn StdError + Send + Sync>>,
) -> Error {
    let (host, path) = (host.display(), &mount.path);
    let message = format!("cannot open {host} to map it to {path}");
    Error::new(ErrorKind::Preopen, message).with_source(source)
}

fn unknown(source: &MountSource) -> Error {
    let message = format!("{source:?} is not known here as something to mount");
    Error::new(ErrorKind::Unsupported, message)
}

/// What a component sees, without its streams.
fn surroundings(task: &Task) -> Result<WasiCtxBuilder> {
    let mut context = WasiCtxBuilder::new();
    context.args(&task.args).envs(&task.env);
    // Files never make a guest wait for long; what does is waited for in futures.
    context.allow_blocking_current_thread(true);
    for mount in &task.mounts {
        open(&mut context, mount)?;
    }
    if let Some(directory) = &task.working_directory {
        context.initial_cwd(directory);
    }
    if let Clock::Fixed(nanoseconds) = task.clock {
        context.wall_clock(FixedClock(Duration::from_nanos(nanoseconds)));
    }
    if let Random::Seeded(seed) = task.random {
        seed_random(&mut context, seed);
    }
    let reachable = match task.network {
        Network::Denied => false,
        Network::Host => {
            context.inherit_network();
            true
        }
    };
    context
        .allow_tcp(reachable)
        .allow_udp(reachable)
        .allow_ip_name_lookup(reachable);
    Ok(context)
}

fn open(context: &mut WasiCtxBuilder, mount: &Mount) -> Result<()> {
    let MountSource::Bind(host) = &mount.source else {
        return Err(unknown(&mount.source));
    };
    let permissions = match mount.access {
        Access::ReadOnly => FsPerms::ReadOnly,
        Access::ReadWrite => FsPerms::ReadWrite,
    };
    context
        .preopened_dir(host, &mount.path, permissions)
        .map_err(|source| unopened(host, mount, source))?;
    Ok(())
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
