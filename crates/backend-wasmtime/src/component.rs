//! Components, over preview2.

use std::sync::Arc;
use std::time::Instant;

use wasmrun_core::{Artifact, Code, Control, Outcome, Ran, Result, Task};
use wasmrun_wasi_preview1::{block_on, context};
use wasmtime::component::{Component, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::store::{self, Host};
use crate::variant::Variant;
use crate::{refusal, traps};

/// What components import.
pub(crate) type Linker = wasmtime::component::Linker<Host<World>>;

/// The world of a component.
pub(crate) struct World {
    context: WasiCtx,
    resources: ResourceTable,
}

impl WasiView for Host<World> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.world.context,
            table: &mut self.world.resources,
        }
    }
}

/// Every interface of preview2.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(linker)
}

/// A compiled component whose imports are found.
pub(crate) struct ComponentCode {
    variant: Arc<Variant>,
    component: Component,
    command: CommandPre<Host<World>>,
}

impl ComponentCode {
    pub(crate) fn compile(variant: Arc<Variant>, bytes: &[u8]) -> Result<Self> {
        let component = Component::new(variant.engine(), bytes).map_err(refusal::of_code)?;
        ComponentCode::of(variant, component)
    }

    pub(crate) fn load(variant: Arc<Variant>, artifact: Artifact) -> Result<Self> {
        // SAFETY: whoever made the artifact vouches for the file; see `Artifact::trusted`.
        let component = unsafe { Component::deserialize_file(variant.engine(), artifact.path()) };
        ComponentCode::of(variant, component.map_err(refusal::of_artifact)?)
    }

    fn of(variant: Arc<Variant>, component: Component) -> Result<Self> {
        let command = variant
            .components()?
            .instantiate_pre(&component)
            .and_then(CommandPre::new)
            .map_err(refusal::of_imports)?;
        Ok(ComponentCode {
            variant,
            component,
            command,
        })
    }
}

impl Code for ComponentCode {
    // A component has one entry, so whichever name was asked for is that of `wasi:cli/run`.
    fn run(&self, mut task: Task, control: &Control) -> Result<Ran> {
        let began = Instant::now();
        let world = World {
            context: context(&mut task)?.build(),
            resources: ResourceTable::new(),
        };
        let (mut store, _interruption) = store::make(&self.variant, world, &task.limits, control)?;
        let mut made = None;
        let ended = block_on(control, self.call(&mut store, &mut made));
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

    fn artifact(&self) -> Result<Option<Vec<u8>>> {
        let artifact = self.component.serialize();
        artifact.map(Some).map_err(refusal::of_keeping)
    }
}

impl ComponentCode {
    /// Makes the component, notes when that was done, and runs it.
    async fn call(
        &self,
        store: &mut Store<Host<World>>,
        made: &mut Option<Instant>,
    ) -> wasmtime::Result<Result<(), ()>> {
        let command = self.command.instantiate_async(&mut *store).await?;
        *made = Some(Instant::now());
        command.wasi_cli_run().call_run(store).await
    }
}
