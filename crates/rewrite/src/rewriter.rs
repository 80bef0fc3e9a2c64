//! A guest with additions.

use std::collections::HashMap;
use std::sync::Arc;

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    BlockType, ConstExpr, Encode, ExportKind, FuncType, Function, GlobalType, InstructionSink,
    Module, SectionId, ValType,
};
use wasmparser::{
    BinaryReader, BinaryReaderError, ElementItems, FunctionBody, Operator, SectionLimited,
    TableInit,
};
use wasmrun_core::{Error, ErrorKind, Result};

use crate::bounded::{Around, Frame};
use crate::copy::{Copy, append, copy_operator, copy_operators, raw};
use crate::grow::Growing;
use crate::numbers::{MOST, Numbers};
use crate::parts::invalid;
use crate::room::Room;
use crate::{Bound, Growth, Meter, Parts, metered};

/// A guest's module, and what comes behind its own types, functions and globals.
///
/// What the guest's functions are to do is set before [`bodies`](Rewriter::bodies) copies them; what the
/// module is to have in addition is added before the section that it goes into is written.
#[derive(Debug)]
pub struct Rewriter<'a> {
    /// The guest.
    pub parts: &'a Parts<'a>,
    /// What bounds its stack.
    pub bound: Option<Bound>,
    /// What counts its fuel.
    pub meter: Option<Meter>,
    /// Whom it asks before something grows.
    pub growth: Option<Growth>,
    /// The function, without parameters and results, that it calls right before a table grows.
    pub before_table_grow: Option<u32>,
    /// As many pages as a memory may have, where that is less than the specification's most.
    pub most_pages: Option<u64>,
    numbers: Arc<Numbers>,
    /// Types behind the guest's own: their encodings.
    types: Vec<Vec<u8>>,
    /// Functions behind the guest's own: their types and bodies.
    helpers: Vec<(u32, Function)>,
    /// Those of them by which something grows.
    pub(crate) growers: HashMap<Growing, u32>,
    /// Globals behind the guest's own: their encodings.
    globals: Vec<Vec<u8>>,
    /// The memory that has a page the guest does not see.
    pub(crate) room: Option<Room>,
}

impl<'a> Rewriter<'a> {
    /// Of a module in which all functions will have numbers higher by `shift`: 0, unless the backend puts
    /// imports of its own in front.
    pub fn new(parts: &'a Parts<'a>, shift: u32) -> Self {
        Rewriter {
            parts,
            bound: None,
            meter: None,
            growth: None,
            before_table_grow: None,
            most_pages: None,
            numbers: Arc::new(Numbers::new(parts, shift)),
            types: Vec::new(),
            helpers: Vec::new(),
            growers: HashMap::new(),
            globals: Vec::new(),
            room: None,
        }
    }

    // ---- additions ------------------------------------------------------------------------------

    /// Adds the type of a function, unless it is there: its number.
    pub fn func_type(
        &mut self,
        params: impl IntoIterator<Item = ValType>,
        results: impl IntoIterator<Item = ValType>,
    ) -> u32 {
        let mut encoded = vec![0x60];
        let params: Vec<_> = params.into_iter().collect();
        let results: Vec<_> = results.into_iter().collect();
        let ty = FuncType::new(params, results);
        ty.params().encode(&mut encoded);
        ty.results().encode(&mut encoded);
        (self.parts.types.len() + add(&mut self.types, encoded)) as u32
    }

    /// Adds a function, unless it is there: its number.
    pub fn helper(
        &mut self,
        params: impl IntoIterator<Item = ValType>,
        results: impl IntoIterator<Item = ValType>,
        body: Function,
    ) -> u32 {
        let helper = (self.func_type(params, results), body);
        let before = self.numbers.count(self.parts);
        (before + add(&mut self.helpers, helper)) as u32
    }

    /// Adds a global that can change: its number.
    pub fn global(&mut self, ty: ValType, initial: &ConstExpr) -> u32 {
        let mut encoded = Vec::new();
        GlobalType {
            val_type: ty,
            mutable: true,
            shared: false,
        }
        .encode(&mut encoded);
        initial.encode(&mut encoded);
        self.globals.push(encoded);
        self.parts.globals + self.globals.len() as u32 - 1
    }

    /// The number that a function of the guest's has.
    pub fn number(&self, function: u32) -> u32 {
        self.numbers.of(function)
    }

    /// Whether the module does without a function of the guest's, because it would have too many.
    pub fn is_dropped(&self, function: u32) -> bool {
        self.numbers.is_dropped(function)
    }

    // ---- sections -------------------------------------------------------------------------------

    /// The guest's types, and ours.
    pub fn type_section(&self) -> Vec<u8> {
        let types = self.types.iter().map(Vec::as_slice);
        append(self.parts.contents(SectionId::Type), types)
    }

