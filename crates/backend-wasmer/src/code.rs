//! A compiled module, and how it runs.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use wasmer::sys::{BaseTunables, NativeEngineExt};
use wasmer::{
    CompileError, Engine, Extern, Function, FunctionEnv, Instance, InstantiationError, LinkError,
    Module, Store, TypedFunction, WasmError,
};
use wasmrun_core::{
    Artifact, Code, Compile, Control, Entries, Error, ErrorKind, HostFunction, Instantiated,
    Outcome, Ran, Result, Stats, Task,
};
use wasmrun_wasi_preview1::{Imported, Wasi, imported};

use crate::checkpoints::Flag;
use crate::config::{engine, tunables};
use crate::growth;
use crate::interrupt;
use crate::limits::Bounded;
use crate::live::{self, LiveModule, Place};
use crate::wasi::{Bind, Host, binding};
use crate::{exceptions, host, traps};

/// The export that is the guest's memory for WASI.
const MEMORY: &str = "memory";

/// A compiled module with everything planned that does not differ between runs.
pub(crate) struct ModuleCode {
    /// Goes before the engine, which holds its code.
    module: Module,
    /// wasmer's engines keep all code they ever compiled, so each module has one of its own.
    engine: Engine,
    base: BaseTunables,
    imports: Vec<Offer>,
    entries: Entries,
    /// Elements that the guest's tables start out with.
    table_elements: u64,
    /// It looks itself before something [grows](growth).
    looks: bool,
    /// Where the module's code is, if it is to be interruptible.
    interruptible: Option<Range<usize>>,
    metered: bool,
}

impl ModuleCode {
    pub(crate) fn compile(compile: Compile<'_>) -> Result<Self> {
        let guest = compile.guest;
        exceptions::refuse_kept(guest)?;
        let engine = engine(compile, guest.start_export());
        let module = Module::new(&engine, guest.bytes()).map_err(not_compiled)?;
        ModuleCode::of(compile, engine, module)
    }

    pub(crate) fn load(compile: Compile<'_>, from: Artifact) -> Result<Self> {
        let engine = engine(compile, None);
        let module = load(&engine, from)?;
        ModuleCode::of(compile, engine, module)
    }

    fn of(compile: Compile<'_>, engine: Engine, module: Module) -> Result<Self> {
        let Compile {
            guest,
            options,
            host,
            ..
        } = compile;
        let imports = imported(guest, host)?.into_iter().map(Offer::of);
        Ok(ModuleCode {
            base: tunables(),
            interruptible: options.interruptible.then(|| extent(&module)),
            metered: options.fuel,
            table_elements: guest.tables().iter().map(|table| table.initial).sum(),
            looks: guest.grows_tables(),
            module,
            engine,
            imports: imports.collect::<Result<_>>()?,
            entries: Entries::with_start(guest),
        })
    }
}

/// What makes a function that the guest imports, for a run.
enum Offer {
    Wasi(Bind),
    Host(HostFunction),
}

impl Offer {
    fn of(function: Imported) -> Result<Self> {
        match function {
            Imported::Wasi(function) => binding(function)
                .map(Offer::Wasi)
                .ok_or_else(|| Error::new(ErrorKind::Engine, "cannot offer WASI to the guest")),
            Imported::Host(function) => Ok(Offer::Host(function)),
        }
    }

    fn bind(&self, store: &mut Store, host: &FunctionEnv<Host>) -> Function {
        match self {
            Offer::Wasi(bind) => bind(store, host),
            Offer::Host(function) => host::bind(store, host, function),
        }
    }
}

/// The module in a file that [`artifact`] once filled.
pub(crate) fn load(engine: &Engine, artifact: Artifact) -> Result<Module> {
    // SAFETY: whoever made the artifact vouches for the file; see `Artifact::trusted`.
    let module = unsafe { Module::deserialize_from_file(engine, artifact.path()) };
    module.map_err(|source| {
        Error::new(ErrorKind::Engine, "cannot load compiled code").with_source(source)
    })
}

/// A compiled module, in wasmer's own form.
pub(crate) fn artifact(module: &Module) -> Result<Option<Vec<u8>>> {
    match module.serialize() {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(source) => {
            let error = Error::new(ErrorKind::Engine, "cannot write compiled code");
            Err(error.with_source(source))
        }
    }
}

/// From the first byte of the module's functions to the last.
fn extent(module: &Module) -> Range<usize> {
    let functions = module
        .sys_artifact()
        .and_then(|artifact| artifact.finished_function_extents())
        .unwrap_or_default();
    functions
        .iter()
        .map(|(_, function)| {
            let begin = function.ptr.0.addr();
            begin..begin + function.length
        })
        .reduce(|all, one| all.start.min(one.start)..all.end.max(one.end))
        .unwrap_or_default()
}

pub(crate) fn not_compiled(error: CompileError) -> Error {
    let (kind, message) = match &error {
        CompileError::Validate(_) | CompileError::Wasm(WasmError::InvalidWebAssembly { .. }) => {
            (ErrorKind::Invalid, "the guest is not valid WebAssembly")
        }
        CompileError::UnsupportedFeature(_)
        | CompileError::Wasm(WasmError::Unsupported(_) | WasmError::ImplLimitExceeded) => {
            (ErrorKind::Unsupported, "cannot compile the guest")
        }
        _ => (ErrorKind::Engine, "cannot compile the guest"),
    };
    Error::new(kind, message).with_source(error)
}

