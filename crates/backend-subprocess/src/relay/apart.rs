//! Calls that are about another memory than the wire's.
//!
//! A runtime's WASI moves bytes of one memory. What we and the guest move of another goes through a part of that one,
//! which is lent for so long: what was in it is kept in a memory that the guest has none of.

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};
use wasmrun_core::{Error, ErrorKind, Result};
use wasmrun_rewrite::{Parts, Rewriter};
use wasmrun_wasi_preview1::Imported;

use super::call::move_one;
use super::protocol::{Layout, STDOUT, VECTOR};

/// The name of the memory that WASI works on, and functions of the host unless they say another.
pub(super) const MEMORY: &str = "memory";

/// Such calls of a guest.
pub(super) struct Apart {
    /// The wire's memory.
    wire: u32,
    /// The memories that they are about, by their numbers less one: 0 is the wire's.
    memories: Vec<u32>,
    /// The number of the memory that each imported function works on.
    numbers: Vec<u32>,
    /// A memory of [`BYTES`] behind all others, for what was in what is lent.
    kept: u32,
}

/// The functions by which a guest makes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct ApartFunctions {
    /// `(memory) -> i64`: how many bytes that has.
    pub(super) size: u32,
    /// `(descriptor, memory, address, length)`: moves bytes of that memory to standard output or from standard input,
    /// while the area is ours.
    pub(super) exchange: u32,
}

/// What the wire's memory needs, to lend all of it but the area.
pub(super) const BYTES: u32 = 1 << 16;

impl Apart {
    /// What there is of them.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) for a memory that is not there, or has 64 bits.
    pub(super) fn of(parts: &Parts<'_>, functions: &[Imported], wire: u32) -> Result<Option<Self>> {
        let mut apart = Apart {
            wire,
            memories: Vec::new(),
            numbers: Vec::new(),
            kept: (wire + 1).max(parts.memories.len() as u32),
        };
        for function in functions {
            let memory = memory_of(parts, function)?.filter(|memory| *memory != wire);
            let number = memory.map(|memory| {
                let known = apart.memories.iter().position(|own| *own == memory);
                known.unwrap_or_else(|| {
                    apart.memories.push(memory);
                    apart.memories.len() - 1
                }) as u32
                    + 1
            });
            apart.numbers.push(number.unwrap_or(0));
        }
        Ok(Some(apart).filter(|apart| !apart.memories.is_empty()))
    }

    /// The number of the memory that an imported function works on.
    pub(super) fn number(&self, function: u32) -> u32 {
        self.numbers.get(function as usize).copied().unwrap_or(0)
    }

    /// The functions, of which the second moves bytes of the wire's memory by `transfer`.
    pub(super) fn functions(
        &self,
        module: &mut Rewriter<'_>,
        layout: Layout,
        transfer: u32,
    ) -> ApartFunctions {
        let (size, exchange) = (self.size(module), self.exchange(layout, transfer));
        ApartFunctions {
            size: module.helper([ValType::I32], [ValType::I64], size),
            exchange: module.helper([ValType::I32; 4], [], exchange),
        }
    }

    fn size(&self, module: &Rewriter<'_>) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.of_each(&mut code, 0, |code, memory| {
            module.memory_bytes(code, memory);
            code.return_();
        });
        module.memory_bytes(&mut code, self.wire);
        code.end();
        function
    }

    fn exchange(&self, layout: Layout, transfer: u32) -> Function {
        const DESCRIPTOR: u32 = 0;
        const MEMORY: u32 = 1;
        const ADDRESS: u32 = 2;
        const LENGTH: u32 = 3;
        const PART: u32 = 4;
        let lent = layout.room() as i32;
        let most = BYTES as i32 - lent;
        let mut function = Function::new([(1, ValType::I32)]);
        let mut code = function.instructions();
        let moved = |code: &mut InstructionSink<'_>| {
            code.local_get(DESCRIPTOR).i32_const(VECTOR as i32);
        };
        code.local_get(MEMORY).i32_eqz().if_(BlockType::Empty);
        moved(&mut code);
        code.local_get(ADDRESS).local_get(LENGTH);
        move_one(&mut code, transfer);
        code.return_().end();
        code.loop_(BlockType::Empty);
        code.local_get(LENGTH).i32_const(most);
        code.local_get(LENGTH).i32_const(most).i32_lt_u().select();
        code.local_tee(PART).i32_eqz();
        code.if_(BlockType::Empty).return_().end();

        code.i32_const(0).i32_const(lent).local_get(PART);
        code.memory_copy(self.kept, self.wire);
        code.local_get(DESCRIPTOR).i32_const(STDOUT).i32_eq();
        code.if_(BlockType::Empty);
        self.of_each(&mut code, MEMORY, |code, memory| {
            code.i32_const(lent).local_get(ADDRESS).local_get(PART);
            code.memory_copy(self.wire, memory);
        });
        code.end();
        moved(&mut code);
        code.i32_const(lent).local_get(PART);
        move_one(&mut code, transfer);
        code.local_get(DESCRIPTOR).i32_const(STDOUT).i32_ne();
        code.if_(BlockType::Empty);
        self.of_each(&mut code, MEMORY, |code, memory| {
            code.local_get(ADDRESS).i32_const(lent).local_get(PART);
            code.memory_copy(memory, self.wire);
        });
        code.end();
        code.i32_const(lent).i32_const(0).local_get(PART);
        code.memory_copy(self.wire, self.kept);

        code.local_get(ADDRESS).local_get(PART);
        code.i32_add().local_set(ADDRESS);
        code.local_get(LENGTH).local_get(PART);
        code.i32_sub().local_set(LENGTH);
        code.br(0).end().end();
        function
    }

    /// Code for each of the memories, which runs for the one whose number is in a local.
    fn of_each(
        &self,
        code: &mut InstructionSink<'_>,
        number: u32,
        write: impl Fn(&mut InstructionSink<'_>, u32),
    ) {
        for (own, memory) in (1..).zip(&self.memories) {
            code.local_get(number).i32_const(own).i32_eq();
            code.if_(BlockType::Empty);
            write(code, *memory);
            code.end();
        }
    }
}

/// The memory that a function of the host works on, if the guest has one for it.
fn memory_of(parts: &Parts<'_>, function: &Imported) -> Result<Option<u32>> {
    let Imported::Host(host) = function else {
        return Ok(None);
    };
    if !host.sees_memory() {
        return Ok(None);
    }
    let refuse = |why| Err(Error::new(ErrorKind::Unsupported, why));
    let name = host.other_memory();
    let mut exports = parts.exported_memories.iter();
    let memory = exports
        .find(|(own, _)| *own == name.unwrap_or(MEMORY))
        .map(|(_, memory)| *memory);
    match (memory, name) {
        (None, Some(name)) => refuse(format!(
            "has no memory for {host}: the guest exports none called {name}"
        )),
        (Some(memory), _) if parts.memories[memory as usize].memory64 => {
            refuse(format!("has no memory of 64 bits for {host}"))
        }
        (memory, _) => Ok(memory),
    }
}
