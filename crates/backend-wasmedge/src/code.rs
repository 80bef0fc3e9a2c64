//! A validated module, and how it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::panic::resume_unwind;
use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use wasmrun_core::{
    Code, Compile, Control, Entries, Error, ErrorKind, Limits, Outcome, Ran, Result, Stats, Task,
    Trap, TrapKind,
};
use wasmrun_rewrite::{Parts, USUAL_STACK};
use wasmrun_wasi_preview1::{Imported, Wasi, imported};

use crate::library::{
    AstModule, Async, Bytes, CallResult, Executor, FunctionInstance, GlobalInstance, Library,
    MemoryInstance, ModuleInstance, Store, TableInstance,
};
use crate::native::{Owned, text};
use crate::rewrite::{self, Rewritten};
use crate::settings::settings;
use crate::traps::{self, code};
use crate::wasi::{self, End, Host, PAGE};

/// How often a guest that was told to end is told again, should WasmEdge ever miss it.
const AGAIN_MS: u64 = 100;

/// A validated module with everything planned that does not differ between runs.
pub(crate) struct ModuleCode {
    library: &'static Library,
    module: Module,
    imports: Vec<Imported>,
    has_start: bool,
    entries: Entries,
    stack_limit: u32,
    /// Names of the memories, and what each starts out with in bytes.
    memories: Vec<(String, u64)>,
    tables: u32,
    /// The one that WASI works on.
    exported_memory: Option<usize>,
    interruptible: bool,
}

struct Module(Owned<AstModule>);

// SAFETY: a validated module is only read.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl ModuleCode {
    pub(crate) fn compile(library: &'static Library, compile: Compile<'_>) -> Result<Self> {
        let Compile {
            guest,
            options,
            host,
            ..
        } = compile;
        let parts = Parts::of(guest)?;
        let imports = imported(guest, host)?;
        let stack = options.stack.unwrap_or(USUAL_STACK);
        let rewritten = rewrite::rewritten(guest, &parts, &imports, stack)?;
        let memories = guest.memories().iter().zip(0..);
        Ok(ModuleCode {
            library,
            module: validated(library, &rewritten)?,
            imports,
            has_start: rewritten.has_start,
            entries: Entries::of(guest),
            stack_limit: rewritten.stack_limit,
            memories: memories
                .map(|(memory, number)| (rewrite::memory_name(number), memory.initial_bytes))
                .collect(),
            tables: parts.tables.len() as u32,
            exported_memory: rewritten.exported_memory.map(|memory| memory as usize),
            interruptible: options.interruptible,
        })
    }
}

fn validated(library: &'static Library, Rewritten { wasm, .. }: &Rewritten) -> Result<Module> {
    let settings = settings(library)?;
    // The guest is valid: what WasmEdge says against it is its own.
    let refused = |result| {
        let message = format!("cannot take the guest: {}", library.message(result));
        Error::new(ErrorKind::Unsupported, message)
    };
    let length = u32::try_from(wasm.len()).map_err(|source| {
        Error::new(ErrorKind::Unsupported, "the guest is too large").with_source(source)
    })?;
    // SAFETY: all that is passed is alive, and the bytes are as long as told.
    unsafe {
        let loader = Owned::new(library.LoaderCreate(settings.raw()), library.LoaderDelete)?;
        let mut module = null_mut();
        let bytes = Bytes {
            length,
            start: wasm.as_ptr(),
        };
        let loaded = library.LoaderParseFromBytes(loader.raw(), &mut module, bytes);
        if !library.succeeded(loaded) {
            return Err(refused(loaded));
        }
        let module = Owned::new(module, library.ASTModuleDelete)?;
        let validator = library.ValidatorCreate(settings.raw());
        let validator = Owned::new(validator, library.ValidatorDelete)?;
        let valid = library.ValidatorValidate(validator.raw(), module.raw());
        if !library.succeeded(valid) {
            return Err(refused(valid));
        }
        Ok(Module(module))
    }
}

