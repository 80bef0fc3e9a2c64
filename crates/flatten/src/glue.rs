//! Functions that are in no module of the component: what surrounds a call of the host, and the entry.

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};
use wasmtime_environ::Trap;

use crate::constants::Constant;
use crate::resources::Move;

/// The module that has what is asked of the host beside the component's own imports.
pub(crate) const CABI: &str = "[cabi]";
/// Takes memory that a call wanted, and tells what it wants next.
pub(crate) const ALLOCATED: &str = "allocated";
/// Ends the guest whose entry returned an error.
pub(crate) const EXIT_ERR: &str = "exit-err";
/// Ends the guest by a trap.
pub(crate) const TRAP: &str = "trap";

/// A component that is at times not to be left.
#[derive(Clone, Copy)]
pub(crate) struct Confined {
    /// The global that says whether it may be: 1 or 0.
    pub(crate) may_leave: u32,
    /// [`TRAP`]
    pub(crate) trap: u32,
}

impl Confined {
    /// Traps if it may not be left.
    fn check(self, code: &mut InstructionSink<'_>) {
        code.global_get(self.may_leave)
            .i32_eqz()
            .if_(BlockType::Empty);
        trap(code, self.trap, Trap::CannotLeaveComponent);
        code.end();
    }

    fn confine(self, code: &mut InstructionSink<'_>) {
        code.i32_const(0).global_set(self.may_leave);
    }

    fn release(self, code: &mut InstructionSink<'_>) {
        code.i32_const(1).global_set(self.may_leave);
    }
}

fn trap(code: &mut InstructionSink<'_>, function: u32, trap: Trap) {
    code.i32_const(trap as i32).call(function).unreachable();
}

/// What a call of the host gets memory from.
#[derive(Clone, Copy)]
pub(crate) struct Allocator {
    pub(crate) realloc: u32,
    /// [`ALLOCATED`]
    pub(crate) allocated: u32,
}

/// A function that calls one of the host, with so many parameters, and hands over the memory that it wants.
///
/// What it wants is its result: the alignment in the upper half, the size in the lower one, or a negative number
/// if nothing.
pub(crate) fn host_call(
    function: u32,
    params: u32,
    confined: Confined,
    allocator: Option<Allocator>,
) -> Function {
    let wanted = params;
    let locals = allocator.map(|_| (1, ValType::I64));
    let mut body = Function::new(locals);
    let code = &mut body.instructions();
    confined.check(code);
    for param in 0..params {
        code.local_get(param);
    }
    code.call(function);
    if let Some(Allocator { realloc, allocated }) = allocator {
        code.local_set(wanted)
            .block(BlockType::Empty)
            .loop_(BlockType::Empty)
            .local_get(wanted)
            .i64_const(0)
            .i64_lt_s()
            .br_if(1);
        confined.confine(code);
        code.i32_const(0)
            .i32_const(0)
            .local_get(wanted)
            .i64_const(32)
            .i64_shr_u()
            .i32_wrap_i64()
            .local_get(wanted)
            .i32_wrap_i64()
            .call(realloc);
        confined.release(code);
        code.call(allocated).local_set(wanted).br(0).end().end();
    }
    code.end();
    body
}

/// A function that drops a handle by one of the host, which tells what it stood for, and calls the destructor with that if
/// the handle owned it.
pub(crate) fn resource_drop(
    function: u32,
    confined: Option<Confined>,
    destructor: Option<u32>,
) -> Function {
    const HANDLE: u32 = 0;
    const DROPPED: u32 = 1;
    let mut body = Function::new([(1, ValType::I64)]);
    let code = &mut body.instructions();
    if let Some(confined) = confined {
        confined.check(code);
    }
    code.local_get(HANDLE).call(function).local_set(DROPPED);
    if let Some(destructor) = destructor {
        code.local_get(DROPPED)
            .i32_wrap_i64()
            .i32_const(1)
            .i32_and()
            .if_(BlockType::Empty)
            .local_get(DROPPED)
            .i64_const(1)
            .i64_shr_u()
            .i32_wrap_i64()
            .call(destructor)
            .end();
    }
    code.end();
    body
}

/// A function that moves a handle from one table to another, as its parameters call them. `number` tells that of an import.
pub(crate) fn resource_transfer(moves: &[Move], number: impl Fn(usize) -> u32) -> Function {
    const HANDLE: u32 = 0;
    const FROM: u32 = 1;
    const TO: u32 = 2;
    let mut body = Function::new([]);
    let code = &mut body.instructions();
    for way in moves {
        code.local_get(FROM)
            .i32_const(way.from.cast_signed())
            .i32_eq()
            .local_get(TO)
            .i32_const(way.to.cast_signed())
            .i32_eq()
            .i32_and()
            .if_(BlockType::Empty)
            .local_get(HANDLE)
            .call(number(way.take));
        if let Some(give) = way.give {
            code.call(number(give));
        }
        code.return_().end();
    }
    code.unreachable().end();
    body
}

/// A function that calls one without parameters, and is given some.
pub(crate) fn call_without(function: u32) -> Function {
    let mut body = Function::new([]);
    body.instructions().call(function).end();
    body
}

/// What is left of instantiating modules when code of the first of them runs.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    InitTable {
        table: u32,
        segment: u32,
        offset: Constant,
        count: u32,
    },
    InitMemory {
        memory: u32,
        segment: u32,
        offset: Constant,
        count: u32,
    },
    Start(u32),
}

impl Step {
    fn take(self, code: &mut InstructionSink<'_>) {
        let mut from_start = |offset: Constant, count: u32| {
            offset.put(code);
            code.i32_const(0).i32_const(count as i32);
        };
        match self {
            Step::InitTable {
                table,
                segment,
                offset,
                count,
            } => {
                from_start(offset, count);
                code.table_init(table, segment).elem_drop(segment);
            }
            Step::InitMemory {
                memory,
                segment,
                offset,
                count,
            } => {
                from_start(offset, count);
                code.memory_init(memory, segment).data_drop(segment);
            }
            Step::Start(function) => {
                code.call(function);
            }
        }
    }
}

/// What the entry calls.
pub(crate) struct Entry<'a> {
    pub(crate) steps: &'a [Step],
    pub(crate) run: u32,
    pub(crate) post_return: Option<(u32, Confined)>,
    /// [`EXIT_ERR`]
    pub(crate) exit_err: u32,
    /// [`TRAP`]
    pub(crate) trap: u32,
}

/// The entry.
pub(crate) fn entry(entry: &Entry<'_>) -> Function {
    const FAILED: u32 = 0;
    let mut body = Function::new([(1, ValType::I32)]);
    let code = &mut body.instructions();
    for step in entry.steps {
        step.take(code);
    }
    code.call(entry.run)
        .local_tee(FAILED)
        .i32_const(1)
        .i32_gt_u()
        .if_(BlockType::Empty);
    trap(code, entry.trap, Trap::InvalidDiscriminant);
    code.end();
    if let Some((post_return, confined)) = entry.post_return {
        confined.confine(code);
        code.local_get(FAILED).call(post_return);
        confined.release(code);
    }
    code.local_get(FAILED)
        .if_(BlockType::Empty)
        .call(entry.exit_err)
        .unreachable()
        .end()
        .end();
    body
}
