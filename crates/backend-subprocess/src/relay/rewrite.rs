//! A guest rewritten so that its host calls come to us, whatever runtime it runs in.
//!
//! Of WASI the rewritten module imports only `fd_read` and `fd_write`, for the wire. In place of each
//! import of the guest is a function of its own that sends the call (see [`super::protocol`]). Functions
//! therefore have other numbers than before: what names a function by its number is adjusted, and
//! everything else is copied byte by byte.
//!
//! The module's `_start` says that it begins, calls the start function and `_initialize` if the guest
//! has them, then the entry, and says that it has ended. Memories and tables grow by functions that ask
//! us first.

use std::ops::Range;

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{
    BlockType, ConstExpr, Encode, EntityType, ExportKind, ExportSection, FuncType, Function,
    GlobalType, ImportSection, InstructionSink, MemArg, MemoryType, Module, RawSection, SectionId,
    ValType,
};
use wasmparser::{
    BinaryReader, BinaryReaderError, CompositeInnerType, ElementItems, ExternalKind, FunctionBody,
    KnownCustom, Name, Operator, OperatorsReader, Parser, Payload, SectionLimited, TableInit,
    TypeRef, Validator, WasmFeatures,
};
use wasmrun_core::guest::{self, Export, Import, ImportKind, ValueType};
use wasmrun_core::{Error, ErrorKind, Guest, Proposals, Result};
use wasmrun_wasi_preview1::{self as wasi, HOSTCALL_FUEL, preview1};

use super::bounded::{Around, Bound, Frame};
use super::memory::{HintOf, hint};
use super::metered::{self, Meter};
use super::protocol::{
    AREA, CALL_BYTES, COMMAND_BYTES, MAGIC, MAX_ARGUMENTS, MESSAGE, MOVED, ROOM, SMALL_LENGTHS,
    VECTOR, command, own,
};

/// The name of the memory that WASI works on.
const MEMORY: &str = "memory";

/// What is to be known of a rewritten guest.
#[derive(Debug)]
pub(super) struct Relayed {
    /// What its calls ask for, by their numbers.
    pub(super) functions: Vec<&'static wasi::Function>,
    /// Whether the wire's memory is the one WASI works on. Otherwise WASI has none.
    pub(super) has_memory: bool,
}

impl Relayed {
    /// What is to be known of a guest that was rewritten before. Needs none of its bytes.
    pub(super) fn of(guest: &Guest) -> Result<Relayed> {
        let functions = guest.imports().iter().map(wasi_function);
        let is_memory =
            |export: &Export| export.kind == guest::ExportKind::Memory && export.name == MEMORY;
        Ok(Relayed {
            functions: functions.collect::<Result<_>>()?,
            // If it has calls to send, they go through the memory that WASI works on.
            has_memory: guest.exports().iter().any(is_memory),
        })
    }
}

/// What a runtime asks of the rewriting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// The proposals it has.
    pub(super) proposals: Proposals,
    /// Its WASI sees a module's first memory only, whichever is exported.
    pub(super) first_memory_only: bool,
    /// Bytes that the guest's calls may take, for a runtime that has no bound of its own.
    pub(super) stack: Option<u64>,
    /// Fuel is to be counted.
    pub(super) fuel: bool,
}

/// Rewrites `guest` to be started at `entry`: the module, and what is to be known of it.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) for a guest that does not validate,
/// [`Unsupported`](ErrorKind::Unsupported) for one that cannot hold the wire.
pub(super) fn relayed(guest: &Guest, entry: &str, terms: Terms) -> Result<(Vec<u8>, Relayed)> {
    // A rewritten module has things that an invalid guest could reach by numbers beyond its own.
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(guest.bytes())
        .map_err(invalid)?;
    let mut parts = Parts::read(guest.bytes(), entry).map_err(invalid)?;
    // Only one that can be called without arguments is what the name says.
    parts.initialize = parts
        .initialize
        .filter(|_| guest.has_entry(Guest::INITIALIZE));
    // All are functions, or refused.
    let types = parts
        .imports
        .iter()
        .map(|ty| parts.types[*ty as usize].as_ref());
    let imports = guest
        .imports()
        .iter()
        .zip(types.chain(std::iter::repeat(None)));
    let functions = imports
        .map(|(import, ty)| imported(import, ty))
        .collect::<Result<Vec<_>>>()?;
    let wire = wire_memory(&parts, terms)?;
    let has_memory = parts.exported_memory == Some(wire);
    let wasm = Rewriter::new(&parts, &functions, wire)
        .write(terms)
        .map_err(invalid)?;
    let relayed = Relayed {
        functions,
        has_memory,
    };
    Ok((wasm, relayed))
}

fn invalid(source: BinaryReaderError) -> Error {
    Error::new(ErrorKind::Invalid, source.to_string())
}

/// The function that has an import's name.
fn wasi_function(import: &Import) -> Result<&'static wasi::Function> {
    wasi::find(&import.module, &import.name)
        .filter(|_| import.kind == ImportKind::Function)
        .ok_or_else(|| not_ours(import, ""))
}

fn not_ours(import: &Import, why: &str) -> Error {
    let message = format!("the guest imports {import}, which WASI preview1 does not have{why}");
    Error::new(ErrorKind::Unsupported, message)
}

/// The function that an import asks for.
fn imported(import: &Import, ty: Option<&wasmparser::FuncType>) -> Result<&'static wasi::Function> {
    let function = wasi_function(import)?;
    let is = |ours: &ValueType, theirs: &wasmparser::ValType| match ours {
        ValueType::I32 => *theirs == wasmparser::ValType::I32,
        _ => *theirs == wasmparser::ValType::I64,
    };
    let same = ty.is_some_and(|ty| {
        let (params, results) = (ty.params(), ty.results());
        params.len() == function.params.len()
            && results.len() == usize::from(function.result.is_some())
            && function
                .params
                .iter()
                .zip(params)
                .all(|(ours, theirs)| is(ours, theirs))
            && function
                .result
                .iter()
                .zip(results)
                .all(|(ours, theirs)| is(ours, theirs))
    });
    if same {
        Ok(function)
    } else {
        Err(not_ours(import, " with that type"))
    }
}

