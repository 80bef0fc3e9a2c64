//! Puts the instances of a component together, as one module.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{
    ConstExpr, DataCountSection, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    MemorySection, Module as Encoder, Section, TableSection, TagSection, TypeSection, ValType,
};
use wasmparser::{DataKind, ElementItems, ElementKind, TypeRef};
use wasmrun_guest::{Guest, Result};
use wasmtime_environ::EntityIndex;
use wasmtime_environ::component::{
    CoreDef, CoreExport, ExportItem, RuntimeComponentInstanceIndex, StaticModuleIndex,
    TrampolineIndex,
};

use crate::caller::memory_export;
use crate::code::Code;
use crate::constants::Constants;
use crate::glue::{self, Allocator, CABI, Confined, EXIT_ERR, Step, TRAP};
use crate::module::Module;
use crate::names::Names;
use crate::numbers::{Numbers, Renumbered, Stretch, unreadable};
use crate::plan::{Behind, Given, Instance, Plan, Signature, Transcoding};
use crate::transcode::transcoder;
use crate::translate::Translated;
use crate::{invalid, refuse};

/// The one module.
pub(crate) fn merge(plan: &Plan<'_>, translated: &Translated<'_>) -> Result<Vec<u8>> {
    let mut modules = BTreeMap::new();
    for instance in &plan.instances {
        if let Entry::Vacant(unread) = modules.entry(instance.module) {
            let wasm = translated.modules[instance.module].wasm;
            unread.insert(Module::read(wasm).map_err(invalid)?);
        }
    }
    let texts = Strings::texts(plan)?;
    let strings = Strings::read(&texts)?;
    let mut merged = Merged::new(plan, &modules, &strings);
    for instance in &plan.instances {
        merged.add_instance(instance, &modules[&instance.module])?;
    }
    for strings in &strings {
        let items = [
            strings.way.from,
            strings.way.to,
            merged.own.imports[strings.way.invalid],
        ];
        merged.add(&strings.module, &items)?;
    }
    merged.add_glue()?;
    Ok(merged.finish())
}

/// A module that copies strings.
struct Strings<'a> {
    given: TrampolineIndex,
    way: &'a Transcoding,
    module: Module<'a>,
}

impl<'a> Strings<'a> {
    /// Those that there are to be.
    fn texts(plan: &'a Plan<'_>) -> Result<Vec<(TrampolineIndex, &'a Transcoding, Vec<u8>)>> {
        let given = plan.given.iter();
        let strings = given.filter_map(|(trampoline, given)| match given {
            Given::Transcode(way) => Some((*trampoline, way)),
            _ => None,
        });
        let texts = strings.map(|(trampoline, way)| {
            let module = wat::parse_str(transcoder(way.way)).map_err(invalid)?;
            Ok((trampoline, way, module))
        });
        texts.collect()
    }

    fn read(texts: &'a [(TrampolineIndex, &'a Transcoding, Vec<u8>)]) -> Result<Vec<Self>> {
        let all = texts.iter().map(|(given, way, module)| {
            Ok(Strings {
                given: *given,
                way,
                module: Module::read(module).map_err(invalid)?,
            })
        });
        all.collect()
    }
}

struct Merged<'a> {
    plan: &'a Plan<'a>,
    own: Own,
    /// Those of each instance that was added.
    numbers: Vec<Numbers>,
    constants: Constants,
    /// What is left to do once code has run.
    steps: Vec<Step>,
    /// Functions that code makes references to, and that only exports declared.
    declared: BTreeSet<u32>,
    /// Whether code names segments of data.
    counts_data: bool,
    type_count: u32,
    signatures: HashMap<Signature, u32>,
    names: Names,
    types: TypeSection,
    imports: ImportSection,
    functions: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    tags: TagSection,
    globals: GlobalSection,
    exports: ExportSection,
    elements: ElementSection,
    code: Code,
    data: DataSection,
}

/// The numbers of what is of no instance.
struct Own {
    /// Those of the host's functions, by their places in the plan.
    imports: Vec<u32>,
    exit_err: u32,
    trap: u32,
    given: BTreeMap<TrampolineIndex, u32>,
    confined: BTreeMap<RuntimeComponentInstanceIndex, Confined>,
    /// How many functions are imported.
    imported: u32,
}

