//! Copying code: bytes as they are, but for what has a number in it.

use wasm_encoder::Encode;
use wasm_encoder::reencode::{self, Reencode};
use wasmparser::{BlockType, FunctionBody, Operator, ValType};

use crate::numbers::{Renumbered, Result};

/// Copies functions of a module.
pub(crate) struct Copier<'a, 'b> {
    wasm: &'a [u8],
    renumbered: Renumbered<'b>,
    /// How far the function has been copied.
    copied: usize,
    body: Vec<u8>,
    /// Functions that the code makes references to, as the module numbers them.
    pub(crate) referred: Vec<u32>,
}

impl<'a, 'b> Copier<'a, 'b> {
    pub(crate) fn new(wasm: &'a [u8], renumbered: Renumbered<'b>) -> Self {
        Copier {
            wasm,
            renumbered,
            copied: 0,
            body: Vec::new(),
            referred: Vec::new(),
        }
    }

    /// The body of a function in the one module.
    pub(crate) fn copy(&mut self, body: &FunctionBody<'_>) -> Result<&[u8]> {
        let range = body.range();
        self.body.clear();
        self.copied = range.start;
        let mut locals = body.get_locals_reader()?;
        for _ in 0..locals.get_count() {
            let begin = locals.original_position();
            let (count, ty) = locals.read()?;
            if !is_plain(ty) {
                let ty = self.renumbered.val_type(ty)?;
                self.until(begin)?;
                count.encode(&mut self.body);
                ty.encode(&mut self.body);
                self.copied = locals.original_position();
            }
        }
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let begin = operators.original_position();
            let operator = operators.read()?;
            if self.keeps(&operator) {
                continue;
            }
            if let Operator::RefFunc { function_index } = operator {
                self.referred.push(function_index);
            }
            let instruction = self.renumbered.instruction(operator)?;
            self.until(begin)?;
            instruction.encode(&mut self.body);
            self.copied = operators.original_position();
        }
        self.until(range.end)?;
        Ok(&self.body)
    }

    /// Copies up to a place.
    fn until(&mut self, place: usize) -> Result<()> {
        let bytes = self.wasm.get(self.copied..place);
        let bytes = bytes.ok_or(reencode::Error::InvalidCodeSectionSize)?;
        self.body.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether an operator names nothing that may have another number.
    fn keeps(&self, operator: &Operator<'_>) -> bool {
        macro_rules! kept {
            ($argument:ident blockty) => {
                match $argument {
                    BlockType::Empty => true,
                    BlockType::Type(ty) => is_plain(*ty),
                    BlockType::FuncType(_) => false,
                }
            };
            ($argument:ident memarg) => {
                self.renumbered.keeps_memory($argument.memory)
            };
            ($argument:ident mem) => {
                self.renumbered.keeps_memory(*$argument)
            };
            ($argument:ident ty) => {
                is_plain(*$argument)
            };
            ($argument:ident value) => {{
                let _ = $argument;
                true
            }};
            ($argument:ident local_index) => {{
                let _ = $argument;
                true
            }};
            ($argument:ident relative_depth) => {{
                let _ = $argument;
                true
            }};
            ($argument:ident targets) => {{
                let _ = $argument;
                true
            }};
            ($argument:ident lane) => {{
                let _ = $argument;
                true
            }};
            ($argument:ident lanes) => {{
                let _ = $argument;
                true
            }};
            ($argument:ident ordering) => {{
                let _ = $argument;
                true
            }};
            // Numbers, and what may contain some.
            ($argument:ident $other:ident) => {{
                let _ = $argument;
                false
            }};
        }
        macro_rules! of_each {
            ($(@$proposal:ident $name:ident $({ $($argument:ident: $ty:ty),* })? => $visit:ident ($($arity:tt)*))*) => {
                match operator {
                    $(Operator::$name $({ $($argument),* })? => true $($(&& kept!($argument $argument))*)?,)*
                    _ => false,
                }
            };
        }
        wasmparser::for_each_operator!(of_each)
    }
}

/// Whether a type names no other.
fn is_plain(ty: ValType) -> bool {
    match ty {
        ValType::Ref(ty) => ty.type_index().is_none(),
        _ => true,
    }
}
