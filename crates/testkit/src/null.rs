//! An engine that runs no guest: what wasmrun itself does, and costs, shows on it.

use std::fmt;
use std::sync::Arc;

use wasmrun_core::{
    Capability, Code, Compile, Control, Engine, EngineInfo, Outcome, Place, Proposals, Ran, Result,
    Stats, Support, Task,
};

/// An engine whose guests do what a closure does.
///
/// ```
/// use std::sync::Arc;
/// use wasmrun_core::{Guest, Outcome, Program, Result, RunConfig};
/// use wasmrun_testkit::NullEngine;
///
/// # fn main() -> Result<()> {
/// let engine = Arc::new(NullEngine::new(|task, _| Ok(Outcome::Exited(task.args.len() as i32))));
/// let guest = Guest::from_bytes("app.wasm", r#"(module (func (export "_start")))"#)?;
/// let config = RunConfig::new().arg("one").arg("two");
/// let report = Program::compile(engine, &guest, &config)?.run(&config)?;
/// assert_eq!(report.outcome, Outcome::Exited(3));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct NullEngine {
    info: EngineInfo,
    capability: Capability,
    run: Arc<Behaviour>,
}

type Behaviour = dyn Fn(Task, &Control) -> Result<Outcome> + Send + Sync;

impl NullEngine {
    /// An engine that claims to do everything, and whose guests do what `run` does.
    pub fn new(run: impl Fn(Task, &Control) -> Result<Outcome> + Send + Sync + 'static) -> Self {
        NullEngine {
            info: EngineInfo {
                name: "null".into(),
                version: env!("CARGO_PKG_VERSION").into(),
                place: Place::InProcess,
            },
            capability: everything(),
            run: Arc::new(run),
        }
    }

    /// The same with another capability.
    #[must_use]
    pub fn with_capability(mut self, change: impl FnOnce(&mut Capability)) -> Self {
        change(&mut self.capability);
        self
    }
}

/// An engine whose guests return at once.
impl Default for NullEngine {
    fn default() -> Self {
        NullEngine::new(|_, _| Ok(Outcome::Exited(0)))
    }
}

impl fmt::Debug for NullEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NullEngine").finish_non_exhaustive()
    }
}

impl Engine for NullEngine {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        self.capability
    }

    fn compile(&self, _: Compile<'_>) -> Result<Arc<dyn Code>> {
        Ok(Arc::new(NullCode(self.run.clone())))
    }
}

struct NullCode(Arc<Behaviour>);

impl Code for NullCode {
    fn run(&self, task: Task, control: &Control) -> Result<Ran> {
        Ok(Ran {
            outcome: (self.0)(task, control)?,
            stats: Stats::default(),
        })
    }
}

fn everything() -> Capability {
    Capability {
        proposals: Proposals::WASM3
            | Proposals::THREADS
            | Proposals::LEGACY_EXCEPTIONS
            | Proposals::STACK_SWITCHING
            | Proposals::WIDE_ARITHMETIC
            | Proposals::CUSTOM_PAGE_SIZES
            | Proposals::COMPONENT_MODEL
            | Proposals::COMPONENT_ASYNC,
        modules: Support::Native,
        components: Support::Native,
        packages: Support::Native,
        preview1: Support::Native,
        unstable: Support::Native,
        preview2: Support::Native,
        preview3: Support::Native,
        wasix: Support::Native,
        wasi_threads: Support::Native,
        shared_memories: Support::Native,
        live: Support::Native,
        host_functions: Support::Native,
        args: Support::Native,
        argv0: Support::Native,
        env: Support::Native,
        preopens: Support::Native,
        mapped_preopens: Support::Native,
        read_only_preopens: Support::Native,
        file_mounts: Support::Native,
        own_mounts: Support::Native,
        working_directory: Support::Native,
        entry: Support::Native,
        memory: Support::Native,
        fuel: Support::Native,
        timeout: Support::Native,
        kill: Support::Native,
        stack: Support::Native,
        table_elements: Support::Native,
        instances: Support::Native,
        network: Support::Native,
        network_rules: Support::Native,
        fixed_clock: Support::Native,
        virtual_clock: Support::Native,
        seeded_random: Support::Native,
        sorted_listings: Support::Native,
        reports_exit_codes: Support::Native,
        reports_trap_kinds: Support::Native,
        reports_fuel: Support::Native,
        reports_peak_memory: Support::Native,
    }
}