/// The number of the memory that messages go through: the one WASI is to work on, if it can be, or
/// one that WASI has nothing to do with.
fn wire_memory(parts: &Parts<'_>, terms: Terms) -> Result<u32> {
    let refuse = |why: &str| Err(Error::new(ErrorKind::Unsupported, why));
    let has_room = |memory: &wasmparser::MemoryType| {
        let pages = memory.page_size_log2.unwrap_or(16);
        let bytes = memory.initial.checked_shl(pages);
        !memory.memory64 && bytes.is_some_and(|bytes| bytes >= ROOM.into())
    };
    let within_reach = |memory: u32| memory == 0 || !terms.first_memory_only;
    if let Some(memory) = parts.exported_memory
        && !parts.imports.is_empty()
    {
        return match &parts.memories[memory as usize] {
            ty if ty.memory64 => {
                refuse("has no WASI for a memory of 64 bits, and the guest has one")
            }
            ty if !has_room(ty) => refuse("has no WASI for a guest whose memory starts out empty"),
            _ if !within_reach(memory) => {
                refuse("has WASI for a guest's first memory only, and this one exports another")
            }
            _ => Ok(memory),
        };
    }
    // One of the guest's, or one more; one that threads share is the last that comes into question.
    let find = |shared| {
        let memories = parts.memories.iter().zip(0..);
        let mut fits = memories
            .filter(|(ty, memory)| has_room(ty) && ty.shared == shared && within_reach(*memory));
        fits.next().map(|(_, memory)| memory)
    };
    let next = parts.memories.len() as u32;
    let several = next == 0 || terms.proposals.contains(Proposals::MULTI_MEMORY);
    let another = (several && within_reach(next)).then_some(next);
    match find(false).or(another).or_else(|| find(true)) {
        Some(memory) => Ok(memory),
        None => refuse("cannot run a guest whose first memory starts out empty or has 64 bits"),
    }
}

/// What of a module the rewriting needs to know.
#[derive(Default)]
struct Parts<'a> {
    wasm: &'a [u8],
    /// Where the contents of each known section are.
    sections: Vec<(u8, Range<usize>)>,
    /// The guest's types; those of functions whole.
    types: Vec<Option<wasmparser::FuncType>>,
    /// The type of each imported function.
    imports: Vec<u32>,
    /// The type of each of the guest's own functions.
    functions: Vec<u32>,
    globals: u32,
    memories: Vec<wasmparser::MemoryType>,
    tables: Vec<wasmparser::TableType>,
    exported_memory: Option<u32>,
    start: Option<u32>,
    initialize: Option<u32>,
    entry: Option<u32>,
    bodies: Vec<FunctionBody<'a>>,
    names: Vec<(u32, &'a str)>,
}

impl<'a> Parts<'a> {
    fn read(wasm: &'a [u8], entry: &str) -> Result<Self, BinaryReaderError> {
        let mut parts = Parts {
            wasm,
            ..Parts::default()
        };
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            if let Some(section) = payload.as_section()
                && section.0 != SectionId::Custom as u8
            {
                parts.sections.push(section);
            }
            match payload {
                Payload::TypeSection(types) => {
                    for group in types {
                        let types = group?.into_types();
                        parts
                            .types
                            .extend(types.map(|ty| match ty.composite_type.inner {
                                CompositeInnerType::Func(ty) => Some(ty),
                                _ => None,
                            }));
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import?.ty {
                            parts.imports.push(ty);
                        }
                    }
                }
                Payload::FunctionSection(functions) => {
                    parts.functions = functions.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::GlobalSection(globals) => parts.globals = globals.count(),
                Payload::MemorySection(memories) => {
                    parts.memories = memories.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::TableSection(tables) => {
                    for table in tables {
                        parts.tables.push(table?.ty);
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        match (export.kind, export.name) {
                            (ExternalKind::Memory, MEMORY) => {
                                parts.exported_memory = Some(export.index);
                            }
                            (ExternalKind::Func | ExternalKind::FuncExact, name) => {
                                if name == entry {
                                    parts.entry = Some(export.index);
                                } else if name == Guest::INITIALIZE {
                                    parts.initialize = Some(export.index);
                                }
                            }
                            _ => {}
                        }
                    }
                }
                Payload::StartSection { func, .. } => parts.start = Some(func),
                Payload::CodeSectionEntry(body) => parts.bodies.push(body),
                Payload::CustomSection(custom) => {
                    if let KnownCustom::Name(names) = custom.as_known() {
                        // Malformed names are as good as none.
                        parts.names = function_names(names).unwrap_or_default();
                    }
                }
                _ => {}
            }
        }
        Ok(parts)
    }

    /// Where the contents of a section are.
    fn range(&self, id: SectionId) -> Option<Range<usize>> {
        let found = self.sections.iter().find(|(own, _)| *own == id as u8);
        found.map(|(_, range)| range.clone())
    }
}

fn function_names(
    names: wasmparser::NameSectionReader<'_>,
) -> Result<Vec<(u32, &str)>, BinaryReaderError> {
    let mut found = Vec::new();
    for name in names {
        if let Name::Function(map) = name? {
            for naming in map {
                let naming = naming?;
                found.push((naming.index, naming.name));
            }
        }
    }
    Ok(found)
}

/// The two functions that the rewritten module imports.
const FD_WRITE: u32 = 0;
const FD_READ: u32 = 1;
/// By how much the numbers of functions change: the functions in place of the guest's imports have
/// the numbers those imports had, behind ours.
const SHIFT: u32 = 2;

struct Rewriter<'a> {
    parts: &'a Parts<'a>,
    functions: &'a [&'static wasi::Function],
    wire: u32,
    /// Types behind the guest's own: their encodings.
    types: Vec<Vec<u8>>,
    /// Functions behind the guest's own: their types and bodies.
    helpers: Vec<(u32, Function)>,
    /// Globals behind the guest's own: their encodings.
    globals: Vec<Vec<u8>>,
    /// The helper that makes calls.
    call: u32,
    bound: Option<Bound>,
    meter: Option<Meter>,
    memory_grow: Vec<Option<u32>>,
    table_grow: Vec<Option<u32>>,
}

