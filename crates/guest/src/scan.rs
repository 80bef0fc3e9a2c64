//! Which proposals a guest uses, and whether it grows tables, found by reading all of it.
//!
//! What counts is what an engine without the proposal would stumble over, not what a compiler was
//! allowed to use. Operators are sorted by the lists wasmparser keeps; only what is no operator
//! (types, limits, kinds of segment) is told apart by hand, here.

use serde::{Deserialize, Serialize};
use wasmparser::{
    AbstractHeapType, BlockType, BrTable, CanonicalFunction, CanonicalOption, ComponentDefinedType,
    ComponentType, ComponentTypeDeclaration, CompositeInnerType, ConstExpr, DataKind, ElementItems,
    ElementKind, Encoding, ExternalKind, FunctionBody, GlobalType, HeapType, Ieee32, Ieee64,
    InstanceTypeDeclaration, MemArg, MemoryType, Operator, OperatorsReader,
    OperatorsReaderAllocations, Ordering, Payload, RecGroup, RefType, ResumeTable, StorageType,
    SubType, TableInit, TableType, TryTable, TypeRef, V128, ValType, VisitOperator,
    VisitSimdOperator,
};

use crate::parser::parser;
use crate::proposals::Proposals;
use crate::side_by_side::side_by_side;

/// What all of the code tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scanned {
    pub(crate) proposals: Proposals,
    pub(crate) grows_tables: bool,
}

/// Reads all of a module, or of a component and its modules.
///
/// Never fails: what cannot be read is the engine's to report, and what was seen before it stands.
pub(crate) fn scan(bytes: &[u8]) -> Scanned {
    let mut scan = Scan::default();
    let mut bodies = Vec::new();
    for payload in parser().parse_all(bytes) {
        let read = payload.and_then(|payload| match payload {
            Payload::CodeSectionEntry(body) => {
                bodies.push(body);
                Ok(())
            }
            payload => scan.payload(payload),
        });
        if read.is_err() {
            break;
        }
    }
    let bytes = bodies.iter().map(|body| body.range().len()).sum();
    let of_bodies = side_by_side(&bodies, bytes, |bodies| {
        let mut scan = Scan::default();
        for body in bodies {
            // One body that cannot be read says nothing about the next.
            let _ = scan.body(body);
        }
        scan.code
    });
    of_bodies.into_iter().fold(scan.code, Code::join).finish()
}

#[derive(Default)]
struct Scan {
    code: Code,
    allocations: OperatorsReaderAllocations,
    module: ModuleSpaces,
}

/// The index spaces of the current module, as far as they tell one proposal from another.
#[derive(Default)]
struct ModuleSpaces {
    imported_globals: u32,
    /// Which globals are mutable, imported ones first.
    globals: Vec<bool>,
    memories: u32,
    tables: u32,
}

