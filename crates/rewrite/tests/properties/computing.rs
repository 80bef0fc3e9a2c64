//! A rewritten guest is valid, and computes what the guest computes. wasmi says what that is.

use wasm_encoder::{
    ConstExpr, EntityType, ExportKind, ExportSection, Function, ImportSection, Module, SectionId,
    ValType,
};
use wasmi::{
    Config, Engine, Extern, ExternType, Func, Instance, ResourceLimiter, Store, TrapCode, Val,
};
use wasmi_core::LimiterError;
use wasmparser::{BinaryReader, ExportSectionReader, ExternalKind, Validator, WasmFeatures};
use wasmrun_core::{Account, Guest, Limits};
use wasmrun_rewrite::{Bound, Growth, Meter, Parts, Rewriter, raw};

/// How a module runs on wasmi.
#[derive(Debug, Clone, Copy)]
struct Terms {
    /// In front of the names of the guest's exports.
    prefix: &'static str,
    /// Operators, about.
    fuel: u64,
    /// Calls within calls.
    depth: usize,
    /// The guest has [`OWN_IMPORTS`] in front of its own, and holds itself to [`MEMORY`] and [`ELEMENTS`];
    /// any other is held to them by wasmi.
    is_rewritten: bool,
}

const PLAIN: Terms = Terms {
    prefix: "",
    fuel: 20_000,
    depth: 500,
    is_rewritten: false,
};

/// A guest that counts by itself takes more of everything.
const REWRITTEN: Terms = Terms {
    prefix: "guest:",
    fuel: 100 * PLAIN.fuel,
    depth: 2 * PLAIN.depth,
    is_rewritten: true,
};

/// Bytes of all memories, and elements of all tables.
const MEMORY: u64 = 4 << 20;
const ELEMENTS: u64 = 10_000;

/// Functions that are called.
const CALLS: usize = 8;

/// What the rewritten guest has in addition.
const EXHAUSTED: u32 = 0;
const EXCEEDED: u32 = 1;
const OWN_IMPORTS: u32 = 2;
const OWN: &str = "ours";
const STACK: &str = "stack";
const LEFT: &str = "left";

/// What was seen to hold of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Nothing: the guest cannot be rewritten.
    Refused,
    /// It is valid when it is rewritten; wasmi does not run it, or not to its end.
    Valid,
    /// It computes what it did.
    Same,
}

pub fn holds(wasm: &[u8]) -> Held {
    let Ok(guest) = Guest::from_bytes("guest", wasm) else {
        return Held::Refused;
    };
    let Ok(parts) = Parts::of(&guest) else {
        return Held::Refused;
    };
    // Backends refuse a guest that imports anything but functions.
    if guest.imports().len() != parts.imports.len() {
        return Held::Refused;
    }
    let rewritten = |fuel| rewritten(&guest, &parts, fuel);
    let most = rewritten(i64::MAX);
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(&most)
        .unwrap_or_else(|error| panic!("no longer valid: {error}"));
    let Some(plain) = Ran::of(guest.bytes(), PLAIN).filter(|ran| !ran.is_cut_off()) else {
        return Held::Valid;
    };
    let ran = |wasm: &[u8]| Ran::of(wasm, REWRITTEN).expect("as good as the guest for wasmi");
    let (ours, used) = ran(&most).counted(i64::MAX);
    assert_eq!(ours, plain);
    // The same with as much fuel as it took, and ended with less.
    if let Some(used) = used {
        assert_eq!(ran(&rewritten(used)).counted(used), (plain, Some(used)));
        if used > 0 {
            let ended = ran(&rewritten(used - 1)).ends.pop();
            assert_eq!(ended, Some(End::Ours(EXHAUSTED)));
        }
    }
    Held::Same
}

// ---- rewriting -------------------------------------------------------------------------------------

