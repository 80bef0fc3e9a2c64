//! What constant expressions come to.

use std::collections::HashMap;

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{ConstExpr, HeapType, Ieee32, Ieee64, InstructionSink};
use wasmparser::Operator;

use crate::numbers::{Renumbered, Result};

/// The values of globals that cannot change, by their numbers in the one module.
pub(crate) type Constants = HashMap<u32, Constant>;

/// What a constant expression comes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Constant {
    I32(i32),
    I64(i64),
    F32(Ieee32),
    F64(Ieee64),
    V128(i128),
    Null(HeapType),
    Function(u32),
}

impl Constant {
    /// The value of a valid expression; `None` if it makes something anew each time.
    pub(crate) fn of(
        expression: &wasmparser::ConstExpr<'_>,
        renumbered: &mut Renumbered<'_>,
    ) -> Result<Option<Constant>> {
        let mut stack = Vec::new();
        let mut operators = expression.get_operators_reader();
        loop {
            let value = match operators.read()? {
                Operator::End => return Ok(stack.pop()),
                Operator::I32Const { value } => Some(Constant::I32(value)),
                Operator::I64Const { value } => Some(Constant::I64(value)),
                Operator::F32Const { value } => Some(Constant::F32(value.into())),
                Operator::F64Const { value } => Some(Constant::F64(value.into())),
                Operator::V128Const { value } => Some(Constant::V128(value.i128())),
                Operator::RefNull { hty } => Some(Constant::Null(renumbered.heap_type(hty)?)),
                Operator::RefFunc { function_index } => Some(Constant::Function(
                    renumbered.function_index(function_index)?,
                )),
                Operator::GlobalGet { global_index } => {
                    let global = renumbered.global_index(global_index)?;
                    renumbered.constants.get(&global).copied()
                }
                operator => {
                    let (right, left) = (stack.pop(), stack.pop());
                    left.zip(right)
                        .and_then(|(left, right)| Constant::computed(&operator, left, right))
                }
            };
            match value {
                Some(value) => stack.push(value),
                None => return Ok(None),
            }
        }
    }

    fn computed(operator: &Operator<'_>, left: Constant, right: Constant) -> Option<Constant> {
        use Constant::{I32, I64};
        Some(match (operator, left, right) {
            (Operator::I32Add, I32(left), I32(right)) => I32(left.wrapping_add(right)),
            (Operator::I32Sub, I32(left), I32(right)) => I32(left.wrapping_sub(right)),
            (Operator::I32Mul, I32(left), I32(right)) => I32(left.wrapping_mul(right)),
            (Operator::I64Add, I64(left), I64(right)) => I64(left.wrapping_add(right)),
            (Operator::I64Sub, I64(left), I64(right)) => I64(left.wrapping_sub(right)),
            (Operator::I64Mul, I64(left), I64(right)) => I64(left.wrapping_mul(right)),
            _ => return None,
        })
    }

    /// The expression that says it.
    pub(crate) fn expression(self) -> ConstExpr {
        match self {
            Constant::I32(value) => ConstExpr::i32_const(value),
            Constant::I64(value) => ConstExpr::i64_const(value),
            Constant::F32(value) => ConstExpr::f32_const(value),
            Constant::F64(value) => ConstExpr::f64_const(value),
            Constant::V128(value) => ConstExpr::v128_const(value),
            Constant::Null(ty) => ConstExpr::ref_null(ty),
            Constant::Function(function) => ConstExpr::ref_func(function),
        }
    }

    /// Puts a place in a table or a memory on the stack.
    pub(crate) fn put(self, code: &mut InstructionSink<'_>) {
        match self {
            Constant::I64(value) => code.i64_const(value),
            Constant::I32(value) => code.i32_const(value),
            // No place is of another type.
            _ => code.unreachable(),
        };
    }
}