impl Scan {
    fn payload(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::Version { encoding, .. } => {
                self.module = ModuleSpaces::default();
                if encoding == Encoding::Component {
                    self.code.note(Proposals::COMPONENT_MODEL);
                }
            }
            Payload::TypeSection(section) => {
                for group in section {
                    self.code.note(group?.uses());
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) => {}
                        TypeRef::FuncExact(_) => self.code.note(Proposals::CUSTOM_DESCRIPTORS),
                        TypeRef::Table(ty) => self.table(ty),
                        TypeRef::Memory(ty) => self.memory(ty),
                        TypeRef::Global(ty) => {
                            if ty.mutable {
                                self.code.note(Proposals::MUTABLE_GLOBAL);
                            }
                            self.module.imported_globals += 1;
                            self.global(ty);
                        }
                        TypeRef::Tag(_) => self.code.tags = true,
                    }
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table?;
                    self.table(table.ty);
                    if let TableInit::Expr(expr) = table.init {
                        self.code.note(Proposals::FUNCTION_REFERENCES);
                        self.constant(&expr)?;
                    }
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memory(memory?);
                }
            }
            Payload::TagSection(section) => self.code.tags |= section.count() > 0,
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global?;
                    self.global(global.ty);
                    self.constant(&global.init_expr)?;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let global = self.module.globals.get(export.index as usize);
                    if export.kind == ExternalKind::Global && global == Some(&true) {
                        self.code.note(Proposals::MUTABLE_GLOBAL);
                    }
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    self.element(element?)?;
                }
            }
            // An engine without bulk-memory does not know this section, whatever it counts.
            Payload::DataCountSection { .. } => self.code.note(Proposals::BULK_MEMORY),
            Payload::DataSection(section) => {
                for data in section {
                    match data?.kind {
                        DataKind::Passive => self.code.note(Proposals::BULK_MEMORY),
                        DataKind::Active { offset_expr, .. } => self.constant(&offset_expr)?,
                    }
                }
            }
            Payload::ComponentTypeSection(section) => {
                for ty in section {
                    self.code.note(ty?.uses());
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    self.code.note(function?.uses());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn memory(&mut self, ty: MemoryType) {
        self.module.memories += 1;
        for (used, proposal) in [
            (self.module.memories > 1, Proposals::MULTI_MEMORY),
            (ty.shared, Proposals::THREADS),
            (ty.memory64, Proposals::MEMORY64),
            (ty.page_size_log2.is_some(), Proposals::CUSTOM_PAGE_SIZES),
        ] {
            if used {
                self.code.note(proposal);
            }
        }
    }

    fn table(&mut self, ty: TableType) {
        self.module.tables += 1;
        for (used, proposal) in [
            (self.module.tables > 1, Proposals::REFERENCE_TYPES),
            (ty.table64, Proposals::MEMORY64),
            (ty.shared, Proposals::SHARED_EVERYTHING_THREADS),
        ] {
            if used {
                self.code.note(proposal);
            }
        }
        // A table of functions is as old as WebAssembly.
        if ty.element_type != RefType::FUNCREF {
            self.code.note(ty.element_type.uses());
        }
    }

    fn global(&mut self, ty: GlobalType) {
        self.module.globals.push(ty.mutable);
        self.code.note(ty.content_type.uses());
        if ty.shared {
            self.code.note(Proposals::SHARED_EVERYTHING_THREADS);
        }
    }

    fn element(&mut self, element: wasmparser::Element<'_>) -> wasmparser::Result<()> {
        match element.kind {
            ElementKind::Active {
                table_index,
                offset_expr,
            } => {
                // Naming the table at all takes an encoding that came with bulk-memory.
                if table_index.is_some() {
                    self.code.note(Proposals::BULK_MEMORY);
                }
                self.constant(&offset_expr)?;
            }
            ElementKind::Passive => self.code.note(Proposals::BULK_MEMORY),
            ElementKind::Declared => self.code.note(Proposals::REFERENCE_TYPES),
        }
        if let ElementItems::Expressions(ty, items) = element.items {
            self.code.note(ty.uses());
            for item in items {
                self.constant(&item?)?;
            }
        }
        Ok(())
    }

    /// Constant expressions have proposals of their own: operators that are plain in a function.
    fn constant(&mut self, expr: &ConstExpr<'_>) -> wasmparser::Result<()> {
        let mut operators = expr.get_operators_reader();
        while !operators.eof() {
            match operators.read()? {
                Operator::I32Add
                | Operator::I32Sub
                | Operator::I32Mul
                | Operator::I64Add
                | Operator::I64Sub
                | Operator::I64Mul => self.code.note(Proposals::EXTENDED_CONST),
                Operator::GlobalGet { global_index }
                    if global_index >= self.module.imported_globals =>
                {
                    self.code.note(Proposals::GC);
                }
                _ => {}
            }
        }
        self.operators(expr.get_operators_reader())
    }

    fn body(&mut self, body: &FunctionBody<'_>) -> wasmparser::Result<()> {
        for local in body.get_locals_reader()? {
            let (_, ty) = local?;
            self.code.note(ty.uses());
        }
        let allocations = std::mem::take(&mut self.allocations);
        let reader = body.get_binary_reader_for_operators()?;
        let mut operators = OperatorsReader::new_with_allocs(reader, allocations);
        let read = self.visit(&mut operators);
        self.allocations = operators.into_allocations();
        read
    }

    fn operators(&mut self, mut operators: OperatorsReader<'_>) -> wasmparser::Result<()> {
        self.visit(&mut operators)
    }

    fn visit(&mut self, operators: &mut OperatorsReader<'_>) -> wasmparser::Result<()> {
        while !operators.eof() {
            operators.visit_operator(&mut self.code)?;
        }
        Ok(())
    }
}

/// Visits operators and collects what they belong to.
#[derive(Default)]
struct Code {
    used: Proposals,
    /// Tags or `throw` were seen: both kinds of exception handling have them.
    tags: bool,
    grows_tables: bool,
}

impl Code {
    #[inline(always)]
    fn note(&mut self, used: Proposals) {
        self.used |= used;
    }

    fn join(self, other: Code) -> Code {
        Code {
            used: self.used | other.used,
            tags: self.tags | other.tags,
            grows_tables: self.grows_tables | other.grows_tables,
        }
    }

    /// Tags alone belong to the legacy exceptions if those are used, and else to the standard.
    fn finish(self) -> Scanned {
        let standard = self.tags && !self.used.contains(Proposals::LEGACY_EXCEPTIONS);
        let tags = if standard {
            Proposals::EXCEPTIONS
        } else {
            Proposals::MVP
        };
        Scanned {
            proposals: self.used | tags,
            grows_tables: self.grows_tables,
        }
    }
}

/// A visit method for each operator: it notes the operator's proposal and those of its immediates.
/// The names on the left are wasmparser's; a group that appears there and not here does not compile.
macro_rules! visit_all {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        $(
            #[inline(always)]
            fn $visit(&mut self $($(, $arg: $argty)*)?) {
                visit_all!(@$proposal $op self);
                $($( self.note($arg.uses()); )*)?
            }
        )*
    };
    (@exceptions Throw $code:ident) => { $code.tags = true };
    (@reference_types TableGrow $code:ident) => {
        $code.grows_tables = true;
        $code.note(Proposals::REFERENCE_TYPES)
    };
    (@mvp $op:ident $code:ident) => {};
    (@sign_extension $op:ident $code:ident) => { $code.note(Proposals::SIGN_EXTENSION) };
    (@saturating_float_to_int $op:ident $code:ident) => { $code.note(Proposals::SATURATING_FLOAT_TO_INT) };
    (@bulk_memory $op:ident $code:ident) => { $code.note(Proposals::BULK_MEMORY) };
    (@reference_types $op:ident $code:ident) => { $code.note(Proposals::REFERENCE_TYPES) };
    (@simd $op:ident $code:ident) => { $code.note(Proposals::SIMD) };
    (@relaxed_simd $op:ident $code:ident) => { $code.note(Proposals::RELAXED_SIMD) };
    (@threads $op:ident $code:ident) => { $code.note(Proposals::THREADS) };
    (@tail_call $op:ident $code:ident) => { $code.note(Proposals::TAIL_CALL) };
    (@exceptions $op:ident $code:ident) => { $code.note(Proposals::EXCEPTIONS) };
    (@legacy_exceptions $op:ident $code:ident) => { $code.note(Proposals::LEGACY_EXCEPTIONS) };
    (@function_references $op:ident $code:ident) => { $code.note(Proposals::FUNCTION_REFERENCES) };
    (@gc $op:ident $code:ident) => { $code.note(Proposals::GC) };
    (@custom_descriptors $op:ident $code:ident) => { $code.note(Proposals::CUSTOM_DESCRIPTORS) };
    (@stack_switching $op:ident $code:ident) => { $code.note(Proposals::STACK_SWITCHING) };
    (@wide_arithmetic $op:ident $code:ident) => { $code.note(Proposals::WIDE_ARITHMETIC) };
    (@memory_control $op:ident $code:ident) => { $code.note(Proposals::MEMORY_CONTROL) };
    (@shared_everything_threads $op:ident $code:ident) => { $code.note(Proposals::SHARED_EVERYTHING_THREADS) };
}

