//! The functions by which a rewritten guest makes its calls.
//!
//! They are most of what a runtime has to read in addition, at each start, and so they are short.

use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, ValType};
use wasmrun_rewrite::Rewriter;
use wasmrun_wasi_preview1::HOSTCALL_FUEL;

use super::apart::ApartFunctions;
use super::protocol::{HEADER, Layout, MAGIC, MESSAGE, MOVED, STDOUT, VECTOR, hinted, own};

/// The body of `(number, arguments…, address, length, hinted) -> value`, which makes a call and returns what comes
/// of it. A hint is at `address`, if `length` is not 0.
pub(super) struct Caller<'a> {
    module: &'a Rewriter<'a>,
    layout: Layout,
    has: Has,
    /// The function whose body is [`transfer`].
    transfer: u32,
    /// The function whose body is that of [`Obeying`](super::obey::Obeying).
    obey: u32,
    apart: Option<ApartFunctions>,
    area: Area,
    locals: Locals,
}

/// What a guest's calls need of the function that makes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Has {
    /// Some have I/O vectors.
    pub(super) vectors: bool,
    /// Some write, and may be unawaited.
    pub(super) writes: bool,
}

/// Its parameters behind the arguments, and its locals.
struct Locals {
    address: u32,
    length: u32,
    hinted: u32,
    /// What is in the area.
    saved: u32,
    vector: u32,
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
        [transfer, obey]: [u32; 2],
        apart: Option<ApartFunctions>,
    ) -> Self {
        let address = ARGUMENTS + layout.arguments as u32;
        let saved = address + 3;
        let vector = saved + layout.area() / 8;
        let zero = vector + 1;
        Caller {
            module,
            layout,
            has,
            transfer,
            obey,
            apart,
            area: Area { memory: wire, zero },
            locals: Locals {
                address,
                length: address + 1,
                hinted: address + 2,
                saved,
                vector,
            },
        }
    }

    pub(super) fn body(&self) -> Function {
        let longs = (self.saved_count(), ValType::I64);
        let words = (self.area.zero + 1 - self.locals.vector, ValType::I32);
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
        self.end(&mut code);
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
        let (its_address, its_length) = (self.area.at(0, 0), self.area.at(4, 0));
        code.block(BlockType::Empty).block(BlockType::Empty);
        code.local_get(address).i64_extend_i32_u();
        code.local_get(length).i64_extend_i32_u();
        code.i64_const(3).i64_shl().i64_add();
        self.memory_bytes(code);
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

    /// The hint must be where there is memory, and not where messages are prepared in the wire's.
    fn check_hint(&self, code: &mut InstructionSink<'_>) {
        let Locals {
            address, length, ..
        } = self.locals;
        code.local_get(address).i32_const(self.layout.room() as i32);
        code.i32_lt_u();
        if self.apart.is_some() {
            self.memory(code);
            code.i32_eqz().i32_and();
        }
        code.local_get(address).i64_extend_i32_u();
        code.local_get(length).i64_extend_i32_u().i64_add();
        self.memory_bytes(code);
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
        self.memory_bytes(code);
        code.i64_gt_u().i32_or().if_(BlockType::Empty);
        code.local_get(hinted);
        code.i32_const(!hinted::UNAWAITED as i32);
        code.i32_and().local_set(hinted).end();
    }

    /// From here on, the area is ours.
    fn send_call(&self, code: &mut InstructionSink<'_>) {
        let Locals {
            address,
            length,
            hinted,
            saved,
            vector,
        } = self.locals;
        let area = &self.area;
        let zero = area.zero;
        area.save(code, 0, self.saved_count(), saved);
        code.local_get(zero).i32_const(MAGIC as i32);
        code.i32_store(area.word(MESSAGE));
        code.local_get(zero).local_get(NUMBER);
        code.i32_store(area.word(MESSAGE + 4)).local_get(zero);
        self.memory_bytes(code);
        code.i64_store(area.long(MESSAGE + 8));
        for (place, local) in [address, length, vector, hinted].into_iter().enumerate() {
            code.local_get(zero).local_get(local);
            code.i32_store(area.word(MESSAGE + 16 + 4 * place as u32));
        }
        let arguments = self.layout.arguments as u32;
        area.restore(code, MESSAGE + HEADER, arguments, ARGUMENTS);
        code.i32_const(STDOUT);
        push_message(code, self.layout.call_bytes());
        code.local_get(address);
        code.local_get(length).i32_const(0);
        self.is_hinted(code, hinted::FOLLOWS);
        if self.apart.is_some() {
            self.memory(code);
            code.i32_eqz().i32_and();
        }
        code.select();
        code.call(self.transfer);
        if let Some(apart) = self.apart {
            self.memory(code);
            code.if_(BlockType::Empty);
            code.i32_const(STDOUT);
            self.memory(code);
            code.local_get(address).local_get(length);
            code.call(apart.exchange).end();
        }
    }

    /// Does as it is told, if an answer comes. Where none does, what it would be told is known.
    fn end(&self, code: &mut InstructionSink<'_>) {
        let saved = self.locals.saved;
        const { assert!(own::END == u32::MAX && own::BEGIN == own::END - 1) };
        code.local_get(NUMBER).i32_const(own::BEGIN as i32);
        code.i32_lt_u();
        if self.has.writes {
            self.is_hinted(code, hinted::UNAWAITED);
            code.i32_eqz().i32_and();
        }
        code.if_(BlockType::Empty);
        for place in 0..self.saved_count() {
            code.local_get(saved + place);
        }
        if self.apart.is_some() {
            self.memory(code);
        }
        code.call(self.obey).return_().end();

        self.area.restore(code, 0, self.saved_count(), saved);
        if self.has.writes {
            let [.., written] = WRITE;
            self.is_hinted(code, hinted::UNAWAITED);
            code.if_(BlockType::Empty);
            code.local_get(written).i32_wrap_i64();
            code.local_get(self.locals.length);
            code.i32_store(self.area.word(0)).end();
        }
        code.i64_const(0);
    }

    // ---- parts of these -------------------------------------------------------------------------

    fn is_hinted(&self, code: &mut InstructionSink<'_>, what: u32) {
        code.local_get(self.locals.hinted);
        code.i32_const(what as i32).i32_and();
    }

    /// The number of the memory that the call is about.
    fn memory(&self, code: &mut InstructionSink<'_>) {
        code.local_get(self.locals.hinted);
        code.i32_const(hinted::MEMORY as i32).i32_shr_u();
    }

    /// Its bytes.
    fn memory_bytes(&self, code: &mut InstructionSink<'_>) {
        match self.apart {
            None => self.module.memory_bytes(code, self.area.memory),
            Some(apart) => {
                self.memory(code);
                code.call(apart.size);
            }
        }
    }

    fn saved_count(&self) -> u32 {
        self.locals.vector - self.locals.saved
    }
}

