//! The engine: its identity, what it can do, and how it compiles.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use wasmrun_core::guest::{GuestKind, WasiVersion};
use wasmrun_core::{
    Capability, Code, Compile, Engine, EngineInfo, Error, ErrorKind, Place, Proposals, Result,
    Support,
};
use wasmrun_wasi_preview1::STDIO_IS_INTERRUPTIBLE;

use crate::code::ModuleCode;
use crate::library::{self, Configure, Library, Loaded, constants};
use crate::native::Owned;

/// The name of this engine.
pub const NAME: &str = "wasmedge";

/// What [`settings`] has switched on; the crate's documentation tells why no more.
const PROPOSALS: Proposals = Proposals::WASM2
    .union(Proposals::TAIL_CALL)
    .union(Proposals::EXTENDED_CONST)
    .union(Proposals::MULTI_MEMORY)
    .union(Proposals::RELAXED_SIMD)
    .union(Proposals::FUNCTION_REFERENCES);

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
    /// [`EngineNotFound`](ErrorKind::EngineNotFound), with the way to get it, if there is none or it is of
    /// another release.
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
        use Support::{Emulated, Native, Unsupported};
        // Without it a guest that waits for its input could not be ended.
        let ended = if STDIO_IS_INTERRUPTIBLE {
            Native
        } else {
            Unsupported
        };
        Capability {
            proposals: PROPOSALS,
            modules: Native,
            preview1: Native,
            unstable: Native,
            args: Native,
            argv0: Native,
            env: Native,
            preopens: Native,
            mapped_preopens: Native,
            read_only_preopens: Native,
            entry: Native,
            memory: Emulated,
            fuel: Native,
            timeout: ended,
            kill: ended,
            stack: Emulated,
            table_elements: Emulated,
            // Core keeps it: a module is one.
            instances: Emulated,
            fixed_clock: Emulated,
            seeded_random: Emulated,
            reports_exit_codes: Native,
            reports_trap_kinds: Native,
            reports_fuel: Native,
            reports_peak_memory: Native,
            components: Unsupported,
            packages: Unsupported,
            preview2: Unsupported,
            wasix: Unsupported,
            wasi_threads: Unsupported,
            working_directory: Unsupported,
            network: Unsupported,
        }
    }

    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        match (compile.guest.kind(), compile.guest.wasi()) {
            (
                GuestKind::Module,
                WasiVersion::None | WasiVersion::Unstable | WasiVersion::Preview1,
            ) => Ok(Arc::new(ModuleCode::compile(self.library, compile)?)),
            (kind, wasi) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("cannot run a {kind} for WASI {wasi}"),
            )),
        }
    }
}

/// How guests are validated and run.
pub(crate) fn settings(library: &Library) -> Result<Owned<Configure>> {
    // SAFETY: new settings, changed before anyone else has them.
    unsafe {
        let settings = Owned::new(library.ConfigureCreate(), library.ConfigureDelete)?;
        library.ConfigureSetWASMStandard(settings.raw(), constants::WASM_2);
        for proposal in [
            constants::TAIL_CALL,
            constants::EXTENDED_CONST,
            constants::MULTI_MEMORIES,
            constants::RELAXED_SIMD,
            constants::FUNCTION_REFERENCES,
        ] {
            library.ConfigureAddProposal(settings.raw(), proposal);
        }
        library.ConfigureSetForceInterpreter(settings.raw(), true);
        Ok(settings)
    }
}