    /// The types of functions: those that come `before` the guest's own, its own, and ours.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if there are more than engines take.
    pub fn function_section(&self, before: &[u32]) -> Result<Vec<u8>> {
        let added = self.helpers.len();
        let all = self.numbers.count(self.parts) + added;
        if all > MOST {
            let message = format!(
                "cannot run a guest of so many functions: with {added} that it needs here in addition they are {all}, and engines take {MOST}"
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let own = self.own_functions().map(|(ty, _)| ty);
        let helpers = self.helpers.iter().map(|(ty, _)| ty);
        let types: Vec<_> = before.iter().chain(own).chain(helpers).copied().collect();
        let mut entries = Vec::new();
        types.encode(&mut entries);
        Ok(entries)
    }

    /// Those of the guest's own functions that the module has: their types, and their places.
    fn own_functions(&self) -> impl Iterator<Item = (&'a u32, usize)> {
        let first = self.parts.imports.len() as u32;
        let functions = self.parts.functions.iter().zip(0..);
        functions.filter(move |(_, place)| !self.numbers.is_dropped(first + *place as u32))
    }

    /// Writes the guest's own section, adjusted, if it has one.
    ///
    /// # Errors
    ///
    /// None, of a guest that was read.
    pub fn copied(&self, module: &mut Module, id: SectionId) -> Result<()> {
        if self.parts.range(id).is_some() {
            raw(module, id, &self.patched(id).map_err(invalid)?);
        }
        Ok(())
    }

    /// The contents of a section with the numbers of functions in it adjusted.
    fn patched(&self, id: SectionId) -> Result<Vec<u8>, BinaryReaderError> {
        let Some(range) = self.parts.range(id) else {
            return Ok(vec![0]);
        };
        let reader = BinaryReader::new(&self.parts.wasm[range.clone()], range.start);
        let mut copy = Copy::new(self.parts, range, &self.numbers);
        let constant = |copy: &mut Copy<'_>, expression: wasmparser::ConstExpr<'_>| {
            copy_operators(expression.get_operators_reader(), copy, |_| None)
        };
        match id {
            SectionId::Table => {
                for table in SectionLimited::<wasmparser::Table<'_>>::new(reader)? {
                    if let TableInit::Expr(expression) = table?.init {
                        constant(&mut copy, expression)?;
                    }
                }
            }
            SectionId::Global => {
                for global in SectionLimited::<wasmparser::Global<'_>>::new(reader)? {
                    constant(&mut copy, global?.init_expr)?;
                }
            }
            SectionId::Element => {
                for element in SectionLimited::<wasmparser::Element<'_>>::new(reader)? {
                    match element?.items {
                        ElementItems::Functions(functions) => {
                            for function in functions.into_iter_with_offsets() {
                                let (offset, function) = function?;
                                copy.number(offset, self.numbers.of(function));
                            }
                        }
                        ElementItems::Expressions(_, expressions) => {
                            for expression in expressions {
                                constant(&mut copy, expression?)?;
                            }
                        }
                    }
                }
            }
            SectionId::Export => {
                let mut reader = reader;
                for _ in 0..reader.read_var_u32()? {
                    reader.read_string()?;
                    let is_function = reader.read_u8()? == ExportKind::Func as u8;
                    let offset = reader.original_position();
                    let index = reader.read_var_u32()?;
                    if is_function {
                        copy.number(offset, self.numbers.of(index));
                    }
                }
            }
            _ => {}
        }
        Ok(copy.finish())
    }

    /// The guest's globals, and ours.
    ///
    /// # Errors
    ///
    /// None, of a guest that was read.
    pub fn global_section(&self) -> Result<Vec<u8>> {
        let own = self.patched(SectionId::Global).map_err(invalid)?;
        Ok(append(&own, self.globals.iter().map(Vec::as_slice)))
    }

    /// The guest's exports, and more: their encodings.
    ///
    /// # Errors
    ///
    /// None, of a guest that was read.
    pub fn export_section<'b>(
        &self,
        more: impl ExactSizeIterator<Item = &'b [u8]>,
    ) -> Result<Vec<u8>> {
        let own = self.patched(SectionId::Export).map_err(invalid)?;
        Ok(append(&own, more))
    }

    /// Drops the segments that are gone once a guest begins, for an engine that still has them then.
    pub fn drop_spent_segments(&self, code: &mut InstructionSink<'_>) {
        // Without a count of them no code may name data, the guest's neither.
        if self.parts.range(SectionId::DataCount).is_some() {
            for data in &self.parts.active_data {
                code.data_drop(data.segment);
            }
        }
        for segment in &self.parts.spent_elements {
            code.elem_drop(*segment);
        }
    }

    /// The guest's own functions, adjusted. May add functions.
    ///
    /// # Errors
    ///
    /// None, of a guest that was read.
    pub fn bodies(&mut self) -> Result<Vec<Vec<u8>>> {
        let parts = self.parts;
        let functions: Vec<_> = self.own_functions().collect();
        functions
            .into_iter()
            .map(|(ty, place)| {
                let ty = parts.types[*ty as usize].as_ref();
                self.body(&parts.bodies[place], parts.heights[place], ty)
            })
            .collect::<Result<_, _>>()
            .map_err(invalid)
    }

    /// A function, adjusted. Within the bound on the stack its body becomes a block.
    fn body(
        &mut self,
        body: &FunctionBody<'_>,
        height: u32,
        ty: Option<&wasmparser::FuncType>,
    ) -> Result<Vec<u8>, BinaryReaderError> {
        let mut frame = match (self.bound, ty) {
            (Some(bound), Some(ty)) => {
                let params = ty.params().len() as u32;
                Frame::of(bound, body, params, height)?
            }
            _ => None,
        };
        let mut stretches = match self.meter {
            Some(_) => metered::stretches(body)?,
            None => Vec::new(),
        }
        .into_iter()
        .peekable();
        let numbers = self.numbers.clone();
        let mut copy = Copy::new(self.parts, body.range(), &numbers);
        let mut operators = body.get_operators_reader()?;
        if let Some(frame) = &frame {
            let groups = body.get_locals_reader()?.get_count();
            copy.number(body.range().start, groups + 1);
            let block = self.block(ty.map_or(&[], wasmparser::FuncType::results));
            copy.insert(operators.original_position(), |out| {
                Frame::LOCAL.0.encode(out);
                Frame::LOCAL.1.encode(out);
                frame.enter(&mut InstructionSink::new(out), block);
            });
        }
        while !operators.eof() {
            let begin = operators.original_position();
            let operator = operators.read()?;
            let range = begin..operators.original_position();
            if let Some((_, fuel)) = stretches.next_if(|(start, _)| *start == begin)
                && let Some(meter) = self.meter
            {
                copy.insert(begin, |out| {
                    meter.take(&mut InstructionSink::new(out), fuel)
                });
            }
            let around = frame
                .as_mut()
                .map_or(Around::Nothing, |frame| frame.around(&operator));
            match (around, &frame) {
                (Around::Branch(depth), _) => {
                    copy.replace(range, |out| {
                        InstructionSink::new(out).br(depth);
                    });
                    continue;
                }
                (Around::Leave, Some(frame)) => {
                    copy.insert(begin, |out| frame.leave(&mut InstructionSink::new(out)));
                }
                _ => {}
            }
            if let (Operator::TableGrow { .. }, Some(function)) =
                (&operator, self.before_table_grow)
            {
                copy.insert(begin, |out| {
                    InstructionSink::new(out).call(function);
                });
            }
            if let Some(room) = self.room.filter(|room| room.is_accessed_by(&operator)) {
                copy.insert(begin, |out| room.guard(&mut InstructionSink::new(out)));
            }
            copy_operator(&operator, range.clone(), &mut copy, |operator| {
                self.sizer(operator)
                    .or_else(|| self.grower(operator))
                    .or_else(|| self.guarded(operator))
            });
            if let (Around::Restore, Some(frame)) = (around, &frame) {
                copy.insert(range.end, |out| {
                    frame.restore(&mut InstructionSink::new(out));
                });
            }
        }
        if let Some(frame) = &frame {
            copy.insert(body.range().end, |out| {
                let mut code = InstructionSink::new(out);
                frame.leave(&mut code);
                code.end();
            });
        }
        Ok(copy.finish())
    }

    /// A block that leaves these results.
    fn block(&mut self, results: &[wasmparser::ValType]) -> BlockType {
        if results.is_empty() {
            return BlockType::Empty;
        }
        // Types were validated, so each has an encoding.
        let results = results.iter();
        let results: Result<Vec<_>, _> =
            results.map(|ty| RoundtripReencoder.val_type(*ty)).collect();
        BlockType::FunctionType(self.func_type([], results.unwrap_or_default()))
    }

    /// The bodies of functions: those that come `before` the guest's own, its own, and ours.
    pub fn code_section(
        &self,
        before: impl ExactSizeIterator<Item = Function>,
        bodies: &[Vec<u8>],
    ) -> Vec<u8> {
        let mut code = Vec::with_capacity(self.parts.wasm.len());
        (before.len() + bodies.len() + self.helpers.len()).encode(&mut code);
        for body in before {
            body.encode(&mut code);
        }
        for body in bodies {
            body.as_slice().encode(&mut code);
        }
        for (_, body) in &self.helpers {
            body.encode(&mut code);
        }
        code
    }
}

/// Adds something to a list, unless it is there: its place.
fn add<T: PartialEq>(list: &mut Vec<T>, new: T) -> usize {
    let place = list.iter().position(|other| *other == new);
    place.unwrap_or_else(|| {
        list.push(new);
        list.len() - 1
    })
}
