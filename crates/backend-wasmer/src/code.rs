//! A compiled module, and how it runs.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use wasmer::sys::wasmparser::Operator;
use wasmer::sys::{
    BaseTunables, CompilerConfig, Cranelift, EngineBuilder, Features, NativeEngineExt,
};
use wasmer::{
    CompileError, Engine, Extern, FunctionEnv, Instance, InstantiationError, LinkError, Module,
    RuntimeError, Store, WasmError,
};
use wasmer_middlewares::Metering;
use wasmer_middlewares::metering::{MeteringPoints, get_remaining_points, set_remaining_points};
use wasmrun_core::guest::{Import, TableDecl, shown};
use wasmrun_core::{
    Code, Compile, Control, Error, ErrorKind, Guest, Outcome, Ran, Result, Stats, Task,
};
use wasmrun_wasi_preview1::Wasi;

use crate::limits::Bounded;
use crate::wasi::{Bind, Host, binding};
use crate::{interrupt, start, traps};

/// What a guest may export to be called before its entry.
const INITIALIZE: &str = "_initialize";

/// The export that is the guest's memory for WASI.
const MEMORY: &str = "memory";

/// A compiled module with everything planned that does not differ between runs.
pub(crate) struct ModuleCode {
    /// wasmer's engines keep all code they ever compiled, so each module has one of its own.
    engine: Engine,
    base: BaseTunables,
    module: Module,
    imports: Vec<Bind>,
    tables: Vec<TableDecl>,
    /// Exports to call before the entry.
    before: Vec<String>,
    /// Where the module's code is, if it is to be interruptible.
    interruptible: Option<Range<usize>>,
    metered: bool,
}

impl ModuleCode {
    pub(crate) fn compile(Compile { guest, options, .. }: Compile<'_>) -> Result<Self> {
        let imports = guest.imports().iter().map(bound).collect::<Result<_>>()?;
        let mut before = Vec::new();
        let rewritten;
        let wasm = if guest.start_section() {
            let taken = |name: &str| guest.exports().iter().any(|export| export.name == name);
            let (module, name) = start::exported(guest.bytes(), taken).map_err(|source| {
                Error::new(ErrorKind::Invalid, "the guest's start section cannot be read")
                    .with_source(source)
            })?;
            before.push(name);
            rewritten = module;
            rewritten.as_slice()
        } else {
            guest.bytes()
        };
        if guest.has_entry(INITIALIZE) {
            before.push(INITIALIZE.into());
        }
        let engine = engine(options.fuel);
        let module = Module::new(&engine, wasm).map_err(not_compiled)?;
        Ok(ModuleCode {
            base: BaseTunables::for_target(engine.target()),
            interruptible: options.interruptible.then(|| extent(&module)),
            metered: options.fuel,
            tables: guest.tables().to_vec(),
            engine,
            module,
            imports,
            before,
        })
    }
}

fn bound(import: &Import) -> Result<Bind> {
    binding(&import.module, &import.name).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("the guest imports {import}, which WASI preview1 does not have"),
        )
    })
}

pub(crate) fn engine(metered: bool) -> Engine {
    let mut compiler = Cranelift::default();
    if metered {
        // Nothing runs before a run says how much it may.
        compiler.push_middleware(Arc::new(Metering::new(0, cost)));
    }
    let mut features = Features::none();
    features
        .reference_types(true)
        .bulk_memory(true)
        .multi_value(true)
        .simd(true)
        .threads(true)
        .extended_const(true)
        .multi_memory(true)
        .relaxed_simd(true)
        .exceptions(true)
        .wide_arithmetic(true);
    EngineBuilder::new(compiler)
        .set_features(Some(features))
        .engine()
        .into()
}

