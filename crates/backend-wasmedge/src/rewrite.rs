//! What is changed in a guest before WasmEdge sees it.
//!
//! The guest counts the stack that its calls take, and looks at limits before something grows; both are
//! globals that it exports to us, as it exports its memories. Its start function is an export too, because
//! WasmEdge would run it before there is a memory to point into, and where it cannot be cancelled. Sections that
//! are not the specification's, in which WasmEdge takes compiled code, are left out.
//!
//! A guest with tail calls does not import functions in their own places, but calls them through
//! functions of its own: a tail call of a host function corrupts WasmEdge's stack (0.17.1).

use wasm_encoder::{ConstExpr, ExportKind, ExportSection, Function, Module, SectionId, ValType};
use wasmrun_core::guest::ValueType;
use wasmrun_core::{Guest, Proposals, Result};
use wasmrun_rewrite::{Bound, Growth, Parts, Rewriter, raw};
use wasmrun_wasi_preview1::Imported;

/// Exports of ours; those of the guest have [`GUEST`] in front of their names.
pub(crate) const START: &str = "start";
/// The stack that is used, an `i32` that exceeds the limit if the guest did.
pub(crate) const STACK: &str = "stack";
/// Bytes that all memories and tables may have together, an `i64`.
pub(crate) const MEMORY_LIMIT: &str = "memory-limit";
/// Elements that all tables may have together, an `i64`.
pub(crate) const TABLE_LIMIT: &str = "table-limit";
const GUEST: &str = "guest:";

/// A guest for WasmEdge.
pub(crate) struct Rewritten {
    pub(crate) wasm: Vec<u8>,
    /// Whether it exports [`START`].
    pub(crate) has_start: bool,
    /// The most that [`STACK`] may come to.
    pub(crate) stack_limit: u32,
    /// The one that WASI works on.
    pub(crate) exported_memory: Option<u32>,
    /// All that the guest exports, by name.
    pub(crate) exported_memories: Vec<(String, u32)>,
}

/// The name by which a function or a global of the guest's is exported.
pub(crate) fn guest_name(name: &str) -> String {
    format!("{GUEST}{name}")
}

/// The name by which a memory is exported, whether or not the guest did.
pub(crate) fn memory_name(memory: u32) -> String {
    format!("memory {memory}")
}

/// The name by which a table is exported, likewise.
pub(crate) fn table_name(table: u32) -> String {
    format!("table {table}")
}

/// Rewrites a guest that imports these functions, for a stack of so many bytes.
pub(crate) fn rewritten(
    guest: &Guest,
    parts: &Parts<'_>,
    imports: &[Imported],
    stack: u64,
) -> Result<Rewritten> {
    use ValType::{I32, I64};
    let stubs = match guest.proposals().contains(Proposals::TAIL_CALL) {
        true => imports,
        false => &[],
    };
    let shift = stubs.len() as u32;
    let mut own = Rewriter::new(parts, shift);
    let counter = own.global(I32, &ConstExpr::i32_const(0));
    let memory_limit = own.global(I64, &ConstExpr::i64_const(-1));
    let table_limit = own.global(I64, &ConstExpr::i64_const(-1));
    own.growth = Some(Growth {
        bytes: within(memory_limit),
        elements: within(table_limit),
    });
    let stack_limit = Bound::limit_of(stack);
    own.bound = Some(Bound {
        counter,
        limit: stack_limit,
        exceeded: own.helper([], [], unreachable()),
    });
    let bodies = own.bodies()?;

    let mut exports = ExportSection::new();
    for (name, function) in &parts.exported_functions {
        exports.export(&guest_name(name), ExportKind::Func, own.number(*function));
    }
    if let Some(function) = parts.start {
        exports.export(START, ExportKind::Func, own.number(function));
    }
    for memory in 0..parts.memories.len() as u32 {
        exports.export(&memory_name(memory), ExportKind::Memory, memory);
    }
    for table in 0..parts.tables.len() as u32 {
        exports.export(&table_name(table), ExportKind::Table, table);
    }
    for (name, global) in &parts.exported_globals {
        exports.export(&guest_name(name), ExportKind::Global, *global);
    }
    for (name, global) in [
        (STACK, counter),
        (MEMORY_LIMIT, memory_limit),
        (TABLE_LIMIT, table_limit),
    ] {
        exports.export(name, ExportKind::Global, global);
    }

    let before = match stubs {
        [] => &[],
        _ => parts.imports.as_slice(),
    };
    let stubs = stubs.iter().enumerate();
    let stubs = stubs.map(|(import, function)| stub(import as u32, function.params()));
    let mut module = Module::new();
    raw(&mut module, SectionId::Type, &own.type_section());
    own.copied(&mut module, SectionId::Import)?;
    raw(
        &mut module,
        SectionId::Function,
        &own.function_section(before)?,
    );
    own.copied(&mut module, SectionId::Table)?;
    own.copied(&mut module, SectionId::Memory)?;
    own.copied(&mut module, SectionId::Tag)?;
    raw(&mut module, SectionId::Global, &own.global_section()?);
    module.section(&exports);
    own.copied(&mut module, SectionId::Element)?;
    own.copied(&mut module, SectionId::DataCount)?;
    raw(
        &mut module,
        SectionId::Code,
        &own.code_section(stubs, &bodies),
    );
    own.copied(&mut module, SectionId::Data)?;
    Ok(Rewritten {
        wasm: module.finish(),
        has_start: parts.start.is_some(),
        stack_limit,
        exported_memory: parts.exported_memory,
        exported_memories: parts
            .exported_memories
            .iter()
            .map(|(name, memory)| ((*name).to_owned(), *memory))
            .collect(),
    })
}