impl Code for ModuleCode {
    fn run(&self, mut task: Task, control: &Control) -> Result<Ran> {
        let began = Instant::now();
        task.usage.on_this_thread();
        let mut place = self.place(&task, control)?;
        let interruption = place.interruption.as_ref();
        let _hook = interruption.map(|interruption| interruption.by(control));

        let mut stats = Stats::default();
        let instantiated = self.instance(&mut place.store, &mut task, control)?;
        let started = Instant::now();
        stats.instantiate = Some(started - began);
        let mut tables_grown = 0;
        let outcome = match instantiated {
            Err(outcome) => outcome,
            Ok(instance) => {
                let store = &mut place.store;
                let fuel = task.limits.fuel.filter(|_| self.metered);
                let entries = self.entries.calls(task.entry());
                let (ended, used) = self.call_all(store, &instance, &task, fuel, entries)?;
                stats.run = Some(started.elapsed());
                stats.fuel_used = used;
                tables_grown = growth::grown_bytes(store, &instance);
                ended.unwrap_or(Outcome::Exited(0))
            }
        };
        stats.peak_memory = Some(place.usage.account().bytes() + tables_grown);
        Ok(Ran { outcome, stats })
    }

    fn instantiate(&self, mut task: Task, control: &Control) -> Result<Instantiated> {
        let mut place = self.place(&task, control)?;
        let interruption = place.interruption.as_ref();
        let hook = interruption.map(|interruption| interruption.by(control));
        let instance = match self.instance(&mut place.store, &mut task, control)? {
            Ok(instance) => instance,
            Err(outcome) => return Ok(Instantiated::Ended(outcome)),
        };
        let fuel = task.limits.fuel.filter(|_| self.metered);
        let before = self.entries.before();
        let (ended, _) = self.call_all(&mut place.store, &instance, &task, fuel, before)?;
        drop(hook);
        Ok(match ended {
            Some(outcome) => Instantiated::Ended(outcome),
            None => Instantiated::Live(Box::new(LiveModule::new(place, instance))),
        })
    }

    fn artifact(&self, _: Option<&Control>) -> Result<Option<Vec<u8>>> {
        artifact(&self.module)
    }
}

impl ModuleCode {
    /// A store for an instance, and what there is to be known of it.
    fn place(&self, task: &Task, control: &Control) -> Result<Place> {
        let flag: Option<Arc<Flag>> = self.interruptible.as_ref().map(|_| Arc::default());
        let bounded = Bounded::new(self.base.clone(), task.usage.clone(), control);
        let bounded = bounded.with_flag(flag.clone());
        let mut engine = self.engine.clone();
        engine.set_tunables(bounded);
        let mut store = Store::new(engine);
        let interruption = self
            .interruptible
            .clone()
            .zip(flag)
            .map(|(code, flag)| interrupt::prepare(&mut store, code, flag))
            .transpose()?;
        Ok(Place {
            interruption,
            store,
            usage: task.usage.clone(),
        })
    }

    /// An instance of the module, or how the guest ended instead: its segments may not fit.
    fn instance(
        &self,
        store: &mut Store,
        task: &mut Task,
        control: &Control,
    ) -> Result<Result<Instance, Outcome>> {
        let wasi = Wasi::of(task, control)?;
        let host = FunctionEnv::new(
            store,
            Host {
                wasi,
                memory: None,
                other_memories: Vec::new(),
            },
        );
        let imports: Vec<Extern> = self
            .imports
            .iter()
            .map(|offer| offer.bind(store, &host).into())
            .collect();
        let instance = match Instance::new_by_index(store, &self.module, &imports) {
            Ok(instance) => instance,
            Err(
                InstantiationError::Start(error) | InstantiationError::Link(LinkError::Trap(error)),
            ) => return Ok(Err(traps::outcome(error))),
            Err(error) => return Err(not_instantiated(error)),
        };
        let host = host.as_mut(store);
        host.memory = instance.exports.get_memory(MEMORY).ok().cloned();
        let memories = instance.exports.iter().memories();
        let others = memories.filter(|(name, _)| *name != MEMORY);
        host.other_memories = others
            .map(|(name, memory)| (name.clone(), memory.clone()))
            .collect();
        Ok(Ok(instance))
    }

    /// Calls exports without parameters, as long as they return, with so much fuel. How the guest ended, unless all
    /// did, and what was used of the fuel.
    fn call_all<'a>(
        &self,
        store: &mut Store,
        instance: &Instance,
        task: &Task,
        fuel: Option<u64>,
        entries: impl Iterator<Item = &'a str>,
    ) -> Result<(Option<Outcome>, Option<u64>)> {
        if self.looks {
            growth::limit(store, instance, &task.limits, self.table_elements)?;
        }
        live::with_fuel(store, instance, fuel, |store| {
            for name in entries {
                let function = entry_function(store, instance, name)?;
                if let Err(error) = function.call(store) {
                    return Ok(Some(traps::outcome(error)));
                }
            }
            Ok(None)
        })
    }
}

/// A function to call without arguments; core has seen that it is there.
pub(crate) fn entry_function(
    store: &Store,
    instance: &Instance,
    name: &str,
) -> Result<TypedFunction<(), ()>> {
    let function = instance.exports.get_typed_function(store, name);
    function.map_err(|source| Entries::lost(name).with_source(source))
}

pub(crate) fn not_instantiated(error: InstantiationError) -> Error {
    Error::new(ErrorKind::Engine, "cannot instantiate the guest").with_source(error)
}
