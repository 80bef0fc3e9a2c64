//! What one run of a guest has of WASI.

use std::fmt;

use wasmrun_core::{Control, Result, Task};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;

use crate::Stop;
use crate::context::world;
use crate::open::Opened;

/// The bytes one call may take from the guest, beyond which it fails: the bound that wasmtime sets.
pub const HOSTCALL_FUEL: u32 = 128 << 20;

/// What one run of a guest has of WASI: the world it sees, and the line on which it is told to end.
pub struct Wasi {
    context: WasiP1Ctx,
    control: Control,
    pub(crate) opened: Opened,
}

impl Wasi {
    /// A run in the world of `context`, ended by `control`.
    pub fn new(context: WasiP1Ctx, control: Control) -> Self {
        Wasi {
            context,
            control,
            opened: Opened::default(),
        }
    }

    /// A run that sees what `task` gives it, and nothing else. Takes the task's streams.
    ///
    /// # Errors
    ///
    /// As for [`context`](crate::context).
    pub fn of(task: &mut Task, control: &Control) -> Result<Self> {
        Ok(Wasi::new(world(task)?.build_p1(), control.clone()))
    }

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
