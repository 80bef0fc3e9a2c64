//! The engine: what it is, what it can do, and compiling.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmrun_core::{
    Artifact, Capability, Code, Compile, Engine, EngineInfo, Error, ErrorKind, Guest, GuestKind,
    Place, Result, Support,
};
use wasmrun_wasi_preview1 as wasi;

use crate::component::{ComponentCode, Imports};
use crate::module::ModuleCode;
use crate::variant::{PROPOSALS, Settings, Variant, is_concurrent};

/// The engine's name, as `--engine` takes it.
pub const NAME: &str = "wasmtime";

/// wasmtime, in this process.
///
/// Making one costs nothing; what code needs in common (signal handlers, linkers) is made when the
/// first guest is compiled, once for each set of options, and kept.
#[derive(Debug)]
pub struct WasmtimeEngine {
    info: EngineInfo,
    shared: Mutex<Vec<Arc<Shared>>>,
}

/// What all programs share that are compiled for the same.
#[derive(Debug)]
struct Shared {
    variant: Arc<Variant>,
    /// What components import, once there is one.
    imports: OnceLock<Imports>,
}

impl Shared {
    fn imports(&self) -> Result<&Imports> {
        if let Some(made) = self.imports.get() {
            return Ok(made);
        }
        let made = Imports::new(&self.variant)?;
        Ok(self.imports.get_or_init(|| made))
    }
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
            shared: Mutex::default(),
        })
    }

    fn shared(&self, compile: Compile<'_>) -> Result<Arc<Shared>> {
        let settings = Settings::of(compile)?;
        let mut all = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = all.iter().find(|one| one.variant.is_for(settings)) {
            return Ok(shared.clone());
        }
        let shared = Arc::new(Shared {
            variant: Arc::new(Variant::new(settings)?),
            imports: OnceLock::new(),
        });
        // Stack sizes are without number, so the programs that have one of their own keep it.
        if settings.stack.is_none() {
            all.push(shared.clone());
        }
        Ok(shared)
    }
}

impl Engine for WasmtimeEngine {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        use Support::{Emulated, Native};
        Capability {
            proposals: PROPOSALS,
            components: Native,
            preview2: Native,
            preview3: Native,
            working_directory: Native,
            network: Native,
            network_rules: Emulated,
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

    fn capability_for(&self, guest: &Guest) -> Capability {
        let live = match is_concurrent(guest) {
            true => Support::Unsupported,
            false => Support::Native,
        };
        Capability {
            live,
            ..self.capability()
        }
    }

    fn reason(&self, guest: &Guest, what: &str) -> Option<Cow<'static, str>> {
        (what == "live" && is_concurrent(guest))
            .then_some("a component with asynchronous functions is only run".into())
    }

    fn set_up(&self, compile: Compile<'_>) -> Result<()> {
        self.shared(compile).map(drop)
    }

    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        let shared = self.shared(compile)?;
        let variant = shared.variant.clone();
        match compile.guest.kind() {
            GuestKind::Module => Ok(Arc::new(ModuleCode::compile(variant, compile)?)),
            GuestKind::Component => {
                let imports = shared.imports()?;
                Ok(Arc::new(ComponentCode::compile(variant, imports, compile)?))
            }
            GuestKind::Package => Err(no_packages()),
        }
    }

    fn code_identity(&self, compile: Compile<'_>) -> Result<Option<Vec<u8>>> {
        let identity = self.shared(compile)?.variant.identity();
        Ok(Some(identity.as_bytes().to_vec()))
    }

    fn load(&self, compile: Compile<'_>, artifact: Artifact) -> Result<Arc<dyn Code>> {
        let shared = self.shared(compile)?;
        let variant = shared.variant.clone();
        match compile.guest.kind() {
            GuestKind::Module => Ok(Arc::new(ModuleCode::load(variant, compile, artifact)?)),
            GuestKind::Component => {
                let imports = shared.imports()?;
                let code = ComponentCode::load(variant, imports, compile, artifact)?;
                Ok(Arc::new(code))
            }
            GuestKind::Package => Err(no_packages()),
        }
    }
}

fn no_packages() -> Error {
    Error::new(ErrorKind::Unsupported, "cannot run packages")
}
