//! One pass over a guest's sections: what it declares, and whether its structure holds.
//!
//! Every section is read to its end, except the operators of functions; those are left to the
//! engine, which has to validate them anyway. Nothing is allocated on the word of a count: lists
//! grow as entries are really read, and a count that cannot fit into its section is an error of
//! its own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wasmparser::{
    ComponentExternalKind, CompositeInnerType, Encoding, ExternalKind, FunctionBody,
    FunctionSectionReader, Payload, SectionLimited, SubType, TypeRef, TypeSectionReader, ValType,
};

use crate::component_types;
use crate::components::{Components, Section};
use crate::data::ActiveData;
use crate::decl::{
    Export, ExportKind, FuncSignature, GlobalDecl, Import, ImportKind, MemoryDecl, TableDecl,
    ValueType,
};
use crate::expansion;
use crate::malformed::Malformed;
use crate::own_modules::OwnModules;
use crate::parser::{MAX_NESTING, parser};

/// The most imports, exports, memories or tables that are kept: the bound engines agreed on for
/// the first two (WebAssembly JavaScript interface, "implementation-defined limits").
const MAX_ENTRIES: usize = 1_000_000;

/// The most locals of one function, from the same agreement. A few bytes can claim four billion.
const MAX_LOCALS: u64 = 50_000;

/// What a guest declares.
///
/// Imports and exports are those of the outermost module or component. Memories and tables of a
/// component are those its modules define.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) imports: Vec<Import>,
    pub(crate) exports: Vec<Export>,
    pub(crate) memories: Vec<MemoryDecl>,
    pub(crate) tables: Vec<TableDecl>,
    pub(crate) start_section: bool,
    pub(crate) data: ActiveData,
}

type Result<T, E = Malformed> = std::result::Result<T, E>;

/// The types of a module's imports; `None` for what is no function.
pub(crate) type ImportTypes = Vec<Option<Arc<FuncSignature>>>;