impl<'a> Rewriter<'a> {
    fn new(parts: &'a Parts<'a>, functions: &'a [&'static wasi::Function], wire: u32) -> Self {
        Rewriter {
            memory_grow: vec![None; parts.memories.len()],
            table_grow: vec![None; parts.tables.len()],
            parts,
            functions,
            wire,
            types: Vec::new(),
            helpers: Vec::new(),
            globals: Vec::new(),
            call: 0,
            bound: None,
            meter: None,
        }
    }

    fn write(mut self, terms: Terms) -> Result<Vec<u8>, BinaryReaderError> {
        use ValType::{I32, I64};
        let fd = self.func_type([I32; 4], [I32]);
        let send = self.helper([I32; 3], [], transfer(self.wire, 1, FD_WRITE));
        let receive = self.helper([I32; 3], [], transfer(self.wire, 0, FD_READ));
        let mut params = vec![I32];
        params.extend([I64; MAX_ARGUMENTS]);
        params.extend([I32; 4]);
        let call = self.call_body(send, receive);
        self.call = self.helper(params, [I64], call);
        let first = self.first_vector_body();
        let first = self.helper([I32; 2], [I32], first);
        self.bound = terms.stack.map(|bytes| Bound {
            counter: self.global(I32, &ConstExpr::i32_const(0)),
            limit: u32::try_from(bytes).unwrap_or(u32::MAX),
            exceeded: self.ending(own::OVERFLOW),
        });
        self.meter = terms.fuel.then(|| Meter {
            left: self.global(I64, &ConstExpr::i64_const(0)),
            exhausted: self.ending(own::OUT_OF_FUEL),
        });
        // Operators that grow something find their helper while they are copied.
        let bodies = self.bodies()?;
        let start = self.start_body();
        let start = self.helper([], [], start);

        let mut imports = ImportSection::new();
        imports.import(preview1::MODULE, "fd_write", EntityType::Function(fd));
        imports.import(preview1::MODULE, "fd_read", EntityType::Function(fd));
        let mut exports = ExportSection::new();
        exports.export(MEMORY, ExportKind::Memory, self.wire);
        exports.export(Guest::DEFAULT_ENTRY, ExportKind::Func, start);

        let mut module = Module::new();
        let types = self.types.iter().map(Vec::as_slice);
        raw(
            &mut module,
            SectionId::Type,
            &append(self.contents(SectionId::Type), types),
        );
        module.section(&imports);
        raw(&mut module, SectionId::Function, &self.function_section());
        self.copied(&mut module, SectionId::Table)?;
        self.memory_section(&mut module);
        self.copied(&mut module, SectionId::Tag)?;
        raw(&mut module, SectionId::Global, &self.global_section()?);
        module.section(&exports);
        self.copied(&mut module, SectionId::Element)?;
        self.copied(&mut module, SectionId::DataCount)?;
        raw(
            &mut module,
            SectionId::Code,
            &self.code_section(first, bodies),
        );
        self.copied(&mut module, SectionId::Data)?;
        if !self.parts.names.is_empty() {
            module.section(&self.name_section());
        }
        Ok(module.finish())
    }

    /// A section's contents; no entries where the guest has no such section.
    fn contents(&self, id: SectionId) -> &'a [u8] {
        let range = self.parts.range(id);
        range.map_or(&[0], |range| &self.parts.wasm[range])
    }

    /// Writes the guest's own section, adjusted, if it has one.
    fn copied(&self, module: &mut Module, id: SectionId) -> Result<(), BinaryReaderError> {
        if let Some(range) = self.parts.range(id) {
            raw(module, id, &self.patched(id, range)?);
        }
        Ok(())
    }

    // ---- numbers --------------------------------------------------------------------------------

    fn func_type(
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
        let place = self.types.iter().position(|other| *other == encoded);
        let place = place.unwrap_or_else(|| {
            self.types.push(encoded);
            self.types.len() - 1
        });
        (self.parts.types.len() + place) as u32
    }

    fn helper(
        &mut self,
        params: impl IntoIterator<Item = ValType>,
        results: impl IntoIterator<Item = ValType>,
        body: Function,
    ) -> u32 {
        let ty = self.func_type(params, results);
        self.helpers.push((ty, body));
        let guests = self.parts.imports.len() + self.parts.functions.len();
        SHIFT + guests as u32 + self.helpers.len() as u32 - 1
    }

    fn global(&mut self, ty: ValType, initial: &ConstExpr) -> u32 {
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

    /// A function that says why the guest must end, which it then does.
    fn ending(&mut self, why: u32) -> u32 {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.ask(&mut code, why, |code| code.i64_const(0));
        code.unreachable().end();
        self.helper([], [], function)
    }

    // ---- sections -------------------------------------------------------------------------------

    fn function_section(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        let helpers = self.helpers.iter().map(|(ty, _)| ty);
        let count = self.parts.imports.len() + self.parts.functions.len() + self.helpers.len();
        count.encode(&mut entries);
        for import in &self.parts.imports {
            import.encode(&mut entries);
        }
        entries.extend(split_count(self.contents(SectionId::Function)).1);
        for helper in helpers {
            helper.encode(&mut entries);
        }
        entries
    }

    /// The guest's memories and, if the wire has one of its own, that.
    fn memory_section(&self, module: &mut Module) {
        let own = self.contents(SectionId::Memory);
        if (self.wire as usize) < self.parts.memories.len() {
            return raw(module, SectionId::Memory, own);
        }
        let mut memory = Vec::new();
        MemoryType {
            minimum: 1,
            maximum: Some(1),
            memory64: false,
            shared: false,
            page_size_log2: None,
        }
        .encode(&mut memory);
        let memories = append(own, [memory.as_slice()].into_iter());
        raw(module, SectionId::Memory, &memories);
    }

    /// The contents of a section with the numbers of functions in it adjusted.
    fn patched(&self, id: SectionId, range: Range<usize>) -> Result<Vec<u8>, BinaryReaderError> {
        let reader = BinaryReader::new(&self.parts.wasm[range.clone()], range.start);
        let mut copy = Copy::new(self.parts.wasm, range);
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
                                copy.number(offset, function + SHIFT);
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
    fn global_section(&self) -> Result<Vec<u8>, BinaryReaderError> {
        let own = match self.parts.range(SectionId::Global) {
            Some(range) => self.patched(SectionId::Global, range)?,
            None => vec![0],
        };
        Ok(append(&own, self.globals.iter().map(Vec::as_slice)))
    }

    /// The guest's own functions, adjusted.
    fn bodies(&mut self) -> Result<Vec<Vec<u8>>, BinaryReaderError> {
        let parts = self.parts;
        let functions = parts.bodies.iter().zip(&parts.functions);
        functions
            .map(|(body, ty)| self.body(body, parts.types[*ty as usize].as_ref()))
            .collect()
    }

    /// What an operator that grows something is replaced by a call of.
    fn grower(&mut self, operator: &Operator<'_>) -> Option<u32> {
        match *operator {
            Operator::MemoryGrow { mem } => Some(self.grow_memory(mem)),
            Operator::TableGrow { table } => Some(self.grow_table(table)),
            _ => None,
        }
    }

    /// A function, adjusted. Within the bound on the stack its body becomes a block.
    fn body(
        &mut self,
        body: &FunctionBody<'_>,
        ty: Option<&wasmparser::FuncType>,
    ) -> Result<Vec<u8>, BinaryReaderError> {
        let mut frame = match (self.bound, ty) {
            (Some(bound), Some(ty)) => Frame::of(bound, body, ty.params().len() as u32)?,
            _ => None,
        };
        let mut stretches = match self.meter {
            Some(_) => metered::stretches(body)?,
            None => Vec::new(),
        }
        .into_iter()
        .peekable();
        let mut copy = Copy::new(self.parts.wasm, body.range());
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
            copy_operator(&operator, range.clone(), &mut copy, |operator| {
                self.grower(operator)
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

    fn code_section(&self, first: u32, bodies: Vec<Vec<u8>>) -> Vec<u8> {
        let mut code = Vec::with_capacity(self.parts.wasm.len());
        (self.functions.len() + bodies.len() + self.helpers.len()).encode(&mut code);
        for (number, function) in self.functions.iter().enumerate() {
            self.stub(number as u32, function, first).encode(&mut code);
        }
        for body in bodies {
            body.as_slice().encode(&mut code);
        }
        for (_, body) in &self.helpers {
            body.encode(&mut code);
        }
        code
    }

    /// Call stacks that a runtime prints are for people.
    fn name_section(&self) -> wasm_encoder::NameSection {
        let mut functions = wasm_encoder::NameMap::new();
        for (function, name) in &self.parts.names {
            functions.append(function + SHIFT, name);
        }
        let mut names = wasm_encoder::NameSection::new();
        names.functions(&functions);
        names
    }

    // ---- functions ------------------------------------------------------------------------------

    /// Makes a call and does what we say until it returns:
    /// `(number, arguments…, address, length, vector, follows) -> value`.
    fn call_body(&self, send: u32, receive: u32) -> Function {
        const ADDRESS: u32 = 1 + MAX_ARGUMENTS as u32;
        const LENGTH: u32 = ADDRESS + 1;
        const VECTOR_NUMBER: u32 = LENGTH + 1;
        const FOLLOWS: u32 = VECTOR_NUMBER + 1;
        const SAVED: u32 = FOLLOWS + 1;
        const SAVED_COUNT: u32 = AREA / 8;
        /// What is behind the area, while the area is sent or received itself.
        const BEHIND: u32 = SAVED + SAVED_COUNT;
        const SMALL: u32 = BEHIND + 2;
        const VALUE: u32 = SMALL + 1;
        const CODE: u32 = VALUE + 1;
        const SMALL_ADDRESS: u32 = CODE + 1;
        const SMALL_LENGTH: u32 = SMALL_ADDRESS + 1;
        let mut function = Function::new([(SAVED_COUNT + 4, ValType::I64), (3, ValType::I32)]);
        let mut code = function.instructions();
        let long = |at: u32| at_offset(self.wire, at, 3);
        let word = |at: u32| at_offset(self.wire, at, 2);
        let save = |code: &mut InstructionSink<'_>, from: u32, count: u32, local: u32| {
            for place in 0..count {
                code.i32_const(0).i64_load(long(from + 8 * place));
                code.local_set(local + place);
            }
        };
        let restore = |code: &mut InstructionSink<'_>, to: u32, count: u32, local: u32| {
            for place in 0..count {
                code.i32_const(0).local_get(local + place);
                code.i64_store(long(to + 8 * place));
            }
        };
        let message = |code: &mut InstructionSink<'_>, base: u32, at: u32, len: u32, by: u32| {
            code.i32_const(base as i32).i32_const(at as i32);
            code.i32_const(len as i32).call(by);
        };

        // The hint must be where there is memory, and not where messages are prepared.
        code.local_get(ADDRESS).i32_const(ROOM as i32).i32_lt_u();
        code.local_get(ADDRESS).i64_extend_i32_u();
        code.local_get(LENGTH).i64_extend_i32_u().i64_add();
        self.memory_bytes(&mut code, self.wire);
        code.i64_gt_u().i32_or();
        code.local_get(LENGTH).i32_const(HOSTCALL_FUEL as i32);
        code.i32_gt_u().i32_or().if_(BlockType::Empty);
        code.i32_const(0).local_set(LENGTH).end();

        save(&mut code, 0, SAVED_COUNT, SAVED);
        code.i32_const(0).i32_const(MAGIC as i32);
        code.i32_store(word(MESSAGE));
        code.i32_const(0).local_get(0).i32_store(word(MESSAGE + 4));
        code.i32_const(0);
        self.memory_bytes(&mut code, self.wire);
        code.i64_store(long(MESSAGE + 8)).i32_const(0);
        self.total_bytes(&mut code);
        code.i64_store(long(MESSAGE + 16));
        for (place, local) in [ADDRESS, LENGTH, VECTOR_NUMBER].into_iter().enumerate() {
            code.i32_const(0).local_get(local);
            code.i32_store(word(MESSAGE + 24 + 4 * place as u32));
        }
        restore(&mut code, MESSAGE + 40, MAX_ARGUMENTS as u32, 1);
        message(&mut code, VECTOR, MESSAGE, CALL_BYTES, send);
        code.local_get(FOLLOWS).if_(BlockType::Empty);
        code.i32_const(VECTOR as i32)
            .local_get(ADDRESS)
            .local_get(LENGTH);
        code.call(send).end();

        code.loop_(BlockType::Empty);
        message(&mut code, VECTOR, MESSAGE, COMMAND_BYTES, receive);
        let load = |code: &mut InstructionSink<'_>, at: u32, local: u32| {
            code.i32_const(0)
                .i32_load(word(MESSAGE + at))
                .local_set(local);
        };
        load(&mut code, 0, CODE);
        load(&mut code, 8, ADDRESS);
        load(&mut code, 12, LENGTH);
        let is = |code: &mut InstructionSink<'_>, command: u32| {
            code.local_get(CODE).i32_const(command as i32).i32_eq();
            code.if_(BlockType::Empty);
        };
        let moved = |code: &mut InstructionSink<'_>, by: u32| {
            code.i32_const(VECTOR as i32)
                .local_get(ADDRESS)
                .local_get(LENGTH)
                .call(by);
        };

        is(&mut code, command::RETURN);
        load(&mut code, 4, SMALL_LENGTH);
        load(&mut code, 16, SMALL_ADDRESS);
        for (at, local) in [(24, SMALL), (32, VALUE)] {
            code.i32_const(0)
                .i64_load(long(MESSAGE + at))
                .local_set(local);
        }
        moved(&mut code, receive);
        restore(&mut code, 0, SAVED_COUNT, SAVED);
        for length in SMALL_LENGTHS {
            code.local_get(SMALL_LENGTH)
                .i32_const(length as i32)
                .i32_eq();
            code.if_(BlockType::Empty);
            code.local_get(SMALL_ADDRESS).local_get(SMALL);
            match length {
                2 => code.i64_store16(at_offset(self.wire, 0, 0)),
                4 => code.i64_store32(at_offset(self.wire, 0, 0)),
                _ => code.i64_store(at_offset(self.wire, 0, 0)),
            };
            code.end();
        }
        code.local_get(VALUE).return_().end();

        for (command, by) in [(command::READ, send), (command::WRITE, receive)] {
            is(&mut code, command);
            moved(&mut code, by);
            code.br(1).end();
        }

        is(&mut code, command::KEEP);
        save(&mut code, AREA, 2, BEHIND);
        restore(&mut code, 0, SAVED_COUNT, SAVED);
        message(&mut code, AREA, 0, AREA, send);
        restore(&mut code, AREA, 2, BEHIND);
        code.br(1).end();

        is(&mut code, command::RESTORE);
        save(&mut code, AREA, 2, BEHIND);
        message(&mut code, AREA, 0, AREA, receive);
        save(&mut code, 0, SAVED_COUNT, SAVED);
        restore(&mut code, AREA, 2, BEHIND);
        code.br(1).end();

        code.end().unreachable().end();
        function
    }

    /// Which of some I/O vectors is the first that leads anywhere; -1 if none does, or if there is no
    /// memory where they should be: `(address, count) -> number`.
    fn first_vector_body(&self) -> Function {
        const ADDRESS: u32 = 0;
        const COUNT: u32 = 1;
        const NUMBER: u32 = 2;
        let mut function = Function::new([(1, ValType::I32)]);
        let mut code = function.instructions();
        code.local_get(ADDRESS).i64_extend_i32_u();
        code.local_get(COUNT)
            .i64_extend_i32_u()
            .i64_const(3)
            .i64_shl()
            .i64_add();
        self.memory_bytes(&mut code, self.wire);
        code.i64_gt_u().if_(BlockType::Empty);
        code.i32_const(-1).return_().end();
        code.loop_(BlockType::Empty);
        code.local_get(NUMBER)
            .local_get(COUNT)
            .i32_ge_u()
            .if_(BlockType::Empty);
        code.i32_const(-1).return_().end();
        code.local_get(ADDRESS)
            .local_get(NUMBER)
            .i32_const(3)
            .i32_shl()
            .i32_add();
        code.i32_load(at_offset(self.wire, 4, 0))
            .if_(BlockType::Empty);
        code.local_get(NUMBER).return_().end();
        code.local_get(NUMBER)
            .i32_const(1)
            .i32_add()
            .local_set(NUMBER);
        code.br(0).end().unreachable().end();
        function
    }

    /// What is in the place of an import: it sends the call, with a hint.
    fn stub(&self, number: u32, function: &wasi::Function, first: u32) -> Function {
        let params = function.params.len() as u32;
        let (vector, mut stub) = (params, Function::new([(1, ValType::I32)]));
        let mut code = stub.instructions();
        code.i32_const(number as i32);
        for (place, param) in function.params.iter().enumerate() {
            code.local_get(place as u32);
            if *param == ValueType::I32 {
                code.i64_extend_i32_u();
            }
        }
        // One that ends the guest tells how much fuel is left, behind its own arguments.
        let ends = function.result.is_none();
        for place in function.params.len()..MAX_ARGUMENTS {
            if ends && place == function.params.len() {
                self.fuel_left(&mut code);
            } else {
                code.i64_const(0);
            }
        }
        let follows = match hint(function.name) {
            HintOf::Nothing => {
                code.i32_const(0).i32_const(0);
                false
            }
            HintOf::Text(at) => {
                code.local_get(at as u32).local_get(at as u32 + 1);
                true
            }
            HintOf::Vectors { at, read } => {
                let at = at as u32;
                code.local_get(at)
                    .local_get(at + 1)
                    .call(first)
                    .local_set(vector);
                for part in [0, 4] {
                    code.local_get(vector).i32_const(-1).i32_eq();
                    code.if_(BlockType::Result(ValType::I32))
                        .i32_const(0)
                        .else_();
                    code.local_get(at)
                        .local_get(vector)
                        .i32_const(3)
                        .i32_shl()
                        .i32_add();
                    code.i32_load(at_offset(self.wire, part, 0)).end();
                }
                read
            }
        };
        code.local_get(vector)
            .i32_const(follows.into())
            .call(self.call);
        match function.result {
            Some(_) => code.i32_wrap_i64(),
            // It does not return.
            None => code.unreachable(),
        };
        code.end();
        stub
    }

    fn start_body(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.ask(&mut code, own::BEGIN, |code| code.i64_const(0));
        match self.meter {
            Some(meter) => code.global_set(meter.left),
            None => code.drop(),
        };
        let Parts {
            start,
            initialize,
            entry,
            ..
        } = self.parts;
        for function in [start, initialize, entry].into_iter().flatten() {
            code.call(function + SHIFT);
        }
        self.ask(&mut code, own::END, |code| self.fuel_left(code));
        code.drop().end();
        function
    }

    /// The fuel that is left; 0 where none is counted.
    fn fuel_left<'b, 'c>(&self, code: &'c mut InstructionSink<'b>) -> &'c mut InstructionSink<'b> {
        match self.meter {
            Some(meter) => code.global_get(meter.left),
            None => code.i64_const(0),
        }
    }

    /// Makes a call of our own with one argument.
    fn ask<'b>(
        &self,
        code: &mut InstructionSink<'b>,
        number: u32,
        argument: impl for<'c> FnOnce(&'c mut InstructionSink<'b>) -> &'c mut InstructionSink<'b>,
    ) {
        argument(code.i32_const(number as i32));
        for _ in 1..MAX_ARGUMENTS {
            code.i64_const(0);
        }
        // Nothing is hinted at.
        for _ in 0..4 {
            code.i32_const(0);
        }
        code.call(self.call);
    }

    /// The function that grows a memory, unless it must not.
    fn grow_memory(&mut self, memory: u32) -> u32 {
        if let Some(helper) = self.memory_grow.get(memory as usize).copied().flatten() {
            return helper;
        }
        const TOTAL: u32 = 1;
        let ty = self.parts.memories[memory as usize];
        let (index, is_64) = (index_type(ty.memory64), ty.memory64);
        let mut function = Function::new([(1, ValType::I64)]);
        let mut code = function.instructions();
        // What the runtime would refuse does not count.
        if let Some(maximum) = ty.maximum {
            widened(code.local_get(0), is_64);
            widened(code.memory_size(memory), is_64);
            code.i64_add().i64_const(maximum as i64).i64_gt_u();
            refuse_if(&mut code, is_64, 0);
        }
        self.total_bytes(&mut code);
        widened(code.local_get(0), is_64);
        code.i64_const(ty.page_size_log2.unwrap_or(16).into());
        code.i64_shl().i64_add().local_set(TOTAL);
        self.ask(&mut code, own::GROW_MEMORIES, |code| code.local_get(TOTAL));
        code.i64_eqz();
        refuse_if(&mut code, is_64, 0);
        code.local_get(0).memory_grow(memory).end();
        let helper = self.helper([index], [index], function);
        self.memory_grow[memory as usize] = Some(helper);
        helper
    }

    /// The function that grows a table, likewise.
    fn grow_table(&mut self, table: u32) -> u32 {
        if let Some(helper) = self.table_grow.get(table as usize).copied().flatten() {
            return helper;
        }
        const TOTAL: u32 = 2;
        let ty = self.parts.tables[table as usize];
        let (index, is_64) = (index_type(ty.table64), ty.table64);
        let element = RoundtripReencoder
            .ref_type(ty.element_type)
            .unwrap_or(wasm_encoder::RefType::FUNCREF);
        let mut function = Function::new([(1, ValType::I64)]);
        let mut code = function.instructions();
        widened(code.local_get(1), is_64);
        for (table, ty) in self.parts.tables.iter().enumerate() {
            widened(code.table_size(table as u32), ty.table64).i64_add();
        }
        code.local_set(TOTAL);
        self.ask(&mut code, own::GROW_TABLES, |code| code.local_get(TOTAL));
        code.i64_eqz();
        refuse_if(&mut code, is_64, 1);
        code.local_get(0).local_get(1).table_grow(table).end();
        let helper = self.helper([ValType::Ref(element), index], [index], function);
        self.table_grow[table as usize] = Some(helper);
        helper
    }

    /// Bytes of all of the guest's memories.
    fn total_bytes(&self, code: &mut InstructionSink<'_>) {
        code.i64_const(0);
        for memory in 0..self.parts.memories.len() as u32 {
            self.memory_bytes(code, memory);
            code.i64_add();
        }
    }

    fn memory_bytes(&self, code: &mut InstructionSink<'_>, memory: u32) {
        let ty = self.parts.memories.get(memory as usize);
        let page = ty.and_then(|ty| ty.page_size_log2).unwrap_or(16);
        widened(code.memory_size(memory), ty.is_some_and(|ty| ty.memory64));
        code.i64_const(page.into()).i64_shl();
    }
}

