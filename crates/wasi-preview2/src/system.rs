//! What one run of a component has of WASI.

use std::fmt;

use wasmrun_core::{Control, Result, Task};
use wasmrun_wasi_preview1::{Outputs, context};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::sockets::WasiSocketsCtxView;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::Sockets;
use crate::view::{Files, FilesView, FilesViewMut, NetworkView, NetworkViewMut, resources};

/// What one run of a component has of WASI 0.2, and 0.3: what its functions work on, whoever calls them.
pub struct System {
    pub(crate) context: WasiCtx,
    pub(crate) resources: ResourceTable,
    pub(crate) files: Files,
    pub(crate) sockets: Sockets,
    #[cfg(feature = "p3")]
    pub(crate) outputs: Outputs,
}

impl System {
    /// That which `task` gives a run that `control` ends, and what is to be [written](Outputs::written) at its end. Takes
    /// the task's streams.
    ///
    /// # Errors
    ///
    /// Those of [`Files::of`] and [`context`].
    pub fn of(task: &mut Task, control: &Control) -> Result<(Self, Outputs)> {
        let files = Files::of(task, control)?;
        let sockets = Sockets::of(task);
        let (mut context, outputs) = context(task)?;
        sockets.guard(&mut context);
        let system = System {
            context: context.build(),
            resources: resources(),
            files,
            sockets,
            #[cfg(feature = "p3")]
            outputs: outputs.clone(),
        };
        Ok((system, outputs))
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System")
            .field("files", &self.files)
            .field("sockets", &self.sockets)
            .finish_non_exhaustive()
    }
}

impl WasiView for System {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.context,
            table: &mut self.resources,
        }
    }
}

impl FilesView for System {
    fn files(&mut self) -> FilesViewMut<'_> {
        FilesViewMut {
            files: &self.files,
            table: &mut self.resources,
        }
    }
}

impl NetworkView for System {
    fn network(&mut self) -> NetworkViewMut<'_> {
        NetworkViewMut {
            sockets: &mut self.sockets,
            theirs: WasiSocketsCtxView {
                ctx: self.context.sockets(),
                table: &mut self.resources,
            },
        }
    }
}