/// Reads a module or component.
pub(crate) fn inspect(bytes: &[u8]) -> Result<(Facts, ImportTypes)> {
    let mut facts = Facts::default();
    let mut import_types = Vec::new();
    // The modules and components around the current section, itself included. A module holds no
    // other, so one `Module` is enough.
    let mut open = Vec::new();
    let mut module = Module::default();
    let mut is_component = false;
    let mut announced = None;
    let mut own_modules = OwnModules::default();
    let mut components = Components::default();

    for payload in parser().parse_all(bytes) {
        let outermost = open.len() == 1;
        match payload? {
            Payload::Version {
                encoding, range, ..
            } => {
                if open.len() == MAX_NESTING {
                    return Err(Malformed::at(range.start, "components nest too deep"));
                }
                if announced.is_some_and(|announced| announced != encoding) {
                    let what = "a module where a component should be, or the other way round";
                    return Err(Malformed::at(range.start, what));
                }
                if encoding == Encoding::Component {
                    is_component = true;
                    components.begin();
                }
                open.push(encoding);
                module = Module::default();
            }
            Payload::End(offset) => match open.pop() {
                Some(Encoding::Module) => {
                    let (exports, types) = module.take_exports(offset)?;
                    if open.is_empty() {
                        facts.exports = exports;
                        facts.imports = std::mem::take(&mut module.imports);
                        import_types = types;
                    }
                }
                _ => components.end(),
            },

            // Core modules.
            Payload::TypeSection(section) => {
                fits(&section, "type")?;
                module.types = Some(section);
            }
            Payload::ImportSection(section) => {
                fits(&section, "import")?;
                for import in section.into_imports_with_offsets() {
                    let (offset, import) = import?;
                    module.import(&mut facts, import, outermost, offset)?;
                }
            }
            Payload::FunctionSection(section) => {
                fits(&section, "function")?;
                module.functions = Some(section);
            }
            Payload::TableSection(section) => {
                fits(&section, "table")?;
                for table in section.into_iter_with_offsets() {
                    let (offset, table) = table?;
                    push(&mut facts.tables, table_decl(table.ty, false), offset)?;
                }
            }
            Payload::MemorySection(section) => {
                fits(&section, "memory")?;
                for memory in section.into_iter_with_offsets() {
                    let (offset, memory) = memory?;
                    let memory = memory_decl(memory, false);
                    push(&mut facts.memories, memory, offset)?;
                    push(&mut module.memories, memory, offset)?;
                }
            }
            Payload::TagSection(section) => read_all(section, "tag")?,
            Payload::GlobalSection(section) => {
                fits(&section, "global")?;
                for global in section.into_iter_with_offsets() {
                    let (offset, global) = global?;
                    push(&mut module.globals, global_decl(global.ty), offset)?;
                }
            }
            Payload::ExportSection(section) => {
                fits(&section, "export")?;
                for export in section.into_iter_with_offsets() {
                    let (offset, export) = export?;
                    push(&mut module.exports, export, offset)?;
                }
            }
            Payload::StartSection { .. } => facts.start_section |= outermost,
            Payload::ElementSection(section) => read_all(section, "element")?,
            Payload::DataCountSection { .. } => {}
            Payload::DataSection(section) => {
                fits(&section, "data")?;
                let data = ActiveData::read(section, &module.memories)?;
                if data.segments > 0 {
                    own_modules.has_data(open.len() == 2);
                }
                facts.data.add(data);
            }
            Payload::CodeSectionStart { count, range, .. } => {
                fits_in(count, range, "code")?;
            }
            Payload::CodeSectionEntry(body) => locals(&body)?,

            // Components.
            Payload::ModuleSection { .. } => {
                announced = Some(Encoding::Module);
                components.push(Section::Items(1), 0);
                if outermost {
                    own_modules.define();
                }
            }
            Payload::ComponentSection { .. } => announced = Some(Encoding::Component),
            Payload::InstanceSection(section) => {
                fits(&section, "core instance")?;
                components.push(
                    Section::CoreInstances(section.clone()),
                    section.range().len(),
                );
                for instance in section {
                    let instance = instance?;
                    if outermost {
                        own_modules.instance(&instance);
                    }
                }
            }
            Payload::CoreTypeSection(section) => {
                components.push(Section::Items(section.count()), 0);
                read_all(section, "core type")?;
            }
            Payload::ComponentInstanceSection(section) => {
                fits(&section, "instance")?;
                components.push(Section::Instances(section.clone()), section.range().len());
                for instance in section {
                    own_modules.component_instance(&instance?);
                }
            }
            Payload::ComponentAliasSection(section) => {
                fits(&section, "alias")?;
                components.push(Section::Aliases(section.clone()), section.range().len());
                for alias in section {
                    let alias = alias?;
                    own_modules.alias(&alias);
                    components.alias(&alias);
                }
            }
            Payload::ComponentTypeSection(section) => {
                fits(&section, "component type")?;
                component_types::check(bytes, section.range())?;
                let bytes = section.range().len();
                components.push(Section::Types(section), bytes);
            }
            Payload::ComponentCanonicalSection(section) => {
                components.push(Section::Canonical(section.clone()), section.range().len());
                read_all(section, "canonical function")?;
            }
            Payload::ComponentStartSection { .. } => {}
            Payload::ComponentImportSection(section) => {
                fits(&section, "component import")?;
                components.push(Section::Imports(section.clone()), section.range().len());
                for import in section.into_iter_with_offsets() {
                    let (offset, import) = import?;
                    if outermost {
                        own_modules.pass(import.ty.kind());
                        let import = Import {
                            module: import.name.name.to_owned(),
                            name: String::new(),
                            kind: component_import(import.ty.kind()),
                        };
                        push(&mut facts.imports, import, offset)?;
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                fits(&section, "component export")?;
                components.push(Section::Exports(section.clone()), section.range().len());
                for export in section.into_iter_with_offsets() {
                    let (offset, export) = export?;
                    if outermost {
                        own_modules.pass(export.kind);
                        let export = Export {
                            name: export.name.name.to_owned(),
                            kind: component_export(export.kind),
                        };
                        push(&mut facts.exports, export, offset)?;
                    }
                }
            }

            Payload::CustomSection(_) => {}
            Payload::UnknownSection { id, range, .. } => {
                return Err(Malformed::at(
                    range.start,
                    format_args!("unknown section {id}"),
                ));
            }
            // `Payload` may grow; what this release does not know, it cannot vouch for.
            _ => return Err(Malformed::new("a section of an unknown kind")),
        }
    }
    expansion::check(components.all())?;
    if is_component && !(facts.memories.len() == 1 && own_modules.one_has_data_once()) {
        facts.data.range = None;
    }
    Ok((facts, import_types))
}

/// What must wait for the end of a module: exports name functions by index, and a function's type
/// is found through two sections that came earlier.
#[derive(Default)]
struct Module<'a> {
    imports: Vec<Import>,
    memories: Vec<MemoryDecl>,
    globals: Vec<GlobalDecl>,
    /// The type indices of imported functions.
    imported_functions: Vec<u32>,
    types: Option<TypeSectionReader<'a>>,
    functions: Option<FunctionSectionReader<'a>>,
    exports: Vec<wasmparser::Export<'a>>,
}

impl<'a> Module<'a> {
    fn import(
        &mut self,
        facts: &mut Facts,
        import: wasmparser::Import<'a>,
        outermost: bool,
        offset: usize,
    ) -> Result<()> {
        // Inside a component the memory or table comes from another of its modules, which counts
        // it already.
        let kind = match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                push(&mut self.imported_functions, ty, offset)?;
                ImportKind::Function
            }
            TypeRef::Table(ty) => {
                if outermost {
                    push(&mut facts.tables, table_decl(ty, true), offset)?;
                }
                ImportKind::Table
            }
            TypeRef::Memory(ty) => {
                let memory = memory_decl(ty, true);
                if outermost {
                    push(&mut facts.memories, memory, offset)?;
                }
                push(&mut self.memories, memory, offset)?;
                ImportKind::Memory
            }
            TypeRef::Global(ty) => {
                push(&mut self.globals, global_decl(ty), offset)?;
                ImportKind::Global
            }
            TypeRef::Tag(_) => ImportKind::Tag,
        };
        if outermost {
            let import = Import {
                module: import.module.to_owned(),
                name: import.name.to_owned(),
                kind,
            };
            push(&mut self.imports, import, offset)?;
        }
        Ok(())
    }

    /// The exports with their functions' signatures, and those of the imports; reads the type and function
    /// sections.
    ///
    /// Signatures are shared: a million exports of one function with a thousand parameters must
    /// not cost a billion entries.
    fn take_exports(&mut self, end: usize) -> Result<(Vec<Export>, ImportTypes)> {
        let functions = sorted(
            self.exports
                .iter()
                .filter(|export| export.kind == ExternalKind::Func)
                .map(|export| export.index),
        );
        let imported = self.imported_functions.iter().map(|ty| Ok(*ty));
        let defined = self.functions.take().into_iter().flatten();
        let type_indices = pick(&functions, imported.chain(defined), "function", end)?;

        let imported = self.imported_functions.iter();
        let types = sorted(type_indices.iter().chain(imported).copied());
        let groups = self.types.take().into_iter().flatten();
        let subtypes = groups.flat_map(|group| {
            let (group, error) = match group {
                Ok(group) => (Some(group), None),
                Err(error) => (None, Some(Err(error))),
            };
            let subtypes = group.into_iter().flat_map(|group| group.into_types());
            subtypes.map(Ok).chain(error)
        });
        let signatures = pick(&types, subtypes, "type", end)?
            .into_iter()
            .map(|ty| signature(ty).map(Arc::new))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Malformed::at(end, "a function has no function type"))?;

        let signature_at = |ty: &u32| signatures.get(types.binary_search(ty).ok()?).cloned();
        let signature_of = |function: u32| {
            let ty = type_indices.get(functions.binary_search(&function).ok()?)?;
            signature_at(ty)
        };
        let mut imported = self.imported_functions.iter();
        let import_type = |import: &Import| match import.kind {
            ImportKind::Function => imported.next().and_then(signature_at),
            _ => None,
        };
        let import_types = self.imports.iter().map(import_type).collect();
        let exports = std::mem::take(&mut self.exports);
        let export = |export: wasmparser::Export<'_>| {
            let kind = match export.kind {
                ExternalKind::Func | ExternalKind::FuncExact => {
                    ExportKind::Function(signature_of(export.index).unwrap_or_default())
                }
                ExternalKind::Table => ExportKind::Table,
                ExternalKind::Memory => ExportKind::Memory,
                ExternalKind::Global => {
                    let global = self.globals.get(export.index as usize);
                    let none = || Malformed::at(end, "an export names a global that is not there");
                    ExportKind::Global(*global.ok_or_else(none)?)
                }
                ExternalKind::Tag => ExportKind::Tag,
            };
            Ok(Export {
                name: export.name.to_owned(),
                kind,
            })
        };
        let exports = exports.into_iter().map(export);
        Ok((exports.collect::<Result<_>>()?, import_types))
    }
}

