//! A guest's module, read.

use std::ops::Range;

use wasm_encoder::SectionId;
use wasmparser::{
    BinaryReaderError, CompositeInnerType, ConstExpr, DataKind, ElementKind, ExternalKind,
    FuncType, FuncValidator, FuncValidatorAllocations, FunctionBody, KnownCustom, MemoryType, Name,
    NameSectionReader, Operator, Parser, Payload, TableType, TypeRef, ValidPayload, Validator,
    ValidatorResources, WasmFeatures,
};
use wasmrun_core::{Error, ErrorKind, Guest, GuestKind, Result};

/// What of a valid module the rewriting needs to know.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Parts<'a> {
    pub(crate) wasm: &'a [u8],
    /// Where the contents of each known section are.
    sections: Vec<(u8, Range<usize>)>,
    /// The types; those of functions whole.
    pub(crate) types: Vec<Option<FuncType>>,
    /// The type of each imported function.
    pub imports: Vec<u32>,
    /// The type of each of the guest's own functions.
    pub(crate) functions: Vec<u32>,
    pub(crate) globals: u32,
    /// The memories; a guest that imports one is not for us.
    pub memories: Vec<MemoryType>,
    /// The tables, likewise.
    pub tables: Vec<TableType>,
    /// The memory that WASI works on.
    pub exported_memory: Option<u32>,
    /// All that it exports, by name.
    pub exported_memories: Vec<(&'a str, u32)>,
    /// The segments of data that are in a memory when the guest begins.
    pub(crate) active_data: Vec<ActiveData>,
    /// The segments of elements that nobody can use any more when it begins: those that are in a table, and
    /// those that only declare.
    pub(crate) spent_elements: Vec<u32>,
    /// The function of the start section.
    pub start: Option<u32>,
    /// The functions it exports, by name.
    pub exported_functions: Vec<(&'a str, u32)>,
    /// Likewise, of globals.
    pub exported_globals: Vec<(&'a str, u32)>,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    /// The most operands that each of them has at a time.
    pub(crate) heights: Vec<u32>,
    /// Names that functions have for people.
    pub names: Vec<(u32, &'a str)>,
}

/// A segment of data that is in a memory when the guest begins.
#[derive(Debug)]
pub(crate) struct ActiveData {
    pub(crate) segment: u32,
    memory: u32,
    /// Whether a memory without a page is out of bounds for it; `None` where that is known only then.
    needs_page: Option<bool>,
}

impl<'a> Parts<'a> {
    /// Reads a guest.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for one that does not validate: it could reach, by numbers beyond
    /// its own, what a rewritten module has in addition. [`Unsupported`](ErrorKind::Unsupported) for one
    /// that is no module.
    pub fn of(guest: &'a Guest) -> Result<Self> {
        if guest.kind() != GuestKind::Module {
            let what = format!("a {} cannot be rewritten, only a module", guest.kind());
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        Parts::read(guest.bytes()).map_err(invalid)
    }

    fn read(wasm: &'a [u8]) -> Result<Self, BinaryReaderError> {
        let mut parts = Parts {
            wasm,
            ..Parts::default()
        };
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let mut allocations = FuncValidatorAllocations::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
                let mut function = function.into_validator(allocations);
                parts.heights.push(validated(&mut function, &body)?);
                allocations = function.into_allocations();
            }
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
                            (ExternalKind::Memory, name) => {
                                parts.exported_memories.push((name, export.index));
                                if name == "memory" {
                                    parts.exported_memory = Some(export.index);
                                }
                            }
                            (ExternalKind::Func | ExternalKind::FuncExact, name) => {
                                parts.exported_functions.push((name, export.index));
                            }
                            (ExternalKind::Global, name) => {
                                parts.exported_globals.push((name, export.index));
                            }
                            _ => {}
                        }
                    }
                }
                Payload::ElementSection(elements) => {
                    for (element, number) in elements.into_iter().zip(0..) {
                        if !matches!(element?.kind, ElementKind::Passive) {
                            parts.spent_elements.push(number);
                        }
                    }
                }
                Payload::DataSection(segments) => {
                    for (segment, number) in segments.into_iter().zip(0..) {
                        let data = segment?;
                        if let DataKind::Active {
                            memory_index,
                            offset_expr,
                        } = data.kind
                        {
                            parts.active_data.push(ActiveData {
                                segment: number,
                                memory: memory_index,
                                needs_page: match constant(&offset_expr)? {
                                    _ if !data.data.is_empty() => Some(true),
                                    offset => offset.map(|offset| offset != 0),
                                },
                            });
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

    /// The function of that name.
    pub fn exported_function(&self, name: &str) -> Option<u32> {
        let mut exports = self.exported_functions.iter();
        let (_, function) = exports.find(|(own, _)| *own == name)?;
        Some(*function)
    }

    /// The global of that name.
    pub fn exported_global(&self, name: &str) -> Option<u32> {
        let mut exports = self.exported_globals.iter();
        let (_, global) = exports.find(|(own, _)| *own == name)?;
        Some(*global)
    }

    /// Whether the data that are in a memory when the guest begins need a page of it; `None` where that is known
    /// only then.
    pub fn needs_page(&self, memory: u32) -> Option<bool> {
        let data = self.active_data.iter();
        let mut needs = data
            .filter(|data| data.memory == memory)
            .map(|data| data.needs_page);
        match needs.clone().any(|needs| needs == Some(true)) {
            true => Some(true),
            false => needs.all(|needs| needs == Some(false)).then_some(false),
        }
    }

    /// A section's contents; no entries where the guest has no such section.
    pub fn contents(&self, id: SectionId) -> &'a [u8] {
        self.range(id).map_or(&[0], |range| &self.wasm[range])
    }

    /// Where the contents of a section are.
    pub(crate) fn range(&self, id: SectionId) -> Option<Range<usize>> {
        let found = self.sections.iter().find(|(own, _)| *own == id as u8);
        found.map(|(_, range)| range.clone())
    }
}

/// The number that an expression is, if it says so itself.
fn constant(expression: &ConstExpr<'_>) -> Result<Option<i64>, BinaryReaderError> {
    let mut operators = expression.get_operators_reader();
    Ok(match (operators.read()?, operators.read()?) {
        (Operator::I32Const { value }, Operator::End) => Some(value.into()),
        (Operator::I64Const { value }, Operator::End) => Some(value),
        _ => None,
    })
}

/// What is wrong with a guest.
pub(crate) fn invalid(source: BinaryReaderError) -> Error {
    Error::new(ErrorKind::Invalid, source.to_string())
}

/// Validates a function: the most operands that it has at a time.
fn validated(
    function: &mut FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
) -> Result<u32, BinaryReaderError> {
    let mut reader = body.get_binary_reader();
    function.read_locals(&mut reader)?;
    let mut most = 0;
    while !reader.eof() {
        let at = reader.original_position();
        reader.visit_operator(&mut function.visitor(at))??;
        most = most.max(function.operand_stack_height());
    }
    reader.finish_expression(&function.visitor(reader.original_position()))?;
    Ok(most)
}

fn function_names(names: NameSectionReader<'_>) -> Result<Vec<(u32, &str)>, BinaryReaderError> {
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
