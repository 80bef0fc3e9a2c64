//! The functions by which a rewritten guest makes its calls.
//!
//! They are all that a runtime has to read in addition, at each start, and so they are short.

use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, ValType};
use wasmrun_rewrite::Rewriter;
use wasmrun_wasi_preview1::HOSTCALL_FUEL;

use super::protocol::{
    COMMAND_BYTES, HEADER, Layout, MAGIC, MESSAGE, MOVED, SMALL_LENGTHS, VECTOR, command, hinted,
    own,
};

/// What a rewritten guest knows of descriptors.
const STDIN: i32 = 0;
const STDOUT: i32 = 1;

/// The body of `(number, arguments…, address, length, hinted) -> value`, which makes a call and does what we
/// say until it returns. A hint is at `address`, if `length` is not 0.
pub(super) struct Caller<'a> {
    module: &'a Rewriter<'a>,
    wire: u32,
    layout: Layout,
    has: Has,
    /// The function whose body is [`transfer`].
    transfer: u32,
    locals: Locals,
}

/// What a guest's calls need of the function that makes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Has {
    /// Some have I/O vectors.
    pub(super) vectors: bool,
    /// Some write, and may be unawaited.
    pub(super) writes: bool,
    /// The guest is told something when it begins.
    pub(super) begin: bool,
}

/// Its parameters behind the arguments, and its locals.
struct Locals {
    address: u32,
    length: u32,
    hinted: u32,
    /// What is in the area.
    saved: u32,
    /// What is behind the area, while the area is sent or received itself.
    behind: u32,
    small: u32,
    value: u32,
    command: u32,
    small_address: u32,
    small_length: u32,
    vector: u32,
    /// Never written to. The area is addressed from here rather than from a constant: wazero then sees that
    /// its bounds were checked before.
    zero: u32,
}

const NUMBER: u32 = 0;
const ARGUMENTS: u32 = 1;

/// The arguments of `fd_write`: descriptor, I/O vectors, their count, and where to say how much was written.
const WRITE: [u32; 4] = [ARGUMENTS, ARGUMENTS + 1, ARGUMENTS + 2, ARGUMENTS + 3];

/// What is well within [`HOSTCALL_FUEL`] together: bytes, and I/O vectors.
const MOST_UNAWAITED: i32 = 1 << 20;
const MOST_VECTORS: i64 = 1 << 10;

impl<'a> Caller<'a> {
    pub(super) fn new(
        module: &'a Rewriter<'a>,
        wire: u32,
        layout: Layout,
        has: Has,
        transfer: u32,
    ) -> Self {
        let address = ARGUMENTS + layout.arguments as u32;
        let saved = address + 3;
        let behind = saved + layout.area() / 8;
        Caller {
            module,
            wire,
            layout,
            has,
            transfer,
            locals: Locals {
                address,
                length: address + 1,
                hinted: address + 2,
                saved,
                behind,
                small: behind + 2,
                value: behind + 3,
                command: behind + 4,
                small_address: behind + 5,
                small_length: behind + 6,
                vector: behind + 7,
                zero: behind + 8,
            },
        }
    }

    pub(super) fn body(&self) -> Function {
        let Locals {
            saved,
            command,
            zero,
            ..
        } = self.locals;
        let longs = (command - saved, ValType::I64);
        let words = (zero + 1 - command, ValType::I32);
        let mut function = Function::new([longs, words]);
        let mut code = function.instructions();
        if self.has.vectors {
            self.is_hinted(&mut code, hinted::VECTORS);
            code.if_(BlockType::Empty);
            self.follow_vectors(&mut code);
            code.end();
        }
        self.check_hint(&mut code);
        if self.has.writes {
            self.check_unawaited(&mut code);
        }
        self.send_call(&mut code);
        self.obey(&mut code);
        code.end();
        function
    }

