//! What a guest knows of its standard streams, so that it need not ask: whether they take whatever is written, and
//! what `fd_fdstat_get` would say of them.

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};
use wasmrun_rewrite::Rewriter;

use super::call::{Area, at_offset, move_one, push_message};
use super::protocol::{BEGIN_BYTES, Begin, MESSAGE, STDIN, Stream};

/// What need not be awaited where whatever is written is taken.
pub(super) const WRITE: &str = "fd_write";

/// What need not be asked of a stream whose file type is known.
pub(super) const FDSTAT: &str = "fd_fdstat_get";

/// The parameter of functions that are about a descriptor.
const DESCRIPTOR: u32 = 0;

/// The body of `()`, which receives what the guest is told when it begins, into a global for its fuel and one for
/// the bits of its streams, and leaves the area as it was.
pub(super) fn receive(
    wire: u32,
    transfer: u32,
    fuel: Option<u32>,
    streams: Option<u32>,
) -> Function {
    const SAVED: u32 = 0;
    const COUNT: u32 = (MESSAGE + BEGIN_BYTES) / 8;
    let area = Area {
        memory: wire,
        zero: SAVED + COUNT,
    };
    let mut function = Function::new([(COUNT, ValType::I64), (1, ValType::I32)]);
    let mut code = function.instructions();
    area.save(&mut code, 0, COUNT, SAVED);
    code.i32_const(STDIN);
    push_message(&mut code, BEGIN_BYTES);
    move_one(&mut code, transfer);
    if let Some(fuel) = fuel {
        code.local_get(area.zero);
        code.i64_load(area.long(MESSAGE)).global_set(fuel);
    }
    if let Some(streams) = streams {
        code.local_get(area.zero);
        code.i32_load(area.word(MESSAGE + 8)).global_set(streams);
    }
    area.restore(&mut code, 0, COUNT, SAVED);
    code.end();
    function
}

/// Whether the descriptor that is the first parameter takes all: 1 or 0.
pub(super) fn takes_all(code: &mut InstructionSink<'_>, streams: u32) {
    bits(code, streams);
    is_known(code);
    code.i32_and();
}

/// At the start of `fd_fdstat_get(descriptor, address)`, which has a local: returns from it if what it would say is
/// known, and it would say so.
pub(super) fn answer_fdstat(
    code: &mut InstructionSink<'_>,
    module: &Rewriter<'_>,
    wire: u32,
    streams: u32,
) {
    const ADDRESS: u32 = 1;
    const FILETYPE: u32 = 2;
    const BYTES: i64 = 24;
    bits(code, streams);
    code.i32_const(1).i32_shr_u();
    code.i32_const((1 << (Stream::BITS - 1)) - 1).i32_and();
    code.local_tee(FILETYPE).i32_const(0).i32_ne();
    is_known(code);
    code.i32_and();
    code.local_get(ADDRESS).i32_const(7).i32_and().i32_eqz();
    code.i32_and().local_get(ADDRESS).i64_extend_i32_u();
    code.i64_const(BYTES).i64_add();
    module.memory_bytes(code, wire);
    code.i64_le_u().i32_and().if_(BlockType::Empty);
    // The rights, and the rights that are inherited.
    for at in [16, 8] {
        code.local_get(ADDRESS).i64_const(Stream::RIGHTS as i64);
        code.i64_store(at_offset(wire, at, 3));
    }
    // No flags, and the file type. What is between them stays.
    code.local_get(ADDRESS).i32_const(0);
    code.i32_store16(at_offset(wire, 2, 1));
    code.local_get(ADDRESS).local_get(FILETYPE);
    code.i32_const(1).i32_sub();
    code.i32_store8(at_offset(wire, 0, 0));
    code.i32_const(0).return_().end();
}

/// From a call on that may put something else in the place of a standard stream, or change one, nothing is known of
/// them.
pub(super) fn forget(code: &mut InstructionSink<'_>, function: &str, streams: u32) {
    match function {
        "fd_close" | "fd_fdstat_set_flags" => {
            let beyond = Begin::FIRST + Begin::STREAMS;
            code.local_get(DESCRIPTOR).i32_const(beyond).i32_lt_u();
            code.if_(BlockType::Empty);
            code.i32_const(0).global_set(streams).end();
        }
        "fd_renumber" => {
            code.i32_const(0).global_set(streams);
        }
        _ => {}
    }
}

/// The bits of the descriptor, if it has a place among the streams that are known, and of those after it.
fn bits(code: &mut InstructionSink<'_>, streams: u32) {
    code.global_get(streams);
    place(code);
    code.i32_const(Stream::BITS as i32).i32_mul().i32_shr_u();
}

/// The place of the descriptor among the streams that are known.
fn place(code: &mut InstructionSink<'_>) {
    code.local_get(DESCRIPTOR);
    code.i32_const(Begin::FIRST).i32_sub();
}

/// Whether it has one: 1 or 0.
fn is_known(code: &mut InstructionSink<'_>) {
    place(code);
    code.i32_const(Begin::STREAMS).i32_lt_u();
}