fn index_type(is_64: bool) -> ValType {
    if is_64 { ValType::I64 } else { ValType::I32 }
}

/// Makes the index or size on the stack an `i64`.
fn widened<'a, 'b>(code: &'a mut InstructionSink<'b>, is_64: bool) -> &'a mut InstructionSink<'b> {
    if is_64 { code } else { code.i64_extend_i32_u() }
}

/// Returns -1, by which growing fails, if the condition on the stack holds, or if it is by so much
/// that what led to the condition may have overflowed.
fn refuse_if(code: &mut InstructionSink<'_>, is_64: bool, by: u32) {
    if is_64 {
        code.local_get(by).i64_const(1 << 32).i64_ge_u().i32_or();
    }
    code.if_(BlockType::Empty);
    if is_64 {
        code.i64_const(-1);
    } else {
        code.i32_const(-1);
    }
    code.return_().end();
}

fn at_offset(memory: u32, offset: u32, align: u32) -> MemArg {
    MemArg {
        offset: offset.into(),
        align,
        memory_index: memory,
    }
}

/// Moves bytes to or from a descriptor until all are moved: `(base, address, length)`, where `base`
/// is where the I/O vector may be.
fn transfer(memory: u32, descriptor: i32, by: u32) -> Function {
    const BASE: u32 = 0;
    const ADDRESS: u32 = 1;
    const LENGTH: u32 = 2;
    const COUNT: u32 = 3;
    let mut function = Function::new([(1, ValType::I32)]);
    let word = |at: u32| at_offset(memory, at, 2);
    let mut code = function.instructions();
    code.loop_(BlockType::Empty)
        .local_get(LENGTH)
        .i32_eqz()
        .if_(BlockType::Empty)
        .return_()
        .end();
    code.local_get(BASE).local_get(ADDRESS);
    code.i32_store(word(VECTOR));
    code.local_get(BASE).local_get(LENGTH);
    code.i32_store(word(VECTOR + 4));
    code.i32_const(descriptor)
        .local_get(BASE)
        .i32_const(1)
        .local_get(BASE)
        .i32_const(MOVED as i32)
        .i32_add()
        .call(by);
    code.local_get(BASE).i32_load(word(MOVED)).local_tee(COUNT);
    // Nobody is there any more: there is nothing to go on for.
    code.i32_eqz()
        .i32_or()
        .if_(BlockType::Empty)
        .unreachable()
        .end();
    code.local_get(ADDRESS)
        .local_get(COUNT)
        .i32_add()
        .local_set(ADDRESS);
    code.local_get(LENGTH)
        .local_get(COUNT)
        .i32_sub()
        .local_set(LENGTH);
    code.br(0).end().end();
    function
}

