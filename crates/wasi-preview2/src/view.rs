//! What the functions work on.

use std::fmt;

use wasmrun_core::{Control, Result, Task};
use wasmrun_fs::{World, most_open_files};
use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::sockets::WasiSocketsCtxView;

use crate::Sockets;

use crate::clocks::Time;

/// The files that a component sees, its clocks if they are virtual, and the line on which it is told to end. What it has open
/// is in a [table](resources), whose capacity bounds it.
pub struct Files {
    pub(crate) world: Option<World>,
    pub(crate) time: Option<Time>,
    pub(crate) control: Control,
    /// The streams of WASI 0.3 that are served.
    #[cfg(feature = "p3")]
    pub(crate) served: crate::p3::Served,
}

impl Files {
    /// These, of a run that `control` ends.
    pub fn new(world: World, control: Control) -> Self {
        Files {
            world: Some(world),
            time: None,
            control,
            #[cfg(feature = "p3")]
            served: crate::p3::Served::default(),
        }
    }

    /// Those that `task` gives a run that `control` ends.
    ///
    /// # Errors
    ///
    /// [`Preopen`](wasmrun_core::ErrorKind::Preopen) for a directory that cannot be opened,
    /// [`Interrupted`](wasmrun_core::ErrorKind::Interrupted) if the run is to end before there are files.
    pub fn of(task: &Task, control: &Control) -> Result<Self> {
        Ok(Files {
            world: World::of(task, control)?,
            time: task.virtual_clock.clone().map(Time::new),
            control: control.clone(),
            #[cfg(feature = "p3")]
            served: crate::p3::Served::default(),
        })
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Files").field(&self.world).finish()
    }
}

/// A table for what a component holds of the host's: its files, and the streams and events that come of them. Those are
/// no more than [`most_open_files`] together.
pub fn resources() -> ResourceTable {
    let mut resources = ResourceTable::new();
    resources.set_max_capacity(most_open_files() as usize);
    resources
}

/// The state of a store that has [`Files`].
pub trait FilesView: WasiView {
    /// The files, and the table of what is open.
    fn files(&mut self) -> FilesViewMut<'_>;
}

/// The files, and the table of what is open: what the functions of `wasi:filesystem` work on.
pub struct FilesViewMut<'a> {
    /// The files.
    pub files: &'a Files,
    /// What is open.
    pub table: &'a mut ResourceTable,
}

impl fmt::Debug for FilesViewMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FilesViewMut").field(self.files).finish()
    }
}

/// That the data of the functions is a [`FilesViewMut`].
pub(crate) struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = FilesViewMut<'a>;
}

/// The state of a store that has [`Sockets`].
pub trait NetworkView: WasiView {
    /// What a component has of the network, by us and by wasmtime-wasi.
    fn network(&mut self) -> NetworkViewMut<'_>;
}

/// What a component has of the network: what the functions of `wasi:sockets` work on.
pub struct NetworkViewMut<'a> {
    /// What it may do.
    pub sockets: &'a mut Sockets,
    /// What wasmtime-wasi has, and what is open.
    pub theirs: WasiSocketsCtxView<'a>,
}

impl fmt::Debug for NetworkViewMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NetworkViewMut").field(self.sockets).finish()
    }
}

/// That the data of the functions is a [`NetworkViewMut`].
pub(crate) struct HasNetwork;

impl HasData for HasNetwork {
    type Data<'a> = NetworkViewMut<'a>;
}
