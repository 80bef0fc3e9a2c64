//! Core modules, over preview1 and functions of the host.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use wasmrun_core::{
    Artifact, Code, Compile, Control, Entries, HostFunctions, Instantiated, Outcome, Ran, Result,
    Task,
};
use wasmrun_memory::Image;
use wasmrun_wasi_preview1::{Wasi, imported};
use wasmtime::{Instance, InstancePre, Linker, Module, Store};

use crate::epoch::Interruption;
use crate::live::LiveModule;
use crate::store::{self, Host};
use crate::variant::Variant;
use crate::world::{self, World};
use crate::{compiler, data, host, kept, refusal, traps};

/// What the module imports of WASI and of the host, and nothing else: to offer all of it takes several times as long
/// as a small guest runs.
fn linker(module: &Module, functions: &HostFunctions) -> wasmtime::Result<Linker<Host<World>>> {
    let mut linker = Linker::new(module.engine());
    let imports: BTreeSet<_> = module
        .imports()
        .map(|import| (import.module(), import.name()))
        .collect();
    for (module, name) in imports {
        match functions.get(module, name) {
            Some(function) => host::offer(&mut linker, function)?,
            None => world::offer(&mut linker, module, name)?,
        }
    }
    Ok(linker)
}

/// A compiled module whose imports are found.
pub(crate) struct ModuleCode {
    variant: Arc<Variant>,
    module: InstancePre<Host<World>>,
    /// What its memory is to be made with.
    data: Option<Arc<Image>>,
    entries: Entries,
}

impl ModuleCode {
    pub(crate) fn compile(variant: Arc<Variant>, compile: Compile<'_>) -> Result<Self> {
        let (binary, data) = data::apart(compile)?;
        let module = compiler::until_interrupted(compile.control, variant.is_parallel(), || {
            Module::new(variant.engine(), binary).map_err(refusal::of_code)
        })?;
        imported(compile.guest, compile.host)?;
        ModuleCode::of(variant, compile, module, data)
    }

    pub(crate) fn load(
        variant: Arc<Variant>,
        compile: Compile<'_>,
        artifact: Artifact,
    ) -> Result<Self> {
        let open = || {
            let file = File::open(artifact.path())?;
            // SAFETY: whoever made the artifact vouches for the file; see `Artifact::trusted`.
            let data = unsafe { data::behind(&file)? };
            // SAFETY: likewise.
            let module = unsafe { Module::deserialize_open_file(variant.engine(), file)? };
            Ok((module, data))
        };
        let (module, data) = open().map_err(refusal::of_artifact)?;
        ModuleCode::of(variant, compile, module, data)
    }

    fn of(
        variant: Arc<Variant>,
        compile: Compile<'_>,
        module: Module,
        data: Option<Image>,
    ) -> Result<Self> {
        Ok(ModuleCode {
            entries: Entries::of(compile.guest),
            module: linker(&module, compile.host)
                .and_then(|linker| linker.instantiate_pre(&module))
                .map_err(refusal::of_imports)?,
            data: data.map(Arc::new),
            variant,
        })
    }
}

impl Code for ModuleCode {
    fn run(&self, mut task: Task, control: &Control) -> Result<Ran> {
        let began = Instant::now();
        task.usage.on_this_thread();
        let (mut store, _interruption) = self.store(&mut task, control)?;
        let instance = self.instance(&mut store);
        let made = Instant::now();
        let outcome = match instance {
            Ok(instance) => match call(&mut store, &instance, self.entries.calls(task.entry()))? {
                Ok(()) => Outcome::Exited(0),
                Err(error) => traps::outcome(&error, control),
            },
            Err(error) => traps::outcome_of_start(error, control, &store.data().limiter)?,
        };
        Ok(Ran {
            outcome,
            stats: store::stats(&store, &task.limits, began, made),
        })
    }

    fn instantiate(&self, mut task: Task, control: &Control) -> Result<Instantiated> {
        let (mut store, _interruption) = self.store(&mut task, control)?;
        let ended = match self.instance(&mut store) {
            Err(error) => traps::outcome_of_start(error, control, &store.data().limiter)?,
            Ok(instance) => match call(&mut store, &instance, self.entries.before())? {
                Err(error) => traps::outcome(&error, control),
                Ok(()) => {
                    let live = LiveModule::new(self.variant.clone(), store, instance);
                    return Ok(Instantiated::Live(Box::new(live)));
                }
            },
        };
        Ok(Instantiated::Ended(ended))
    }

    fn artifact(&self, _: Option<&Control>) -> Result<Option<Vec<u8>>> {
        let code = self.module.module().serialize();
        let artifact = code.and_then(|code| Ok(data::artifact(code, self.data.as_deref())?));
        artifact.map(Some).map_err(refusal::of_keeping)
    }
}

impl ModuleCode {
    /// A store for an instance, which can be interrupted as long as the second part is kept.
    fn store(
        &self,
        task: &mut Task,
        control: &Control,
    ) -> Result<(Store<Host<World>>, Option<Interruption>)> {
        let world = World::new(Wasi::of(task, control)?);
        store::make(
            &self.variant,
            world,
            &task.limits,
            task.usage.clone(),
            control,
        )
    }

    fn instance(&self, store: &mut Store<Host<World>>) -> wasmtime::Result<Instance> {
        kept::beginning_with(self.data.as_ref(), || self.module.instantiate(store))
    }
}

/// Calls functions one after the other, as long as they return.
fn call<'a>(
    store: &mut Store<Host<World>>,
    instance: &Instance,
    entries: impl Iterator<Item = &'a str>,
) -> Result<wasmtime::Result<()>> {
    for name in entries {
        let function = instance
            .get_typed_func::<(), ()>(&mut *store, name)
            .map_err(|source| Entries::lost(name).with_source(source))?;
        if let Err(error) = function.call(&mut *store, ()) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}