fn raw(module: &mut Module, id: SectionId, data: &[u8]) {
    module.section(&RawSection { id: id as u8, data });
}

/// A section's contents with more entries behind its own.
fn append<'a>(contents: &[u8], more: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let (count, entries) = split_count(contents);
    let mut all = Vec::with_capacity(contents.len() + 64);
    (count as usize + more.len()).encode(&mut all);
    all.extend(entries);
    for entry in more {
        all.extend(entry);
    }
    all
}

/// The count that a section's contents start with, and the entries.
fn split_count(contents: &[u8]) -> (u32, &[u8]) {
    let mut reader = BinaryReader::new(contents, 0);
    // It has been read before.
    let count = reader.read_var_u32().unwrap_or(0);
    (count, &contents[reader.original_position()..])
}

/// Copies operators, with the numbers of functions adjusted and those that `replaced` names a
/// function for replaced by a call of it.
fn copy_operators(
    mut operators: OperatorsReader<'_>,
    copy: &mut Copy<'_>,
    mut replaced: impl FnMut(&Operator<'_>) -> Option<u32>,
) -> Result<(), BinaryReaderError> {
    while !operators.eof() {
        let begin = operators.original_position();
        let operator = operators.read()?;
        let range = begin..operators.original_position();
        copy_operator(&operator, range, copy, &mut replaced);
    }
    Ok(())
}

fn copy_operator(
    operator: &Operator<'_>,
    range: Range<usize>,
    copy: &mut Copy<'_>,
    replaced: impl FnOnce(&Operator<'_>) -> Option<u32>,
) {
    const CALL: u8 = 0x10;
    const RETURN_CALL: u8 = 0x12;
    const REF_FUNC: u8 = 0xd2;
    let (code, function) = match *operator {
        Operator::Call { function_index } => (CALL, function_index + SHIFT),
        Operator::ReturnCall { function_index } => (RETURN_CALL, function_index + SHIFT),
        Operator::RefFunc { function_index } => (REF_FUNC, function_index + SHIFT),
        _ => match replaced(operator) {
            Some(helper) => (CALL, helper),
            None => return,
        },
    };
    copy.replace(range, |out| {
        out.push(code);
        function.encode(out);
    });
}

/// A part of the module being copied, with replacements.
struct Copy<'a> {
    wasm: &'a [u8],
    range: Range<usize>,
    out: Vec<u8>,
}

impl<'a> Copy<'a> {
    fn new(wasm: &'a [u8], range: Range<usize>) -> Self {
        Copy {
            wasm,
            out: Vec::with_capacity(range.len() + 16),
            range,
        }
    }

    /// Copies up to `range`, and writes something else in its place.
    fn replace(&mut self, range: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.extend(&self.wasm[self.range.start..range.start]);
        write(&mut self.out);
        self.range.start = range.end;
    }

    /// Copies up to a place, and writes something there.
    fn insert(&mut self, at: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.replace(at..at, write);
    }

    /// Replaces the number at `offset`.
    fn number(&mut self, offset: usize, number: u32) {
        let continues = self.wasm[offset..].iter().position(|byte| byte & 0x80 == 0);
        let end = offset + continues.unwrap_or(0) + 1;
        self.replace(offset..end, |out| number.encode(out));
    }

    fn finish(mut self) -> Vec<u8> {
        self.out.extend(&self.wasm[self.range.clone()]);
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All there is, and neither a bound on the stack nor fuel.
    const TERMS: Terms = Terms {
        proposals: Proposals::ALL,
        first_memory_only: false,
        stack: None,
        fuel: false,
    };

    /// Everything that is counted.
    const COUNTED: Terms = Terms {
        stack: Some(1 << 20),
        fuel: true,
        ..TERMS
    };

    fn rewritten(wat: &str, terms: Terms) -> Result<Vec<u8>> {
        let guest = Guest::from_bytes("guest.wasm", wat).expect("a guest");
        relayed(&guest, Guest::DEFAULT_ENTRY, terms).map(|(wasm, _)| wasm)
    }

    fn validate(wasm: &[u8]) {
        Validator::new_with_features(WasmFeatures::all())
            .validate_all(wasm)
            .unwrap_or_else(|error| panic!("{error}"));
    }

    const GUESTS: &[&str] = &[
        r#"(module (func (export "_start")))"#,
        r#"(module
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1 9)
             (table 3 10 funcref)
             (global (mut i32) (i32.const 7))
             (global $f funcref (ref.func $write))
             (elem (i32.const 0) $exit $write $start)
             (elem declare func $exit)
             (elem (i32.const 0) funcref (ref.func $start) (ref.null func))
             (data "abc")
             (start $start)
             (func $start
               (drop (memory.grow (i32.const 1)))
               (drop (table.grow (ref.func $exit) (i32.const 1)))
               (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 3)))
             (func (export "_start") (call $exit (i32.const 3))))"#,
        r#"(module
             (memory 0) (memory i64 1) (table i64 1 externref)
             (func $two (param i32) (result i32 i64)
               (if (local.get 0) (then (return (call $two (i32.const 0)))))
               (block (br_if 0 (i32.const 1)) (br 1 (i32.const 1) (i64.const 2)))
               (drop (memory.grow 1 (i64.const 1)))
               (drop (table.grow (ref.null extern) (i64.const 1)))
               i32.const 1 i64.const 2)
             (func $tail (param f32) (result i32 i64) (local i32 i64)
               (drop (call $two (i32.const 1))) drop
               (return_call $two (i32.const 1)))
             (func (export "_start") (drop (call $tail (f32.const 1))) drop))"#,
        r#"(module
             (tag $t (param i32))
             (func $throws (throw $t (i32.const 1)))
             (func (export "_start")
               (loop $again
                 (drop (block $caught (result i32)
                   (try_table (catch $t $caught) (call $throws))
                   (return))))))"#,
    ];

    #[test]
    fn a_valid_guest_stays_valid() {
        for wat in GUESTS {
            for terms in [TERMS, COUNTED] {
                validate(&rewritten(wat, terms).expect("rewritten"));
            }
        }
    }

    #[test]
    fn a_valid_module_that_nobody_wrote_stays_valid() {
        let mut rewritten = 0;
        for module in wasmrun_corpus::modules() {
            let Ok(guest) = Guest::from_bytes(module.name, module.wasm) else {
                continue;
            };
            for terms in [TERMS, COUNTED] {
                if let Ok((wasm, _)) = relayed(&guest, Guest::DEFAULT_ENTRY, terms) {
                    Validator::new_with_features(WasmFeatures::all())
                        .validate_all(&wasm)
                        .unwrap_or_else(|error| panic!("{} {terms:?}: {error}", module.name));
                    rewritten += 1;
                }
            }
        }
        assert!(rewritten > 1000, "only {rewritten} were rewritten");
    }

    #[test]
    fn an_import_of_another_type_is_refused_by_name() {
        let wat = r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64)))
                       (func (export "_start")))"#;
        let error = rewritten(wat, TERMS).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("fd_close"), "{error}");
    }

    #[test]
    fn what_reaches_beyond_the_guests_own_is_invalid() {
        for body in ["call 1", "global.get 0", "(drop (memory.size))"] {
            let wat = format!("(module (func (export \"_start\") {body}))");
            let wat = wat.replace("global.get 0", "(drop (global.get 0))");
            // The text's own reader knows no such global or function by name, only by number.
            let error = rewritten(&wat, COUNTED).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Invalid, "{body}");
        }
    }
}
