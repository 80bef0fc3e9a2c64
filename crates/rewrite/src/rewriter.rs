//! A guest with additions.

use std::collections::HashMap;

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    BlockType, ConstExpr, Encode, FuncType, Function, GlobalType, InstructionSink, Module,
    SectionId, ValType,
};
use wasmparser::{
    BinaryReader, BinaryReaderError, ElementItems, FunctionBody, Operator, SectionLimited,
    TableInit,
};
use wasmrun_core::Result;

use crate::bounded::{Around, Frame};
use crate::copy::{Copy, append, copy_operator, copy_operators, raw, split_count};
use crate::grow::Growing;
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
    /// By how much the numbers of functions change.
    shift: u32,
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
            shift,
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
        let guests = self.parts.imports.len() + self.parts.functions.len();
        self.shift + (guests + add(&mut self.helpers, helper)) as u32
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

    // ---- sections -------------------------------------------------------------------------------

    /// The guest's types, and ours.
    pub fn type_section(&self) -> Vec<u8> {
        let types = self.types.iter().map(Vec::as_slice);
        append(self.parts.contents(SectionId::Type), types)
    }

    /// The types of functions: those that come `before` the guest's own, its own, and ours.
    pub fn function_section(&self, before: &[u32]) -> Vec<u8> {
        let mut entries = Vec::new();
        let helpers = self.helpers.iter().map(|(ty, _)| ty);
        let count = before.len() + self.parts.functions.len() + self.helpers.len();
        count.encode(&mut entries);
        for ty in before {
            ty.encode(&mut entries);
        }
        entries.extend(split_count(self.parts.contents(SectionId::Function)).1);
        for helper in helpers {
            helper.encode(&mut entries);
        }
        entries
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
        let mut copy = Copy::new(self.parts, range, self.shift);
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
                                copy.number(offset, function + self.shift);
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
        let functions = parts.bodies.iter().zip(&parts.heights);
        let functions = functions.zip(&parts.functions);
        functions
            .map(|((body, height), ty)| {
                self.body(body, *height, parts.types[*ty as usize].as_ref())
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
        let mut copy = Copy::new(self.parts, body.range(), self.shift);
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
