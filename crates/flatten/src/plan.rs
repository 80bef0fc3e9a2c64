//! What a component will be made of as one module. What cannot be one is refused here, before anything is made.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wasm_encoder::ValType;
use wasmrun_guest::{Error, Result};
use wasmtime_environ::component::{
    CanonicalOptions, CanonicalOptionsDataModel, CoreDef, CoreExport, Export, ExportItem,
    GlobalInitializer, InstantiateModule, InterfaceType, LinearMemoryOptions, NameMapNoIntern,
    OptionsIndex, RuntimeComponentInstanceIndex, RuntimeImportIndex, RuntimeMemoryIndex,
    StaticModuleIndex, StringEncoding, Trampoline, TrampolineIndex, Transcode, TypeFuncIndex,
};
use wasmtime_environ::{EntityIndex, EntityType, IndexType, MemoryIndex, WasmValType};

use crate::caller::{Caller, Encoding};
use crate::glue::{ALLOCATED, CABI};
use crate::resources::{Move, Operation};
use crate::translate::Translated;
use crate::{Import, invalid, refuse};

/// The entry, as wasmtime-wasi asks for it: the newest version of 0.2 will do where there is not just this one.
const RUN: &str = "wasi:cli/run@0.2.12";

/// How many bytes of modules may be instantiated once more: their code is there once for each instance.
const MOST_REPEATED: usize = 16 << 20;

/// What a component will be made of.
pub(crate) struct Plan<'a> {
    /// Instances of core modules, in the order in which they are made.
    pub(crate) instances: Vec<Instance<'a>>,
    /// Functions of the host, in the order of their first use; those of the canonical ABI's own among them.
    pub(crate) imports: Vec<Lowered>,
    /// What else modules are given that is of no other module.
    pub(crate) given: BTreeMap<TrampolineIndex, Given<'a>>,
    /// The components that are at times not to be left, by a call of a function of the host.
    pub(crate) confined: BTreeSet<RuntimeComponentInstanceIndex>,
    pub(crate) run: Run<'a>,
    /// The memories that functions of the host work on, in the order of their first use, by their numbers in the module.
    pub(crate) hosted: Vec<u32>,
}

/// An instance of a core module.
pub(crate) struct Instance<'a> {
    pub(crate) module: StaticModuleIndex,
    /// What its imports are, in their order.
    pub(crate) args: &'a [CoreDef],
}

/// A function of the host, as it is called from core code.
pub(crate) struct Lowered {
    pub(crate) import: Import,
    /// The type that modules know.
    pub(crate) signature: Signature,
}

/// The type of a function.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Signature {
    pub(crate) params: Vec<ValType>,
    pub(crate) results: Vec<ValType>,
}

impl Signature {
    pub(crate) fn of(params: &[ValType], results: &[ValType]) -> Self {
        Signature {
            params: params.to_vec(),
            results: results.to_vec(),
        }
    }
}

/// A function that is of no module.
pub(crate) enum Given<'a> {
    /// A function of the host.
    Host {
        /// Its place among the imports.
        import: usize,
        /// The component that has to be free to be left for it.
        caller: Option<RuntimeComponentInstanceIndex>,
        /// What gives it memory, if it needs some.
        realloc: Option<Realloc<'a>>,
    },
    /// Drops a handle of a resource of the component's own.
    Drop {
        /// The function that tells what it stood for, among the imports.
        import: usize,
        caller: RuntimeComponentInstanceIndex,
        destructor: Option<&'a CoreDef>,
    },
    /// Moves handles from component to component.
    Transfer(Vec<Move>),
    /// Notes that a call from component to component begins, by this import.
    Enter(usize),
    /// Copies strings between components.
    Transcode(Transcoding),
    /// Traps with the code that it is called with.
    Trap,
}

/// How strings get from one component to another.
pub(crate) struct Transcoding {
    pub(crate) way: Transcode,
    /// The numbers of the memories.
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// The import that ends a guest whose string is none.
    pub(crate) invalid: usize,
}

/// What gives memory to a function of the host.
pub(crate) struct Realloc<'a> {
    pub(crate) function: &'a CoreDef,
    /// The function of the host that is told where it is, among the imports.
    pub(crate) allocated: usize,
}

