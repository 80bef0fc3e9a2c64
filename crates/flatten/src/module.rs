//! A core module of a component, read.

use wasmparser::{
    BinaryReaderError, Data, Element, ExternalKind, FunctionBody, Global, Import, KnownCustom,
    MemoryType, Name, NameSectionReader, Parser, Payload, RecGroup, Table, TagType,
};

/// What is in a valid module.
#[derive(Default)]
pub(crate) struct Module<'a> {
    pub(crate) wasm: &'a [u8],
    pub(crate) types: Vec<RecGroup>,
    pub(crate) imports: Vec<Import<'a>>,
    /// The types of its own functions.
    pub(crate) functions: Vec<u32>,
    pub(crate) tables: Vec<Table<'a>>,
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) tags: Vec<TagType>,
    pub(crate) globals: Vec<Global<'a>>,
    /// The functions that it exports.
    pub(crate) exported: Vec<u32>,
    pub(crate) start: Option<u32>,
    pub(crate) elements: Vec<Element<'a>>,
    /// Whether its code may name segments of data.
    pub(crate) counts_data: bool,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    pub(crate) data: Vec<Data<'a>>,
    /// What people call it.
    pub(crate) name: Option<&'a str>,
    /// What people call its functions.
    pub(crate) names: Vec<(u32, &'a str)>,
}

impl<'a> Module<'a> {
    pub(crate) fn read(wasm: &'a [u8]) -> Result<Self, BinaryReaderError> {
        let mut module = Module {
            wasm,
            ..Module::default()
        };
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(types) => module.types = all(types)?,
                Payload::ImportSection(imports) => {
                    module.imports = imports.into_imports().collect::<Result<_, _>>()?;
                }
                Payload::FunctionSection(functions) => module.functions = all(functions)?,
                Payload::TableSection(tables) => module.tables = all(tables)?,
                Payload::MemorySection(memories) => module.memories = all(memories)?,
                Payload::TagSection(tags) => module.tags = all(tags)?,
                Payload::GlobalSection(globals) => module.globals = all(globals)?,
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        if let ExternalKind::Func | ExternalKind::FuncExact = export.kind {
                            module.exported.push(export.index);
                        }
                    }
                }
                Payload::StartSection { func, .. } => module.start = Some(func),
                Payload::ElementSection(elements) => module.elements = all(elements)?,
                Payload::DataCountSection { .. } => module.counts_data = true,
                Payload::CodeSectionEntry(body) => module.bodies.push(body),
                Payload::DataSection(data) => module.data = all(data)?,
                Payload::CustomSection(custom) => {
                    if let KnownCustom::Name(names) = custom.as_known() {
                        // Malformed names are as good as none.
                        let _ = module.read_names(names);
                    }
                }
                _ => {}
            }
        }
        Ok(module)
    }

    fn read_names(&mut self, names: NameSectionReader<'a>) -> Result<(), BinaryReaderError> {
        for name in names {
            match name? {
                Name::Module { name, .. } => self.name = Some(name),
                Name::Function(names) => {
                    let names = names.into_iter();
                    let names = names.map(|naming| naming.map(|name| (name.index, name.name)));
                    self.names = names.collect::<Result<_, _>>()?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// How many types it has.
    pub(crate) fn type_count(&self) -> usize {
        self.types.iter().map(|group| group.types().len()).sum()
    }
}

fn all<T, E>(section: impl IntoIterator<Item = Result<T, E>>) -> Result<Vec<T>, E> {
    section.into_iter().collect()
}