    /// Where `address` and `length` were those of I/O vectors, makes them those of what the first that leads
    /// anywhere leads to, and `vector` its number. If none does, or if there is no memory where they should
    /// be, `length` is 0 then.
    fn follow_vectors(&self, code: &mut InstructionSink<'_>) {
        let Locals {
            address,
            length,
            vector,
            ..
        } = self.locals;
        let (its_address, its_length) = (self.at(0, 0), self.at(4, 0));
        code.block(BlockType::Empty).block(BlockType::Empty);
        code.local_get(address).i64_extend_i32_u();
        code.local_get(length).i64_extend_i32_u();
        code.i64_const(3).i64_shl().i64_add();
        self.module.memory_bytes(code, self.wire);
        code.i64_gt_u().br_if(0);
        code.loop_(BlockType::Empty);
        code.local_get(vector).local_get(length);
        code.i32_ge_u().br_if(1);
        code.local_get(address).i32_load(its_length);
        code.if_(BlockType::Empty);
        for (part, local) in [(its_length, length), (its_address, address)] {
            code.local_get(address).i32_load(part).local_set(local);
        }
        code.br(3).end();
        for (local, by) in [(address, 8), (vector, 1)] {
            code.local_get(local).i32_const(by);
            code.i32_add().local_set(local);
        }
        code.br(0).end().end();
        code.i32_const(0).local_set(length).end();
    }

    /// The hint must be where there is memory, and not where messages are prepared.
    fn check_hint(&self, code: &mut InstructionSink<'_>) {
        let Locals {
            address, length, ..
        } = self.locals;
        code.local_get(address).i32_const(self.layout.room() as i32);
        code.i32_lt_u();
        code.local_get(address).i64_extend_i32_u();
        code.local_get(length).i64_extend_i32_u().i64_add();
        self.module.memory_bytes(code, self.wire);
        code.i64_gt_u().i32_or();
        code.local_get(length).i32_const(HOSTCALL_FUEL as i32);
        code.i32_gt_u().i32_or().if_(BlockType::Empty);
        code.i32_const(0).local_set(length).end();
    }

    /// A write is awaited if it has no hint, and if anything about it could make it fail: what is called wrongly
    /// fails in the same way everywhere.
    fn check_unawaited(&self, code: &mut InstructionSink<'_>) {
        let [_, vectors, count, written] = WRITE;
        let Locals { length, hinted, .. } = self.locals;
        code.local_get(length).i32_const(1).i32_sub();
        code.i32_const(MOST_UNAWAITED).i32_ge_u();
        code.local_get(count).i64_const(MOST_VECTORS).i64_gt_u();
        code.i32_or();
        code.local_get(vectors).local_get(written).i64_or();
        code.i64_const(3).i64_and().i64_eqz().i32_eqz().i32_or();
        code.local_get(written).i64_const(4).i64_add();
        self.module.memory_bytes(code, self.wire);
        code.i64_gt_u().i32_or().if_(BlockType::Empty);
        code.local_get(hinted);
        code.i32_const((hinted::FOLLOWS | hinted::VECTORS) as i32);
        code.i32_and().local_set(hinted).end();
    }

    /// From here on, the area is ours.
    fn send_call(&self, code: &mut InstructionSink<'_>) {
        let Locals {
            address,
            length,
            hinted,
            vector,
            zero,
            ..
        } = self.locals;
        self.save(code, 0, self.saved_count(), self.locals.saved);
        code.local_get(zero).i32_const(MAGIC as i32);
        code.i32_store(self.word(MESSAGE));
        code.local_get(zero).local_get(NUMBER);
        code.i32_store(self.word(MESSAGE + 4)).local_get(zero);
        self.module.memory_bytes(code, self.wire);
        code.i64_store(self.long(MESSAGE + 8));
        for (place, local) in [address, length, vector, hinted].into_iter().enumerate() {
            code.local_get(zero).local_get(local);
            code.i32_store(self.word(MESSAGE + 16 + 4 * place as u32));
        }
        let arguments = self.layout.arguments as u32;
        self.restore(code, MESSAGE + HEADER, arguments, ARGUMENTS);
        code.i32_const(STDOUT);
        push_message(code, self.layout.call_bytes());
        code.local_get(address);
        code.local_get(length).i32_const(0);
        self.is_hinted(code, hinted::FOLLOWS);
        code.select();
        code.call(self.transfer);
    }

