//! Components, over WASI 0.2 and 0.3, and functions of the host.

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use wasmrun_core::{
    Artifact, Code, Compile, Control, Entries, Error, ErrorKind, Guest, HostRun, Instantiated,
    Outcome, Ran, Result, Task,
};
use wasmrun_memory::Image;
use wasmrun_wasi_preview1::{Outputs, block_on};
use wasmrun_wasi_preview2::{
    FilesView, FilesViewMut, NetworkView, NetworkViewMut, System, add_to_linker, p3,
};
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi::{WasiCtxView, WasiView};

use crate::command::Command;
use crate::epoch::Interruption;
use crate::live_component::LiveComponent;
use crate::store::{self, Host};
use crate::variant::Variant;
use crate::{compiler, data, interfaces, kept, refusal, traps};

pub(crate) type Linker = wasmtime::component::Linker<Host<World>>;

/// What components import.
pub(crate) struct Imports(Linker);

impl std::fmt::Debug for Imports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Imports").finish_non_exhaustive()
    }
}

impl Imports {
    pub(crate) fn new(variant: &Variant) -> Result<Self> {
        linker(variant).map(Imports).map_err(|source| {
            Error::new(ErrorKind::Engine, "cannot offer WASI to guests").with_source(source)
        })
    }
}

/// The world of a component.
pub(crate) struct World {
    pub(crate) system: System,
    /// What functions of the host have of the run.
    pub(crate) host: HostRun,
}

impl WasiView for Host<World> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.world.system.ctx()
    }
}

impl FilesView for Host<World> {
    fn files(&mut self) -> FilesViewMut<'_> {
        self.world.system.files()
    }
}

impl NetworkView for Host<World> {
    fn network(&mut self) -> NetworkViewMut<'_> {
        self.world.system.network()
    }
}

impl p3::SystemView for Host<World> {
    fn system(&mut self) -> &mut System {
        &mut self.world.system
    }
}

/// Every interface of WASI 0.2, and of 0.3 where there are such guests.
fn linker(variant: &Variant) -> wasmtime::Result<Linker> {
    let mut linker = Linker::new(variant.engine());
    add_to_linker(&mut linker)?;
    if variant.is_concurrent() {
        p3::add_to_linker(&mut linker)?;
    }
    Ok(linker)
}

/// A compiled component whose imports are found.
pub(crate) struct ComponentCode {
    variant: Arc<Variant>,
    component: Component,
    instance: InstancePre<Host<World>>,
    /// The same, if it is a command.
    command: Option<Command>,
    /// What its memory is to be made with.
    data: Option<Arc<Image>>,
}

impl ComponentCode {
    pub(crate) fn compile(
        variant: Arc<Variant>,
        imports: &Imports,
        compile: Compile<'_>,
    ) -> Result<Self> {
        let (binary, data) = data::apart(compile)?;
        let component =
            compiler::until_interrupted(compile.control, variant.is_parallel(), || {
                Component::new(variant.engine(), binary).map_err(refusal::of_code)
            })?;
        ComponentCode::of(variant, imports, compile, component, data)
    }

    pub(crate) fn load(
        variant: Arc<Variant>,
        imports: &Imports,
        compile: Compile<'_>,
        artifact: Artifact,
    ) -> Result<Self> {
        let open = || {
            // SAFETY: whoever made the artifact vouches for what is at the path; see `Artifact::trusted`.
            let data = unsafe { data::behind(&File::open(artifact.path())?)? };
            // SAFETY: likewise.
            let component =
                unsafe { Component::deserialize_file(variant.engine(), artifact.path())? };
            Ok((component, data))
        };
        let (component, data) = open().map_err(refusal::of_artifact)?;
        ComponentCode::of(variant, imports, compile, component, data)
    }

    fn of(
        variant: Arc<Variant>,
        imports: &Imports,
        compile: Compile<'_>,
        component: Component,
        data: Option<Image>,
    ) -> Result<Self> {
        let link = || {
            let instance = if compile.host.has_interfaces() {
                let mut linker = imports.0.clone();
                interfaces::offer(&mut linker, compile)?;
                linker.instantiate_pre(&component)?
            } else {
                imports.0.instantiate_pre(&component)?
            };
            let command = compile.guest.is_command();
            let command = command.then(|| Command::of(&instance, compile.guest.wasi()));
            Ok((instance, command.transpose()?))
        };
        let (instance, command) = link().map_err(refusal::of_imports)?;
        Ok(ComponentCode {
            variant,
            component,
            instance,
            command,
            data: data.map(Arc::new),
        })
    }
}

impl Code for ComponentCode {
    fn run(&self, mut task: Task, control: &Control) -> Result<Ran> {
        let began = Instant::now();
        let command = self.command.as_ref();
        let command = command.ok_or_else(|| Entries::lost(Guest::DEFAULT_ENTRY))?;
        task.usage.on_this_thread();
        let (mut store, outputs, _interruption) = self.store(&mut task, control)?;
        let mut made = None;
        let ended = kept::beginning_with(self.data.as_ref(), || {
            block_on(control, async {
                let ended = command.run(task.entry(), &mut store, &mut made).await;
                outputs.written().await;
                ended
            })
        });
        let limiter = &store.data().limiter;
        let outcome = match ended {
            Ok(Ok(Ok(()))) => Outcome::Exited(0),
            Ok(Ok(Err(()))) => Outcome::Exited(1),
            Ok(Err(error)) if made.is_some() => traps::outcome(&error, control),
            Ok(Err(error)) => traps::outcome_of_start(error, control, limiter)?,
            Err(reason) => reason.outcome(),
        };
        let made = made.unwrap_or_else(Instant::now);
        Ok(Ran {
            outcome,
            stats: store::stats(&store, &task.limits, began, made),
        })
    }

    fn instantiate(&self, mut task: Task, control: &Control) -> Result<Instantiated> {
        let (mut store, outputs, _interruption) = self.store(&mut task, control)?;
        let made = kept::beginning_with(self.data.as_ref(), || {
            block_on(control, async {
                let made = self.instance.instantiate_async(&mut store).await;
                outputs.written().await;
                made
            })
        });
        Ok(match made {
            Ok(Ok(instance)) => {
                let variant = self.variant.clone();
                let live = LiveComponent::new(variant, store, instance, outputs);
                Instantiated::Live(Box::new(live))
            }
            Ok(Err(error)) => {
                let limiter = &store.data().limiter;
                Instantiated::Ended(traps::outcome_of_start(error, control, limiter)?)
            }
            Err(reason) => Instantiated::Ended(reason.outcome()),
        })
    }

    fn artifact(&self, _: Option<&Control>) -> Result<Option<Vec<u8>>> {
        let code = self.component.serialize();
        let artifact = code.and_then(|code| Ok(data::artifact(code, self.data.as_deref())?));
        artifact.map(Some).map_err(refusal::of_keeping)
    }
}

impl ComponentCode {
    /// A store for an instance, what it writes to, and what it can be interrupted by as long as that is kept.
    fn store(
        &self,
        task: &mut Task,
        control: &Control,
    ) -> Result<(Store<Host<World>>, Outputs, Option<Interruption>)> {
        let (system, outputs) = System::of(task, control)?;
        let world = World {
            system,
            host: std::mem::take(&mut task.host),
        };
        let usage = task.usage.clone();
        let (store, interruption) =
            store::make(&self.variant, world, &task.limits, usage, control)?;
        Ok((store, outputs, interruption))
    }
}
