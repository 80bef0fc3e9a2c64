//! A compiled module, and how it runs.

use std::time::Instant;

use wasmi::errors::ErrorKind as Cause;
use wasmi::{Engine, Instance, Linker, Module, Store, TypedFunc, TypedResumableCall};
use wasmrun_core::{
    Code, Compile, Control, Entries, Error, ErrorKind, Outcome, Ran, Result, Stats, Task,
};
use wasmrun_wasi_preview1::{Imported, Wasi, imported};

use crate::fuel::Fuel;
use crate::limits::Limiter;
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
            Imported::Host(function) => host::define(&mut linker, function),
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
        let mut store = Store::new(
            self.module.engine(),
            Host {
                wasi: Wasi::of(&mut task, control)?,
                memory: None,
                limiter: Limiter::new(&task.limits),
            },
        );
        store.limiter(|host| &mut host.limiter);
        let mut fuel = Fuel::fill(
            &mut store,
            task.limits.fuel,
            self.interruptible.then_some(control),
        )?;

        let mut stats = Stats::default();
        let instantiated = self.instantiate(&mut store)?;
        let started = Instant::now();
        stats.instantiate = Some(started - began);
        let outcome = match instantiated {
            Err(outcome) => outcome,
            Ok(instance) => {
                let outcome = self.execute(&mut store, &instance, &task, &mut fuel)?;
                stats.run = Some(started.elapsed());
                outcome
            }
        };
        stats.fuel_used = fuel.used(&store, &outcome);
        stats.peak_memory = Some(store.data().limiter.peak_memory());
        Ok(Ran { outcome, stats })
    }
}

impl ModuleCode {
    /// An instance of the module, or how the guest ended instead: its segments may not fit.
    fn instantiate(&self, store: &mut Store<Host>) -> Result<Result<Instance, Outcome>> {
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

    /// Calls what comes before the entry, and the entry.
    fn execute(
        &self,
        store: &mut Store<Host>,
        instance: &Instance,
        task: &Task,
        fuel: &mut Fuel<'_>,
    ) -> Result<Outcome> {
        for name in self.entries.calls(task.entry()) {
            let function = instance
                .get_typed_func(&*store, name)
                .map_err(|source| Entries::lost(name).with_source(source))?;
            if let Some(outcome) = call(store, function, fuel)? {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Exited(0))
    }
}

/// Calls a function to its end. How the guest ended, unless the function returned.
fn call(
    store: &mut Store<Host>,
    function: TypedFunc<(), ()>,
    fuel: &mut Fuel<'_>,
) -> Result<Option<Outcome>> {
    let mut called = function.call_resumable(&mut *store, ());
    loop {
        called = match called {
            Ok(TypedResumableCall::Finished(())) => return Ok(None),
            Ok(TypedResumableCall::OutOfFuel(paused)) => {
                if let Some(outcome) = fuel.refill(store, paused.required_fuel())? {
                    return Ok(Some(outcome));
                }
                paused.resume(&mut *store)
            }
            Ok(TypedResumableCall::HostTrap(stopped)) => {
                return traps::outcome_of(stopped.host_error()).map(Some);
            }
            Err(error) => return traps::outcome(error).map(Some),
        };
    }
}
