//! Counting fuel, for engines that do not: a global holds what is left, and every stretch of code takes
//! its share before it runs.

use wasm_encoder::{BlockType, InstructionSink};
use wasmparser::{BinaryReaderError, FunctionBody, Operator};

/// Stretches of a function that run from their start to their end, if nothing ends the guest: where
/// they start, and the fuel they take.
pub(crate) fn stretches(body: &FunctionBody<'_>) -> Result<Vec<(usize, i64)>, BinaryReaderError> {
    let mut found = Vec::new();
    let mut operators = body.get_operators_reader()?;
    let (mut start, mut cost) = (operators.original_position(), 0);
    while !operators.eof() {
        let operator = operators.read()?;
        cost += fuel(&operator);
        if is_last(&operator) {
            found.push((start, cost));
            (start, cost) = (operators.original_position(), 0);
        }
    }
    found.retain(|(_, cost)| *cost > 0);
    Ok(found)
}

/// The fuel an operator takes: one unit, unless it only gives structure to others.
fn fuel(operator: &Operator<'_>) -> i64 {
    use Operator::{Block, Drop, Else, End, Loop, Nop, Return, Unreachable};
    match operator {
        Nop | Drop | Block { .. } | Loop { .. } | Else | End | Unreachable | Return => 0,
        _ => 1,
    }
}

/// Whether what follows may run more or less often. A call may be the guest's last.
fn is_last(operator: &Operator<'_>) -> bool {
    use Operator::{
        Br, BrIf, BrOnCast, BrOnCastDescEq, BrOnCastDescEqFail, BrOnCastFail, BrOnNonNull,
        BrOnNull, BrTable, Call, CallIndirect, CallRef, Catch, CatchAll, Delegate, Else, End, If,
        Loop, Rethrow, Return, ReturnCall, ReturnCallIndirect, ReturnCallRef, Throw, ThrowRef,
        Unreachable,
    };
    matches!(
        operator,
        Loop { .. }
            | If { .. }
            | Else
            | End
            | Br { .. }
            | BrIf { .. }
            | BrTable { .. }
            | BrOnNull { .. }
            | BrOnNonNull { .. }
            | BrOnCast { .. }
            | BrOnCastFail { .. }
            | BrOnCastDescEq { .. }
            | BrOnCastDescEqFail { .. }
            | Return
            | ReturnCall { .. }
            | ReturnCallIndirect { .. }
            | ReturnCallRef { .. }
            | Unreachable
            | Call { .. }
            | CallIndirect { .. }
            | CallRef { .. }
            | Throw { .. }
            | ThrowRef
            | Rethrow { .. }
            | Catch { .. }
            | CatchAll
            | Delegate { .. }
    )
}

/// What counts: the global that holds the fuel that is left, and the function that ends a guest that
/// has none.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    /// The global, an `i64`.
    pub left: u32,
    /// The function: it takes and returns nothing, and does not return.
    pub exhausted: u32,
}

impl Meter {
    /// Takes fuel.
    pub(crate) fn take(&self, code: &mut InstructionSink<'_>, fuel: i64) {
        code.global_get(self.left)
            .i64_const(fuel)
            .i64_sub()
            .global_set(self.left);
        code.global_get(self.left)
            .i64_const(0)
            .i64_lt_s()
            .if_(BlockType::Empty)
            .call(self.exhausted)
            .end();
    }
}

#[cfg(test)]
mod tests {
    use wasmrun_core::Guest;

    use super::*;
    use crate::Parts;

    /// What each stretch of the first function takes.
    fn costs(fields: &str) -> Vec<i64> {
        let guest = Guest::from_bytes("guest", format!("(module {fields})")).expect("a guest");
        let parts = Parts::of(&guest).expect("it is valid");
        let stretches = stretches(&parts.bodies[0]).expect("it was read");
        stretches.into_iter().map(|(_, cost)| cost).collect()
    }

    #[test]
    fn what_a_branch_leaves_out_is_a_stretch_of_its_own() {
        for (branch, drops) in [
            ("br_if 0 (local.get 0)", ""),
            ("br_on_null 0 (ref.null any)", "drop"),
            ("br_on_non_null 1 (ref.null any)", ""),
            ("br_on_cast 1 anyref (ref any) (ref.null any)", "drop"),
            ("br_on_cast_fail 1 anyref nullref (ref.null any)", "drop"),
        ] {
            let costs = costs(&format!(
                "(func (param i32) (result (ref null any))
                   (block ({branch}) {drops} (local.set 0 (i32.const 1)))
                   (ref.null any))"
            ));
            assert_eq!(costs, [2, 2, 1], "{branch}");
        }
    }

    #[test]
    fn what_is_behind_the_end_of_a_function_is_never_paid_for() {
        let costs = costs("(func (return_call 0) (drop (i32.const 1)))");
        assert_eq!(costs, [1, 1]);
    }
}
