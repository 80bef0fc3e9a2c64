//! A compiled module, and how it runs.

use std::time::Instant;

use wasmi::errors::ErrorKind as Cause;
use wasmi::{Engine, Instance, Linker, Module, Store};
use wasmrun_core::{
    Code, Compile, Control, Entries, Error, ErrorKind, Instantiated, Outcome, Ran, Result, Stats,
    Task,
};
use wasmrun_wasi_preview1::{Imported, Wasi, imported};

use crate::fuel::Fuel;
use crate::limits::Limiter;
use crate::live::{LiveModule, call};
use crate::rewrite::rewritten;
use crate::wasi::Host;
use crate::{config, host, traps, wasi};

/// The export that is the guest's memory for WASI.
const MEMORY: &str = "memory";

/// A compiled module with everything planned that does not differ between runs.
pub(crate) struct ModuleCode {
    module: Module,
    imports: Linker<Host>,
    entries: Entries,
    interruptible: bool,
}

impl ModuleCode {
    pub(crate) fn compile(compile: Compile<'_>) -> Result<Self> {
        let Compile { guest, options, .. } = compile;
        let wasm = rewritten(guest, options.interruptible)?;
        // wasmi's engines keep all code they ever compiled, so each module has one of its own.
        let engine = Engine::new(&config::of(options));
        let module = Module::new(&engine, wasm).map_err(not_compiled)?;
        Ok(ModuleCode {
            imports: imports(&engine, compile)?,
            module,
            entries: Entries::with_start(guest),
            interruptible: options.interruptible,
        })
    }
}

/// The functions that the guest imports, and no others.
fn imports(engine: &Engine, Compile { guest, host, .. }: Compile<'_>) -> Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    // A module may import a function twice.
    linker.allow_shadowing(true);
    for function in imported(guest, host)? {
        let defined = match function {
            Imported::Wasi(function) => wasi::define(&mut linker, function),
            Imported::Host(function) => host::define(&mut linker, &function),
        };
        defined.map_err(|source| {
            let error = Error::new(ErrorKind::Engine, "cannot offer the guest what it imports");
            error.with_source(source)
        })?;
    }
    Ok(linker)
}

fn not_compiled(error: wasmi::Error) -> Error {
    let (kind, message) = match error.kind() {
        Cause::Wasm(_) | Cause::Read(_) => {
            (ErrorKind::Invalid, "the guest is not valid WebAssembly")
        }
        Cause::Translation(_) | Cause::ImplementationLimits(_) | Cause::Ir(_) => {
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
        let mut store = self.store(&mut task, control)?;
        let mut fuel = self.fuel(&mut store, task.limits.fuel, control)?;

        let mut stats = Stats::default();
        let instantiated = self.instance(&mut store)?;
        let started = Instant::now();
        stats.instantiate = Some(started - began);
        let outcome = match instantiated {
            Err(outcome) => outcome,
            Ok(instance) => {
                let entries = self.entries.calls(task.entry());
                let ended = call_all(&mut store, &instance, entries, &mut fuel)?;
                stats.run = Some(started.elapsed());
                ended.unwrap_or(Outcome::Exited(0))
            }
        };
        stats.fuel_used = fuel.used(&store, Some(&outcome));
        stats.peak_memory = Some(store.data().limiter.peak_memory());
        Ok(Ran { outcome, stats })
    }

    fn instantiate(&self, mut task: Task, control: &Control) -> Result<Instantiated> {
        let mut store = self.store(&mut task, control)?;
        let mut fuel = self.fuel(&mut store, task.limits.fuel, control)?;
        let instance = match self.instance(&mut store)? {
            Ok(instance) => instance,
            Err(outcome) => return Ok(Instantiated::Ended(outcome)),
        };
        match call_all(&mut store, &instance, self.entries.before(), &mut fuel)? {
            Some(outcome) => Ok(Instantiated::Ended(outcome)),
            None => {
                let live = LiveModule::new(store, instance, self.interruptible);
                Ok(Instantiated::Live(Box::new(live)))
            }
        }
    }
}

impl ModuleCode {
    fn store(&self, task: &mut Task, control: &Control) -> Result<Store<Host>> {
        let host = Host {
            wasi: Wasi::of(task, control)?,
            memory: None,
            limiter: Limiter::new(task.usage.clone()),
        };
        let mut store = Store::new(self.module.engine(), host);
        store.limiter(|host| &mut host.limiter);
        Ok(store)
    }

    fn fuel<'a>(
        &self,
        store: &mut Store<Host>,
        limit: Option<u64>,
        control: &'a Control,
    ) -> Result<Fuel<'a>> {
        Fuel::fill(store, limit, self.interruptible.then_some(control))
    }

    /// An instance of the module, or how the guest ended instead: its segments may not fit.
    fn instance(&self, store: &mut Store<Host>) -> Result<Result<Instance, Outcome>> {
        match self
            .imports
            .instantiate_and_start(&mut *store, &self.module)
        {
            Ok(instance) => {
                store.data_mut().memory = instance.get_memory(&*store, MEMORY);
                Ok(Ok(instance))
            }
            Err(error) => traps::outcome(error).map(Err),
        }
    }
}

/// Calls exports without parameters, as long as they return. How the guest ended, unless all did.
fn call_all<'a>(
    store: &mut Store<Host>,
    instance: &Instance,
    entries: impl Iterator<Item = &'a str>,
    fuel: &mut Fuel<'_>,
) -> Result<Option<Outcome>> {
    for name in entries {
        let function = instance.get_func(&*store, name);
        let function = function.ok_or_else(|| Entries::lost(name))?;
        if let Some(outcome) = call(store, function, &[], &mut [], fuel)? {
            return Ok(Some(outcome));
        }
    }
    Ok(None)
}
