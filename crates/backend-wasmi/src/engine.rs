//! The engine: its identity, what it can do, and how it compiles.

use std::sync::Arc;

use wasmi::{CompilationMode, Config, CustomFuelCosts};
use wasmrun_core::guest::{GuestKind, WasiVersion};
use wasmrun_core::{
    Capability, Code, Compile, CompileOptions, Engine, EngineInfo, Error, ErrorKind, Guest, Place,
    Proposals, Result, Support,
};
use wasmrun_wasi_preview1::STDIO_IS_INTERRUPTIBLE;

use crate::code::ModuleCode;

/// The name of this engine.
pub const NAME: &str = "wasmi";

/// The release that `Cargo.toml` asks for: wasmi does not tell its own.
const VERSION: &str = "2.0.0";

/// What [`config`] has switched on.
const PROPOSALS: Proposals = Proposals::WASM2
    .union(Proposals::TAIL_CALL)
    .union(Proposals::EXTENDED_CONST)
    .union(Proposals::MULTI_MEMORY)
    .union(Proposals::MEMORY64)
    .union(Proposals::RELAXED_SIMD)
    .union(Proposals::WIDE_ARITHMETIC)
    .union(Proposals::CUSTOM_PAGE_SIZES);

/// The stack of a guest for which no other is asked. wasmi's own bound of a thousand calls is too
/// tight for interpreters within the guest.
const DEFAULT_STACK: u64 = 2 << 20;

/// What wasmi keeps of a call besides its values: an address, a place on the stack, an instance.
const FRAME: u64 = 24;

/// wasmi, in this process. Costs nothing until it compiles.
#[derive(Debug)]
pub struct WasmiEngine {
    info: EngineInfo,
}

impl WasmiEngine {
    /// The engine, which is always present.
    ///
    /// # Errors
    ///
    /// None as yet.
    pub fn new() -> Result<WasmiEngine> {
        Ok(WasmiEngine {
            info: EngineInfo {
                name: NAME.into(),
                version: VERSION.into(),
                place: Place::InProcess,
            },
        })
    }
}

impl Engine for WasmiEngine {
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
            memory: Native,
            fuel: Native,
            timeout: ended,
            kill: ended,
            stack: Native,
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
            wasix: Unsupported,
            wasi_threads: Unsupported,
            working_directory: Unsupported,
            network: Unsupported,
        }
    }

    /// A guest that may run out of a slice of fuel in a `table.grow` cannot be paused at all: from there
    /// wasmi 2.0 does not resume it where it stopped, but runs what came before again.
    fn capability_for(&self, guest: &Guest) -> Capability {
        let mut capability = self.capability();
        if guest.grows_tables() {
            capability.timeout = Support::Unsupported;
            capability.kill = Support::Unsupported;
        }
        capability
    }

    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        match (compile.guest.kind(), compile.guest.wasi()) {
            (
                GuestKind::Module,
                WasiVersion::None | WasiVersion::Unstable | WasiVersion::Preview1,
            ) => Ok(Arc::new(ModuleCode::compile(compile)?)),
            (kind, wasi) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("cannot run a {kind} for WASI {wasi}"),
            )),
        }
    }
}

/// How guests are compiled and run.
pub(crate) fn config(options: CompileOptions) -> Config {
    let mut config = Config::default();
    // The other proposals in the list are on by default.
    config
        .wasm_wide_arithmetic(true)
        .wasm_custom_page_sizes(true)
        .consume_fuel(options.fuel || options.interruptible)
        // Validated now, translated when first called: a guest is rarely run whole.
        .compilation_mode(CompilationMode::LazyTranslation)
        // Translating is no work of the guest's, and would make its first run dearer than others.
        .fuel_cost(CustomFuelCosts {
            bytes_copied_per_fuel: 64,
            fuel_per_bytes_translated: 0,
            fuel_per_bytes_validated: 0,
        });
    let half = options.stack.unwrap_or(DEFAULT_STACK) / 2;
    let as_size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    // A maximum below the minimum, which is a kilobyte, would panic.
    config
        .set_min_stack_height(0)
        .set_max_stack_height(as_size(half))
        .set_max_recursion_depth(as_size(half / FRAME));
    config
}