/// The guest with all that can be added to it, and so much fuel.
fn rewritten(guest: &Guest, parts: &Parts<'_>, fuel: i64) -> Vec<u8> {
    const READ: &str = "the guest was read";
    let mut own = Rewriter::new(parts, OWN_IMPORTS);
    let counter = own.global(ValType::I32, &ConstExpr::i32_const(0));
    let left = own.global(ValType::I64, &ConstExpr::i64_const(fuel));
    own.meter = Some(Meter {
        left,
        exhausted: EXHAUSTED,
    });
    own.bound = Some(Bound {
        counter,
        limit: Bound::limit_of(u64::MAX),
        exceeded: EXCEEDED,
    });
    own.growth = Some(Growth {
        bytes: within(MEMORY),
        elements: within(ELEMENTS),
    });
    let bodies = own.bodies().expect(READ);

    let mut imports = ImportSection::new();
    let ending = EntityType::Function(own.func_type([], []));
    for number in 0..OWN_IMPORTS {
        imports.import(OWN, &number.to_string(), ending);
    }
    for (import, ty) in guest.imports().iter().zip(&parts.imports) {
        imports.import(&import.module, &import.name, EntityType::Function(*ty));
    }
    let mut exports = ExportSection::new();
    let reader = BinaryReader::new(parts.contents(SectionId::Export), 0);
    for export in ExportSectionReader::new(reader).expect(READ) {
        let export = export.expect(READ);
        let (kind, index) = match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => {
                (ExportKind::Func, own.number(export.index))
            }
            ExternalKind::Table => (ExportKind::Table, export.index),
            ExternalKind::Memory => (ExportKind::Memory, export.index),
            ExternalKind::Global => (ExportKind::Global, export.index),
            ExternalKind::Tag => (ExportKind::Tag, export.index),
        };
        exports.export(&format!("{}{}", REWRITTEN.prefix, export.name), kind, index);
    }
    exports.export(STACK, ExportKind::Global, counter);
    exports.export(LEFT, ExportKind::Global, left);

    let mut module = Module::new();
    let copy = |module: &mut Module, id| own.copied(module, id).expect(READ);
    raw(&mut module, SectionId::Type, &own.type_section());
    module.section(&imports);
    let functions = own.function_section(&[]).expect(READ);
    raw(&mut module, SectionId::Function, &functions);
    copy(&mut module, SectionId::Table);
    copy(&mut module, SectionId::Memory);
    copy(&mut module, SectionId::Tag);
    let globals = own.global_section().expect(READ);
    raw(&mut module, SectionId::Global, &globals);
    module.section(&exports);
    if let Some(function) = parts.start {
        let function_index = own.number(function);
        module.section(&wasm_encoder::StartSection { function_index });
    }
    copy(&mut module, SectionId::Element);
    copy(&mut module, SectionId::DataCount);
    let code = own.code_section([].into_iter(), &bodies);
    raw(&mut module, SectionId::Code, &code);
    copy(&mut module, SectionId::Data);
    module.finish()
}

/// Whether a total is within a limit.
fn within(limit: u64) -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.local_get(0).i64_const(limit as i64).i64_le_u().end();
    function
}

// ---- running ---------------------------------------------------------------------------------------

/// What a guest did.
#[derive(Debug, PartialEq)]
struct Ran {
    /// How its start and its functions ended: all but the last returned.
    ends: Vec<End>,
    /// The calls it made: which import, and with what.
    calls: Vec<(u32, Vec<Seen>)>,
    /// Its exports at the end.
    state: Vec<(String, State)>,
}

#[derive(Debug, PartialEq)]
enum End {
    Returned(Vec<Seen>),
    /// By one of our own functions.
    Ours(u32),
    /// wasmi ended it for reasons of its own, or before it began.
    CutOff,
    Trapped(TrapCode),
}

/// A value, as far as it is the same in another instance.
#[derive(Debug, PartialEq)]
enum Seen {
    Number(u128),
    Null,
    Reference,
}

#[derive(Debug, PartialEq)]
enum State {
    Memory(Vec<u8>),
    Table(Vec<Seen>),
    Global(Seen),
}

/// Refuses what exceeds the limits, of all memories and tables together.
struct Limiter(Account);

impl Limiter {
    fn new(is_limited: bool) -> Limiter {
        let mut limits = Limits::default();
        limits.memory = is_limited.then_some(MEMORY);
        limits.table_elements = is_limited.then_some(ELEMENTS);
        Limiter(Account::new(&limits))
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(self.0.grow_memory(current, desired, maximum))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(self.0.grow_table(current, desired, maximum))
    }

    fn instances(&self) -> usize {
        usize::MAX
    }

    fn tables(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        usize::MAX
    }
}

struct Host {
    limiter: Limiter,
    calls: Vec<(u32, Vec<Seen>)>,
}

#[derive(Debug)]
struct Ended(u32);

impl std::fmt::Display for Ended {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

impl wasmi::errors::HostError for Ended {}

impl Ran {
    /// Runs a module's start function and then the first of its functions; `None` if wasmi takes no such
    /// modules.
    fn of(wasm: &[u8], terms: Terms) -> Option<Ran> {
        let mut config = Config::default();
        config
            .consume_fuel(true)
            .set_max_recursion_depth(terms.depth)
            .set_max_stack_height(terms.depth << 13)
            .wasm_memory64(true)
            .wasm_multi_memory(true)
            .wasm_custom_page_sizes(true)
            .wasm_wide_arithmetic(true);
        let engine = Engine::new(&config);
        let module = wasmi::Module::new(&engine, wasm).ok()?;
        let host = Host {
            limiter: Limiter::new(!terms.is_rewritten),
            calls: Vec::new(),
        };
        let mut store = Store::new(&engine, host);
        store.limiter(|host| &mut host.limiter);
        store.set_fuel(terms.fuel).expect("it counts fuel");
        let own = if terms.is_rewritten { OWN_IMPORTS } else { 0 };
        let imports: Vec<_> = (0..)
            .zip(module.imports())
            .map(|(number, import)| match import.ty() {
                _ if number < own => Func::wrap(&mut store, move || {
                    Err::<(), _>(wasmi::Error::host(Ended(number)))
                }),
                ExternType::Func(ty) => host_function(&mut store, number - own, ty.clone()),
                _ => unreachable!("only functions"),
            })
            .map(Extern::Func)
            .collect();
        let mut ran = Ran {
            ends: Vec::new(),
            calls: Vec::new(),
            state: Vec::new(),
        };
        match Instance::new(&mut store, &module, &imports) {
            Err(error) => ran.ends.push(End::of(&error)),
            Ok(instance) => {
                ran.call(&mut store, &instance, &module, terms.prefix);
                ran.look(&store, &instance);
            }
        }
        ran.calls = store.into_data().calls;
        Some(ran)
    }

