//! From what a run is to be shown to the files that it sees.

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;

use wasmrun_core::{Clock, Error, ErrorKind, MemoryMount, Mount, MountSource, Result, Task};

use crate::{Directory, Kept, Memory, MemoryLimits, Mounted, Overlay, World};

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
        let mounts = task.mounts.iter().map(|mount| mounted(task, mount));
        let world = World::new(mounts.collect::<Result<_>>()?);
        Ok(Some(match task.sorted_listings {
            true => world.in_order(),
            false => world,
        }))
    }
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
        MountSource::Bind(host) => crate::host(host).map_err(|error| unopened(host, mount, error)),
        MountSource::Tar(archive) => tar(archive).map_err(|error| unopened(archive, mount, error)),
        MountSource::Memory(memory) => Ok(in_memory(memory, task).root()),
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

fn in_memory(mount: &MemoryMount, task: &Task) -> Memory {
    let limits = MemoryLimits {
        bytes: Some(mount.bytes.unwrap_or(MemoryMount::DEFAULT_BYTES)),
        entries: mount.entries,
    };
    match (&task.virtual_clock, task.clock) {
        (Some(clock), _) => {
            let clock = clock.clone();
            Memory::with_clock(limits, Arc::new(move || clock.peek().wall))
        }
        (None, Clock::Fixed(nanoseconds)) => {
            Memory::with_clock(limits, Arc::new(move || nanoseconds))
        }
        (None, _) => Memory::new(limits),
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