/// Code that works on the area, and on the rest of the wire's memory.
pub(super) struct Area {
    pub(super) memory: u32,
    /// A local that is never written to. The area is addressed from here rather than from a constant: wazero then
    /// sees that its bounds were checked before.
    pub(super) zero: u32,
}

impl Area {
    /// From the highest address down, so that the bounds are checked once.
    pub(super) fn save(&self, code: &mut InstructionSink<'_>, from: u32, count: u32, local: u32) {
        for place in (0..count).rev() {
            code.local_get(self.zero);
            code.i64_load(self.long(from + 8 * place));
            code.local_set(local + place);
        }
    }

    pub(super) fn restore(&self, code: &mut InstructionSink<'_>, to: u32, count: u32, local: u32) {
        for place in (0..count).rev() {
            code.local_get(self.zero).local_get(local + place);
            code.i64_store(self.long(to + 8 * place));
        }
    }

    pub(super) fn word(&self, offset: u32) -> MemArg {
        self.at(offset, 2)
    }

    pub(super) fn long(&self, offset: u32) -> MemArg {
        self.at(offset, 3)
    }

    pub(super) fn at(&self, offset: u32, align: u32) -> MemArg {
        at_offset(self.memory, offset, align)
    }
}

/// What a message is moved by, on the stack behind the descriptor.
pub(super) fn push_message(code: &mut InstructionSink<'_>, bytes: u32) {
    code.i32_const(VECTOR as i32).i32_const(MESSAGE as i32);
    code.i32_const(bytes as i32);
}

/// Moves what the stack tells, and nothing after it.
pub(super) fn move_one(code: &mut InstructionSink<'_>, transfer: u32) {
    code.i32_const(0).i32_const(0).call(transfer);
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
    // From the highest down, as in `Area::save`.
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

pub(super) fn at_offset(memory: u32, offset: u32, align: u32) -> MemArg {
    MemArg {
        offset: offset.into(),
        align,
        memory_index: memory,
    }
}
