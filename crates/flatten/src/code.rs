//! Copying code: bytes as they are, but for what has a number in it.

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{Encode, Function, Section, SectionId};
use wasmparser::{BlockType, FunctionBody, Operator, ValType};
use wasmrun_guest::side_by_side;

use crate::constants::Constants;
use crate::module::Module;
use crate::numbers::{Numbers, Renumbered, Result};

/// The code of the one module.
#[derive(Default)]
pub(crate) struct Code {
    count: u32,
    bodies: Vec<u8>,
}

impl Code {
    pub(crate) fn add(&mut self, body: &Function) {
        body.encode(&mut self.bodies);
        self.count += 1;
    }

    /// Adds an instance's functions. Those that they make references to, as the module numbers them.
    pub(crate) fn add_own(
        &mut self,
        module: &Module<'_>,
        numbers: &Numbers,
        constants: &Constants,
    ) -> Result<Vec<u32>> {
        /// Functions that are copied at a time.
        const SOME: usize = 64;
        let bytes = module.bodies.iter().map(|body| body.range().len()).sum();
        let parts: Vec<_> = module.bodies.chunks(SOME).enumerate().collect();
        let copied: Vec<Result<_>> = side_by_side(&parts, bytes, |parts| {
            let mut copier = Copier::new(module.wasm, Renumbered { numbers, constants });
            let mut copied = Vec::new();
            for (place, bodies) in parts {
                copied.push((*place, copier.copy_all(bodies)?));
            }
            Ok((copied, copier.referred))
        });
        let (mut parts, mut referred) = (Vec::new(), Vec::new());
        for copied in copied {
            let (of_one, referred_of_one) = copied?;
            parts.extend(of_one);
            referred.extend(referred_of_one);
        }
        parts.sort_unstable_by_key(|(place, _)| *place);
        for (_, bodies) in parts {
            self.bodies.extend(bodies);
        }
        self.count += module.bodies.len() as u32;
        Ok(referred)
    }
}

impl Encode for Code {
    fn encode(&self, sink: &mut Vec<u8>) {
        let mut count = Vec::new();
        self.count.encode(&mut count);
        (count.len() + self.bodies.len()).encode(sink);
        sink.extend(count);
        sink.extend_from_slice(&self.bodies);
    }
}

impl Section for Code {
    fn id(&self) -> u8 {
        SectionId::Code.into()
    }
}

/// Copies functions of a module.
struct Copier<'a, 'b> {
    wasm: &'a [u8],
    renumbered: Renumbered<'b>,
    /// How far the function has been copied.
    copied: usize,
    body: Vec<u8>,
    referred: Vec<u32>,
}

impl<'a, 'b> Copier<'a, 'b> {
    fn new(wasm: &'a [u8], renumbered: Renumbered<'b>) -> Self {
        Copier {
            wasm,
            renumbered,
            copied: 0,
            body: Vec::new(),
            referred: Vec::new(),
        }
    }

    /// The bodies of functions in the one module, with their lengths.
    fn copy_all(&mut self, bodies: &[FunctionBody<'_>]) -> Result<Vec<u8>> {
        let mut copied = Vec::new();
        for body in bodies {
            self.copy(body)?.encode(&mut copied);
        }
        Ok(copied)
    }

    /// The body of a function in the one module.
    fn copy(&mut self, body: &FunctionBody<'_>) -> Result<&[u8]> {
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