impl<'a> VisitOperator<'a> for Code {
    type Output = ();

    fn simd_visitor(&mut self) -> Option<&mut dyn VisitSimdOperator<'a, Output = ()>> {
        Some(self)
    }

    wasmparser::for_each_visit_operator!(visit_all);
}

impl VisitSimdOperator<'_> for Code {
    wasmparser::for_each_visit_simd_operator!(visit_all);
}

/// What a piece of a guest says about proposals by being there.
trait Uses {
    fn uses(&self) -> Proposals;
}

/// Immediates that say nothing.
macro_rules! say_nothing {
    ($($ty:ty),*) => {
        $(
            impl Uses for $ty {
                #[inline(always)]
                fn uses(&self) -> Proposals {
                    Proposals::MVP
                }
            }
        )*
    };
}

say_nothing!(
    u8,
    u32,
    i32,
    i64,
    Ieee32,
    Ieee64,
    V128,
    [u8; 16],
    BrTable<'_>,
    ResumeTable,
    Ordering
);

impl Uses for MemArg {
    #[inline(always)]
    fn uses(&self) -> Proposals {
        if self.memory == 0 {
            Proposals::MVP
        } else {
            Proposals::MULTI_MEMORY
        }
    }
}

impl Uses for BlockType {
    #[inline(always)]
    fn uses(&self) -> Proposals {
        match self {
            BlockType::Empty => Proposals::MVP,
            BlockType::Type(ty) => ty.uses(),
            // Even a type without parameters, which could have been written the old way.
            BlockType::FuncType(_) => Proposals::MULTI_VALUE,
        }
    }
}