impl Code for ModuleCode {
    fn run(&self, mut task: Task, control: &Control) -> Result<Ran> {
        let began = Instant::now();
        self.can_have_its_memories()?;
        // Where the guest's calls find it; dropped after all that may call.
        let host = Box::into_raw(Box::new(Host {
            library: self.library,
            wasi: Wasi::of(&mut task, control)?,
            memory: null_mut(),
            end: None,
        }));
        let ran = self.run_with(host, &task, control, began);
        // SAFETY: it was a box, and what had its address is gone.
        let host = unsafe { Box::from_raw(host) };
        match host.end {
            Some(End::Panic(panic)) => resume_unwind(panic),
            _ => ran,
        }
    }
}

impl ModuleCode {
    /// WasmEdge makes a memory that it gets no space for, and writes to it.
    fn can_have_its_memories(&self) -> Result<()> {
        for (_, bytes) in &self.memories {
            let size = usize::try_from(*bytes).unwrap_or(usize::MAX);
            let mut space = Vec::<u8>::new();
            space.try_reserve_exact(size).map_err(|source| {
                let message =
                    format!("there are no {bytes} bytes to be had for the guest's memory");
                Error::new(ErrorKind::Io, message).with_source(source)
            })?;
            black_box(&mut space);
        }
        Ok(())
    }

    fn run_with(
        &self,
        host: *mut Host,
        task: &Task,
        control: &Control,
        began: Instant,
    ) -> Result<Ran> {
        let library = self.library;
        let settings = settings(library)?;
        let mut stats = Stats::default();
        // SAFETY: all that is passed is alive; `host` outlives what gets its address.
        unsafe {
            let counts_fuel = task.limits.fuel.is_some();
            library.ConfigureStatisticsSetCostMeasuring(settings.raw(), counts_fuel);
            let counts = Owned::new(library.StatisticsCreate(), library.StatisticsDelete)?;
            let store = Owned::new(library.StoreCreate(), library.StoreDelete)?;
            let executor = library.ExecutorCreate(settings.raw(), counts.raw());
            let executor = Owned::new(executor, library.ExecutorDelete)?;
            if let Some(fuel) = task.limits.fuel {
                // Not before: making the executor sets it, too.
                library.StatisticsSetCostLimit(counts.raw(), fuel);
            }
            let worlds = self.worlds(host, &executor, &store)?;
            let mut instance = null_mut();
            let made = library.ExecutorInstantiate(
                executor.raw(),
                &mut instance,
                store.raw(),
                self.module.0.raw(),
            );
            let started = Instant::now();
            stats.instantiate = Some(started - began);
            let outcome = if library.succeeded(made) {
                let instance = Instance {
                    library,
                    instance: Owned::new(instance, library.ModuleInstanceDelete)?,
                };
                instance.limit(&task.limits)?;
                if let Some(memory) = self.exported_memory {
                    (*host).memory = instance.memory(&self.memories[memory].0);
                }
                let outcome = self.execute(host, &executor, &instance, task, control)?;
                stats.run = Some(started.elapsed());
                stats.peak_memory = Some(instance.bytes_of(&self.memories, self.tables));
                outcome
            } else {
                self.not_made(made)?
            };
            stats.fuel_used = task
                .limits
                .fuel
                .map(|_| library.StatisticsGetTotalCost(counts.raw()));
            drop(worlds);
            Ok(Ran { outcome, stats })
        }
    }

    /// The modules that the guest imports from.
    ///
    /// # Safety
    ///
    /// As for [`wasi::add`].
    unsafe fn worlds(
        &self,
        host: *mut Host,
        executor: &Owned<Executor>,
        store: &Owned<Store>,
    ) -> Result<Vec<Owned<ModuleInstance>>> {
        let library = self.library;
        let modules: BTreeSet<_> = self.imports.iter().map(Imported::module).collect();
        let mut worlds = Vec::new();
        for module in modules {
            // A module may import a function twice.
            let functions = self.imports.iter().filter(|one| one.module() == module);
            let functions: BTreeMap<_, _> = functions.map(|one| (one.name(), one)).collect();
            // SAFETY: the caller's promise; all else is alive.
            unsafe {
                let world = library.ModuleInstanceCreate(text(module));
                let world = Owned::new(world, library.ModuleInstanceDelete)?;
                for function in functions.into_values() {
                    wasi::add(library, &world, function, host)?;
                }
                let registered =
                    library.ExecutorRegisterImport(executor.raw(), store.raw(), world.raw());
                if !library.succeeded(registered) {
                    return Err(Error::new(ErrorKind::Engine, library.message(registered)));
                }
                worlds.push(world);
            }
        }
        Ok(worlds)
    }