    /// Does as it is told until it is told to return. Where no answer comes, all that it would be told is 0, or known.
    fn obey(&self, code: &mut InstructionSink<'_>) {
        let Locals {
            saved,
            behind,
            small,
            value,
            command,
            small_address,
            small_length,
            ..
        } = self.locals;
        const { assert!(own::END == u32::MAX && own::BEGIN == own::END - 1) };
        let unanswered = if self.has.begin { own::END } else { own::BEGIN };
        code.loop_(BlockType::Empty).block(BlockType::Empty);
        code.local_get(NUMBER).i32_const(unanswered as i32);
        code.i32_ge_u().br_if(0);
        if self.has.writes {
            let [.., written] = WRITE;
            self.is_hinted(code, hinted::UNAWAITED);
            code.if_(BlockType::Empty);
            code.i32_const(4).local_set(small_length);
            code.local_get(written).i32_wrap_i64();
            code.local_set(small_address);
            code.local_get(self.locals.length).i64_extend_i32_u();
            code.local_set(small).br(1).end();
        }
        code.i32_const(STDIN);
        push_message(code, COMMAND_BYTES);
        self.move_one(code);
        self.save(code, MESSAGE + 24, 2, small);
        for (at, local) in [
            (16, small_address),
            (12, self.locals.length),
            (8, self.locals.address),
            (4, small_length),
            (0, command),
        ] {
            code.local_get(self.locals.zero);
            code.i32_load(self.word(MESSAGE + at)).local_set(local);
        }
        const { assert!(command::READ == 0 && STDIN == 0 && STDOUT == 1) };
        code.local_get(command).i32_eqz();
        code.i32_const(VECTOR as i32);
        code.local_get(self.locals.address);
        code.local_get(self.locals.length);
        self.move_one(code);
        let is_below = |code: &mut InstructionSink<'_>, other: u32| {
            code.local_get(command).i32_const(other as i32).i32_lt_u();
        };
        is_below(code, command::RETURN);
        code.br_if(1).end();

        self.restore(code, 0, self.saved_count(), saved);
        code.local_get(command).i32_const(command::RETURN as i32);
        code.i32_gt_u().if_(BlockType::Empty);
        let area = self.layout.area();
        self.save(code, area, 2, behind);
        is_below(code, command::REPLACE);
        code.i32_const(area as i32).i32_const(0);
        code.i32_const(area as i32);
        self.move_one(code);
        self.restore(code, area, 2, behind);
        is_below(code, command::REPLACE);
        code.br_if(1).end();

        for bytes in SMALL_LENGTHS {
            code.local_get(small_length).i32_const(bytes as i32);
            code.i32_eq().if_(BlockType::Empty);
            code.local_get(small_address).local_get(small);
            match bytes {
                2 => code.i64_store16(self.at(0, 0)),
                4 => code.i64_store32(self.at(0, 0)),
                _ => code.i64_store(self.at(0, 0)),
            };
            code.end();
        }
        code.local_get(value).return_().end().unreachable();
    }

    // ---- parts of these -------------------------------------------------------------------------

    fn is_hinted(&self, code: &mut InstructionSink<'_>, what: u32) {
        code.local_get(self.locals.hinted);
        code.i32_const(what as i32).i32_and();
    }

    /// Moves what the stack tells, and nothing after it.
    fn move_one(&self, code: &mut InstructionSink<'_>) {
        code.i32_const(0).i32_const(0).call(self.transfer);
    }

    fn saved_count(&self) -> u32 {
        self.locals.behind - self.locals.saved
    }

    /// From the highest address down, so that the bounds are checked once.
    fn save(&self, code: &mut InstructionSink<'_>, from: u32, count: u32, local: u32) {
        for place in (0..count).rev() {
            code.local_get(self.locals.zero);
            code.i64_load(self.long(from + 8 * place));
            code.local_set(local + place);
        }
    }

    fn restore(&self, code: &mut InstructionSink<'_>, to: u32, count: u32, local: u32) {
        for place in (0..count).rev() {
            code.local_get(self.locals.zero).local_get(local + place);
            code.i64_store(self.long(to + 8 * place));
        }
    }

    fn word(&self, offset: u32) -> MemArg {
        self.at(offset, 2)
    }

    fn long(&self, offset: u32) -> MemArg {
        self.at(offset, 3)
    }

    fn at(&self, offset: u32, align: u32) -> MemArg {
        at_offset(self.wire, offset, align)
    }
}

