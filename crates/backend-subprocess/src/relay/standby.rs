//! What a guest that stays does between calls: it waits for the next.

use std::borrow::Cow;

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};
use wasmrun_core::guest::{FuncSignature, ValueType};

use super::call::{Area, move_one, push_message};
use super::protocol::{Layout, MESSAGE, STDIN, own};
use super::values::{give, take};

/// The body of `()`, which never returns: it says that it is ready, and calls what it is told to.
pub(super) struct Standby<'a> {
    pub(super) layout: Layout,
    /// The memory of the wire.
    pub(super) wire: u32,
    /// The functions that make calls and move bytes.
    pub(super) call: u32,
    pub(super) transfer: u32,
    /// A global with the fuel that is left.
    pub(super) fuel: Option<u32>,
    /// What can be called, by its number, and its type.
    pub(super) targets: Vec<(Target, Cow<'a, FuncSignature>)>,
}

/// What is called.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Function(u32),
    /// A global's value is given back.
    Get(u32),
    /// A global is set.
    Set(u32),
}

/// Its locals: first what a function is given and then gives back, as words.
const WORDS: u32 = 0;

impl Standby<'_> {
    pub(super) fn body(&self) -> Function {
        let words = self.layout.arguments as u32;
        let saved = WORDS + words;
        let count = (MESSAGE + self.layout.given_bytes()) / 8;
        let number = saved + count;
        let area = Area {
            memory: self.wire,
            zero: number + 1,
        };
        let vector = area.zero + 1;
        let mut results = self.targets.iter().flat_map(|(_, ty)| &ty.results);
        let vectors = u32::from(results.any(|ty| *ty == ValueType::V128));
        let mut function = Function::new([
            (words + count, ValType::I64),
            (2, ValType::I32),
            (vectors, ValType::V128),
        ]);
        let mut code = function.instructions();
        code.loop_(BlockType::Empty);

        code.i32_const(own::READY as i32);
        match self.fuel {
            Some(fuel) => code.global_get(fuel),
            None => code.i64_const(0),
        };
        for word in 0..words - 1 {
            code.local_get(WORDS + word);
        }
        code.i32_const(0).i32_const(0).i32_const(0);
        code.call(self.call).i32_wrap_i64().local_set(number);

        area.save(&mut code, 0, count, saved);
        code.i32_const(STDIN);
        push_message(&mut code, self.layout.given_bytes());
        move_one(&mut code, self.transfer);
        if let Some(fuel) = self.fuel {
            code.local_get(area.zero);
            code.i64_load(area.long(MESSAGE)).global_set(fuel);
        }
        area.save(&mut code, MESSAGE + 8, self.layout.params as u32, WORDS);
        area.restore(&mut code, 0, count, saved);

        self.dispatch(&mut code, number, vector);
        // No other number comes.
        code.unreachable().end().end();
        function
    }

    /// Calls what has that number, and goes back for the next.
    fn dispatch(&self, code: &mut InstructionSink<'_>, number: u32, vector: u32) {
        let count = self.targets.len() as u32;
        for _ in 0..=count {
            code.block(BlockType::Empty);
        }
        code.local_get(number).br_table(0..count, count).end();
        for (place, (target, signature)) in (1..).zip(&self.targets) {
            let mut word = WORDS;
            for param in &signature.params {
                take(code, *param, |code| {
                    code.local_get(word);
                    word += 1;
                });
            }
            match *target {
                Target::Function(function) => code.call(function),
                Target::Get(global) => code.global_get(global),
                Target::Set(global) => code.global_set(global),
            };
            let mut end = WORDS + signature.result_slots() as u32;
            for result in signature.results.iter().rev() {
                end -= result.slots() as u32;
                give(code, *result, end, vector);
            }
            // Out of the blocks of those that come after, and to the head of the loop.
            code.br(count + 1 - place).end();
        }
    }
}