    /// Calls what comes before the entry, and the entry.
    ///
    /// # Safety
    ///
    /// `host` must be that of the instance.
    unsafe fn execute(
        &self,
        host: *mut Host,
        executor: &Owned<Executor>,
        instance: &Instance,
        task: &Task,
        control: &Control,
    ) -> Result<Outcome> {
        let library = self.library;
        let start = self.has_start.then(|| rewrite::START.to_owned());
        let entries = self.entries.calls(task.entry());
        for name in start.into_iter().chain(entries.map(rewrite::function_name)) {
            let function = instance.function(&name)?;
            // SAFETY: the instance is alive, and nothing of the guest runs when this returns.
            let (result, end) = unsafe { (self.call(executor, function, control)?, &(*host).end) };
            match end {
                Some(End::Stop(stop)) => return Ok(stop.clone().outcome()),
                // It goes on when all that is WasmEdge's is gone.
                Some(End::Panic(_)) => return Ok(traps::outcome(library, result)),
                None if library.succeeded(result) => {}
                None => {
                    return Ok(match control.interrupted() {
                        Some(reason) => reason.outcome(),
                        None => self.trapped(instance, result)?,
                    });
                }
            }
        }
        Ok(Outcome::Exited(0))
    }

    /// How a guest ended that nobody ended.
    fn trapped(&self, instance: &Instance, result: CallResult) -> Result<Outcome> {
        let used = instance.value(rewrite::STACK)? as u32;
        if self.library.code(result) == code::UNREACHABLE && used > self.stack_limit {
            let trap = Trap::new(TrapKind::StackOverflow, "the guest's calls nest too deep");
            return Ok(Outcome::Trapped(trap));
        }
        Ok(traps::outcome(self.library, result))
    }

    /// Calls a function to its end, or until the guest is to end.
    ///
    /// # Safety
    ///
    /// The function must be of an instance that is alive.
    unsafe fn call(
        &self,
        executor: &Owned<Executor>,
        function: *const FunctionInstance,
        control: &Control,
    ) -> Result<CallResult> {
        let library = self.library;
        // SAFETY: the caller's promise; no arguments are read and no results written.
        unsafe {
            if !self.interruptible {
                let executor = executor.raw();
                return Ok(library.ExecutorInvoke(executor, function, null(), 0, null_mut(), 0));
            }
            let call = library.ExecutorAsyncInvoke(executor.raw(), function, null(), 0);
            let call = Owned::new(call, library.AsyncDelete)?;
            let running = Arc::new(Running(Mutex::new(Some(call.raw()))));
            let hook = control.on_interrupt({
                let running = running.clone();
                move || running.cancel(library)
            });
            while !library.AsyncWaitFor(call.raw(), AGAIN_MS) {
                if control.interrupted().is_some() {
                    running.cancel(library);
                }
            }
            drop(hook);
            // The hook may still be at work, and must not find what is freed.
            running.ended();
            Ok(library.AsyncGet(call.raw(), null_mut(), 0))
        }
    }

    /// How a guest ended that could not be made: its segments may not fit.
    fn not_made(&self, result: CallResult) -> Result<Outcome> {
        match self.library.code(result) {
            code::DATA_SEGMENT_DOES_NOT_FIT
            | code::ELEMENT_SEGMENT_DOES_NOT_FIT
            | code::MEMORY_OUT_OF_BOUNDS
            | code::TABLE_OUT_OF_BOUNDS
            // A segment costs something, too.
            | code::COST_LIMIT_EXCEEDED => Ok(traps::outcome(self.library, result)),
            _ => Err(Error::new(
                ErrorKind::Engine,
                format!("cannot instantiate the guest: {}", self.library.message(result)),
            )),
        }
    }
}

