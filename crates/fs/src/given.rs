//! From what a run is to be shown to the files that it sees.

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;

use wasmrun_core::{Clock, Error, ErrorKind, MemoryMount, Mount, MountSource, Result, Task};

use crate::{Directory, Errno, Kept, Memory, MemoryLimits, Mounted, Overlay, World};

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
        Ok(Some(World::new(mounts.collect::<Result<_>>()?)))
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
            // Of several, changes to what a deeper one has would not be made in the first.
            let host = matches!(overlay.lower[..], [MountSource::Bind(_)]);
            let commits_to = lowers.first().filter(|_| host).cloned();
            let kept = Kept::new(changed, lowers, commits_to);
            task.layers.keep(&mount.path, Arc::new(kept));
            Ok(at(shown))
        }
        MountSource::Memory(memory) => {
            let shown = in_memory(memory, task.clock);
            let kept = match &memory.from {
                None => Kept::of_empty(shown.root()),
                Some(from) => copy(task, mount, from, &shown)?,
            };
            task.layers.keep(&mount.path, Arc::new(kept));
            Ok(at(shown.root()))
        }
        source => Ok(at(root(task, mount, source)?)),
    }
}

/// Copies what the memory begins with.
fn copy(task: &Task, mount: &Mount, from: &MountSource, to: &Memory) -> Result<Kept> {
    let original = root(task, mount, from)?;
    let commits_to = matches!(from, MountSource::Bind(_)).then(|| Arc::clone(&original));
    Kept::copy(original, to, commits_to, &|| Ok(())).map_err(|error| {
        let path = &mount.path;
        let message = match error {
            Errno::Nospc => {
                format!("{from} does not fit into the memory at {path}; give it a larger size")
            }
            _ => format!("cannot copy {from} into the memory at {path}"),
        };
        Error::new(ErrorKind::Preopen, message).with_source(error)
    })
}

/// The root of what is mounted.
fn root(task: &Task, mount: &Mount, source: &MountSource) -> Result<Arc<dyn Directory>> {
    match source {
        MountSource::Bind(host) => crate::host(host).map_err(|error| unopened(host, mount, error)),
        MountSource::Tar(archive) => tar(archive).map_err(|error| unopened(archive, mount, error)),
        MountSource::Memory(memory) => Ok(in_memory(memory, task.clock).root()),
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
