//! Bounds on what grows, in the code of guests that grow tables.
//!
//! wasmer asks nobody before a table grows. Such a guest therefore looks itself, at numbers that it is told when it is
//! made, before it grows a table or a memory: what would be too much it does not try, but tries to grow by more than
//! there is, which fails as it should.

use std::sync::OnceLock;

use wasmer::sys::wasmparser::Operator;
use wasmer::sys::{FunctionMiddleware, MiddlewareError, MiddlewareReaderState, ModuleMiddleware};
use wasmer::{
    ExportIndex, GlobalInit, GlobalType, Instance, LocalFunctionIndex, ModuleInfo, Mutability,
    Store, Type, Value,
};
use wasmrun_core::{Error, ErrorKind, Limits, Result};

/// Elements that tables have grown by.
const GROWN: &str = "wasmrun: elements grown";
/// Elements that tables may grow by.
const ELEMENTS: &str = "wasmrun: elements to grow by";
/// Bytes that memories, and what tables have grown by, may have together.
const BYTES: &str = "wasmrun: bytes";

/// Compiles it into one module.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    module: OnceLock<Module>,
}

/// Numbers of the globals that were added, and of memories that are there.
#[derive(Debug, Clone, Copy)]
struct Module {
    delta: u32,
    result: u32,
    grown: u32,
    elements: u32,
    bytes: u32,
    memories: u32,
}

impl ModuleMiddleware for Growth {
    fn transform_module_info(&self, module: &mut ModuleInfo) -> Result<(), MiddlewareError> {
        let memories = module.memories.len() as u32;
        let mut global = |name: Option<&str>, ty, initial| {
            let global = module.globals.push(GlobalType::new(ty, Mutability::Var));
            module.global_initializers.push(initial);
            if let Some(name) = name {
                let export = ExportIndex::Global(global);
                module.exports.insert(name.to_owned(), export);
            }
            global.as_u32()
        };
        let long = GlobalInit::I64Const;
        let most = Limits::MAX_TABLE_ELEMENTS.cast_signed();
        let added = Module {
            delta: global(None, Type::I32, GlobalInit::I32Const(0)),
            result: global(None, Type::I32, GlobalInit::I32Const(0)),
            grown: global(Some(GROWN), Type::I64, long(0)),
            elements: global(Some(ELEMENTS), Type::I64, long(most)),
            bytes: global(Some(BYTES), Type::I64, long(-1)),
            memories,
        };
        self.module.set(added).map_err(|_| {
            MiddlewareError::new("growth", "it serves one module, and this is another")
        })
    }

    fn generate_function_middleware<'a>(
        &self,
        _: LocalFunctionIndex,
    ) -> Box<dyn FunctionMiddleware<'a> + 'a> {
        Box::new(FunctionGrowth {
            module: self.module.get().copied(),
        })
    }
}

#[derive(Debug)]
struct FunctionGrowth {
    module: Option<Module>,
}

impl<'a> FunctionMiddleware<'a> for FunctionGrowth {
    fn feed(
        &mut self,
        operator: Operator<'a>,
        state: &mut MiddlewareReaderState<'a>,
    ) -> Result<(), MiddlewareError> {
        match (&operator, self.module) {
            (Operator::TableGrow { .. }, Some(module)) => module.grow_table(operator, state),
            (Operator::MemoryGrow { .. }, Some(module)) => module.grow_memory(operator, state),
            _ => state.push_operator(operator),
        }
        Ok(())
    }
}

const PAGE_BITS: i64 = 16;
const ELEMENT_BYTES: i64 = Limits::TABLE_ELEMENT_BYTES as i64;
/// What nothing can grow by.
const TOO_MUCH: Operator<'_> = Operator::I32Const { value: -1 };

