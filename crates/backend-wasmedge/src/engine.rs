//! The engine: its identity, what it can do, and how it compiles.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use wasmrun_core::{
    Capability, Code, Compile, Engine, EngineInfo, Error, ErrorKind, Guest, GuestKind, Place,
    Result, Support,
};
use wasmrun_wasi_preview1 as wasi;
use wasmrun_wasi_preview2::flattened;

use crate::code::ModuleCode;
use crate::library::{self, Library, Loaded};
use crate::settings::PROPOSALS;

/// The name of this engine.
pub const NAME: &str = "wasmedge";

/// WasmEdge, in this process, with its library.
pub struct WasmEdgeEngine {
    info: EngineInfo,
    library: &'static Library,
}

impl WasmEdgeEngine {
    /// Looks for WasmEdge's library and loads it, for as long as the process lives: from the folder that
    /// `WASMEDGE_LIB_DIR` names, or from that of the installation that `WASMEDGE_DIR` names; without either,
    /// where the system's loader looks and in the usual places.
    ///
    /// # Errors
    ///
    /// [`EngineNotFound`](wasmrun_core::ErrorKind::EngineNotFound), with the way to get it, if there is none or
    /// it is of another release.
    pub fn new() -> Result<WasmEdgeEngine> {
        library::find().map(Self::of)
    }

    /// The same with the library in a file, or in a folder that holds it.
    ///
    /// # Errors
    ///
    /// As for [`new`](WasmEdgeEngine::new).
    pub fn at(path: impl AsRef<Path>) -> Result<WasmEdgeEngine> {
        library::at(path.as_ref()).map(Self::of)
    }

    fn of(Loaded { library, version }: Loaded) -> Self {
        // It would write to standard output. SAFETY: it takes nothing.
        unsafe { library.LogOff() };
        WasmEdgeEngine {
            info: EngineInfo {
                name: NAME.into(),
                version,
                place: Place::InProcess,
            },
            library,
        }
    }
}

impl fmt::Debug for WasmEdgeEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmEdgeEngine")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Engine for WasmEdgeEngine {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        use Support::{Emulated, Native};
        flattened::capability(Capability {
            proposals: PROPOSALS,
            memory: Emulated,
            fuel: Native,
            stack: Emulated,
            table_elements: Emulated,
            reports_trap_kinds: Native,
            reports_fuel: Native,
            reports_peak_memory: Native,
            ..wasi::capability(Native)
        })
    }

    fn capability_for(&self, guest: &Guest) -> Capability {
        flattened::capability_for(guest, self.capability())
    }

    fn reason(&self, guest: &Guest, what: &str) -> Option<Cow<'static, str>> {
        flattened::reason(guest, &self.capability(), what)
    }

    fn set_up(&self, compile: Compile<'_>) -> Result<()> {
        memories_fit(compile.guest)
    }

    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        memories_fit(compile.guest)?;
        let compile_module = |compile: Compile<'_>| -> Result<Arc<dyn Code>> {
            Ok(Arc::new(ModuleCode::compile(self.library, compile)?))
        };
        match compile.guest.kind() {
            GuestKind::Component => flattened::compile(compile, compile_module),
            GuestKind::Module | GuestKind::Package => compile_module(compile),
        }
    }
}

/// What WasmEdge reserves for each memory, whatever its size, and what else a process has.
#[cfg(unix)]
const RESERVED: u64 = 12 << 30;
#[cfg(unix)]
const BESIDE: u64 = 1 << 30;

/// Whether there is address space for the guest's memories. WasmEdge goes on without, and the guest would trap.
#[cfg(unix)]
fn memories_fit(guest: &Guest) -> Result<()> {
    use rustix::process::{Resource, getrlimit};
    let memories = guest.memories().len() as u64;
    let needs = RESERVED.saturating_mul(memories).saturating_add(BESIDE);
    match getrlimit(Resource::As).current {
        Some(limit) if memories > 0 && limit < needs => {
            let message = format!(
                "reserves 12 GiB of address space for each memory, and this process may have {limit} bytes in all"
            );
            Err(Error::new(ErrorKind::Engine, message))
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn memories_fit(_: &Guest) -> Result<()> {
    Ok(())
}