/// What a message is moved by, on the stack behind the descriptor.
fn push_message(code: &mut InstructionSink<'_>, bytes: u32) {
    code.i32_const(VECTOR as i32).i32_const(MESSAGE as i32);
    code.i32_const(bytes as i32);
}

/// The parameters of [`transfer`].
pub(super) const TRANSFER: [ValType; 6] = [ValType::I32; 6];

/// The body of `(descriptor, base, address, length, next, next_length)`, which moves bytes to standard output or
/// from standard input until all are moved, those that are next after the others. The I/O vectors may be at
/// `base`.
pub(super) fn transfer(memory: u32, fd_read: u32, fd_write: u32) -> Function {
    const DESCRIPTOR: u32 = 0;
    const BASE: u32 = 1;
    const ADDRESS: u32 = 2;
    const LENGTH: u32 = 3;
    const NEXT: u32 = 4;
    const NEXT_LENGTH: u32 = 5;
    const COUNT: u32 = 6;
    let mut function = Function::new([(1, ValType::I32)]);
    let word = |at: u32| at_offset(memory, at, 2);
    let mut code = function.instructions();
    code.loop_(BlockType::Empty);
    code.local_get(LENGTH).i32_eqz();
    code.if_(BlockType::Empty).return_().end();
    // From the highest down, as in `Caller::save`.
    for (place, local) in [(12, NEXT_LENGTH), (8, NEXT), (4, LENGTH), (0, ADDRESS)] {
        code.local_get(BASE).local_get(local);
        code.i32_store(word(VECTOR + place));
    }
    let moved_by = |code: &mut InstructionSink<'_>, function: u32| {
        code.local_get(DESCRIPTOR).local_get(BASE);
        code.i32_const(2)
            .i32_const(1)
            .local_get(NEXT_LENGTH)
            .select();
        code.local_get(BASE).i32_const(MOVED as i32).i32_add();
        code.call(function);
    };
    code.local_get(DESCRIPTOR);
    code.if_(BlockType::Result(ValType::I32));
    moved_by(&mut code, fd_write);
    code.else_();
    moved_by(&mut code, fd_read);
    code.end();
    code.local_get(BASE).i32_load(word(MOVED)).local_tee(COUNT);
    // Nobody is there any more: there is nothing to go on for.
    code.i32_eqz().i32_or();
    code.if_(BlockType::Empty).unreachable().end();
    code.local_get(COUNT).local_get(LENGTH).i32_lt_u();
    code.if_(BlockType::Empty);
    code.local_get(ADDRESS).local_get(COUNT);
    code.i32_add().local_set(ADDRESS);
    code.local_get(LENGTH).local_get(COUNT);
    code.i32_sub().local_set(LENGTH);
    code.else_();
    code.local_get(COUNT).local_get(LENGTH);
    code.i32_sub().local_tee(COUNT);
    code.local_get(NEXT).i32_add().local_set(ADDRESS);
    code.local_get(NEXT_LENGTH).local_get(COUNT);
    code.i32_sub().local_set(LENGTH);
    code.i32_const(0).local_set(NEXT_LENGTH);
    code.end();
    code.br(0).end().end();
    function
}

fn at_offset(memory: u32, offset: u32, align: u32) -> MemArg {
    MemArg {
        offset: offset.into(),
        align,
        memory_index: memory,
    }
}
