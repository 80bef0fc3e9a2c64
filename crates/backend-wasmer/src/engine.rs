//! The engine: its identity, what it can do, and how it compiles.

use std::borrow::Cow;
use std::sync::Arc;

use wasmrun_core::{
    Artifact, Capability, Code, Compile, Engine, EngineInfo, Guest, GuestKind, Place, Proposals,
    Result, Support, WasiVersion,
};
use wasmrun_wasi_preview1 as wasi;
use wasmrun_wasi_preview2::flattened;

use crate::code::ModuleCode;
use crate::config::{self, PROPOSALS};
use crate::interrupt;
#[cfg(feature = "wasix")]
use crate::wasix::WasixCode;

/// The name of this engine.
pub const NAME: &str = "wasmer";

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
        use Support::{Native, Unsupported};
        let mut capability = flattened::capability(Capability {
            proposals: PROPOSALS,
            memory: Native,
            fuel: Native,
            table_elements: Native,
            reports_trap_kinds: Native,
            reports_fuel: Native,
            reports_peak_memory: Native,
            shared_memories: Native,
            ..wasi::capability(Native)
        });
        if cfg!(feature = "wasix") {
            capability.wasix = Native;
        }
        if !interrupt::SUPPORTED {
            capability.timeout = Unsupported;
            capability.kill = Unsupported;
        }
        capability
    }

    /// wasmer keeps every exception, with a trace of the stack, until the run is over. The imports of a guest for
    /// WASIX are wasmer-wasix's to meet.
    fn capability_for(&self, guest: &Guest) -> Capability {
        let mut capability = flattened::capability_for(guest, self.capability());
        if guest.wasi() == WasiVersion::Wasix {
            capability.host_functions = Support::Unsupported;
        }
        if guest.proposals().contains(Proposals::EXCEPTIONS) {
            capability.memory = Support::Unsupported;
        }
        capability
    }

    fn reason(&self, guest: &Guest, what: &str) -> Option<Cow<'static, str>> {
        let is_limited = self.capability_for(guest).memory.is_supported();
        match what {
            "memory" if !is_limited => Some(
                "it keeps the exceptions that a guest throws, and this one may throw some".into(),
            ),
            _ => flattened::reason(guest, &self.capability(), what),
        }
    }

    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        if compile.guest.kind() == GuestKind::Component {
            return flattened::compile(compile, |module| {
                Ok(Arc::new(ModuleCode::compile(module)?))
            });
        }
        #[cfg(feature = "wasix")]
        if compile.guest.wasi() == WasiVersion::Wasix {
            return Ok(Arc::new(WasixCode::compile(compile)?));
        }
        Ok(Arc::new(ModuleCode::compile(compile)?))
    }

    fn code_identity(&self, Compile { guest, .. }: Compile<'_>) -> Result<Option<Vec<u8>>> {
        let mut identity = config::identity().as_bytes().to_vec();
        identity.extend(flattened::identity(guest));
        Ok(Some(identity))
    }

    fn load(&self, compile: Compile<'_>, artifact: Artifact) -> Result<Arc<dyn Code>> {
        if compile.guest.kind() == GuestKind::Component {
            return flattened::load(compile, artifact, |module, artifact| {
                Ok(Arc::new(ModuleCode::load(module, artifact)?))
            });
        }
        #[cfg(feature = "wasix")]
        if compile.guest.wasi() == WasiVersion::Wasix {
            return Ok(Arc::new(WasixCode::load(compile, artifact)?));
        }
        Ok(Arc::new(ModuleCode::load(compile, artifact)?))
    }
}
