//! Functions that share a bounded stack: for engines whose guests may recurse until the host's memory
//! is used up.
//!
//! A global counts the bytes that the guest's calls take. A function adds its own when it is entered
//! and takes them off when it is left: its body becomes a block, out of which every return leads. What
//! unwinds past a function leaves the count where it was, so a function that catches puts it right.

use wasm_encoder::{BlockType, InstructionSink, ValType};
use wasmparser::{BinaryReaderError, FunctionBody, Operator};

/// What bounds a guest's stack.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// The global that counts, an `i32` that starts out as 0.
    pub counter: u32,
    /// Bytes of stack.
    pub limit: u32,
    /// The function that ends a guest that exceeds them: it takes and returns nothing, and does not return.
    pub exceeded: u32,
}

/// The stack of a guest that asks for no other, in bytes: twice what wasmtime gives.
pub const USUAL_STACK: u64 = 1 << 20;

impl Bound {
    /// The limit nearest to so many bytes: counting must not overflow before it is noticed.
    pub fn limit_of(bytes: u64) -> u32 {
        const MOST: u32 = 1 << 31;
        u32::try_from(bytes).map_or(MOST, |bytes| bytes.min(MOST))
    }
}

/// One function's part of it.
pub(crate) struct Frame {
    bound: Bound,
    /// Bytes it takes: an estimate, as engines differ.
    cost: u32,
    /// Where it keeps the count it started with.
    local: u32,
    /// How deep in blocks of its own the current operator is.
    depth: u32,
    catches: bool,
}

/// What engines need for any call, and for each value in it.
const CALL: u32 = 32;
const VALUE: u32 = 8;
/// What a function takes at the most, whatever it has: a few such calls exceed any limit.
const MOST: u32 = 1 << 28;

impl Frame {
    /// Of a function with that many parameters and, at its most, that many operands; `None` if it calls
    /// nothing, and so cannot recurse.
    pub(crate) fn of(
        bound: Bound,
        body: &FunctionBody<'_>,
        params: u32,
        operands: u32,
    ) -> Result<Option<Self>, BinaryReaderError> {
        let mut locals = params;
        for group in body.get_locals_reader()? {
            locals += group?.0;
        }
        let (mut calls, mut catches) = (false, false);
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::Call { .. }
                | Operator::CallIndirect { .. }
                | Operator::CallRef { .. } => {
                    calls = true;
                }
                Operator::Try { .. } | Operator::TryTable { .. } => catches = true,
                _ => {}
            }
        }
        Ok(calls.then_some(Frame {
            bound,
            cost: CALL + (locals + operands).saturating_mul(VALUE).min(MOST),
            local: locals,
            depth: 0,
            catches,
        }))
    }

    /// The local that goes with it.
    pub(crate) const LOCAL: (u32, ValType) = (1, ValType::I32);

    /// What comes before the body, which becomes a block of that type.
    pub(crate) fn enter(&self, code: &mut InstructionSink<'_>, block: BlockType) {
        code.global_get(self.bound.counter)
            .i32_const(self.cost as i32)
            .i32_add()
            .local_tee(self.local)
            .global_set(self.bound.counter)
            .local_get(self.local)
            .i32_const(self.bound.limit as i32)
            .i32_gt_u()
            .if_(BlockType::Empty)
            .call(self.bound.exceeded)
            .end()
            .block(block);
    }

    /// What comes behind the body.
    pub(crate) fn leave(&self, code: &mut InstructionSink<'_>) {
        code.local_get(self.local)
            .i32_const(self.cost as i32)
            .i32_sub()
            .global_set(self.bound.counter);
    }

    /// Follows the nesting of blocks; says what an operator has to have around it.
    pub(crate) fn around(&mut self, operator: &Operator<'_>) -> Around {
        match operator {
            Operator::Block { .. } | Operator::If { .. } => self.depth += 1,
            Operator::Loop { .. } => {
                self.depth += 1;
                return self.landing();
            }
            Operator::Try { .. } | Operator::TryTable { .. } => self.depth += 1,
            Operator::Catch { .. } | Operator::CatchAll => return self.landing(),
            Operator::End | Operator::Delegate { .. } => {
                self.depth = self.depth.saturating_sub(1);
                return self.landing();
            }
            Operator::Return => return Around::Branch(self.depth),
            Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => return Around::Leave,
            _ => {}
        }
        Around::Nothing
    }

    /// Where an exception may have led.
    fn landing(&self) -> Around {
        if self.catches {
            Around::Restore
        } else {
            Around::Nothing
        }
    }

    /// Puts the count right.
    pub(crate) fn restore(&self, code: &mut InstructionSink<'_>) {
        code.local_get(self.local).global_set(self.bound.counter);
    }
}

/// What an operator has to have around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Around {
    Nothing,
    /// It is to be a branch out of that many blocks, and of the body.
    Branch(u32),
    /// The function is left before it.
    Leave,
    /// The count is put right behind it.
    Restore,
}
