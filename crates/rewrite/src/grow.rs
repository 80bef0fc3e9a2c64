//! Memories and tables that ask before they grow.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{BlockType, Function, InstructionSink, RefType, ValType};
use wasmparser::Operator;
use wasmrun_core::Limits;

use crate::Rewriter;

const ELEMENT_BYTES: i64 = Limits::TABLE_ELEMENT_BYTES as i64;

/// Who is asked: bodies of functions that take what all together would have then, an `i64`, and return
/// whether that may be, an `i32`. What they allow is tried, and may still fail. A module in which nothing
/// grows is spared them.
#[derive(Debug, Clone)]
pub struct Growth {
    /// Asked about bytes of memories and tables, as [`Limits::memory`] counts them.
    pub bytes: Function,
    /// Asked about elements of tables, before the bytes.
    pub elements: Function,
}

/// What grows, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Growing {
    Memory(u32),
    Table(u32),
}

impl Rewriter<'_> {
    /// What an operator that grows something is replaced by a call of.
    pub(crate) fn grower(&mut self, operator: &Operator<'_>) -> Option<u32> {
        let growth = self.growth.as_ref()?;
        let growing = match *operator {
            Operator::MemoryGrow { mem } => Growing::Memory(mem),
            Operator::TableGrow { table } => Growing::Table(table),
            _ => return None,
        };
        if let Some(known) = self.growers.get(&growing) {
            return Some(*known);
        }
        let (bytes, elements) = (growth.bytes.clone(), growth.elements.clone());
        let bytes = self.asking(bytes);
        let grower = match growing {
            Growing::Memory(memory) => self.memory_grower(memory, bytes),
            Growing::Table(table) => {
                let elements = self.asking(elements);
                self.table_grower(table, elements, bytes)
            }
        };
        self.growers.insert(growing, grower);
        Some(grower)
    }

    fn asking(&mut self, ask: Function) -> u32 {
        self.helper([ValType::I64], [ValType::I32], ask)
    }

    /// The function that grows a memory, unless the function `bytes` says that it must not.
    fn memory_grower(&mut self, memory: u32, bytes: u32) -> u32 {
        const TOTAL: u32 = 1;
        let ty = self.parts.memories[memory as usize];
        let (index, is_64) = (index_type(ty.memory64), ty.memory64);
        let mut function = Function::new([(1, ValType::I64)]);
        let mut code = function.instructions();
        // What the runtime would refuse does not count.
        let maximum = ty.maximum.into_iter().chain(self.most_pages).min();
        if let Some(maximum) = maximum {
            widened(code.local_get(0), is_64);
            self.memory_size(&mut code, memory);
            widened(&mut code, is_64);
            code.i64_add().i64_const(maximum as i64).i64_gt_u();
            refuse_if(&mut code, is_64, 0);
        }
        self.total_bytes(&mut code);
        widened(code.local_get(0), is_64);
        code.i64_const(ty.page_size_log2.unwrap_or(16).into());
        code.i64_shl().i64_add().local_set(TOTAL);
        code.local_get(TOTAL).call(bytes).i32_eqz();
        refuse_if(&mut code, is_64, 0);
        self.memory_grow(&mut code, memory);
        self.helper([index], [index], function)
    }

    /// The function that grows a table, unless one of two functions says that it must not.
    fn table_grower(&mut self, table: u32, elements: u32, bytes: u32) -> u32 {
        let ty = self.parts.tables[table as usize];
        let (index, is_64) = (index_type(ty.table64), ty.table64);
        let element = RoundtripReencoder
            .ref_type(ty.element_type)
            .unwrap_or(RefType::FUNCREF);
        let mut function = Function::new([]);
        let mut code = function.instructions();
        // What the runtime would refuse does not count.
        if let Some(maximum) = ty.maximum {
            widened(code.local_get(1), is_64);
            widened(code.table_size(table), is_64);
            code.i64_add().i64_const(maximum as i64).i64_gt_u();
            refuse_if(&mut code, is_64, 1);
        }
        widened(code.local_get(1), is_64);
        self.total_elements(&mut code);
        code.i64_add().call(elements).i32_eqz();
        refuse_if(&mut code, is_64, 1);
        widened(code.local_get(1), is_64);
        code.i64_const(ELEMENT_BYTES).i64_mul();
        self.total_bytes(&mut code);
        code.i64_add().call(bytes).i32_eqz();
        refuse_if(&mut code, is_64, 1);
        code.local_get(0).local_get(1).table_grow(table).end();
        self.helper([ValType::Ref(element), index], [index], function)
    }

    /// Elements of all of the guest's tables: puts an `i64` on the stack.
    fn total_elements(&self, code: &mut InstructionSink<'_>) {
        code.i64_const(0);
        for (table, ty) in self.parts.tables.iter().enumerate() {
            widened(code.table_size(table as u32), ty.table64).i64_add();
        }
    }

    /// Bytes of all of the guest's memories and tables, as [`Limits::memory`] counts them: likewise.
    pub fn total_bytes(&self, code: &mut InstructionSink<'_>) {
        self.total_elements(code);
        code.i64_const(ELEMENT_BYTES).i64_mul();
        for memory in 0..self.parts.memories.len() as u32 {
            self.memory_bytes(code, memory);
            code.i64_add();
        }
    }

    /// Bytes of one memory, which may be one that was added: likewise.
    pub fn memory_bytes(&self, code: &mut InstructionSink<'_>, memory: u32) {
        let ty = self.parts.memories.get(memory as usize);
        let page = ty.and_then(|ty| ty.page_size_log2).unwrap_or(16);
        self.memory_size(code, memory);
        widened(code, ty.is_some_and(|ty| ty.memory64));
        code.i64_const(page.into()).i64_shl();
    }
}

fn index_type(is_64: bool) -> ValType {
    if is_64 { ValType::I64 } else { ValType::I32 }
}

/// Makes the index or size on the stack an `i64`.
fn widened<'a, 'b>(code: &'a mut InstructionSink<'b>, is_64: bool) -> &'a mut InstructionSink<'b> {
    if is_64 { code } else { code.i64_extend_i32_u() }
}

/// Returns -1, by which growing fails, if the condition on the stack holds, or if it is by so much
/// that what led to the condition may have overflowed.
fn refuse_if(code: &mut InstructionSink<'_>, is_64: bool, by: u32) {
    if is_64 {
        code.local_get(by).i64_const(1 << 32).i64_ge_u().i32_or();
    }
    code.if_(BlockType::Empty);
    if is_64 {
        code.i64_const(-1);
    } else {
        code.i32_const(-1);
    }
    code.return_().end();
}