impl Own {
    /// Functions of the host come first, those that surround calls of them behind all of the modules.
    fn new(
        plan: &Plan<'_>,
        modules: &BTreeMap<StaticModuleIndex, Module<'_>>,
        strings: &[Strings<'_>],
    ) -> Own {
        let imports = plan.import_order();
        let mut numbers = vec![0; imports.len()];
        for (place, number) in imports.into_iter().zip(0..) {
            numbers[place] = number;
        }
        let exit_err = numbers.len() as u32;
        let trap = exit_err + 1;
        let imported = trap + 1;
        let functions = plan.instances.iter();
        let functions = functions.map(|instance| modules[&instance.module].functions.len() as u32);
        let mut glue = imported + functions.sum::<u32>();
        let mut given = BTreeMap::new();
        for strings in strings {
            given.insert(strings.given, glue);
            glue += strings.module.functions.len() as u32;
        }
        for (trampoline, function) in &plan.given {
            let number = match plan.behind(function) {
                Behind::Trap => trap,
                Behind::Import(import) => numbers[import],
                Behind::Glue => {
                    glue += 1;
                    glue - 1
                }
                Behind::Module => continue,
            };
            given.insert(*trampoline, number);
        }
        let confined = plan.confined.iter().zip(0..);
        let confined =
            confined.map(|(component, may_leave)| (*component, Confined { may_leave, trap }));
        Own {
            imports: numbers,
            exit_err,
            trap,
            given,
            confined: confined.collect(),
            imported,
        }
    }
}

impl<'a> Merged<'a> {
    fn new(
        plan: &'a Plan<'a>,
        modules: &BTreeMap<StaticModuleIndex, Module<'_>>,
        strings: &[Strings<'_>],
    ) -> Self {
        let own = Own::new(plan, modules, strings);
        let mut globals = GlobalSection::new();
        for _ in &own.confined {
            let may_leave = GlobalType {
                val_type: ValType::I32,
                mutable: true,
                shared: false,
            };
            globals.global(may_leave, &ConstExpr::i32_const(1));
        }
        Merged {
            plan,
            own,
            numbers: Vec::new(),
            constants: Constants::new(),
            steps: Vec::new(),
            declared: BTreeSet::new(),
            counts_data: false,
            type_count: 0,
            signatures: HashMap::new(),
            names: Names::default(),
            types: TypeSection::new(),
            imports: ImportSection::new(),
            functions: FunctionSection::new(),
            tables: TableSection::new(),
            memories: MemorySection::new(),
            tags: TagSection::new(),
            globals,
            exports: ExportSection::new(),
            elements: ElementSection::new(),
            code: Code::default(),
            data: DataSection::new(),
        }
    }

    // ---- instances ------------------------------------------------------------------------------

    fn add_instance(&mut self, instance: &Instance<'_>, module: &Module<'_>) -> Result<()> {
        let items = instance.args.iter().map(|arg| self.number(arg));
        let items = items.collect::<Result<Vec<_>>>()?;
        self.add(module, &items)
    }

    /// Adds an instance that imports items of these numbers.
    fn add(&mut self, module: &Module<'_>, imported: &[u32]) -> Result<()> {
        let numbers = self.numbers(imported, module);
        self.add_definitions(module, &numbers).map_err(unreadable)?;
        self.add_elements(module, &numbers)?;
        self.add_data(module, &numbers)?;
        self.add_code(module, &numbers).map_err(unreadable)?;
        let several = self.plan.instances.len() > 1;
        let instance = several.then_some(self.numbers.len());
        self.names.add_own(module, instance, &numbers.functions);
        if let Some(start) = module.start {
            let start = renumbered(&numbers, &self.constants).function_index(start);
            self.steps.push(Step::Start(start.map_err(unreadable)?));
        }
        self.numbers.push(numbers);
        Ok(())
    }

    /// The numbers that an instance's items will have.
    fn numbers(&self, imported: &[u32], module: &Module<'_>) -> Numbers {
        let mut numbers = Numbers {
            types: Stretch {
                first: self.type_count,
                count: module.type_count() as u32,
            },
            elements: Stretch {
                first: self.elements.len(),
                count: module.elements.len() as u32,
            },
            data: Stretch {
                first: self.data.len(),
                count: module.data.len() as u32,
            },
            ..Numbers::default()
        };
        for (import, number) in module.imports.iter().zip(imported) {
            let items = match import.ty {
                TypeRef::Func(_) | TypeRef::FuncExact(_) => &mut numbers.functions,
                TypeRef::Table(_) => &mut numbers.tables,
                TypeRef::Memory(_) => &mut numbers.memories,
                TypeRef::Global(_) => &mut numbers.globals,
                TypeRef::Tag(_) => &mut numbers.tags,
            };
            items.push(*number);
        }
        let own = |items: &mut Vec<u32>, first: u32, count: usize| {
            items.extend((first..).take(count));
        };
        let functions = self.own.imported + self.functions.len();
        own(&mut numbers.functions, functions, module.functions.len());
        own(&mut numbers.tables, self.tables.len(), module.tables.len());
        own(
            &mut numbers.memories,
            self.memories.len(),
            module.memories.len(),
        );
        own(&mut numbers.tags, self.tags.len(), module.tags.len());
        own(
            &mut numbers.globals,
            self.globals.len(),
            module.globals.len(),
        );
        numbers
    }

    /// The number of what an instance is given, or another instance exports.
    fn number(&self, item: &CoreDef) -> Result<u32> {
        let number = match item {
            CoreDef::Export(CoreExport { instance, item }) => {
                let numbers = self.numbers.get(instance.as_u32() as usize);
                numbers.and_then(|numbers| match item {
                    ExportItem::Index(index) => {
                        let (items, index) = match index {
                            EntityIndex::Function(index) => (&numbers.functions, index.as_u32()),
                            EntityIndex::Table(index) => (&numbers.tables, index.as_u32()),
                            EntityIndex::Memory(index) => (&numbers.memories, index.as_u32()),
                            EntityIndex::Global(index) => (&numbers.globals, index.as_u32()),
                            EntityIndex::Tag(index) => (&numbers.tags, index.as_u32()),
                        };
                        items.get(index as usize).copied()
                    }
                    ExportItem::Name(_) => None,
                })
            }
            CoreDef::Trampoline(trampoline) => self.own.given.get(trampoline).copied(),
            CoreDef::InstanceFlags(component) => {
                let confined = self.own.confined.get(component);
                confined.map(|confined| confined.may_leave)
            }
            CoreDef::UnsafeIntrinsic(_) | CoreDef::TaskMayBlock => None,
        };
        number.ok_or_else(|| invalid(format!("nothing is known of {item:?}")))
    }

    /// Adds all but segments and code.
    fn add_definitions(
        &mut self,
        module: &Module<'_>,
        numbers: &Numbers,
    ) -> crate::numbers::Result<()> {
        let mut own = renumbered(numbers, &self.constants);
        for group in &module.types {
            own.parse_recursive_type_group(self.types.ty(), group.clone())?;
        }
        self.type_count += numbers.types.count;
        for ty in &module.functions {
            self.functions.function(own.type_index(*ty)?);
        }
        for table in &module.tables {
            let ty = own.table_type(table.ty)?;
            match own.table_init(table)? {
                Some(init) => self.tables.table_with_init(ty, &init),
                None => self.tables.table(ty),
            };
        }
        for ty in &module.memories {
            self.memories.memory(own.memory_type(*ty)?);
        }
        for ty in &module.tags {
            self.tags.tag(own.tag_type(*ty)?);
        }
        for global in &module.globals {
            let mut own = renumbered(numbers, &self.constants);
            let ty = own.global_type(global.ty)?;
            let constant = own.constant(&global.init_expr)?;
            let init = own.const_expr(global.init_expr.clone())?;
            if let Some(constant) = constant
                && !ty.mutable
            {
                self.constants.insert(self.globals.len(), constant);
            }
            self.globals.global(ty, &init);
        }
        Ok(())
    }

    /// Adds segments of elements. Those that are in a table from the beginning are not yet when code of a module that
    /// comes before runs: from then on, the entry puts them there.
    fn add_elements(&mut self, module: &Module<'_>, numbers: &Numbers) -> Result<()> {
        for element in &module.elements {
            let mut own = renumbered(numbers, &self.constants);
            let items = element.items.clone();
            let count = match &items {
                ElementItems::Functions(functions) => functions.count(),
                ElementItems::Expressions(_, expressions) => expressions.count(),
            };
            let items = own.elements(items).map_err(unreadable)?;
            match &element.kind {
                ElementKind::Passive => self.elements.passive(items),
                ElementKind::Declared => self.elements.declared(items),
                ElementKind::Active {
                    table_index,
                    offset_expr,
                } => {
                    let table = own.table_index(table_index.unwrap_or(0));
                    let table = table.map_err(unreadable)?;
                    if self.steps.is_empty() {
                        let offset = own.const_expr(offset_expr.clone()).map_err(unreadable)?;
                        let named = table_index.is_some() || table != 0;
                        self.elements.active(named.then_some(table), &offset, items)
                    } else {
                        let offset = own.constant(offset_expr).map_err(unreadable)?;
                        self.steps.push(Step::InitTable {
                            table,
                            segment: self.elements.len(),
                            offset: offset.ok_or_else(unknown_place)?,
                            count,
                        });
                        self.elements.passive(items)
                    }
                }
            };
        }
        Ok(())
    }

    /// Adds segments of data, as those of elements.
    fn add_data(&mut self, module: &Module<'_>, numbers: &Numbers) -> Result<()> {
        for data in &module.data {
            let mut own = renumbered(numbers, &self.constants);
            let bytes = data.data.iter().copied();
            match &data.kind {
                DataKind::Passive => self.data.passive(bytes),
                DataKind::Active {
                    memory_index,
                    offset_expr,
                } => {
                    let memory = own.memory_index(*memory_index).map_err(unreadable)?;
                    if self.steps.is_empty() {
                        let offset = own.const_expr(offset_expr.clone()).map_err(unreadable)?;
                        self.data.active(memory, &offset, bytes)
                    } else {
                        let offset = own.constant(offset_expr).map_err(unreadable)?;
                        self.steps.push(Step::InitMemory {
                            memory,
                            segment: self.data.len(),
                            offset: offset.ok_or_else(unknown_place)?,
                            count: data.data.len() as u32,
                        });
                        self.counts_data = true;
                        self.data.passive(bytes)
                    }
                }
            };
        }
        self.counts_data |= module.counts_data;
        Ok(())
    }

    fn add_code(&mut self, module: &Module<'_>, numbers: &Numbers) -> crate::numbers::Result<()> {
        let referred = self.code.add_own(module, numbers, &self.constants)?;
        let exported: BTreeSet<_> = module.exported.iter().collect();
        for function in referred {
            if exported.contains(&function) {
                let number = numbers.functions.get(function as usize);
                self.declared.extend(number);
            }
        }
        Ok(())
    }

    // ---- what is of no instance -----------------------------------------------------------------

    fn add_glue(&mut self) -> Result<()> {
        let plan = self.plan;
        for place in plan.import_order() {
            let lowered = &plan.imports[place];
            let mut signature = lowered.signature.clone();
            if lowered.import.allocates {
                signature.results.push(ValType::I64);
            }
            let name = lowered.import.imported_name();
            self.add_import(&lowered.import.interface, &name, signature);
        }
        self.add_import(CABI, EXIT_ERR, Signature::of(&[], &[]));
        self.add_import(CABI, TRAP, Signature::of(&[ValType::I32], &[]));

        for given in plan.given.values() {
            if let Behind::Glue = plan.behind(given) {
                self.add_given(given)?;
            }
        }

        let post_return = match plan.run.post_return {
            Some(post_return) => {
                let confined = self.confined(plan.run.component)?;
                Some((self.number(post_return)?, confined))
            }
            None => None,
        };
        let entry = glue::entry(&glue::Entry {
            steps: &self.steps,
            run: self.number(plan.run.function)?,
            post_return,
            exit_err: self.own.exit_err,
            trap: self.own.trap,
        });
        let entry = self.add_function(Signature::of(&[], &[]), &entry, Guest::DEFAULT_ENTRY);
        self.exports
            .export(Guest::DEFAULT_ENTRY, ExportKind::Func, entry);
        let first: &[u32] = match self.memories.is_empty() {
            true => &[],
            false => &[0],
        };
        // Any will do where the host works on none.
        let hosted = match &*plan.hosted {
            [] => first,
            hosted => hosted,
        };
        for (memory, place) in hosted.iter().zip(0..) {
            let name = memory_export(place);
            self.exports.export(&name, ExportKind::Memory, *memory);
        }
        if !self.declared.is_empty() {
            let functions: Vec<_> = self.declared.iter().copied().collect();
            self.elements
                .declared(Elements::Functions(functions.into()));
        }
        Ok(())
    }

    /// Adds a function that is of no module.
    fn add_given(&mut self, given: &Given<'_>) -> Result<()> {
        use ValType::I32;

        let imports = &self.plan.imports;
        let import_number = |import: usize| self.own.imports[import];
        let name = |import: usize| {
            let import = &imports[import].import;
            format!("{}#{}", import.interface, import.imported_name())
        };
        let (signature, body, name) = match given {
            Given::Host {
                import,
                caller,
                realloc,
            } => {
                let signature = imports[*import].signature.clone();
                let allocator = match realloc {
                    Some(realloc) => Some(Allocator {
                        realloc: self.number(realloc.function)?,
                        allocated: import_number(realloc.allocated),
                    }),
                    None => None,
                };
                let caller = caller.ok_or_else(|| invalid("a call of no component is confined"))?;
                let confined = self.confined(caller)?;
                let params = signature.params.len() as u32;
                let body = glue::host_call(import_number(*import), params, confined, allocator);
                (signature, body, name(*import))
            }
            Given::Drop {
                import,
                caller,
                destructor,
            } => {
                let confined = self.own.confined.get(caller).copied();
                let destructor = destructor.map(|destructor| self.number(destructor));
                let body =
                    glue::resource_drop(import_number(*import), confined, destructor.transpose()?);
                (Signature::of(&[I32], &[]), body, name(*import))
            }
            Given::Transfer(moves) => {
                let body = glue::resource_transfer(moves, import_number);
                let signature = Signature::of(&[I32, I32, I32], &[I32]);
                (signature, body, format!("{CABI}#transfer"))
            }
            Given::Enter(import) => {
                let body = glue::call_without(import_number(*import));
                (Signature::of(&[I32, I32, I32], &[]), body, name(*import))
            }
            Given::Transcode(_) | Given::Trap => return Ok(()),
        };
        self.add_function(signature, &body, &name);
        Ok(())
    }

    fn confined(&self, component: RuntimeComponentInstanceIndex) -> Result<Confined> {
        let confined = self.own.confined.get(&component).copied();
        confined.ok_or_else(|| invalid("a component is confined that is not known to be"))
    }

    fn add_import(&mut self, module: &str, name: &str, signature: Signature) {
        let ty = EntityType::Function(self.signature(signature));
        self.imports.import(module, name, ty);
    }

    /// Adds a function: its number.
    fn add_function(&mut self, signature: Signature, body: &Function, name: &str) -> u32 {
        let number = self.own.imported + self.functions.len();
        let ty = self.signature(signature);
        self.functions.function(ty);
        self.code.add(body);
        self.names.add(number, name);
        number
    }

    /// The type of a function: its number.
    fn signature(&mut self, signature: Signature) -> u32 {
        if let Some(ty) = self.signatures.get(&signature) {
            return *ty;
        }
        let ty = self.type_count;
        let Signature { params, results } = signature.clone();
        self.types.ty().function(params, results);
        self.type_count += 1;
        self.signatures.insert(signature, ty);
        ty
    }

    fn finish(self) -> Vec<u8> {
        let data_count = DataCountSection {
            count: self.data.len(),
        };
        let names = self.names.section();
        let sections: [(&dyn Section, bool); 13] = [
            (&self.types, true),
            (&self.imports, true),
            (&self.functions, true),
            (&self.tables, !self.tables.is_empty()),
            (&self.memories, !self.memories.is_empty()),
            (&self.tags, !self.tags.is_empty()),
            (&self.globals, !self.globals.is_empty()),
            (&self.exports, true),
            (&self.elements, !self.elements.is_empty()),
            (&data_count, self.counts_data),
            (&self.code, true),
            (&self.data, !self.data.is_empty()),
            (&names, true),
        ];
        let mut wasm = Encoder::new().finish();
        for (section, is_there) in sections {
            if is_there {
                section.append_to(&mut wasm);
            }
        }
        wasm
    }
}

fn renumbered<'a>(numbers: &'a Numbers, constants: &'a Constants) -> Renumbered<'a> {
    Renumbered { numbers, constants }
}

fn unknown_place() -> wasmrun_guest::Error {
    refuse(
        "where a segment goes, in a module that comes after a start function, is not known before",
    )
}
