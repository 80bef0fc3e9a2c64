//! Memories and tables that ask before they grow.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{BlockType, Function, InstructionSink, RefType, ValType};
use wasmparser::Operator;

use crate::Rewriter;

/// Who is asked: bodies of functions that take what all together would have then, an `i64`, and return
/// whether that may be, an `i32`. What they allow is tried, and may still fail. A module in which nothing
/// grows is spared them.
#[derive(Debug, Clone)]
pub struct Growth {
    /// Asked for memories, about bytes.
    pub memories: Function,
    /// Asked for tables, about elements.
    pub tables: Function,
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
        let (growing, ask) = match *operator {
            Operator::MemoryGrow { mem } => (Growing::Memory(mem), &growth.memories),
            Operator::TableGrow { table } => (Growing::Table(table), &growth.tables),
            _ => return None,
        };
        if let Some(known) = self.growers.get(&growing) {
            return Some(*known);
        }
        let ask = ask.clone();
        let ask = self.helper([ValType::I64], [ValType::I32], ask);
        let grower = match growing {
            Growing::Memory(memory) => self.memory_grower(memory, ask),
            Growing::Table(table) => self.table_grower(table, ask),
        };
        self.growers.insert(growing, grower);
        Some(grower)
    }

    /// The function that grows a memory, unless the function `ask` says that it must not.
    fn memory_grower(&mut self, memory: u32, ask: u32) -> u32 {
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
        code.local_get(TOTAL).call(ask).i32_eqz();
        refuse_if(&mut code, is_64, 0);
        self.memory_grow(&mut code, memory);
        self.helper([index], [index], function)
    }

    /// The function that grows a table, likewise.
    fn table_grower(&mut self, table: u32, ask: u32) -> u32 {
        const TOTAL: u32 = 2;
        let ty = self.parts.tables[table as usize];
        let (index, is_64) = (index_type(ty.table64), ty.table64);
        let element = RoundtripReencoder
            .ref_type(ty.element_type)
            .unwrap_or(RefType::FUNCREF);
        let mut function = Function::new([(1, ValType::I64)]);
        let mut code = function.instructions();
        widened(code.local_get(1), is_64);
        for (table, ty) in self.parts.tables.iter().enumerate() {
            widened(code.table_size(table as u32), ty.table64).i64_add();
        }
        code.local_set(TOTAL);
        code.local_get(TOTAL).call(ask).i32_eqz();
        refuse_if(&mut code, is_64, 1);
        code.local_get(0).local_get(1).table_grow(table).end();
        self.helper([ValType::Ref(element), index], [index], function)
    }

    /// Bytes of all of the guest's memories: puts an `i64` on the stack.
    pub fn total_bytes(&self, code: &mut InstructionSink<'_>) {
        code.i64_const(0);
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
