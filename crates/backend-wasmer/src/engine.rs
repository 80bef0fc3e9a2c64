//! The engine: its identity, what it can do, and how it compiles.

use std::sync::Arc;

use wasmrun_core::guest::{GuestKind, WasiVersion};
use wasmrun_core::{
    Artifact, Capability, Code, Compile, Engine, EngineInfo, Error, ErrorKind, Place, Proposals,
    Result, Support,
};
use wasmrun_wasi_preview1::STDIO_IS_INTERRUPTIBLE;

use crate::code::{self, ModuleCode};
use crate::interrupt;

/// The name of this engine.
pub const NAME: &str = "wasmer";

/// What wasmer and its cranelift compiler have switched on, and run.
const PROPOSALS: Proposals = Proposals::WASM2
    .union(Proposals::THREADS)
    .union(Proposals::EXTENDED_CONST)
    .union(Proposals::MULTI_MEMORY)
    .union(Proposals::RELAXED_SIMD)
    .union(Proposals::EXCEPTIONS)
    .union(Proposals::WIDE_ARITHMETIC);

/// wasmer, in this process. Costs nothing until it compiles.
#[derive(Debug)]
pub struct WasmerEngine {
    info: EngineInfo,
}

impl WasmerEngine {
    /// The engine, which is always present.
    ///
    /// # Errors
    ///
    /// None as yet.
    pub fn new() -> Result<WasmerEngine> {
        Ok(WasmerEngine {
            info: EngineInfo {
                name: NAME.into(),
                version: wasmer::sys::vm::VERSION.into(),
                place: Place::InProcess,
            },
        })
    }
}

impl Engine for WasmerEngine {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        use Support::{Emulated, Native, Unsupported};
        let if_supported = |supported| if supported { Native } else { Unsupported };
        let interruptible = if_supported(interrupt::SUPPORTED && STDIO_IS_INTERRUPTIBLE);
        Capability {
            proposals: PROPOSALS,
            modules: Native,
            preview1: Native,
            unstable: Native,
            wasix: if_supported(cfg!(feature = "wasix")),
            args: Native,
            argv0: Native,
            env: Native,
            preopens: Native,
            mapped_preopens: Native,
            read_only_preopens: Native,
            entry: Native,
            memory: Native,
            fuel: Native,
            timeout: interruptible,
            kill: interruptible,
            table_elements: Native,
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
            wasi_threads: Unsupported,
            working_directory: Unsupported,
            stack: Unsupported,
            network: Unsupported,
        }
    }

    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        match (compile.guest.kind(), compile.guest.wasi()) {
            #[cfg(feature = "wasix")]
            (GuestKind::Module, WasiVersion::Wasix) => {
                Ok(Arc::new(crate::wasix::WasixCode::compile(compile)?))
            }
            (
                GuestKind::Module,
                WasiVersion::None | WasiVersion::Unstable | WasiVersion::Preview1,
            ) => Ok(Arc::new(ModuleCode::compile(compile)?)),
            (kind, wasi) => Err(unable(kind, wasi)),
        }
    }

    fn code_identity(&self, _: Compile<'_>) -> Result<Option<Vec<u8>>> {
        Ok(Some(code::IDENTITY.as_bytes().to_vec()))
    }

    fn load(&self, compile: Compile<'_>, artifact: Artifact) -> Result<Arc<dyn Code>> {
        match (compile.guest.kind(), compile.guest.wasi()) {
            #[cfg(feature = "wasix")]
            (GuestKind::Module, WasiVersion::Wasix) => {
                Ok(Arc::new(crate::wasix::WasixCode::load(compile, artifact)?))
            }
            (
                GuestKind::Module,
                WasiVersion::None | WasiVersion::Unstable | WasiVersion::Preview1,
            ) => Ok(Arc::new(ModuleCode::load(compile, artifact)?)),
            (kind, wasi) => Err(unable(kind, wasi)),
        }
    }
}

fn unable(kind: GuestKind, wasi: WasiVersion) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("cannot run a {kind} for WASI {wasi}"),
    )
}
