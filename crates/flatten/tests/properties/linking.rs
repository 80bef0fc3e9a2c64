//! Modules that nobody wrote, instantiated by a component, do together what they do apart. wasmi says what that is.

use arbitrary::{Result, Unstructured};
use wasm_encoder::{
    CodeSection, Encode, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    GlobalType, HeapType, ImportSection, InstructionSink, MemoryType, Module as Encoder, RefType,
    TableType, TypeSection, ValType,
};
use wasm_smith::Config;
use wasmi::errors::ErrorKind;
use wasmi::{
    Engine, Error, ExternType, Func, FuncType, Instance, Linker, Memory, Module, Store,
    StoreLimits, StoreLimitsBuilder, TrapCode, Val,
};
use wasmrun_flatten::flatten;
use wasmrun_guest::Guest;

/// What was seen to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Nothing: wasmi does not take them as they are.
    Refused,
    /// Together they are valid; apart, they do not run to an end.
    Valid,
    /// They do what they did.
    Same,
}

/// Makes a module, one that imports some of what it exports, and one that calls all functions of both.
pub fn holds(bytes: &mut Unstructured<'_>) -> Result<Held> {
    let engine = engine();
    let first = generated(bytes, None)?;
    let Ok(a) = Module::new(&engine, &first) else {
        return Ok(Held::Refused);
    };
    let second = generated(bytes, Some(offered(&a)))?;
    let Ok(b) = Module::new(&engine, &second) else {
        return Ok(Held::Refused);
    };
    let third = caller([("a", &a), ("b", &b)]);
    let component = component([&first, &second, &third]);
    let component = Guest::from_bytes("component", component).expect("it is ours");
    let flattened = match flatten(&component) {
        Ok(flattened) => {
            Module::new(&engine, flattened.module.bytes()).expect("wasmi takes its parts")
        }
        Err(error) => panic!("{error:?}"),
    };
    let c = Module::new(&engine, &third).expect("it is ours");
    let apart = apart(&engine, &[("a", &a), ("b", &b), ("c", &c)]);
    let together = together(&engine, &flattened);
    if apart.end == End::CutOff || together.end == End::CutOff {
        return Ok(Held::Valid);
    }
    assert_eq!(together, apart);
    Ok(Held::Same)
}

fn engine() -> Engine {
    let mut config = wasmi::Config::default();
    config
        .consume_fuel(true)
        .set_max_recursion_depth(500)
        .set_max_stack_height(1 << 20);
    Engine::new(&config)
}

// ---- making them -----------------------------------------------------------------------------------

fn generated(bytes: &mut Unstructured<'_>, imports: Option<Vec<u8>>) -> Result<Vec<u8>> {
    let config = Config {
        max_imports: if imports.is_some() { 10 } else { 0 },
        available_imports: imports,
        max_types: 10,
        max_funcs: 8,
        max_globals: 8,
        max_tables: 3,
        max_memories: 1,
        max_memory32_bytes: 1 << 18,
        max_table_elements: 100,
        max_data_segments: 5,
        max_element_segments: 5,
        export_everything: true,
        canonicalize_nans: true,
        disallow_traps: bytes.arbitrary()?,
        memory64_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        threads_enabled: false,
        relaxed_simd_enabled: false,
        shared_everything_threads_enabled: false,
        ..Config::default()
    };
    Ok(wasm_smith::Module::new(config, bytes)?.to_bytes())
}

/// A module that imports, from `a`, all that a module exports.
fn offered(module: &Module) -> Vec<u8> {
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    for export in module.exports() {
        let ty = match export.ty() {
            ExternType::Func(ty) => {
                types
                    .ty()
                    .function(encoded(ty.params()), encoded(ty.results()));
                EntityType::Function(types.len() - 1)
            }
            ExternType::Global(ty) => EntityType::Global(GlobalType {
                val_type: val_type(ty.content()),
                mutable: ty.mutability().is_mut(),
                shared: false,
            }),
            ExternType::Table(ty) => EntityType::Table(TableType {
                element_type: ref_type(ty.element().into()),
                minimum: ty.minimum(),
                maximum: ty.maximum(),
                table64: false,
                shared: false,
            }),
            ExternType::Memory(ty) => EntityType::Memory(MemoryType {
                minimum: ty.minimum(),
                maximum: ty.maximum(),
                memory64: false,
                shared: false,
                page_size_log2: None,
            }),
        };
        imports.import("a", export.name(), ty);
    }
    let mut encoder = Encoder::new();
    encoder.section(&types).section(&imports);
    encoder.finish()
}

fn encoded(types: &[wasmi::ValType]) -> Vec<ValType> {
    types.iter().map(|ty| val_type(*ty)).collect()
}

