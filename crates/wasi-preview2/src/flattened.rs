//! Components on engines that have none: as modules whose imports are functions of the host.

use std::borrow::Cow;
use std::sync::Arc;

use wasmrun_core::guest::WasiVersion;
use wasmrun_core::stdio::{Input, Output};
use wasmrun_core::{
    Artifact, Capability, Code, Compile, Control, ErrorKind, Guest, GuestKind, Network, Outcome,
    Proposals, Ran, Result, Stats, Support, Task,
};
use wasmrun_wasi_preview1::block_on_ready;

use crate::System;
use crate::lowered::{self, State};

/// Compiles a component for an engine that only knows modules: `compile_module` is given the [module](Compile::guest) that
/// it is flattened to, and the [functions](Compile::host) that this imports.
///
/// # Errors
///
/// [`Unsupported`](wasmrun_core::ErrorKind::Unsupported) for a component that cannot be flattened, or that imports what
/// WASI 0.2 does not have, or has with another type; and what `compile_module` returns.
pub fn compile(
    compile: Compile<'_>,
    compile_module: impl FnOnce(Compile<'_>) -> Result<Arc<dyn Code>>,
) -> Result<Arc<dyn Code>> {
    match &*flattened(compile.guest) {
        Ok(Flat { module, instances }) => {
            compile_flattened(compile, module, *instances, compile_module)
        }
        Err(error) => Err(error.clone()),
    }
}

/// Loads what was compiled of a component: as [`compile`], with the artifact of the module.
///
/// # Errors
///
/// As for [`compile`].
pub fn load(
    compile: Compile<'_>,
    artifact: Artifact,
    load_module: impl FnOnce(Compile<'_>, Artifact) -> Result<Arc<dyn Code>>,
) -> Result<Arc<dyn Code>> {
    self::compile(compile, |module| load_module(module, artifact))
}

/// What artifacts depend on beside the engine: a part of [`Engine::code_identity`](wasmrun_core::Engine::code_identity).
pub fn identity(guest: &Guest) -> Vec<u8> {
    match guest.kind() {
        GuestKind::Component => wasmrun_flatten::FINGERPRINT.to_le_bytes().to_vec(),
        GuestKind::Module | GuestKind::Package => Vec::new(),
    }
}

/// Compiles a component that was flattened to this module, of so many core instances, for an engine that only knows
/// modules: `compile_module` is given the [module](Compile::guest), and the [functions](Compile::host) that it imports.
///
/// # Errors
///
/// [`Unsupported`](wasmrun_core::ErrorKind::Unsupported) for a component that imports what WASI 0.2 does not have, or has
/// with another type; and what `compile_module` returns.
pub fn compile_flattened(
    compile: Compile<'_>,
    module: &Guest,
    instances: u64,
    compile_module: impl FnOnce(Compile<'_>) -> Result<Arc<dyn Code>>,
) -> Result<Arc<dyn Code>> {
    lowered::check(compile.guest)?;
    let host = lowered::functions(module, compile.guest, compile.host)?;
    let mut of_module = compile;
    of_module.guest = module;
    of_module.host = &host;
    Ok(Arc::new(FlattenedCode {
        module: compile_module(of_module)?,
        instances,
    }))
}

/// What an engine can do in all that can do this for modules, and has components flattened.
pub fn capability(modules: Capability) -> Capability {
    use Support::Emulated;

    Capability {
        proposals: modules.proposals.union(Proposals::COMPONENT_MODEL),
        components: Emulated,
        preview2: Emulated,
        working_directory: Emulated,
        network: Emulated,
        network_rules: Emulated,
        ..modules
    }
}

/// What of that it can do for this guest, as [`Engine::capability_for`](wasmrun_core::Engine::capability_for) tells it.
pub fn capability_for(guest: &Guest, all: Capability) -> Capability {
    use Support::Unsupported;

    match guest.kind() {
        GuestKind::Component => Capability {
            live: Unsupported,
            components: match refusal(guest, all.proposals) {
                Some(_) => Unsupported,
                None => all.components,
            },
            proposals: all.proposals.union(gone(guest, all.proposals)),
            ..all
        },
        GuestKind::Module | GuestKind::Package => all,
    }
}

/// Why it cannot do that for this guest, as [`Engine::reason`](wasmrun_core::Engine::reason) tells it.
pub fn reason(guest: &Guest, all: &Capability, what: &str) -> Option<Cow<'static, str>> {
    match (guest.kind(), what) {
        (GuestKind::Component, "live") => {
            Some("a component becomes one module here, which is only run".into())
        }
        (GuestKind::Component, "components") => refusal(guest, all.proposals).map(Cow::Owned),
        _ => None,
    }
}

/// What a component is flattened to.
struct Flat {
    module: Guest,
    instances: u64,
}

/// A component is flattened once, however many engines look at it, and not even that if it was before and is kept.
fn flattened(component: &Guest) -> Arc<Result<Flat>> {
    component.derive(|| {
        let store = component.derived_store();
        let identity = identity(component);
        let kept = store.and_then(|store| store.find(component, MAKER, &identity));
        if let Some(flat) = kept.and_then(|kept| Flat::from_kept(component.name(), kept)) {
            return Ok(flat);
        }
        let flattened = wasmrun_flatten::flatten(component)?;
        let flat = Flat {
            module: flattened.module,
            instances: flattened.instances,
        };
        if let Some(store) = store {
            store.keep(component, MAKER, &identity, &flat.to_keep());
        }
        Ok(flat)
    })
}

/// What flattened components are kept under.
const MAKER: &str = "flatten";

/// It is kept as the module, and the number of instances behind that.
impl Flat {
    fn to_keep(&self) -> Vec<u8> {
        [self.module.bytes(), &self.instances.to_le_bytes()].concat()
    }

    /// `None` if it is something else.
    fn from_kept(name: &str, mut kept: Vec<u8>) -> Option<Flat> {
        let instances = *kept.last_chunk()?;
        kept.truncate(kept.len() - instances.len());
        Some(Flat {
            module: Guest::from_bytes(name, kept).ok()?,
            instances: u64::from_le_bytes(instances),
        })
    }
}

/// Whether a component is of the kind that is flattened.
fn is_flattened(component: &Guest) -> bool {
    component.is_command() && component.wasi() == WasiVersion::Preview2
}

/// Why a command of WASI 0.2 is no module for an engine of these proposals. What is wrong with it on every engine is no such
/// reason.
fn refusal(component: &Guest, known: Proposals) -> Option<String> {
    if !is_flattened(component) {
        return None;
    }
    match &*flattened(component) {
        Ok(flat) if flat.module.memories().len() > 1 && !known.contains(Proposals::MULTI_MEMORY) => {
            Some("as one core module this one has several memories, and the engine lacks multi-memory".into())
        }
        Err(error) if error.kind() == ErrorKind::Unsupported => Some(error.message().to_owned()),
        _ => None,
    }
}

/// What a component uses beside these proposals and its module does not: constant expressions that are folded, mostly.
fn gone(component: &Guest, known: Proposals) -> Proposals {
    let unknown = component.proposals().difference(known);
    if unknown.is_empty() || !is_flattened(component) {
        return Proposals::default();
    }
    match &*flattened(component) {
        Ok(flattened) => unknown.difference(flattened.module.proposals()),
        Err(_) => Proposals::default(),
    }
}

/// The code of the module, and what its runs have beside that.
struct FlattenedCode {
    module: Arc<dyn Code>,
    instances: u64,
}

impl Code for FlattenedCode {
    fn run(&self, mut task: Task, control: &Control) -> Result<Ran> {
        let most = task.limits.instances;
        if most.is_some_and(|most| self.instances > most) {
            let (outcome, stats) = (Outcome::OutOfMemory, Stats::default());
            return Ok(Ran { outcome, stats });
        }
        let (system, outputs) = System::of(&mut task, control)?;
        task.host.set_system(State::new(system));
        let ran = self.module.run(of_module(task), control);
        // If it is interrupted, so was the run.
        let _ = block_on_ready(control, outputs.written());
        ran
    }

    fn artifact(&self, control: Option<&Control>) -> Result<Option<Vec<u8>>> {
        self.module.artifact(control)
    }

    fn kept(&self, artifact: &Artifact) {
        self.module.kept(artifact);
    }
}

/// What is left of a task for the module, which has nothing of the world but by the functions that it imports.
fn of_module(task: Task) -> Task {
    let mut task = task;
    task.args = Vec::new();
    task.env = Vec::new();
    task.mounts = Vec::new();
    task.working_directory = None;
    task.stdin = Input::Null;
    task.stdout = Output::Null;
    task.stderr = Output::Null;
    task.network = Network::Denied;
    task.entry = None;
    task
}
