//! An instance, and calls of its functions.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmrun_core::guest::{FuncSignature, ValueType};
use wasmrun_core::{
    CallLimits, Control, Entries, Error, ErrorKind, HostMemory, Limits, Live, Outcome, Result,
    Stats, Trap, TrapKind, Value,
};
use wasmrun_wasi_preview1::Imported;

use crate::library::{
    Async, CallResult, Configure, Executor, FunctionInstance, GlobalInstance, Library,
    MemoryInstance, ModuleInstance, Statistics, Store, TableInstance, Value as WasmEdgeValue,
};
use crate::native::{Owned, text};
use crate::rewrite;
use crate::traps::{self, code};
use crate::values::{give_all, take_all};
use crate::wasi::{self, End, Host, PAGE};

/// How often a guest that was told to end is told again, should WasmEdge ever miss it.
const AGAIN_MS: u64 = 100;

/// All that an instance needs, and itself once it is made. In the order in which it has to go.
pub(crate) struct Place {
    pub(crate) library: &'static Library,
    pub(crate) instance: Option<Instance>,
    pub(crate) worlds: Vec<Owned<ModuleInstance>>,
    pub(crate) executor: Owned<Executor>,
    pub(crate) store: Owned<Store>,
    pub(crate) counts: Owned<Statistics>,
    pub(crate) _settings: Owned<Configure>,
    /// Where the guest's calls find them.
    pub(crate) imports: Arc<[Imported]>,
    pub(crate) host: HostBox,
    pub(crate) interruptible: bool,
    pub(crate) stack_limit: u32,
}

/// What the guest's calls work with, at an address that they know.
pub(crate) struct HostBox(*mut Host);

impl HostBox {
    pub(crate) fn new(host: Host) -> Self {
        HostBox(Box::into_raw(Box::new(host)))
    }

    pub(crate) fn set_memory(&mut self, memory: *mut MemoryInstance) {
        self.host().memory = memory;
    }

    /// Those that functions of the host ask for by these names.
    pub(crate) fn set_other_memories(&mut self, memories: Vec<(String, *mut MemoryInstance)>) {
        self.host().other_memories = memories;
    }

    /// How a call has ended the guest.
    fn take_end(&mut self) -> Option<End> {
        self.host().end.take()
    }

    fn memory(&mut self) -> *mut MemoryInstance {
        self.host().memory
    }

    fn host(&mut self) -> &mut Host {
        // SAFETY: it was a box, and nothing of the guest runs.
        unsafe { &mut *self.0 }
    }
}

