//! A validated module, and how it runs.

use std::hint::black_box;
use std::ptr::null_mut;
use std::sync::Arc;
use std::time::Instant;

use wasmrun_core::{
    Code, Compile, Control, Entries, Error, ErrorKind, Instantiated, Outcome, Ran, Result, Stats,
    Task,
};
use wasmrun_rewrite::{Parts, USUAL_STACK};
use wasmrun_wasi_preview1::{Imported, Wasi, imported};

use crate::library::{AstModule, Bytes, CallResult, Library};
use crate::live::{HostBox, Instance, LiveModule, Place};
use crate::native::Owned;
use crate::rewrite::{self, Rewritten};
use crate::settings::settings;
use crate::traps::{self, code};
use crate::wasi::Host;

/// A validated module with everything planned that does not differ between runs.
pub(crate) struct ModuleCode {
    library: &'static Library,
    module: Module,
    imports: Arc<[Imported]>,
    has_start: bool,
    entries: Entries,
    stack_limit: u32,
    /// Names of the memories, and what each starts out with in bytes.
    memories: Vec<(String, u64)>,
    tables: u32,
    /// The one that WASI works on.
    exported_memory: Option<usize>,
    /// Those that other functions of the host work on, by the names that the guest exports them by.
    other_memories: Vec<(String, usize)>,
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
        let asked = |name: &str| {
            let mut imports = imports.iter();
            imports.any(|import| import.other_memory() == Some(name))
        };
        let others = rewritten.exported_memories.iter();
        let others = others.filter(|(name, _)| asked(name));
        let other_memories = others
            .map(|(name, memory)| (name.clone(), *memory as usize))
            .collect();
        Ok(ModuleCode {
            library,
            module: validated(library, &rewritten)?,
            imports: imports.into(),
            has_start: rewritten.has_start,
            entries: Entries::of(guest),
            stack_limit: rewritten.stack_limit,
            memories: memories
                .map(|(memory, number)| (rewrite::memory_name(number), memory.initial_bytes))
                .collect(),
            tables: parts.tables.len() as u32,
            other_memories,
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
        if !self.interruptible {
            // Otherwise on one of the library's.
            task.usage.on_this_thread();
        }
        let mut place = self.place(&mut task, control)?;
        let mut stats = Stats::default();
        let made = self.instance(&mut place, &task)?;
        let started = Instant::now();
        stats.instantiate = Some(started - began);
        let outcome = match made {
            Some(outcome) => outcome,
            None => {
                let bytes = place.peak_memory(&self.memories, self.tables);
                task.usage.account().see(bytes);
                let entries = self.entries.calls(task.entry());
                let ended = self.call_all(&mut place, entries, control)?;
                stats.run = Some(started.elapsed());
                stats.peak_memory = Some(place.peak_memory(&self.memories, self.tables));
                ended.unwrap_or(Outcome::Exited(0))
            }
        };
        stats.fuel_used = task.limits.fuel.map(|_| place.fuel_used());
        Ok(Ran { outcome, stats })
    }

    fn instantiate(&self, mut task: Task, control: &Control) -> Result<Instantiated> {
        let mut place = self.place(&mut task, control)?;
        let ended = match self.instance(&mut place, &task)? {
            Some(outcome) => Some(outcome),
            None => self.call_all(&mut place, self.entries.before(), control)?,
        };
        Ok(match ended {
            Some(outcome) => Instantiated::Ended(outcome),
            None => Instantiated::Live(Box::new(LiveModule::new(
                place,
                self.memories.clone(),
                self.tables,
            ))),
        })
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

    /// All that an instance needs, but for itself.
    fn place(&self, task: &mut Task, control: &Control) -> Result<Place> {
        self.can_have_its_memories()?;
        let library = self.library;
        let host = HostBox::new(Host {
            library,
            wasi: Wasi::of(task, control)?,
            usage: task.usage.clone(),
            memory: null_mut(),
            other_memories: Vec::new(),
            end: None,
        });
        let settings = settings(library)?;
        let imports = self.imports.clone();
        // SAFETY: all that is passed is alive.
        let mut place = unsafe {
            let counts_fuel = task.limits.fuel.is_some();
            library.ConfigureStatisticsSetCostMeasuring(settings.raw(), counts_fuel);
            let counts = Owned::new(library.StatisticsCreate(), library.StatisticsDelete)?;
            let store = Owned::new(library.StoreCreate(), library.StoreDelete)?;
            let executor = library.ExecutorCreate(settings.raw(), counts.raw());
            let executor = Owned::new(executor, library.ExecutorDelete)?;
            Place {
                library,
                instance: None,
                worlds: Vec::new(),
                executor,
                store,
                counts,
                _settings: settings,
                imports,
                host,
                interruptible: self.interruptible,
                stack_limit: self.stack_limit,
            }
        };
        if let Some(fuel) = task.limits.fuel {
            // Not before: making the executor sets it, too.
            place.fill(fuel);
        }
        place.make_worlds()?;
        Ok(place)
    }

    /// Makes the instance, or tells how the guest ended instead.
    fn instance(&self, place: &mut Place, task: &Task) -> Result<Option<Outcome>> {
        let library = self.library;
        let mut instance = null_mut();
        // SAFETY: all that is passed is alive.
        let made = unsafe {
            library.ExecutorInstantiate(
                place.executor.raw(),
                &mut instance,
                place.store.raw(),
                self.module.0.raw(),
            )
        };
        if !library.succeeded(made) {
            return self.not_made(made).map(Some);
        }
        // SAFETY: the library made it for us.
        let instance = unsafe { Owned::new(instance, library.ModuleInstanceDelete)? };
        let instance = Instance { library, instance };
        instance.limit(&task.limits)?;
        if let Some(memory) = self.exported_memory {
            place
                .host
                .set_memory(instance.memory(&self.memories[memory].0));
        }
        let others = self.other_memories.iter().map(|(name, memory)| {
            let memory = instance.memory(&self.memories[*memory].0);
            (name.clone(), memory)
        });
        place.host.set_other_memories(others.collect());
        place.instance = Some(instance);
        Ok(None)
    }

    /// Calls the start function and exports without parameters, as long as they return. How the guest ended, unless
    /// all did.
    fn call_all<'a>(
        &self,
        place: &mut Place,
        entries: impl Iterator<Item = &'a str>,
        control: &Control,
    ) -> Result<Option<Outcome>> {
        let start = self.has_start.then(|| rewrite::START.to_owned());
        for name in start.into_iter().chain(entries.map(rewrite::guest_name)) {
            let function = place.function(&name)?;
            if let Some(outcome) = place.call(function, &[], &mut [], control)? {
                return Ok(Some(outcome));
            }
        }
        Ok(None)
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
