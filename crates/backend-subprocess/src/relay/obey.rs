//! What a rewritten guest does while it waits for an answer.
//!
//! It is a function of its own because many guests never wait: runtimes that compile what is called need not
//! compile it then.

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

use super::apart::ApartFunctions;
use super::call::{Area, move_one, push_message};
use super::protocol::{
    COMMAND_BYTES, Layout, MESSAGE, SMALL_LENGTHS, STDIN, STDOUT, VECTOR, command,
};

/// The body of `(saved…, memory) -> value`, which does what we say until the call returns. What was in the area is its
/// parameters, and the number of the memory, where calls are about several.
pub(super) struct Obeying {
    layout: Layout,
    /// The function that moves bytes.
    transfer: u32,
    apart: Option<ApartFunctions>,
    area: Area,
    locals: Locals,
}

/// Its locals behind what was in the area.
struct Locals {
    /// A parameter, if calls are about several.
    memory: u32,
    /// What is behind the area, while the area is sent or received itself.
    behind: u32,
    small: u32,
    value: u32,
    command: u32,
    small_address: u32,
    small_length: u32,
    address: u32,
    length: u32,
}

/// The first parameter.
const SAVED: u32 = 0;

impl Obeying {
    pub(super) fn new(
        wire: u32,
        layout: Layout,
        transfer: u32,
        apart: Option<ApartFunctions>,
    ) -> Self {
        let memory = SAVED + layout.area() / 8;
        let behind = memory + u32::from(apart.is_some());
        let zero = behind + 9;
        Obeying {
            layout,
            transfer,
            apart,
            area: Area { memory: wire, zero },
            locals: Locals {
                memory,
                behind,
                small: behind + 2,
                value: behind + 3,
                command: behind + 4,
                small_address: behind + 5,
                small_length: behind + 6,
                address: behind + 7,
                length: behind + 8,
            },
        }
    }

    pub(super) fn params(&self) -> Vec<ValType> {
        let mut params = vec![ValType::I64; self.saved_count() as usize];
        params.extend(self.apart.map(|_| ValType::I32));
        params
    }

    pub(super) fn body(&self) -> Function {
        let Locals {
            memory,
            behind,
            small,
            value,
            command,
            small_address,
            small_length,
            address,
            length,
        } = self.locals;
        let zero = self.area.zero;
        let longs = (command - behind, ValType::I64);
        let words = (zero + 1 - command, ValType::I32);
        let mut function = Function::new([longs, words]);
        let mut code = function.instructions();
        let is_below = |code: &mut InstructionSink<'_>, other: u32| {
            code.local_get(command).i32_const(other as i32).i32_lt_u();
        };
        code.loop_(BlockType::Result(ValType::I64));
        code.i32_const(STDIN);
        push_message(&mut code, COMMAND_BYTES);
        move_one(&mut code, self.transfer);
        self.area.save(&mut code, MESSAGE + 24, 2, small);
        for (at, local) in [
            (16, small_address),
            (12, length),
            (8, address),
            (4, small_length),
            (0, command),
        ] {
            code.local_get(zero);
            code.i32_load(self.area.word(MESSAGE + at)).local_set(local);
        }
        // Standard output for what is to be read, standard input for what is to be written.
        const { assert!(command::READ == 0 && STDIN == 0 && STDOUT == 1) };
        code.local_get(command).i32_eqz();
        match self.apart {
            None => {
                code.i32_const(VECTOR as i32);
                code.local_get(address).local_get(length);
                move_one(&mut code, self.transfer);
            }
            Some(apart) => {
                code.local_get(memory);
                code.local_get(address).local_get(length);
                code.call(apart.exchange);
            }
        }
        is_below(&mut code, command::RETURN);
        code.br_if(0);

        self.area.restore(&mut code, 0, self.saved_count(), SAVED);
        code.local_get(command).i32_const(command::RETURN as i32);
        code.i32_gt_u().if_(BlockType::Empty);
        let area = self.layout.area();
        self.area.save(&mut code, area, 2, behind);
        is_below(&mut code, command::REPLACE);
        code.i32_const(area as i32).i32_const(0);
        code.i32_const(area as i32);
        move_one(&mut code, self.transfer);
        self.area.restore(&mut code, area, 2, behind);
        is_below(&mut code, command::REPLACE);
        code.br_if(1).end();

        for bytes in SMALL_LENGTHS {
            code.local_get(small_length).i32_const(bytes as i32);
            code.i32_eq().if_(BlockType::Empty);
            code.local_get(small_address).local_get(small);
            match bytes {
                2 => code.i64_store16(self.area.at(0, 0)),
                4 => code.i64_store32(self.area.at(0, 0)),
                _ => code.i64_store(self.area.at(0, 0)),
            };
            code.end();
        }
        code.local_get(value).end().end();
        function
    }

    fn saved_count(&self) -> u32 {
        self.locals.memory - SAVED
    }
}