impl Drop for HostBox {
    fn drop(&mut self) {
        // SAFETY: it was a box, and what had its address is gone.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

impl Place {
    /// Makes the modules that the guest imports from.
    pub(crate) fn make_worlds(&mut self) -> Result<()> {
        let library = self.library;
        let modules: BTreeSet<_> = self.imports.iter().map(Imported::module).collect();
        for module in modules {
            // A module may import a function twice.
            let functions = self.imports.iter().filter(|one| one.module() == module);
            let functions: BTreeMap<_, _> = functions.map(|one| (one.name(), one)).collect();
            // SAFETY: imports and host stay where they are, and go after all that has their addresses; all else is
            // alive.
            unsafe {
                let world = library.ModuleInstanceCreate(text(module));
                let world = Owned::new(world, library.ModuleInstanceDelete)?;
                for function in functions.into_values() {
                    wasi::add(library, &world, function, self.host.0)?;
                }
                let registered = library.ExecutorRegisterImport(
                    self.executor.raw(),
                    self.store.raw(),
                    world.raw(),
                );
                if !library.succeeded(registered) {
                    return Err(Error::new(ErrorKind::Engine, library.message(registered)));
                }
                self.worlds.push(world);
            }
        }
        Ok(())
    }

    /// Lets what runs next have that much fuel.
    pub(crate) fn fill(&mut self, fuel: u64) {
        // SAFETY: it is alive.
        unsafe {
            self.library.StatisticsClear(self.counts.raw());
            self.library.StatisticsSetCostLimit(self.counts.raw(), fuel);
        }
    }

    /// What was used of it.
    pub(crate) fn fuel_used(&self) -> u64 {
        // SAFETY: it is alive.
        unsafe { self.library.StatisticsGetTotalCost(self.counts.raw()) }
    }

    /// Bytes of all memories, which have these names, and of so many tables: they never shrink.
    pub(crate) fn peak_memory(&self, memories: &[(String, u64)], tables: u32) -> u64 {
        let instance = self.instance.as_ref();
        instance.map_or(0, |instance| instance.bytes_of(memories, tables))
    }

    /// An exported function.
    pub(crate) fn function(&self, name: &str) -> Result<*mut FunctionInstance> {
        self.made()?.function(name)
    }

    fn made(&self) -> Result<&Instance> {
        let made = self.instance.as_ref();
        made.ok_or_else(|| Error::new(ErrorKind::Engine, "there is no instance"))
    }

    /// Calls one of the instance's functions to its end, or until the guest is to end. How it ended, unless the
    /// function returned.
    pub(crate) fn call(
        &mut self,
        function: *const FunctionInstance,
        params: &[WasmEdgeValue],
        returns: &mut [WasmEdgeValue],
        control: &Control,
    ) -> Result<Option<Outcome>> {
        let library = self.library;
        // SAFETY: the instance is alive.
        let result = unsafe { self.invoke(function, params, returns, control)? };
        match self.host.take_end() {
            Some(End::Stop(stop)) => Ok(Some(stop.outcome())),
            Some(End::Panic(panic)) => resume_unwind(panic),
            None if library.succeeded(result) => Ok(None),
            None => Ok(Some(match control.interrupted() {
                Some(reason) => reason.outcome(),
                None => self.trapped(result)?,
            })),
        }
    }

    /// How a guest ended that nobody ended.
    fn trapped(&self, result: CallResult) -> Result<Outcome> {
        let used = self.made()?.value(rewrite::STACK)? as u32;
        if self.library.code(result) == code::UNREACHABLE && used > self.stack_limit {
            let trap = Trap::new(TrapKind::StackOverflow, "the guest's calls nest too deep");
            return Ok(Outcome::Trapped(trap));
        }
        Ok(traps::outcome(self.library, result))
    }

    /// # Safety
    ///
    /// The function must be of an instance that is alive, and the values of its types.
    unsafe fn invoke(
        &self,
        function: *const FunctionInstance,
        params: &[WasmEdgeValue],
        returns: &mut [WasmEdgeValue],
        control: &Control,
    ) -> Result<CallResult> {
        let library = self.library;
        let executor = self.executor.raw();
        let (given, count) = (params.as_ptr(), params.len() as u32);
        let (room, room_count) = (returns.as_mut_ptr(), returns.len() as u32);
        // SAFETY: the caller's promise; the lists are as long as told.
        unsafe {
            if !self.interruptible {
                return Ok(
                    library.ExecutorInvoke(executor, function, given, count, room, room_count)
                );
            }
            let call = library.ExecutorAsyncInvoke(executor, function, given, count);
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
            Ok(library.AsyncGet(call.raw(), room, room_count))
        }
    }
}

/// An instance that stays.
pub(crate) struct LiveModule {
    place: Place,
    functions: Vec<Function>,
    /// Names of the memories, and what each started out with in bytes.
    memories: Vec<(String, u64)>,
    tables: u32,
    fuel_used: Option<u64>,
}

struct Function {
    function: *const FunctionInstance,
    params: Vec<ValueType>,
    results: Vec<ValueType>,
}

// SAFETY: nothing of WasmEdge's is bound to a thread, and one at a time has all that belongs to an instance.
unsafe impl Send for LiveModule {}

impl LiveModule {
    pub(crate) fn new(place: Place, memories: Vec<(String, u64)>, tables: u32) -> Self {
        LiveModule {
            place,
            functions: Vec::new(),
            memories,
            tables,
            fuel_used: None,
        }
    }
}

impl Live for LiveModule {
    fn function(&mut self, name: &str, signature: &FuncSignature) -> Result<usize> {
        self.functions.push(Function {
            function: self.place.function(&rewrite::guest_name(name))?,
            params: signature.params.clone(),
            results: signature.results.clone(),
        });
        Ok(self.functions.len() - 1)
    }

    fn call(
        &mut self,
        function: usize,
        slots: &mut [u64],
        CallLimits { fuel, .. }: CallLimits,
        control: &Control,
    ) -> Result<Option<Outcome>> {
        let library = self.place.library;
        let function = &self.functions[function];
        if let Some(fuel) = fuel {
            self.place.fill(fuel);
        }
        let params: Vec<_> = give_all(library, &function.params, slots).collect();
        let mut returns: Vec<_> = give_all(library, &function.results, slots).collect();
        let ended = self
            .place
            .call(function.function, &params, &mut returns, control)?;
        self.fuel_used = fuel.map(|_| self.place.fuel_used());
        if ended.is_none() {
            take_all(&function.results, &returns, slots);
        }
        Ok(ended)
    }

    fn memory(&mut self, name: &str) -> Result<HostMemory<'_>> {
        let memory = match name {
            "memory" => self.place.host.memory(),
            _ => std::ptr::null_mut(),
        };
        if memory.is_null() {
            let message = format!(
                "cannot reach another memory than the one called memory, and {name} is asked for"
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        // SAFETY: it is the instance's, of which nothing runs, and whoever has this has it to itself.
        Ok(HostMemory::Bytes(unsafe {
            wasi::bytes(self.place.library, memory)
        }))
    }

    fn global(&mut self, name: &str, ty: ValueType) -> Result<Value> {
        let global = self.place.made()?.global(&rewrite::guest_name(name))?;
        // SAFETY: it is alive as long as the instance.
        let value = unsafe { self.place.library.GlobalInstanceGetValue(global) };
        let mut slots = [0; 2];
        take_all(&[ty], &[value], &mut slots);
        let value = Value::all(&[ty], &slots).next();
        value.ok_or_else(|| Entries::lost(name))
    }

    fn set_global(&mut self, name: &str, value: Value) -> Result<()> {
        let library = self.place.library;
        let global = self.place.made()?.global(&rewrite::guest_name(name))?;
        let mut slots = [0; 2];
        Value::put_all([value], &mut slots);
        let types = [value.ty()];
        let mut set = give_all(library, &types, &slots);
        let set = set.next().map(|value| {
            // SAFETY: it is alive as long as the instance, and of that type.
            unsafe { library.GlobalInstanceSetValue(global, value) }
        });
        match set {
            Some(set) if library.succeeded(set) => Ok(()),
            _ => Err(Entries::lost(name)),
        }
    }

    fn stats(&mut self) -> Stats {
        let mut stats = Stats::default();
        stats.fuel_used = self.fuel_used;
        stats.peak_memory = Some(self.place.peak_memory(&self.memories, self.tables));
        stats
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
pub(crate) struct Instance {
    pub(crate) library: &'static Library,
    pub(crate) instance: Owned<ModuleInstance>,
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
    pub(crate) fn memory(&self, name: &str) -> *mut MemoryInstance {
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
    pub(crate) fn limit(&self, limits: &Limits) -> Result<()> {
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