/// A call under way, as whoever ends the guest sees it: there until it has ended.
struct Running(Mutex<Option<*mut Async>>);

// SAFETY: cancelling is what WasmEdge has for other threads.
unsafe impl Send for Running {}
// SAFETY: as above.
unsafe impl Sync for Running {}

impl Running {
    fn cancel(&self, library: &Library) {
        if let Some(call) = *self.call() {
            // SAFETY: it is there, and stays as long as this is locked.
            unsafe { library.AsyncCancel(call) }
        }
    }

    fn ended(&self) {
        *self.call() = None;
    }

    fn call(&self) -> MutexGuard<'_, Option<*mut Async>> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A guest's instance. Nothing of it runs while one of these methods does.
struct Instance {
    library: &'static Library,
    instance: Owned<ModuleInstance>,
}

impl Instance {
    fn function(&self, name: &str) -> Result<*mut FunctionInstance> {
        // SAFETY: the instance is alive.
        let found = unsafe {
            let instance = self.instance.raw();
            self.library
                .ModuleInstanceFindFunction(instance, text(name))
        };
        if found.is_null() {
            return Err(Entries::lost(name));
        }
        Ok(found)
    }

    fn global(&self, name: &str) -> Result<*mut GlobalInstance> {
        // SAFETY: the instance is alive.
        let found = unsafe {
            let instance = self.instance.raw();
            self.library.ModuleInstanceFindGlobal(instance, text(name))
        };
        if found.is_null() {
            return Err(Entries::lost(name));
        }
        Ok(found)
    }

    /// Null if there is none.
    fn memory(&self, name: &str) -> *mut MemoryInstance {
        // SAFETY: the instance is alive.
        unsafe {
            let instance = self.instance.raw();
            self.library.ModuleInstanceFindMemory(instance, text(name))
        }
    }

    /// Likewise.
    fn table(&self, name: &str) -> *mut TableInstance {
        // SAFETY: the instance is alive.
        unsafe {
            let instance = self.instance.raw();
            self.library.ModuleInstanceFindTable(instance, text(name))
        }
    }

    /// What a global holds.
    fn value(&self, name: &str) -> Result<u64> {
        let global = self.global(name)?;
        // SAFETY: it is alive as long as the instance.
        Ok(unsafe { self.library.GlobalInstanceGetValue(global).bits as u64 })
    }

    /// Tells the guest how far memories and tables may grow.
    fn limit(&self, limits: &Limits) -> Result<()> {
        for (name, limit) in [
            (rewrite::MEMORY_LIMIT, limits.memory.unwrap_or(u64::MAX)),
            (rewrite::TABLE_LIMIT, limits.most_table_elements()),
        ] {
            let global = self.global(name)?;
            // SAFETY: it is alive as long as the instance, and of that type.
            let set = unsafe {
                let value = self.library.ValueGenI64(limit.cast_signed());
                self.library.GlobalInstanceSetValue(global, value)
            };
            if !self.library.succeeded(set) {
                return Err(Entries::lost(name));
            }
        }
        Ok(())
    }

    /// Bytes of all memories and tables: they never shrink.
    fn bytes_of(&self, memories: &[(String, u64)], tables: u32) -> u64 {
        let pages = |(name, _): &(String, u64)| match self.memory(name) {
            memory if memory.is_null() => 0,
            // SAFETY: it is alive as long as the instance.
            memory => unsafe { self.library.MemoryInstanceGetPageSize(memory) },
        };
        let elements = |table| match self.table(&rewrite::table_name(table)) {
            table if table.is_null() => 0,
            // SAFETY: likewise.
            table => u64::from(unsafe { self.library.TableInstanceGetSize(table) }),
        };
        memories.iter().map(pages).sum::<u64>() * PAGE
            + (0..tables).map(elements).sum::<u64>() * Limits::TABLE_ELEMENT_BYTES
    }
}
