//! A memory that starts with no page, and has one all the same: for backends that work in it.
//!
//! Until the guest grows the memory, there is a page that it does not see. What works on the memory traps then as
//! it would without any.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    BlockType, ConstExpr, Encode, Function, InstructionSink, MemArg, MemoryType, SectionId, ValType,
};
use wasmparser::Operator;

use crate::Rewriter;

/// Such a memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    memory: u32,
    /// A global, an `i32`: how many pages there are that the guest does not see. It is 1, and then 0.
    unseen: u32,
}

impl Rewriter<'_> {
    /// Gives a memory that starts with no page one that the guest does not see. Its addresses are of 32 bits and its
    /// pages of 64 KiB.
    pub fn make_room(&mut self, memory: u32) {
        let unseen = self.global(ValType::I32, &ConstExpr::i32_const(1));
        self.room = Some(Room { memory, unseen });
    }

    /// The guest's memories.
    pub fn memory_section(&self) -> Vec<u8> {
        let Some(room) = self.room else {
            return self.parts.contents(SectionId::Memory).to_vec();
        };
        let mut section = Vec::new();
        self.parts.memories.len().encode(&mut section);
        for (memory, number) in self.parts.memories.iter().zip(0..) {
            // Types were validated, so each has an encoding.
            let Ok(mut ty) = RoundtripReencoder.memory_type(*memory) else {
                continue;
            };
            if number == room.memory {
                ty = MemoryType {
                    minimum: 1,
                    maximum: ty.maximum.map(|maximum| maximum.max(1)),
                    ..ty
                };
            }
            ty.encode(&mut section);
        }
        section
    }

    /// The pages of a memory that the guest sees: puts a number of its index type on the stack.
    pub(crate) fn memory_size(&self, code: &mut InstructionSink<'_>, memory: u32) {
        code.memory_size(memory);
        if let Some(room) = self.room_in(memory) {
            room.see(code);
        }
    }

    /// What `memory.size` is replaced by a call of.
    pub(crate) fn sizer(&mut self, operator: &Operator<'_>) -> Option<u32> {
        let memory = match *operator {
            Operator::MemorySize { mem } => self.room_in(mem)?.memory,
            _ => return None,
        };
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.memory_size(&mut code, memory);
        code.end();
        Some(self.helper([], [ValType::I32], function))
    }

    /// Grows a memory by the pages that are the first parameter of a function, of which this is the end.
    pub(crate) fn memory_grow(&self, code: &mut InstructionSink<'_>, memory: u32) {
        let Some(room) = self.room_in(memory) else {
            code.local_get(0).memory_grow(memory).end();
            return;
        };
        code.local_get(0).i32_eqz().if_(BlockType::Empty);
        self.memory_size(code, memory);
        code.return_().end();
        code.local_get(0);
        room.see(code);
        code.memory_grow(memory).local_tee(0).i32_const(-1).i32_eq();
        code.if_(BlockType::Empty).i32_const(-1).return_().end();
        code.local_get(0);
        room.see(code);
        code.i32_const(0).global_set(room.unseen).end();
    }

    /// What an operator that works on many bytes is replaced by a call of: on no bytes at the start of a memory
    /// without a page, it does not trap.
    pub(crate) fn guarded(&mut self, operator: &Operator<'_>) -> Option<u32> {
        let room = self.room?;
        // Which operands are addresses, and in which memories.
        let addresses = match *operator {
            Operator::MemoryFill { mem } | Operator::MemoryInit { mem, .. } => vec![(0, mem)],
            Operator::MemoryCopy { dst_mem, src_mem } => vec![(0, dst_mem), (1, src_mem)],
            _ => return None,
        };
        if addresses.iter().all(|(_, memory)| *memory != room.memory) {
            return None;
        }
        let mut params = [ValType::I32; 3];
        let mut function = Function::new([]);
        let mut code = function.instructions();
        for (operand, memory) in addresses {
            if self.parts.memories[memory as usize].memory64 {
                params[operand as usize] = ValType::I64;
            }
            if memory == room.memory {
                code.global_get(room.unseen).if_(BlockType::Empty);
                code.local_get(operand).local_get(2).i32_or();
                code.if_(BlockType::Empty);
                room.trap(&mut code);
                code.end().end();
            }
        }
        code.local_get(0).local_get(1).local_get(2);
        let operator = RoundtripReencoder.instruction(operator.clone()).ok()?;
        function.instruction(&operator).instructions().end();
        Some(self.helper(params, [], function))
    }

    fn room_in(&self, memory: u32) -> Option<Room> {
        self.room.filter(|room| room.memory == memory)
    }
}

impl Room {
    /// Whether an operator loads from there, or stores.
    pub(crate) fn is_accessed_by(self, operator: &Operator<'_>) -> bool {
        accessed(operator) == Some(self.memory)
    }

    /// What comes before such an operator.
    pub(crate) fn guard(self, code: &mut InstructionSink<'_>) {
        code.global_get(self.unseen).if_(BlockType::Empty);
        self.trap(code);
        code.end();
    }

    /// Makes a number of pages one of those that the guest sees.
    fn see(self, code: &mut InstructionSink<'_>) {
        code.global_get(self.unseen).i32_sub();
    }

    /// Accesses what no memory has that has not grown.
    fn trap(self, code: &mut InstructionSink<'_>) {
        let end = MemArg {
            offset: 0,
            align: 0,
            memory_index: self.memory,
        };
        code.i32_const(-1).i32_load8_u(end).drop();
    }
}

/// The memory of an operator that loads or stores.
#[allow(unused_variables, reason = "most operators have other arguments")]
fn accessed(operator: &Operator<'_>) -> Option<u32> {
    macro_rules! memory {
        (memarg $memarg:ident $($other:ident)*) => {
            Some($memarg.memory)
        };
        ($($other:ident)*) => {
            None
        };
    }
    macro_rules! of_each {
        ($(@$proposal:ident $name:ident $({ $($argument:ident: $ty:ty),* })? => $visit:ident ($($arity:tt)*))*) => {
            match operator {
                $(Operator::$name $({ $($argument),* })? => memory!($($($argument $argument)*)?),)*
                _ => None,
            }
        };
    }
    wasmparser::for_each_operator!(of_each)
}