/// What is behind a function that is of no module.
pub(crate) enum Behind {
    /// An import, itself.
    Import(usize),
    /// The function that traps, itself.
    Trap,
    /// A function that is made for it.
    Glue,
    /// The first function of a module that is made for it.
    Module,
}

/// The entry.
pub(crate) struct Run<'a> {
    pub(crate) function: &'a CoreDef,
    pub(crate) component: RuntimeComponentInstanceIndex,
    /// What is called with its result.
    pub(crate) post_return: Option<&'a CoreDef>,
}

impl<'a> Plan<'a> {
    pub(crate) fn of(translated: &'a Translated<'_>) -> Result<Self> {
        let mut planner = Planner {
            translated,
            instances: Vec::new(),
            lowered: HashMap::new(),
            reallocs: HashMap::new(),
            post_returns: HashMap::new(),
            imports: Vec::new(),
            places: HashMap::new(),
            given: BTreeMap::new(),
            confined: BTreeSet::new(),
            handling: Vec::new(),
            destructors: HashMap::new(),
            memories: Vec::new(),
            extracted: HashMap::new(),
            hosted: Vec::new(),
        };
        planner.initializers()?;
        planner.modules()?;
        let run = planner.run()?;
        planner.give_all(&run)?;
        Ok(Plan {
            instances: planner.instances,
            imports: planner.imports,
            given: planner.given,
            confined: planner.confined,
            run,
            hosted: planner.hosted,
        })
    }

    /// What is asked of the host beside what the canonical ABI needs.
    pub(crate) fn into_imports(self) -> Vec<Import> {
        let imports = self.imports.into_iter().map(|lowered| lowered.import);
        imports.filter(|import| import.interface != CABI).collect()
    }

    /// The places of imports in the order in which they are imported: what the canonical ABI needs comes last.
    pub(crate) fn import_order(&self) -> Vec<usize> {
        let mut order: Vec<_> = (0..self.imports.len()).collect();
        order.sort_by_key(|place| self.imports[*place].import.interface == CABI);
        order
    }

    pub(crate) fn behind(&self, given: &Given<'_>) -> Behind {
        match given {
            Given::Host { import, caller, .. } => match caller {
                Some(caller) if self.confined.contains(caller) => Behind::Glue,
                _ => Behind::Import(*import),
            },
            Given::Drop { .. } | Given::Transfer(_) | Given::Enter(_) => Behind::Glue,
            Given::Transcode(_) => Behind::Module,
            Given::Trap => Behind::Trap,
        }
    }
}

pub(crate) struct Planner<'a, 'b> {
    pub(crate) translated: &'a Translated<'b>,
    pub(crate) instances: Vec<Instance<'a>>,
    /// What each lowered function is of what the component imports.
    lowered: HashMap<u32, RuntimeImportIndex>,
    reallocs: HashMap<u32, &'a CoreDef>,
    post_returns: HashMap<u32, &'a CoreDef>,
    imports: Vec<Lowered>,
    /// The places of imports, by interface and name.
    places: HashMap<(String, String), usize>,
    given: BTreeMap<TrampolineIndex, Given<'a>>,
    confined: BTreeSet<RuntimeComponentInstanceIndex>,
    /// The components that have handles.
    handling: Vec<RuntimeComponentInstanceIndex>,
    /// Of the resources that the component defines, those that have one.
    pub(crate) destructors: HashMap<u32, &'a CoreDef>,
    /// The numbers that each instance's memories have in the module, those that it imports first.
    memories: Vec<Vec<u32>>,
    /// The memories that functions are lowered with and strings are in.
    extracted: HashMap<u32, &'a CoreExport<MemoryIndex>>,
    hosted: Vec<u32>,
}

