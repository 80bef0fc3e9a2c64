//! The engine: its identity, what it can do, and how it compiles.

use std::borrow::Cow;
use std::sync::Arc;

use wasmrun_core::{
    Capability, Code, Compile, Engine, EngineInfo, Guest, GuestKind, Place, Result, Support,
};
use wasmrun_wasi_preview1 as wasi;
use wasmrun_wasi_preview2::flattened;

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
        flattened::capability(Capability {
            proposals: PROPOSALS,
            memory: Native,
            fuel: Native,
            stack: Native,
            table_elements: Native,
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

    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        match compile.guest.kind() {
            GuestKind::Component => flattened::compile(compile, compile_module),
            GuestKind::Module | GuestKind::Package => compile_module(compile),
        }
    }
}

fn compile_module(compile: Compile<'_>) -> Result<Arc<dyn Code>> {
    Ok(Arc::new(ModuleCode::compile(compile)?))
}