    fn call(
        &mut self,
        store: &mut Store<Host>,
        instance: &Instance,
        module: &wasmi::Module,
        prefix: &str,
    ) {
        let functions = module.exports().filter_map(|export| match export.ty() {
            ExternType::Func(ty) if export.name().starts_with(prefix) => {
                Some((export.name(), ty.clone()))
            }
            _ => None,
        });
        for (name, ty) in functions.take(CALLS) {
            let function = instance.get_func(&*store, name);
            let function = function.expect("it is exported");
            let params: Vec<_> = ty.params().iter().map(|ty| value(*ty, 1)).collect();
            let mut results: Vec<_> = ty.results().iter().map(|ty| value(*ty, 0)).collect();
            let end = match function.call(&mut *store, &params, &mut results) {
                Ok(()) => End::Returned(results.iter().map(Seen::of).collect()),
                Err(error) => End::of(&error),
            };
            let returned = matches!(end, End::Returned(_));
            self.ends.push(end);
            if !returned {
                return;
            }
        }
    }

    /// Notes what is exported.
    fn look(&mut self, store: &Store<Host>, instance: &Instance) {
        for export in instance.exports(store) {
            let name = export.name().to_owned();
            let state = match export.into_extern() {
                Extern::Func(_) => continue,
                Extern::Memory(memory) => State::Memory(memory.data(store).to_vec()),
                Extern::Global(global) => State::Global(Seen::of(&global.get(store))),
                Extern::Table(table) => State::Table(
                    (0..table.size(store))
                        .filter_map(|index| table.get(store, index))
                        .map(|element| Seen::of(&element.into()))
                        .collect(),
                ),
            };
            self.state.push((name, state));
        }
        self.state.sort_by(|(a, _), (b, _)| a.cmp(b));
    }

    fn is_cut_off(&self) -> bool {
        self.ends.contains(&End::CutOff)
    }

    /// What of it is the guest's, and the fuel it took of so much; without an instance nobody knows.
    fn counted(mut self, fuel: i64) -> (Ran, Option<i64>) {
        let returned = self.ends.iter().all(|end| matches!(end, End::Returned(_)));
        let mut take = |name: &str| {
            let place = self.state.iter().position(|(own, _)| own == name)?;
            match self.state.remove(place).1 {
                State::Global(Seen::Number(value)) => Some(value),
                state => panic!("{name} is {state:?}"),
            }
        };
        let (stack, left) = (take(STACK), take(LEFT));
        for (name, _) in &mut self.state {
            *name = name.replacen(REWRITTEN.prefix, "", 1);
        }
        if returned {
            assert_eq!(stack.unwrap_or(0), 0, "bytes of stack that nobody has");
        }
        (self, left.map(|left| fuel - left as i64))
    }
}

/// A function of the host's: it notes that it was called, and returns how often that was.
fn host_function(store: &mut Store<Host>, number: u32, ty: wasmi::FuncType) -> Func {
    let answers = ty.results().to_vec();
    Func::new(&mut *store, ty, move |mut caller, params, results| {
        let calls = &mut caller.data_mut().calls;
        calls.push((number, params.iter().map(Seen::of).collect()));
        let count = calls.len();
        for (result, ty) in results.iter_mut().zip(&answers) {
            *result = value(*ty, count as i32);
        }
        Ok(())
    })
}

fn value(ty: wasmi::ValType, number: i32) -> Val {
    match ty {
        wasmi::ValType::I32 => Val::I32(number),
        wasmi::ValType::I64 => Val::I64(number.into()),
        wasmi::ValType::F32 => Val::F32((number as f32).into()),
        wasmi::ValType::F64 => Val::F64(f64::from(number).into()),
        ty => Val::default_for_ty(ty),
    }
}

impl End {
    fn of(error: &wasmi::Error) -> End {
        if let Some(Ended(why)) = error.downcast_ref() {
            return End::Ours(*why);
        }
        match error.as_trap_code() {
            None | Some(TrapCode::OutOfFuel | TrapCode::StackOverflow) => End::CutOff,
            Some(trap) => End::Trapped(trap),
        }
    }
}

impl Seen {
    fn of(value: &Val) -> Seen {
        let reference = |is_null| if is_null { Seen::Null } else { Seen::Reference };
        match value {
            Val::I32(value) => Seen::Number(u128::from(*value as u32)),
            Val::I64(value) => Seen::Number(u128::from(*value as u64)),
            Val::F32(value) => Seen::Number(value.to_bits().into()),
            Val::F64(value) => Seen::Number(value.to_bits().into()),
            Val::V128(value) => Seen::Number(value.as_u128()),
            Val::FuncRef(value) => reference(value.is_null()),
            Val::ExternRef(value) => reference(value.is_null()),
        }
    }
}