fn sorted(indices: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut indices: Vec<u32> = indices.collect();
    indices.sort_unstable();
    indices.dedup();
    indices
}

/// The items at the `wanted` places, which are sorted. Reads all items, wanted or not.
fn pick<T>(
    wanted: &[u32],
    items: impl Iterator<Item = wasmparser::Result<T>>,
    what: &str,
    end: usize,
) -> Result<Vec<T>> {
    let mut wanted = wanted.iter().copied().peekable();
    let mut picked = Vec::new();
    for (index, item) in (0_u32..).zip(items) {
        let item = item?;
        if wanted.next_if_eq(&index).is_some() {
            picked.push(item);
        }
    }
    match wanted.next() {
        None => Ok(picked),
        Some(index) => Err(Malformed::at(
            end,
            format_args!("an import or export needs {what} {index}, which is not there"),
        )),
    }
}

fn signature(ty: SubType) -> Option<FuncSignature> {
    let CompositeInnerType::Func(func) = ty.composite_type.inner else {
        return None;
    };
    let list = |types: &[ValType]| types.iter().map(value_type).collect();
    Some(FuncSignature {
        params: list(func.params()),
        results: list(func.results()),
    })
}

fn value_type(ty: &ValType) -> ValueType {
    match ty {
        ValType::I32 => ValueType::I32,
        ValType::I64 => ValueType::I64,
        ValType::F32 => ValueType::F32,
        ValType::F64 => ValueType::F64,
        ValType::V128 => ValueType::V128,
        ValType::Ref(_) => ValueType::Reference,
    }
}

