//! The engine: its identity, what it can do, and how it compiles.

use std::sync::Arc;

use wasmrun_core::{Capability, Code, Compile, Engine, EngineInfo, Place, Result, Support};
use wasmrun_wasi_preview1 as wasi;

use crate::code::ModuleCode;
use crate::config::PROPOSALS;

/// The name of this engine.
pub const NAME: &str = "wasmi";

/// The release that `Cargo.toml` asks for: wasmi does not tell its own.
const VERSION: &str = "2.0.0";

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
        use Support::Native;
        Capability {
            proposals: PROPOSALS,
            memory: Native,
            fuel: Native,
            stack: Native,
            table_elements: Native,
            reports_trap_kinds: Native,
            reports_fuel: Native,
            reports_peak_memory: Native,
            ..wasi::capability(Native)
        }
    }

    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        Ok(Arc::new(ModuleCode::compile(compile)?))
    }
}
