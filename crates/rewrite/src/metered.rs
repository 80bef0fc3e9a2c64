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
        Br, BrIf, BrTable, Call, CallIndirect, CallRef, Catch, CatchAll, Else, End, If, Loop,
        Return, Unreachable,
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
            | Return
            | Unreachable
            | Call { .. }
            | CallIndirect { .. }
            | CallRef { .. }
            | Catch { .. }
            | CatchAll
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
