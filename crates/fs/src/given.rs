//! From what a run is to be shown to the files that it sees.

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;

use wasmrun_core::{
    Clock, Control, Error, ErrorKind, MemoryMount, Mount, MountSource, Result, Task,
};

use crate::{Directory, Errno, Kept, Memory, MemoryLimits, Mounted, Overlay, World};

impl World {
    /// The files that a guest sees by its task, if it sees any, in a run that `control` ends. What is in memory is made for
    /// this world, and has the times of the task's clock.
    ///
    /// # Errors
    ///
    /// [`Preopen`](ErrorKind::Preopen) for a directory that cannot be opened, [`Interrupted`](ErrorKind::Interrupted) if the
    /// run is to end before an archive is read.
    pub fn of(task: &Task, control: &Control) -> Result<Option<Self>> {
        if task.mounts.is_empty() {
            return Ok(None);
        }
        let mounts = task.mounts.iter();
        let mounts = mounts.map(|mount| mounted(task, control, mount));
        let world = World::new(mounts.collect::<Result<_>>()?);
        Ok(Some(match task.sorted_listings {
            true => world.in_order(),
            false => world,
        }))
    }
}

fn mounted(task: &Task, control: &Control, mount: &Mount) -> Result<Mounted> {
    let root = |source| root(task, control, mount, source);
    let at = |root| Mounted::new(&mount.path, root, mount.access);
    match &mount.source {
        MountSource::File(host) => Mounted::bind_file(host, &mount.path, mount.access)
            .map_err(|error| unopened(host, mount, error)),
        MountSource::Overlay(overlay) => {
            let lowers = overlay.lower.iter().map(root);
            let lowers: Vec<_> = lowers.collect::<Result<_>>()?;
            let changed = Overlay::new(lowers.clone(), root(&overlay.upper)?);
            let shown = changed.root();
            // Of several, changes to what a deeper one has would not be made in the first.
            let host = matches!(overlay.lower[..], [MountSource::Bind(_)]);
            let commits_to = lowers.first().filter(|_| host).cloned();
            let kept = Kept::new(changed, lowers, commits_to);
            task.layers.keep(&mount.path, Arc::new(kept));
            Ok(at(shown))
        }
        MountSource::Memory(memory) => {
            let shown = in_memory(memory, task);
            let kept = match memory.from.as_deref() {
                None => Kept::of_empty(shown.root()),
                Some(from) => copy(control, mount, (from, root(from)?), &shown)?,
            };
            task.layers.keep(&mount.path, Arc::new(kept));
            Ok(at(shown.root()))
        }
        source => Ok(at(root(source)?)),
    }
}

/// Copies what the memory begins with.
fn copy(
    control: &Control,
    mount: &Mount,
    (from, original): (&MountSource, Arc<dyn Directory>),
    to: &Memory,
) -> Result<Kept> {
    let commits_to = matches!(from, MountSource::Bind(_)).then(|| Arc::clone(&original));
    let go_on = || match control.interrupted() {
        None => Ok(()),
        Some(_) => Err(Errno::Intr),
    };
    Kept::copy(original, to, commits_to, &go_on).map_err(|error| {
        let path = &mount.path;
        let (kind, message) = match error {
            Errno::Intr => (
                ErrorKind::Interrupted,
                format!("{from} was not yet copied into the memory at {path}"),
            ),
            Errno::Nospc => (
                ErrorKind::Preopen,
                format!("{from} does not fit into the memory at {path}; give it a larger size"),
            ),
            _ => (
                ErrorKind::Preopen,
                format!("cannot copy {from} into the memory at {path}"),
            ),
        };
        Error::new(kind, message).with_source(error)
    })
}

/// The root of what is mounted.
fn root(
    task: &Task,
    control: &Control,
    mount: &Mount,
    source: &MountSource,
) -> Result<Arc<dyn Directory>> {
    match source {
        MountSource::Bind(host) => crate::host(host).map_err(|error| unopened(host, mount, error)),
        MountSource::Tar(archive) => {
            let root = tar(control, archive);
            root.map_err(|error| match control.interrupted() {
                Some(_) => Error::new(ErrorKind::Interrupted, error.to_string()),
                None => unopened(archive, mount, error),
            })
        }
        MountSource::Package(package) => {
            let root = volume(control, package);
            root.map_err(|error| match control.interrupted() {
                Some(_) => Error::new(ErrorKind::Interrupted, error.to_string()),
                None => unopened(&package.file, mount, error),
            })
        }
        MountSource::Memory(memory) => Ok(in_memory(memory, task).root()),
        other => Err(unknown(other)),
    }
}

#[cfg(unix)]
fn tar(control: &Control, archive: &Path) -> Result<Arc<dyn Directory>, crate::TarError> {
    let limits = crate::TarLimits::default();
    Ok(crate::Tar::open_until(control, archive, limits)?.root())
}

#[cfg(not(unix))]
fn tar(_: &Control, _: &Path) -> Result<Arc<dyn Directory>, std::io::Error> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(all(unix, feature = "webc"))]
use crate::tar::volume;

#[cfg(not(all(unix, feature = "webc")))]
fn volume(
    _: &Control,
    _: &wasmrun_core::PackageMount,
) -> Result<Arc<dyn Directory>, std::io::Error> {
    let message = "this build of wasmrun does not read packages; it takes the feature `webc`";
    Err(std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        message,
    ))
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
