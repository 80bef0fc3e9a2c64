//! The engine: what it is, what it can do, and compiling.

use std::sync::{Arc, Mutex, PoisonError};

use wasmrun_core::{
    Artifact, Capability, Code, Compile, Engine, EngineInfo, Error, ErrorKind, GuestKind, Place,
    Result, Support,
};
use wasmrun_wasi_preview1 as wasi;

use crate::component::ComponentCode;
use crate::module::ModuleCode;
use crate::variant::{PROPOSALS, Settings, Variant};

/// The engine's name, as `--engine` takes it.
pub const NAME: &str = "wasmtime";

/// wasmtime, in this process.
///
/// Making one costs nothing; what code needs in common (signal handlers, linkers) is made when the
/// first guest is compiled, once for each set of options, and kept.
#[derive(Debug)]
pub struct WasmtimeEngine {
    info: EngineInfo,
    variants: Mutex<Vec<Arc<Variant>>>,
}

impl WasmtimeEngine {
    /// The engine.
    ///
    /// # Errors
    ///
    /// None on the platforms it builds for today.
    pub fn new() -> Result<Self> {
        Ok(WasmtimeEngine {
            info: EngineInfo {
                name: NAME.into(),
                version: wasmtime_environ::VERSION.into(),
                place: Place::InProcess,
            },
            variants: Mutex::default(),
        })
    }

    fn variant(&self, compile: Compile<'_>) -> Result<Arc<Variant>> {
        let settings = Settings::of(compile)?;
        let mut variants = self.variants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(variant) = variants.iter().find(|variant| variant.is_for(settings)) {
            return Ok(variant.clone());
        }
        let variant = Arc::new(Variant::new(settings)?);
        // Stack sizes are without number, so the programs that have one of their own keep it.
        if settings.stack.is_none() {
            variants.push(variant.clone());
        }
        Ok(variant)
    }
}

impl Engine for WasmtimeEngine {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        use Support::Native;
        Capability {
            proposals: PROPOSALS,
            components: Native,
            preview2: Native,
            working_directory: Native,
            network: Native,
            memory: Native,
            fuel: Native,
            stack: Native,
            table_elements: Native,
            instances: Native,
            reports_trap_kinds: Native,
            reports_fuel: Native,
            reports_peak_memory: Native,
            ..wasi::capability(Native)
        }
    }

    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        let variant = self.variant(compile)?;
        match compile.guest.kind() {
            GuestKind::Module => Ok(Arc::new(ModuleCode::compile(variant, compile)?)),
            GuestKind::Component => Ok(Arc::new(ComponentCode::compile(variant, compile)?)),
            GuestKind::Package => Err(no_packages()),
        }
    }

    fn code_identity(&self, compile: Compile<'_>) -> Result<Option<Vec<u8>>> {
        Ok(Some(self.variant(compile)?.identity().as_bytes().to_vec()))
    }

    fn load(&self, compile: Compile<'_>, artifact: Artifact) -> Result<Arc<dyn Code>> {
        let variant = self.variant(compile)?;
        match compile.guest.kind() {
            GuestKind::Module => Ok(Arc::new(ModuleCode::load(
                variant,
                compile.guest,
                artifact,
            )?)),
            GuestKind::Component => Ok(Arc::new(ComponentCode::load(variant, artifact)?)),
            GuestKind::Package => Err(no_packages()),
        }
    }
}

fn no_packages() -> Error {
    Error::new(ErrorKind::Unsupported, "cannot run packages")
}
