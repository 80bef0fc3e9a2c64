//! What one run of a guest has of WASI.

use std::fmt;

use wasmrun_core::{Control, HostRun, Result, Task};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;

use crate::Stop;
use crate::context::{Streams, world};
use crate::open::Opened;
#[cfg(target_os = "linux")]
use crate::readdir::Listed;
use crate::standard::Standard;
use crate::stdio::Writer;

/// The bytes one call may take from the guest, beyond which it fails: the bound that wasmtime sets.
pub const HOSTCALL_FUEL: u32 = 128 << 20;

/// What one run of a guest has of WASI: the world it sees, and the line on which it is told to end.
pub struct Wasi {
    context: WasiP1Ctx,
    pub(crate) control: Control,
    pub(crate) opened: Opened,
    pub(crate) standard: Standard,
    host: HostRun,
    #[cfg(target_os = "linux")]
    pub(crate) listed: Option<Listed>,
}

impl Wasi {
    /// A run in the world of `context`, ended by `control`. Its standard streams are wasmtime-wasi's, in which
    /// a write that fails has written an unknown part.
    pub fn new(context: WasiP1Ctx, control: Control) -> Self {
        Wasi {
            context,
            control,
            opened: Opened::default(),
            standard: Standard::default(),
            host: HostRun::default(),
            #[cfg(target_os = "linux")]
            listed: None,
        }
    }

    /// A run that sees what `task` gives it, and nothing else. Takes the task's streams.
    ///
    /// # Errors
    ///
    /// As for [`context`](crate::context).
    pub fn of(task: &mut Task, control: &Control) -> Result<Self> {
        let mut context = world(task)?;
        let streams = Streams::of(task)?;
        context
            .stdin(streams.stdin.clone())
            .stdout(Writer::new(streams.stdout.clone()))
            .stderr(Writer::new(streams.stderr.clone()));
        Ok(Wasi {
            standard: Standard::of(streams),
            host: std::mem::take(&mut task.host),
            ..Wasi::new(context.build_p1(), control.clone())
        })
    }

    /// What functions of the host have of the run, whose calls come the same way.
    pub fn host(&mut self) -> &mut HostRun {
        &mut self.host
    }

    /// The guest has closed a descriptor.
    pub(crate) fn closed(&mut self, fd: i32) {
        self.opened.less();
        self.standard.closed(fd);
        self.forget(fd);
    }

    /// The guest has given a descriptor another number, of which what it stood for is closed.
    pub(crate) fn renumbered(&mut self, from: i32, to: i32) {
        self.standard.renumbered(from, to);
        self.forget(from);
    }

    /// A number no longer stands for what it did.
    #[cfg(target_os = "linux")]
    fn forget(&mut self, fd: i32) {
        self.listed.take_if(|listed| listed.is(fd));
    }

    #[cfg(not(target_os = "linux"))]
    fn forget(&mut self, _: i32) {}

    /// What a call works with, unless the guest is to end.
    pub(crate) fn enter(&mut self) -> Result<(&mut WasiP1Ctx, &Control), Stop> {
        if let Some(reason) = self.control.interrupted() {
            return Err(reason.into());
        }
        self.context.set_hostcall_fuel(HOSTCALL_FUEL as usize);
        Ok((&mut self.context, &self.control))
    }
}

impl fmt::Debug for Wasi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasi")
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}
