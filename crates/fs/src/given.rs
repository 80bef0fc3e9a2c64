//! From what a run is to be shown to the files that it sees.

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;

use wasmrun_core::{Clock, Error, ErrorKind, MemoryMount, Mount, MountSource, Result, Task};

use crate::{Directory, Memory, MemoryLimits, Mounted, World};

impl World {
    /// The files that a guest sees by its task, if it sees any. What is in memory is made for this world, and has the
    /// times of the task's clock.
    ///
    /// # Errors
    ///
    /// [`Preopen`](ErrorKind::Preopen) for a directory that cannot be opened.
    pub fn of(task: &Task) -> Result<Option<Self>> {
        if task.mounts.is_empty() {
            return Ok(None);
        }
        let mounts = task.mounts.iter().map(|mount| mounted(mount, task.clock));
        Ok(Some(World::new(mounts.collect::<Result<_>>()?)))
    }
}

fn mounted(mount: &Mount, clock: Clock) -> Result<Mounted> {
    match &mount.source {
        MountSource::Bind(host) => Mounted::bind(host, &mount.path, mount.access)
            .map_err(|error| unopened(host, mount, error)),
        MountSource::File(host) => Mounted::bind_file(host, &mount.path, mount.access)
            .map_err(|error| unopened(host, mount, error)),
        MountSource::Memory(memory) => {
            let root = in_memory(memory, clock).root();
            Ok(Mounted::new(&mount.path, root, mount.access))
        }
        MountSource::Tar(archive) => {
            let root = tar(archive).map_err(|error| unopened(archive, mount, error))?;
            Ok(Mounted::new(&mount.path, root, mount.access))
        }
        other => Err(unknown(other)),
    }
}

#[cfg(unix)]
fn tar(archive: &Path) -> Result<Arc<dyn Directory>, crate::TarError> {
    Ok(crate::Tar::open(archive, crate::TarLimits::default())?.root())
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