fn val_type(ty: wasmi::ValType) -> ValType {
    match ty {
        wasmi::ValType::I32 => ValType::I32,
        wasmi::ValType::I64 => ValType::I64,
        wasmi::ValType::F32 => ValType::F32,
        wasmi::ValType::F64 => ValType::F64,
        wasmi::ValType::V128 => ValType::V128,
        reference => ValType::Ref(ref_type(reference)),
    }
}

fn ref_type(ty: wasmi::ValType) -> RefType {
    match ty {
        wasmi::ValType::FuncRef => RefType::FUNCREF,
        _ => RefType::EXTERNREF,
    }
}

/// The host's functions, each of which takes a number.
const NOTES: [(&str, ValType); 4] = [
    ("i32", ValType::I32),
    ("i64", ValType::I64),
    ("f32", ValType::F32),
    ("f64", ValType::F64),
];

/// A module that calls all functions of others, with zeros, and notes what they return.
fn caller<'a>(modules: impl IntoIterator<Item = (&'a str, &'a Module)>) -> Vec<u8> {
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    for (name, ty) in NOTES {
        types.ty().function([ty], []);
        imports.import("host", name, EntityType::Function(types.len() - 1));
    }
    let mut run = Function::new([]);
    let mut code = run.instructions();
    for (name, module) in modules {
        for export in module.exports() {
            let ExternType::Func(ty) = export.ty() else {
                continue;
            };
            let (params, results) = (encoded(ty.params()), encoded(ty.results()));
            for param in &params {
                zero(&mut code, *param);
            }
            let function = imports.len();
            types.ty().function(params, results.iter().copied());
            imports.import(name, export.name(), EntityType::Function(function));
            code.call(function);
            for result in results.iter().rev() {
                match NOTES.iter().zip(0..).find(|((_, ty), _)| ty == result) {
                    Some((_, note)) => code.call(note),
                    None => code.drop(),
                };
            }
        }
    }
    code.i32_const(0).end();
    types.ty().function([], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(types.len() - 1);
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, imports.len());
    let mut bodies = CodeSection::new();
    bodies.function(&run);
    let mut encoder = Encoder::new();
    encoder.section(&types).section(&imports);
    encoder
        .section(&functions)
        .section(&exports)
        .section(&bodies);
    encoder.finish()
}

fn zero(code: &mut InstructionSink<'_>, ty: ValType) {
    match ty {
        ValType::I32 => code.i32_const(0),
        ValType::I64 => code.i64_const(0),
        ValType::F32 => code.f32_const(0.0.into()),
        ValType::F64 => code.f64_const(0.0.into()),
        ValType::V128 => code.v128_const(0),
        ValType::Ref(RefType::FUNCREF) => code.ref_null(HeapType::FUNC),
        ValType::Ref(_) => code.ref_null(HeapType::EXTERN),
    };
}

/// The component that instantiates three modules: the second with the first, the third with both.
fn component(modules: [&[u8]; 3]) -> Vec<u8> {
    const TEXT: &str = r#"(component
        (import "my:host/notes@1.0.0" (instance $notes
            (export "i32" (func (param "n" u32))) (export "i64" (func (param "n" u64)))
            (export "f32" (func (param "n" f32))) (export "f64" (func (param "n" f64)))))
        (core func $i32 (canon lower (func $notes "i32")))
        (core func $i64 (canon lower (func $notes "i64")))
        (core func $f32 (canon lower (func $notes "f32")))
        (core func $f64 (canon lower (func $notes "f64")))
        (core instance $host
            (export "i32" (func $i32)) (export "i64" (func $i64))
            (export "f32" (func $f32)) (export "f64" (func $f64)))
        (core module $a)
        (core module $b)
        (core module $c)
        (core instance $a (instantiate $a))
        (core instance $b (instantiate $b (with "a" (instance $a))))
        (core instance $c (instantiate $c
            (with "host" (instance $host)) (with "a" (instance $a)) (with "b" (instance $b))))
        (func $run (result (result)) (canon lift (core func $c "run")))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $run)))"#;
    const HEADER: usize = 8;
    const MODULE: u8 = 1;
    let binary = wat::parse_str(TEXT).expect("it is our own text");
    let mut component = binary[..HEADER].to_vec();
    let mut rest = &binary[HEADER..];
    let mut modules = modules.into_iter();
    while let [id, after @ ..] = rest {
        let mut reader = wasmparser::BinaryReader::new(after, 0);
        let contents = reader.read_reader().expect("it is sound");
        let mut contents = &after[contents.range()];
        rest = &after[reader.original_position()..];
        if *id == MODULE {
            contents = modules.next().expect("there are three in the text");
        }
        component.push(*id);
        contents.encode(&mut component);
    }
    component
}