/// The fuel an operator takes: one unit, unless it only gives structure to others.
fn cost(operator: &Operator<'_>) -> u64 {
    use Operator::{Block, Drop, Else, End, Loop, Nop, Return, Unreachable};
    match operator {
        Nop | Drop | Block { .. } | Loop { .. } | Else | End | Unreachable | Return => 0,
        _ => 1,
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
        let bounded = Bounded::new(self.base.clone(), &task.limits, &self.tables, control);
        let memory = bounded.memory();
        let mut engine = self.engine.clone();
        engine.set_tunables(bounded);
        let mut store = Store::new(engine);
        let _interruption = self
            .interruptible
            .clone()
            .map(|code| interrupt::prepare(&mut store, control, code))
            .transpose()?;

        let mut stats = Stats::default();
        let outcome = match self.instantiate(&mut store, &mut task, control)? {
            Err(outcome) => {
                stats.instantiate = Some(began.elapsed());
                outcome
            }
            Ok(instance) => {
                let fuel = task.limits.fuel.filter(|_| self.metered);
                if let Some(fuel) = fuel {
                    set_remaining_points(&mut store, &instance, fuel);
                }
                let started = Instant::now();
                stats.instantiate = Some(started - began);
                let ended = self.call(&mut store, &instance, task.entry.as_deref())?;
                stats.run = Some(started.elapsed());
                let left = fuel.map(|fuel| (fuel, get_remaining_points(&mut store, &instance)));
                match (ended, left) {
                    (Err(_), Some((fuel, MeteringPoints::Exhausted))) => {
                        stats.fuel_used = Some(fuel);
                        Outcome::OutOfFuel
                    }
                    (ended, left) => {
                        stats.fuel_used = left.map(|(fuel, left)| match left {
                            MeteringPoints::Remaining(left) => fuel - left,
                            MeteringPoints::Exhausted => fuel,
                        });
                        ended.map_or_else(traps::outcome, |()| Outcome::Exited(0))
                    }
                }
            }
        };
        stats.peak_memory = Some(memory.peak());
        Ok(Ran { outcome, stats })
    }
}

impl ModuleCode {
    /// An instance of the module, or how the guest ended instead: its segments may not fit.
    fn instantiate(
        &self,
        store: &mut Store,
        task: &mut Task,
        control: &Control,
    ) -> Result<Result<Instance, Outcome>> {
        let host = if self.imports.is_empty() {
            None
        } else {
            let wasi = Wasi::of(task, control)?;
            Some(FunctionEnv::new(store, Host { wasi, memory: None }))
        };
        let imports: Vec<Extern> = host
            .iter()
            .flat_map(|host| self.imports.iter().map(move |bind| (bind, host)))
            .map(|(bind, host)| bind(store, host).into())
            .collect();
        let instance = match Instance::new_by_index(store, &self.module, &imports) {
            Ok(instance) => instance,
            Err(
                InstantiationError::Start(error) | InstantiationError::Link(LinkError::Trap(error)),
            ) => return Ok(Err(traps::outcome(error))),
            Err(error) => return Err(not_instantiated(error)),
        };
        if let Some(host) = host {
            host.as_mut(store).memory = instance.exports.get_memory(MEMORY).ok().cloned();
        }
        Ok(Ok(instance))
    }

    /// Calls what comes before the entry, and the entry.
    fn call(
        &self,
        store: &mut Store,
        instance: &Instance,
        entry: Option<&str>,
    ) -> Result<Result<(), RuntimeError>> {
        let entry = entry.unwrap_or(Guest::DEFAULT_ENTRY);
        let before = self.before.iter().map(String::as_str);
        for name in before.filter(|name| *name != entry).chain([entry]) {
            let function = instance
                .exports
                .get_typed_function::<(), ()>(store, name)
                .map_err(|source| {
                    Error::new(
                        ErrorKind::Engine,
                        format!("lost the guest's function {}", shown(name)),
                    )
                    .with_source(source)
                })?;
            if let Err(error) = function.call(store) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

fn not_instantiated(error: InstantiationError) -> Error {
    let (kind, message) = match &error {
        InstantiationError::Link(LinkError::Import(module, name, _)) => (
            ErrorKind::Invalid,
            format!(
                "the guest imports {}.{} with another type than WASI gives it",
                shown(module),
                shown(name)
            ),
        ),
        _ => (ErrorKind::Engine, "cannot instantiate the guest".into()),
    };
    Error::new(kind, message).with_source(error)
}