impl Uses for TryTable {
    fn uses(&self) -> Proposals {
        self.ty.uses()
    }
}

impl Uses for ValType {
    #[inline(always)]
    fn uses(&self) -> Proposals {
        match self {
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 => Proposals::MVP,
            ValType::V128 => Proposals::SIMD,
            ValType::Ref(ty) => ty.uses(),
        }
    }
}

impl Uses for Vec<ValType> {
    fn uses(&self) -> Proposals {
        self.iter().map(Uses::uses).collect()
    }
}

impl Uses for RefType {
    fn uses(&self) -> Proposals {
        let heap = self.heap_type().uses();
        if self.is_nullable() {
            heap
        } else {
            heap | Proposals::FUNCTION_REFERENCES
        }
    }
}

impl Uses for HeapType {
    fn uses(&self) -> Proposals {
        let HeapType::Abstract { shared, ty } = self else {
            return match self {
                HeapType::Exact(_) => Proposals::CUSTOM_DESCRIPTORS,
                _ => Proposals::FUNCTION_REFERENCES,
            };
        };
        let used = match ty {
            AbstractHeapType::Func | AbstractHeapType::Extern => Proposals::REFERENCE_TYPES,
            AbstractHeapType::Exn => Proposals::EXCEPTIONS,
            AbstractHeapType::NoExn => Proposals::EXCEPTIONS | Proposals::GC,
            AbstractHeapType::Cont | AbstractHeapType::NoCont => Proposals::STACK_SWITCHING,
            _ => Proposals::GC,
        };
        if *shared {
            used | Proposals::SHARED_EVERYTHING_THREADS
        } else {
            used
        }
    }
}

impl Uses for RecGroup {
    fn uses(&self) -> Proposals {
        let types: Proposals = self.types().map(Uses::uses).collect();
        if self.is_explicit_rec_group() {
            types | Proposals::GC
        } else {
            types
        }
    }
}

impl Uses for SubType {
    fn uses(&self) -> Proposals {
        let ty = &self.composite_type;
        let mut used = match &ty.inner {
            CompositeInnerType::Func(func) => {
                let values = func.params().iter().chain(func.results());
                let mut used: Proposals = values.map(Uses::uses).collect();
                if func.results().len() > 1 {
                    used |= Proposals::MULTI_VALUE;
                }
                used
            }
            CompositeInnerType::Array(array) => Proposals::GC | array.0.element_type.uses(),
            CompositeInnerType::Struct(fields) => {
                let fields = fields.fields.iter();
                Proposals::GC | fields.map(|field| field.element_type.uses()).collect()
            }
            CompositeInnerType::Cont(_) => Proposals::STACK_SWITCHING,
        };
        if !self.is_final || self.supertype_idx.is_some() {
            used |= Proposals::GC;
        }
        if ty.shared {
            used |= Proposals::SHARED_EVERYTHING_THREADS;
        }
        if ty.descriptor_idx.is_some() || ty.describes_idx.is_some() {
            used |= Proposals::CUSTOM_DESCRIPTORS;
        }
        used
    }
}