// ---- running them ----------------------------------------------------------------------------------

/// What was seen of a run.
#[derive(Debug, PartialEq)]
struct Ran {
    end: End,
    /// What was noted.
    notes: Vec<(String, u64)>,
    memory: Option<Vec<u8>>,
}

#[derive(Debug, PartialEq)]
enum End {
    Returned,
    Trapped(TrapCode),
    /// wasmi ended it for reasons of its own.
    CutOff,
}

struct Host {
    limits: StoreLimits,
    notes: Vec<(String, u64)>,
}

const FUEL: u64 = 200_000;

fn store(engine: &Engine) -> Store<Host> {
    let limits = StoreLimitsBuilder::new()
        .memory_size(1 << 20)
        .table_elements(1000)
        .build();
    let notes = Vec::new();
    let mut store = Store::new(engine, Host { limits, notes });
    store.limiter(|host| &mut host.limits);
    store.set_fuel(FUEL).expect("it counts fuel");
    store
}

fn noting(store: &mut Store<Host>, name: &str, ty: &FuncType) -> Func {
    let name = name.to_owned();
    Func::new(store, ty.clone(), move |mut caller, params, _| {
        let number = match &params[0] {
            Val::I32(value) => *value as u32 as u64,
            Val::I64(value) => *value as u64,
            Val::F32(value) => value.to_bits().into(),
            Val::F64(value) => value.to_bits(),
            other => panic!("{other:?} is no number"),
        };
        let host: &mut Host = wasmi::Caller::data_mut(&mut caller);
        host.notes.push((name.clone(), number));
        Ok(())
    })
}

fn apart(engine: &Engine, modules: &[(&str, &Module)]) -> Ran {
    let mut store = store(engine);
    let mut linker = Linker::new(engine);
    for (name, ty) in NOTES {
        let ty = match ty {
            ValType::I32 => wasmi::ValType::I32,
            ValType::I64 => wasmi::ValType::I64,
            ValType::F32 => wasmi::ValType::F32,
            _ => wasmi::ValType::F64,
        };
        let function = noting(&mut store, name, &FuncType::new([ty], []));
        linker.define("host", name, function).expect("it is new");
    }
    let mut memory = None;
    let mut last = None;
    for (name, module) in modules {
        match linker.instantiate_and_start(&mut store, module) {
            Ok(instance) => {
                linker
                    .instance(&mut store, name, instance)
                    .expect("it is new");
                memory = memory.or(memory_of(&store, &instance));
                last = Some(instance);
            }
            Err(error) => return ran(store, Err(error), memory),
        }
    }
    let instance = last.expect("there are some");
    let run = instance.get_typed_func::<(), i32>(&store, "run");
    let ended = run.and_then(|run| run.call(&mut store, ())).map(|_| ());
    ran(store, ended, memory)
}

fn together(engine: &Engine, module: &Module) -> Ran {
    let mut store = store(engine);
    let mut linker = Linker::new(engine);
    for import in module.imports() {
        let ty = import
            .ty()
            .func()
            .expect("functions alone are imported")
            .clone();
        let function = match import.module() {
            "[cabi]" => Func::new(&mut store, ty, |_, _, _| Err(Error::new("by the host"))),
            _ => noting(&mut store, import.name(), &ty),
        };
        linker
            .define(import.module(), import.name(), function)
            .expect("it is new");
    }
    match linker.instantiate_and_start(&mut store, module) {
        Ok(instance) => {
            let memory = memory_of(&store, &instance);
            let start = instance.get_typed_func::<(), ()>(&store, "_start");
            let ended = start.and_then(|start| start.call(&mut store, ()));
            ran(store, ended, memory)
        }
        Err(error) => ran(store, Err(error), None),
    }
}

fn memory_of(store: &Store<Host>, instance: &Instance) -> Option<Memory> {
    let mut exports = instance.exports(store);
    exports.find_map(|export| export.into_extern().into_memory())
}

fn ran(store: Store<Host>, ended: std::result::Result<(), Error>, memory: Option<Memory>) -> Ran {
    let end = match &ended {
        Ok(()) => End::Returned,
        Err(error) => match error.kind() {
            ErrorKind::TrapCode(TrapCode::OutOfFuel | TrapCode::StackOverflow) => End::CutOff,
            ErrorKind::TrapCode(code) => End::Trapped(*code),
            _ => match error.as_trap_code() {
                Some(code) => End::Trapped(code),
                // Segments that do not fit.
                None => End::CutOff,
            },
        },
    };
    let memory = memory.filter(|_| end == End::Returned);
    Ran {
        end,
        memory: memory.map(|memory| memory.data(&store).to_vec()),
        notes: store.into_data().notes,
    }
}