/// Whether a total is within a limit.
fn within(limit: u32) -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.local_get(0).global_get(limit).i64_le_u().end();
    function
}

fn unreachable() -> Function {
    let mut function = Function::new([]);
    function.instructions().unreachable().end();
    function
}

/// What is in the place of an import, where it is not itself.
fn stub(import: u32, params: &[ValueType]) -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    for param in 0..params.len() as u32 {
        code.local_get(param);
    }
    code.call(import).end();
    function
}

#[cfg(test)]
mod tests {
    use wasmparser::{Validator, WasmFeatures};
    use wasmrun_core::HostFunctions;
    use wasmrun_wasi_preview1::imported;

    use super::*;

    fn rewritten_from(guest: &Guest) -> Result<Vec<u8>> {
        let parts = Parts::of(guest)?;
        Ok(rewritten(
            guest,
            &parts,
            &imported(guest, &HostFunctions::new())?,
            1 << 20,
        )?
        .wasm)
    }

    fn validate(name: &str, wasm: &[u8]) {
        Validator::new_with_features(WasmFeatures::all())
            .validate_all(wasm)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    #[test]
    fn a_valid_module_that_nobody_wrote_stays_valid() {
        let mut valid = 0;
        for module in wasmrun_corpus::modules() {
            let guest = Guest::from_bytes(module.name, module.wasm);
            if let Ok(wasm) = guest.and_then(|guest| rewritten_from(&guest)) {
                validate(module.name, &wasm);
                valid += 1;
            }
        }
        assert!(valid > 1000, "only {valid} were rewritten");
    }

    /// Numbers of functions change wherever they can stand.
    #[test]
    fn a_guest_with_tail_calls_stays_valid() {
        let guest = r#"(module
            (type $exits (func (param i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (type $exits)))
            (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
            (memory 1) (table 2 5 funcref)
            (global funcref (ref.func $own))
            (elem (i32.const 0) $exit $own)
            (elem declare func $yield)
            (start $own)
            (export "exit" (func $exit))
            (func $own
                (drop (ref.func $yield)) (drop (call $yield))
                (drop (memory.grow (i32.const 1)))
                (drop (table.grow (ref.func $own) (i32.const 1)))
                (return_call_indirect (type $exits) (i32.const 1) (i32.const 0)))
            (func (export "_start") (return_call $exit (i32.const 1))))"#;
        let guest = Guest::from_bytes("guest.wat", guest).expect("a guest");
        validate("guest", &rewritten_from(&guest).expect("rewritten"));
    }
}