impl Uses for StorageType {
    fn uses(&self) -> Proposals {
        match self {
            StorageType::I8 | StorageType::I16 => Proposals::MVP,
            StorageType::Val(ty) => ty.uses(),
        }
    }
}

// Nested component types: the depth was bounded when the guest was opened.
impl Uses for ComponentType<'_> {
    fn uses(&self) -> Proposals {
        match self {
            ComponentType::Defined(
                ComponentDefinedType::Future(_) | ComponentDefinedType::Stream(_),
            ) => Proposals::COMPONENT_ASYNC,
            ComponentType::Func(func) if func.async_ => Proposals::COMPONENT_ASYNC,
            ComponentType::Defined(_) | ComponentType::Func(_) | ComponentType::Resource { .. } => {
                Proposals::MVP
            }
            ComponentType::Component(inner) => inner
                .iter()
                .map(|declaration| match declaration {
                    ComponentTypeDeclaration::Type(ty) => ty.uses(),
                    _ => Proposals::MVP,
                })
                .collect(),
            ComponentType::Instance(inner) => inner
                .iter()
                .map(|declaration| match declaration {
                    InstanceTypeDeclaration::Type(ty) => ty.uses(),
                    _ => Proposals::MVP,
                })
                .collect(),
        }
    }
}

impl Uses for CanonicalFunction {
    fn uses(&self) -> Proposals {
        use CanonicalFunction as F;
        let is_async = |options: &[CanonicalOption]| options.contains(&CanonicalOption::Async);
        let more = Proposals::COMPONENT_ASYNC | Proposals::COMPONENT_MORE_ASYNC;
        match self {
            F::Lift { options, .. } if is_async(options) => {
                let callback =
                    |option: &CanonicalOption| matches!(option, CanonicalOption::Callback(_));
                match options.iter().any(callback) {
                    true => Proposals::COMPONENT_ASYNC,
                    false => more,
                }
            }
            F::Lower { options, .. } if is_async(options) => Proposals::COMPONENT_ASYNC,
            F::Lift { .. } | F::Lower { .. } => Proposals::MVP,
            F::ResourceNew { .. } | F::ResourceDrop { .. } | F::ResourceRep { .. } => {
                Proposals::MVP
            }
            F::ThreadSpawnRef { .. }
            | F::ThreadSpawnIndirect { .. }
            | F::ThreadAvailableParallelism => Proposals::SHARED_EVERYTHING_THREADS,
            F::StreamRead { options, .. }
            | F::StreamWrite { options, .. }
            | F::FutureRead { options, .. }
            | F::FutureWrite { options, .. } => match is_async(options) {
                true => Proposals::COMPONENT_ASYNC,
                false => more,
            },
            F::SubtaskCancel { async_: true }
            | F::StreamCancelRead { async_: true, .. }
            | F::StreamCancelWrite { async_: true, .. }
            | F::FutureCancelRead { async_: true, .. }
            | F::FutureCancelWrite { async_: true, .. }
            | F::ContextGet { slot: 1.., .. }
            | F::ContextSet { slot: 1.., .. }
            | F::ErrorContextNew { .. }
            | F::ErrorContextDebugMessage { .. }
            | F::ErrorContextDrop
            | F::ThreadIndex
            | F::ThreadNewIndirect { .. }
            | F::ThreadResumeLater
            | F::ThreadSuspend { .. }
            | F::ThreadSuspendThenResume { .. }
            | F::ThreadYieldThenResume { .. }
            | F::ThreadSuspendThenPromote { .. }
            | F::ThreadYieldThenPromote { .. } => more,
            // Tasks, waitables, streams, futures.
            _ => Proposals::COMPONENT_ASYNC,
        }
    }
}