fn global_decl(ty: wasmparser::GlobalType) -> GlobalDecl {
    GlobalDecl {
        ty: value_type(&ty.content_type),
        mutable: ty.mutable,
    }
}

fn memory_decl(ty: wasmparser::MemoryType, imported: bool) -> MemoryDecl {
    let page = 1_u64
        .checked_shl(ty.page_size_log2.unwrap_or(16))
        .unwrap_or(u64::MAX);
    MemoryDecl {
        imported,
        initial_bytes: ty.initial.saturating_mul(page),
        maximum_bytes: ty.maximum.map(|pages| pages.saturating_mul(page)),
        shared: ty.shared,
        memory64: ty.memory64,
    }
}

fn table_decl(ty: wasmparser::TableType, imported: bool) -> TableDecl {
    TableDecl {
        imported,
        initial: ty.initial,
        maximum: ty.maximum,
    }
}

fn component_import(kind: ComponentExternalKind) -> ImportKind {
    match kind {
        ComponentExternalKind::Module => ImportKind::Module,
        ComponentExternalKind::Func => ImportKind::ComponentFunction,
        ComponentExternalKind::Value => ImportKind::Value,
        ComponentExternalKind::Type => ImportKind::Type,
        ComponentExternalKind::Instance => ImportKind::Instance,
        ComponentExternalKind::Component => ImportKind::Component,
    }
}

fn component_export(kind: ComponentExternalKind) -> ExportKind {
    match kind {
        ComponentExternalKind::Module => ExportKind::Module,
        ComponentExternalKind::Func => ExportKind::ComponentFunction,
        ComponentExternalKind::Value => ExportKind::Value,
        ComponentExternalKind::Type => ExportKind::Type,
        ComponentExternalKind::Instance => ExportKind::Instance,
        ComponentExternalKind::Component => ExportKind::Component,
    }
}

/// An entry takes at least a byte, so a section with more entries than bytes lies.
fn fits<T>(section: &SectionLimited<'_, T>, what: &str) -> Result<()> {
    fits_in(section.count(), section.range(), what)
}

fn fits_in(count: u32, range: std::ops::Range<usize>, what: &str) -> Result<()> {
    if count as usize <= range.len() {
        return Ok(());
    }
    let bytes = range.len();
    Err(Malformed::at(
        range.start,
        format_args!("the {what} section claims {count} entries in {bytes} bytes"),
    ))
}

/// Reads a section for its structure alone.
fn read_all<'a, T>(section: SectionLimited<'a, T>, what: &str) -> Result<()>
where
    T: wasmparser::FromReader<'a>,
{
    fits(&section, what)?;
    for item in section {
        item?;
    }
    Ok(())
}

fn push<T>(list: &mut Vec<T>, item: T, offset: usize) -> Result<()> {
    if list.len() == MAX_ENTRIES {
        return Err(Malformed::at(
            offset,
            format_args!("more than {MAX_ENTRIES} entries of one kind, which no engine takes"),
        ));
    }
    list.push(item);
    Ok(())
}

fn locals(body: &FunctionBody<'_>) -> Result<()> {
    let mut total = 0;
    for local in body.get_locals_reader()? {
        let (count, _) = local?;
        total += u64::from(count);
    }
    if total > MAX_LOCALS {
        return Err(Malformed::at(
            body.range().start,
            format_args!("a function with {total} locals, and engines take {MAX_LOCALS}"),
        ));
    }
    Ok(())
}