impl<'a> Planner<'a, '_> {
    fn initializers(&mut self) -> Result<()> {
        for initializer in &self.translated.component.initializers {
            match initializer {
                GlobalInitializer::InstantiateModule(instantiation, _) => match instantiation {
                    InstantiateModule::Static(module, args) => self.instances.push(Instance {
                        module: *module,
                        args,
                    }),
                    InstantiateModule::Import(..) => {
                        return Err(refuse("it instantiates a core module that it imports"));
                    }
                },
                GlobalInitializer::LowerImport { index, import } => {
                    self.lowered.insert(index.as_u32(), *import);
                }
                GlobalInitializer::ExtractRealloc(realloc) => {
                    self.reallocs.insert(realloc.index.as_u32(), &realloc.def);
                }
                GlobalInitializer::ExtractPostReturn(post_return) => {
                    let index = post_return.index.as_u32();
                    self.post_returns.insert(index, &post_return.def);
                }
                GlobalInitializer::Resource(resource) => {
                    let destructor = resource.dtor.as_ref();
                    let index = resource.index.as_u32();
                    self.destructors
                        .extend(destructor.map(|destructor| (index, destructor)));
                }
                GlobalInitializer::ExtractMemory(memory) => {
                    self.extracted.insert(memory.index.as_u32(), &memory.export);
                }
                // What is made use of is looked at where that is.
                GlobalInitializer::ExtractTable(_) | GlobalInitializer::ExtractCallback(_) => {}
            }
        }
        Ok(())
    }

    /// Looks at what the instances' modules have.
    fn modules(&mut self) -> Result<()> {
        let (mut memories, mut repeated) = (0, 0);
        let mut seen = BTreeSet::new();
        for instance in &self.instances {
            let translation = &self.translated.modules[instance.module];
            let module = &translation.module;
            if module
                .memories
                .values()
                .any(|memory| memory.idx_type == IndexType::I64)
            {
                return Err(refuse("it has a memory with addresses of 64 bits"));
            }
            let own = (module.memories.len() - module.num_imported_memories) as u32;
            let imported = instance.args.iter().zip(module.imports());
            let imported = imported.filter(|(_, (_, _, ty))| matches!(ty, EntityType::Memory(_)));
            let imported = imported.map(|(arg, _)| self.memory_of(arg));
            let mut numbers = imported.collect::<Result<Vec<_>>>()?;
            numbers.extend(memories..memories + own);
            memories += own;
            self.memories.push(numbers);
            if !seen.insert(instance.module) {
                repeated += translation.wasm.len();
            }
        }
        if repeated > MOST_REPEATED {
            let what = format!(
                "it instantiates modules more than once, which would be {repeated} bytes more, and {MOST_REPEATED} may be"
            );
            return Err(refuse(what));
        }
        Ok(())
    }

    /// The number of a memory that an instance exports.
    fn memory_of(&self, memory: &CoreDef) -> Result<u32> {
        match memory {
            CoreDef::Export(export) => self.exported_memory(export, |index| match index {
                EntityIndex::Memory(memory) => Some(*memory),
                _ => None,
            }),
            _ => Err(unknown_memory()),
        }
    }

    /// The number of one that functions are lowered with, or strings are in.
    fn extracted_memory(&self, memory: RuntimeMemoryIndex) -> Result<u32> {
        let export = self.extracted.get(&memory.as_u32());
        let export = export.ok_or_else(unknown_memory)?;
        self.exported_memory(export, |memory| Some(*memory))
    }

    fn exported_memory<T>(
        &self,
        export: &CoreExport<T>,
        memory: impl Fn(&T) -> Option<MemoryIndex>,
    ) -> Result<u32> {
        let numbers = self.memories.get(export.instance.as_u32() as usize);
        let memory = match &export.item {
            ExportItem::Index(index) => memory(index),
            ExportItem::Name(_) => None,
        };
        let number = numbers
            .zip(memory)
            .and_then(|(numbers, memory)| numbers.get(memory.as_u32() as usize).copied());
        number.ok_or_else(unknown_memory)
    }

    /// The place of a memory among those that functions of the host work on.
    fn hosted(&mut self, memory: RuntimeMemoryIndex) -> Result<u32> {
        let number = self.extracted_memory(memory)?;
        let known = self.hosted.iter().position(|known| *known == number);
        let place = known.unwrap_or_else(|| {
            self.hosted.push(number);
            self.hosted.len() - 1
        });
        Ok(place as u32)
    }

    fn run(&mut self) -> Result<Run<'a>> {
        let Translated {
            component, types, ..
        } = self.translated;
        let exports = &component.exports;
        let exported = exports.get(RUN, &NameMapNoIntern).and_then(|(export, _)| {
            let Export::Instance { exports, .. } = &component.export_items[*export] else {
                return None;
            };
            let (function, _) = exports.get("run", &NameMapNoIntern)?;
            Some(&component.export_items[*function])
        });
        let Some(Export::LiftedFunction { ty, func, options }) = exported else {
            return Err(refuse("it exports no `wasi:cli/run@0.2.x` to begin with"));
        };
        let results = &types[types[*ty].results].types;
        let is_run = types[types[*ty].params].types.is_empty()
            && match **results {
                [InterfaceType::Result(result)] => {
                    types[result].ok.is_none() && types[result].err.is_none()
                }
                _ => false,
            };
        if !is_run {
            return Err(refuse("its `wasi:cli/run#run` is no `func() -> result`"));
        }
        let (options, _) = self.options(*options, "its entry")?;
        let post_return = options.post_return.map(|index| index.as_u32());
        let post_return = post_return.and_then(|index| self.post_returns.get(&index).copied());
        if post_return.is_some() {
            self.confined.insert(options.instance);
        }
        Ok(Run {
            function: func,
            component: options.instance,
            post_return,
        })
    }

    /// The options of a function that is lifted or lowered, and its memory.
    fn options(
        &self,
        options: OptionsIndex,
        what: &str,
    ) -> Result<(&'a CanonicalOptions, LinearMemoryOptions)> {
        let options = &self.translated.component.options[options];
        if options.async_ {
            return Err(refuse(format!("{what} is asynchronous")));
        }
        match options.data_model {
            CanonicalOptionsDataModel::LinearMemory(memory) => Ok((options, memory)),
            CanonicalOptionsDataModel::Gc {} => {
                let what = format!("{what} passes objects of garbage collection");
                Err(refuse(what))
            }
        }
    }

    /// Finds what each thing is that is of no module.
    fn give_all(&mut self, run: &Run<'a>) -> Result<()> {
        let args: Vec<_> = self
            .instances
            .iter()
            .map(|instance| instance.args)
            .collect();
        for arg in args.into_iter().flatten() {
            self.give(arg)?;
        }
        self.give(run.function)?;
        if let Some(post_return) = run.post_return {
            self.give(post_return)?;
        }
        Ok(())
    }

    pub(crate) fn give(&mut self, arg: &'a CoreDef) -> Result<()> {
        match arg {
            CoreDef::Export(_) => Ok(()),
            CoreDef::InstanceFlags(component) => {
                self.confined.insert(*component);
                Ok(())
            }
            CoreDef::Trampoline(trampoline) => self.give_trampoline(*trampoline),
            CoreDef::UnsafeIntrinsic(_) | CoreDef::TaskMayBlock => {
                Err(refuse("it uses what only one engine has"))
            }
        }
    }

    fn give_trampoline(&mut self, trampoline: TrampolineIndex) -> Result<()> {
        if self.given.contains_key(&trampoline) {
            return Ok(());
        }
        let given = match &self.translated.trampolines[trampoline] {
            Trampoline::LowerImport {
                index,
                lower_ty,
                options,
            } => self.lower(trampoline, index.as_u32(), *lower_ty, *options)?,
            Trampoline::ResourceNew { instance, ty } => Given::Host {
                import: self.operation(Operation::New, *ty)?,
                caller: Some(*instance),
                realloc: None,
            },
            // What a handle stands for may be asked at any time.
            Trampoline::ResourceRep { ty, .. } => Given::Host {
                import: self.operation(Operation::Rep, *ty)?,
                caller: None,
                realloc: None,
            },
            Trampoline::ResourceDrop { instance, ty } => self.drop(*instance, *ty)?,
            Trampoline::ResourceTransferOwn => {
                self.transfer(trampoline, Operation::Take, Operation::New)?
            }
            Trampoline::ResourceTransferBorrow => {
                self.transfer(trampoline, Operation::Lend, Operation::Borrow)?
            }
            Trampoline::EnterSyncCall => Given::Enter(self.own("enter-call", &[], &[])?),
            Trampoline::ExitSyncCall => Given::Host {
                import: self.own("exit-call", &[], &[])?,
                caller: None,
                realloc: None,
            },
            Trampoline::Transcoder { op, from, to, .. } => Given::Transcode(Transcoding {
                way: *op,
                from: self.extracted_memory(*from)?,
                to: self.extracted_memory(*to)?,
                invalid: self.own("invalid-string", &[ValType::I32], &[])?,
            }),
            Trampoline::Trap => Given::Trap,
            other => return Err(refuse(format!("it uses `{}`", other.symbol_name()))),
        };
        self.given.insert(trampoline, given);
        Ok(())
    }

    fn lower(
        &mut self,
        trampoline: TrampolineIndex,
        lowered: u32,
        ty: TypeFuncIndex,
        options: OptionsIndex,
    ) -> Result<Given<'a>> {
        let Some(import) = self.lowered.get(&lowered) else {
            return Err(refuse("it lowers a function that it does not import"));
        };
        let (interface, name) = self.named(*import)?;
        let what = format!("its call of `{interface}#{name}`");
        let (options, memory) = self.options(options, &what)?;
        let types = &self.translated.types;
        let (params, results) = (types[ty].params, types[ty].results);
        let (params, results) = (&types[params].types, &types[results].types);
        let allocates = results.iter().any(|ty| self.has(ty, is_sized_late));
        let passes = |wanted| {
            let mut passed = params.iter().chain(results);
            passed.any(|ty| self.has(ty, wanted))
        };
        let (has_handles, has_strings) = (passes(is_handle), passes(is_string));
        let caller = Caller {
            component: match has_handles {
                true => self.handling(options.instance),
                false => 0,
            },
            encoding: match options.string_encoding {
                StringEncoding::Utf16 if has_strings => Encoding::Utf16,
                StringEncoding::CompactUtf16 if has_strings => Encoding::Latin1OrUtf16,
                _ => Encoding::Utf8,
            },
            memory: match memory.memory {
                Some(memory) => self.hosted(memory)?,
                None => 0,
            },
        };
        let realloc = match memory.realloc {
            Some(realloc) if allocates => self.reallocs.get(&realloc.as_u32()).copied(),
            _ => None,
        };
        let signature = self.signature(trampoline, &what)?;
        if allocates && (realloc.is_none() || !signature.results.is_empty()) {
            let what = format!("{what} gives back a string or list in no known way");
            return Err(refuse(what));
        }
        let realloc = match realloc {
            Some(function) => {
                self.confined.insert(options.instance);
                self.give(function)?;
                let import = Import {
                    interface: CABI.to_owned(),
                    name: ALLOCATED.to_owned(),
                    caller: Caller {
                        encoding: Encoding::Utf8,
                        ..caller
                    },
                    allocates: false,
                };
                let signature = Signature::of(&[ValType::I32], &[ValType::I64]);
                let allocated = self.import(import, signature)?;
                Some(Realloc {
                    function,
                    allocated,
                })
            }
            None => None,
        };
        let import = Import {
            interface,
            name,
            caller,
            allocates,
        };
        Ok(Given::Host {
            import: self.import(import, signature)?,
            caller: Some(options.instance),
            realloc,
        })
    }

    /// The number of a component among those that have handles.
    pub(crate) fn handling(&mut self, component: RuntimeComponentInstanceIndex) -> u32 {
        let known = self.handling.iter().position(|known| *known == component);
        let place = known.unwrap_or_else(|| {
            self.handling.push(component);
            self.handling.len() - 1
        });
        place as u32
    }

    /// A function of the canonical ABI's own: its place among the imports.
    fn own(&mut self, name: &str, params: &[ValType], results: &[ValType]) -> Result<usize> {
        let import = Import {
            interface: CABI.to_owned(),
            name: name.to_owned(),
            caller: Caller::default(),
            allocates: false,
        };
        self.import(import, Signature::of(params, results))
    }

    /// The interface and the name of what a component imports.
    pub(crate) fn named(&self, import: RuntimeImportIndex) -> Result<(String, String)> {
        let component = &self.translated.component;
        let (import, path) = &component.imports[import];
        let (name, _) = &component.import_types[*import];
        match &**path {
            [] => Ok((String::new(), name.clone())),
            [item] => Ok((name.clone(), item.clone())),
            _ => {
                let what = format!("it imports an instance within another, in `{name}`");
                Err(refuse(what))
            }
        }
    }

    /// Adds an import, unless it is there: its place.
    pub(crate) fn import(&mut self, import: Import, signature: Signature) -> Result<usize> {
        let key = (import.interface.clone(), import.imported_name());
        if let Some(place) = self.places.get(&key) {
            if self.imports[*place].signature == signature {
                return Ok(*place);
            }
            let what = format!("it calls `{}#{}` as of two types", key.0, key.1);
            return Err(refuse(what));
        }
        let place = self.imports.len();
        self.places.insert(key, place);
        self.imports.push(Lowered { import, signature });
        Ok(place)
    }

    fn signature(&self, trampoline: TrampolineIndex, what: &str) -> Result<Signature> {
        let Translated {
            component, types, ..
        } = self.translated;
        let ty = types.module_types()[component.trampolines[trampoline]].unwrap_func();
        let plain = |types: &[WasmValType]| {
            let types = types.iter().map(|ty| match ty {
                WasmValType::I32 => Some(ValType::I32),
                WasmValType::I64 => Some(ValType::I64),
                WasmValType::F32 => Some(ValType::F32),
                WasmValType::F64 => Some(ValType::F64),
                WasmValType::V128 | WasmValType::Ref(_) => None,
            });
            types.collect::<Option<_>>()
        };
        match (plain(ty.params()), plain(ty.results())) {
            (Some(params), Some(results)) => Ok(Signature { params, results }),
            _ => Err(refuse(format!("{what} passes what is no number"))),
        }
    }

    /// Whether a type is one of those, or has one in it.
    fn has(&self, ty: &InterfaceType, wanted: fn(&InterfaceType) -> bool) -> bool {
        let types = &self.translated.types;
        let has = |ty: &InterfaceType| self.has(ty, wanted);
        wanted(ty)
            || match ty {
                InterfaceType::Record(ty) => types[*ty].fields.iter().any(|field| has(&field.ty)),
                InterfaceType::Tuple(ty) => types[*ty].types.iter().any(has),
                InterfaceType::Variant(ty) => types[*ty].cases.values().flatten().any(has),
                InterfaceType::Option(ty) => has(&types[*ty].ty),
                InterfaceType::Result(ty) => {
                    let result = &types[*ty];
                    result.ok.iter().chain(&result.err).any(has)
                }
                InterfaceType::List(ty) => has(&types[*ty].element),
                InterfaceType::FixedLengthList(ty) => has(&types[*ty].element),
                InterfaceType::Map(ty) => has(&types[*ty].key) || has(&types[*ty].value),
                InterfaceType::Bool
                | InterfaceType::S8
                | InterfaceType::U8
                | InterfaceType::S16
                | InterfaceType::U16
                | InterfaceType::S32
                | InterfaceType::U32
                | InterfaceType::S64
                | InterfaceType::U64
                | InterfaceType::Float32
                | InterfaceType::Float64
                | InterfaceType::Char
                | InterfaceType::String
                | InterfaceType::Flags(_)
                | InterfaceType::Enum(_)
                | InterfaceType::Own(_)
                | InterfaceType::Borrow(_)
                | InterfaceType::Future(_)
                | InterfaceType::Stream(_)
                | InterfaceType::ErrorContext(_) => false,
            }
    }
}

/// Whether the size of such a value is known only when it is there.
fn is_sized_late(ty: &InterfaceType) -> bool {
    matches!(
        ty,
        InterfaceType::String | InterfaceType::List(_) | InterfaceType::Map(_)
    )
}

fn is_string(ty: &InterfaceType) -> bool {
    matches!(ty, InterfaceType::String)
}

fn unknown_memory() -> Error {
    invalid("a memory is passed on that no instance exports")
}

fn is_handle(ty: &InterfaceType) -> bool {
    matches!(ty, InterfaceType::Own(_) | InterfaceType::Borrow(_))
}