impl Module {
    fn grow_table<'a>(self, grow: Operator<'a>, state: &mut MiddlewareReaderState<'a>) {
        use Operator::{GlobalGet, GlobalSet, I32And, I32Ne, I64Add, I64Const, I64LeU, Select};
        state.extend(self.delta_or_too_much());
        state.extend(self.delta());
        state.extend([get(self.grown), I64Add, get(self.elements), I64LeU]);
        state.extend(self.delta());
        state.extend(times(ELEMENT_BYTES));
        self.used_bytes(state);
        state.extend([I64Add, get(self.bytes), I64LeU, I32And, Select, grow]);
        let (result, grown) = (self.result, self.grown);
        state.push_operator(GlobalSet {
            global_index: result,
        });
        state.extend(self.delta());
        state.extend([
            I64Const { value: 0 },
            get(result),
            TOO_MUCH,
            I32Ne,
            Select,
            get(grown),
            I64Add,
            GlobalSet {
                global_index: grown,
            },
            GlobalGet {
                global_index: result,
            },
        ]);
    }

    fn grow_memory<'a>(self, grow: Operator<'a>, state: &mut MiddlewareReaderState<'a>) {
        use Operator::{I64Add, I64LeU, Select};
        state.extend(self.delta_or_too_much());
        state.extend(self.delta());
        state.extend(pages());
        self.used_bytes(state);
        state.extend([I64Add, get(self.bytes), I64LeU, Select, grow]);
    }

    /// Keeps what is to be grown by, and puts what is to be chosen from on the stack.
    fn delta_or_too_much<'a>(self) -> [Operator<'a>; 3] {
        let global_index = self.delta;
        [
            Operator::GlobalSet { global_index },
            get(global_index),
            TOO_MUCH,
        ]
    }

    fn delta<'a>(self) -> [Operator<'a>; 2] {
        [get(self.delta), Operator::I64ExtendI32U]
    }

    fn used_bytes(self, state: &mut MiddlewareReaderState<'_>) {
        state.push_operator(get(self.grown));
        state.extend(times(ELEMENT_BYTES));
        for mem in 0..self.memories {
            state.extend([Operator::MemorySize { mem }, Operator::I64ExtendI32U]);
            state.extend(pages());
            state.push_operator(Operator::I64Add);
        }
    }
}

fn get<'a>(global_index: u32) -> Operator<'a> {
    Operator::GlobalGet { global_index }
}

fn times<'a>(value: i64) -> [Operator<'a>; 2] {
    [Operator::I64Const { value }, Operator::I64Mul]
}

fn pages<'a>() -> [Operator<'a>; 2] {
    [Operator::I64Const { value: PAGE_BITS }, Operator::I64Shl]
}

/// Tells a guest, whose tables start out with so many `elements`, how far it may grow.
///
/// # Errors
///
/// None, of a guest that this was compiled into.
pub(crate) fn limit(
    store: &mut Store,
    instance: &Instance,
    limits: &Limits,
    elements: u64,
) -> Result<()> {
    let bytes = elements.saturating_mul(Limits::TABLE_ELEMENT_BYTES);
    let may_grow = limits.most_table_elements().saturating_sub(elements);
    let may_have = limits
        .memory
        .map_or(u64::MAX, |limit| limit.saturating_sub(bytes));
    for (name, value) in [(ELEMENTS, may_grow), (BYTES, may_have)] {
        let global = instance.exports.get_global(name);
        global
            .map_err(|error| lost(name).with_source(error))?
            .set(store, Value::I64(value.cast_signed()))
            .map_err(|error| lost(name).with_source(error))?;
    }
    Ok(())
}

/// The bytes that tables have grown by.
pub(crate) fn grown_bytes(store: &mut Store, instance: &Instance) -> u64 {
    let global = instance.exports.get_global(GROWN);
    match global.map(|global| global.get(store)) {
        Ok(Value::I64(elements)) => elements.cast_unsigned() * Limits::TABLE_ELEMENT_BYTES,
        _ => 0,
    }
}

fn lost(name: &str) -> Error {
    Error::new(
        ErrorKind::Engine,
        format!("lost the guest's global {name:?}"),
    )
}
