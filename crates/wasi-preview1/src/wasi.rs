//! What one run of a guest has of WASI.

use std::fmt;
use std::iter;

use wasmrun_core::{Control, HostRun, Interrupt, Random, Result, Task};
use wasmrun_fs::{Listing, World};

use crate::context::Streams;
use crate::descriptors::{Descriptor, Descriptors, OpenDirectory};
use crate::streams::Stream;
use crate::surroundings::{Chance, Clocks, Strings};

/// The bytes one call may take from the guest, beyond which it fails: the bound that wasmtime sets.
pub const HOSTCALL_FUEL: u32 = 128 << 20;

/// Which of the two modules a function is called by, where that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Abi {
    Preview1,
    Unstable,
}

/// What one run of a guest has of WASI: the world it sees, and the line on which it is told to end.
pub struct Wasi {
    pub(crate) control: Control,
    pub(crate) args: Strings,
    pub(crate) env: Strings,
    pub(crate) clocks: Clocks,
    pub(crate) chance: Chance,
    pub(crate) descriptors: Descriptors,
    host: HostRun,
}

impl Wasi {
    /// A run that sees these arguments, `argv[0]` first, and these files, and nothing else. It is ended by `control`.
    pub fn new(args: &[String], files: &World, control: Control) -> Self {
        let descriptors = descriptors(Streams::nowhere(), Some(files));
        Wasi {
            control,
            args: Strings::new(args.iter().map(|arg| ["", "", arg])),
            env: Strings::new(iter::empty()),
            clocks: Clocks::host(),
            chance: Chance::new(Random::default()),
            descriptors,
            host: HostRun::default(),
        }
    }

    /// A run that sees what `task` gives it, and nothing else. Takes the task's streams.
    ///
    /// # Errors
    ///
    /// [`Preopen`](wasmrun_core::ErrorKind::Preopen) for a directory that cannot be opened,
    /// [`Io`](wasmrun_core::ErrorKind::Io) for a stream that cannot be used,
    /// [`Interrupted`](wasmrun_core::ErrorKind::Interrupted) if the run is to end before there are files.
    pub fn of(task: &mut Task, control: &Control) -> Result<Self> {
        let files = World::of(task, control)?;
        let streams = Streams::of(task)?;
        let env = task
            .env
            .iter()
            .map(|(name, value)| [&**name, "=", &**value]);
        Ok(Wasi {
            control: control.clone(),
            args: Strings::new(task.args.iter().map(|arg| ["", "", &**arg])),
            env: Strings::new(env),
            clocks: Clocks::of(task),
            chance: Chance::new(task.random),
            descriptors: descriptors(streams, files.as_ref()),
            host: std::mem::take(&mut task.host),
        })
    }

    /// What functions of the host have of the run, whose calls come the same way.
    pub fn host(&mut self) -> &mut HostRun {
        &mut self.host
    }

    /// Fails if the guest is to end.
    pub(crate) fn running(&self) -> Result<(), Interrupt> {
        crate::call::running(&self.control)
    }
}

/// The descriptors a guest begins with: its standard streams, and the directories it is given.
fn descriptors(streams: Streams, files: Option<&World>) -> Descriptors {
    let streams = Stream::all(streams).into_iter().map(Descriptor::Stream);
    let directories = files.into_iter().flat_map(World::mounts);
    let directories = directories.map(|(path, place)| {
        Descriptor::Directory(OpenDirectory {
            place,
            listing: Listing::default(),
            given: Some(path.to_owned()),
        })
    });
    Descriptors::new(streams.chain(directories))
}

impl fmt::Debug for Wasi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasi")
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}
