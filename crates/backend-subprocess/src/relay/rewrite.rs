//! A guest rewritten so that its host calls come to us, whatever runtime it runs in.
//!
//! Of WASI the rewritten module imports only `fd_read` and `fd_write`, for the wire. In place of each
//! import of the guest is a function of its own that sends the call (see [`super::protocol`]), unless it
//! knows the answer. Functions therefore have other numbers than before: what names a function by its
//! number is adjusted, and everything else is copied byte by byte.
//!
//! The module's `_start` says that it begins, receives what it is told then, calls the start function and
//! `_initialize` if the guest has them, then the entry, and says that it has ended. Memories and tables
//! grow by functions that ask us first.

use std::borrow::Cow;

use wasm_encoder::{
    ConstExpr, Encode, EntityType, ExportKind, ExportSection, Function, ImportSection,
    InstructionSink, MemoryType, Module, SectionId, ValType,
};
use wasmrun_core::guest::{self, Export, FuncSignature, ValueType};
use wasmrun_core::{Entries, Error, ErrorKind, Guest, HostFunctions, Proposals, Result};
use wasmrun_rewrite::{Bound, Growth, Meter, Parts, Rewriter, append, raw};
use wasmrun_wasi_preview1::{Imported, imported, preview1};

use super::apart::{self, Apart, MEMORY};
use super::call::{Caller, Has, TRANSFER, transfer};
use super::memory::{HintOf, hint};
use super::obey::Obeying;
use super::protocol::{Callable, Layout, Purpose, callable, hinted, own, tells_fuel};
use super::standby::{Standby, Target};
use super::streams::{FDSTAT, WRITE, answer_fdstat, forget, receive, takes_all};
use super::values::{push, take};

/// What is to be known of a rewritten guest.
#[derive(Debug, Clone)]
pub(super) struct Relayed {
    /// What its calls ask for, by their numbers.
    pub(super) functions: Vec<Imported>,
    layout: Layout,
    /// Whether the wire's memory is the one WASI works on. Otherwise WASI has none; functions of the host may have another.
    pub(super) has_memory: bool,
}

impl Relayed {
    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether the guest may have to write where whatever is written is taken.
    fn writes(&self) -> bool {
        self.calls(WRITE)
    }

    /// Whether the guest may ask what its streams are.
    pub(super) fn asks_of_streams(&self) -> bool {
        self.calls(FDSTAT)
    }

    /// Whether the guest is told something when it begins: of its fuel, or of its streams.
    pub(super) fn is_told(&self, metered: bool) -> bool {
        metered || self.is_told_of_streams()
    }

    fn is_told_of_streams(&self) -> bool {
        self.writes() || self.asks_of_streams()
    }

    fn calls(&self, name: &str) -> bool {
        let mut wasi = self.functions.iter().filter_map(Imported::wasi);
        self.has_memory && wasi.any(|function| function.name == name)
    }

    /// What is to be known of a guest that was rewritten before for that. Needs none of its bytes.
    pub(super) fn of(guest: &Guest, host: &HostFunctions, purpose: Purpose<'_>) -> Result<Relayed> {
        let functions = imported(guest, host)?;
        let is_memory =
            |export: &Export| export.kind == guest::ExportKind::Memory && export.name == MEMORY;
        Ok(Relayed {
            layout: Layout::of(guest, &functions, purpose)?,
            functions,
            // If it has calls of WASI to send, they go through the memory that this works on.
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
    /// It still has the segments that are gone once a guest begins.
    pub(super) spent_segments_stay: bool,
    /// As many pages as it can give a memory, if it cannot give the most there are.
    pub(super) most_pages: Option<u64>,
    /// Bytes that the guest's calls may take, for a runtime that has no bound of its own.
    pub(super) stack: Option<u64>,
    /// Fuel is to be counted.
    pub(super) fuel: bool,
}

/// Rewrites `guest` to be started for that: the module, and what is to be known of it.
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) for a guest that does not validate,
/// [`Unsupported`](ErrorKind::Unsupported) for one that cannot hold the wire.
pub(super) fn relayed(
    guest: &Guest,
    host: &HostFunctions,
    purpose: Purpose<'_>,
    terms: Terms,
) -> Result<(Vec<u8>, Relayed)> {
    let parts = Parts::of(guest)?;
    let functions = imported(guest, host)?;
    has_memories(&parts, terms)?;
    let layout = Layout::of(guest, &functions, purpose)?;
    let entries = Entries::of(guest);
    let entries: Vec<_> = match purpose {
        Purpose::Run(entry) => entries.calls(entry).collect(),
        Purpose::Live => entries.before().collect(),
    };
    let entries = entries.iter().map(|name| parts.exported_function(name));
    let calls: Vec<_> = [parts.start].into_iter().chain(entries).flatten().collect();
    let callable = match purpose {
        Purpose::Run(_) => None,
        Purpose::Live => {
            let found = callable(guest).map(|(what, ty)| {
                let target = match what {
                    Callable::Function(name) => Target::Function(parts.exported_function(name)?),
                    Callable::Get(name) => Target::Get(parts.exported_global(name)?),
                    Callable::Set(name) => Target::Set(parts.exported_global(name)?),
                };
                Some((target, ty))
            });
            Some(found.flatten().collect())
        }
    };
    let wire = wire_memory(&parts, &functions, layout, purpose, terms)?;
    let apart = apart(&parts, &functions, wire)?;
    let is_given_page = needs_page(&parts, wire)?;
    let relayed = Relayed {
        functions,
        layout,
        has_memory: parts.exported_memory == Some(wire),
    };
    let mut wired = Wired::new(&parts, &relayed, wire, apart);
    if is_given_page {
        wired.module.make_room(wire);
    }
    let wasm = wired.write(&calls, callable, terms)?;
    Ok((wasm, relayed))
}

/// Refuses memories that the runtime has not. A component that becomes a module may have several, which nobody could tell
/// before.
fn has_memories(parts: &Parts<'_>, terms: Terms) -> Result<()> {
    if parts.memories.len() > 1 && !terms.proposals.contains(Proposals::MULTI_MEMORY) {
        let what = format!(
            "lacks WebAssembly proposals that the guest uses, which has {} memories: {}",
            parts.memories.len(),
            Proposals::MULTI_MEMORY
        );
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    Ok(())
}

/// The calls that are about another memory than the wire's, which has to lend them room.
fn apart(parts: &Parts<'_>, functions: &[Imported], wire: u32) -> Result<Option<Apart>> {
    let apart = Apart::of(parts, functions, wire)?;
    let lends = |ty: &wasmparser::MemoryType| is_empty(ty) || has_room(ty, apart::BYTES);
    if apart.is_some() && !parts.memories.get(wire as usize).is_none_or(lends) {
        let bytes = apart::BYTES;
        let what = format!(
            "has functions of the host work on several memories only if the guest's first starts out with {bytes} bytes"
        );
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    Ok(apart)
}

/// The number of the memory that messages go through: the one WASI is to work on, if it can be, or
/// one that WASI has nothing to do with.
fn wire_memory(
    parts: &Parts<'_>,
    functions: &[Imported],
    layout: Layout,
    purpose: Purpose<'_>,
    terms: Terms,
) -> Result<u32> {
    let refuse = |why: &str| Err(Error::new(ErrorKind::Unsupported, why));
    let room = layout.room();
    let has_room = |memory: &wasmparser::MemoryType| has_room(memory, room);
    let within_reach = |memory: u32| memory == 0 || !terms.first_memory_only;
    // Functions of the host can do with the memory of another.
    let is_host = |function: &Imported| function.wasi().is_none();
    let need_not = purpose != Purpose::Live && functions.iter().all(is_host);
    if let Some(memory) = parts.exported_memory
        && !parts.imports.is_empty()
        && (within_reach(memory) || !need_not)
    {
        return match &parts.memories[memory as usize] {
            ty if ty.memory64 => {
                refuse("has no WASI for a memory of 64 bits, and the guest has one")
            }
            ty if !has_room(ty) && !is_empty(ty) => refuse(&format!(
                "has no WASI for a guest whose memory starts out with less than {room} bytes"
            )),
            _ if !within_reach(memory) => {
                refuse("has WASI for a guest's first memory only, and this one exports another")
            }
            _ => Ok(memory),
        };
    }
    // One of the guest's, or one more; then one that threads share, and at last one that has to be given room.
    let find = |fits: &dyn Fn(&wasmparser::MemoryType) -> bool| {
        let mut memories = parts.memories.iter().zip(0..);
        let found = memories.find(|(ty, memory)| fits(ty) && within_reach(*memory));
        found.map(|(_, memory)| memory)
    };
    let next = parts.memories.len() as u32;
    let several = next == 0 || terms.proposals.contains(Proposals::MULTI_MEMORY);
    let another = (several && within_reach(next)).then_some(next);
    let found = find(&|ty| has_room(ty) && !ty.shared).or(another);
    match found
        .or_else(|| find(&has_room))
        .or_else(|| find(&is_empty))
    {
        Some(memory) => Ok(memory),
        None => refuse(&format!(
            "cannot run a guest whose first memory starts out with less than {room} bytes, or has 64 bits"
        )),
    }
}

/// Whether a memory starts out with so many bytes, which 32 bits address.
fn has_room(memory: &wasmparser::MemoryType, room: u32) -> bool {
    let page = memory.page_size_log2.unwrap_or(16);
    let bytes = memory.initial.checked_shl(page);
    !memory.memory64 && bytes.is_some_and(|bytes| bytes >= room.into())
}

/// Whether a memory starts out with no page, and can be given one that the guest does not see.
fn is_empty(memory: &wasmparser::MemoryType) -> bool {
    memory.initial == 0 && !memory.memory64 && memory.page_size_log2.is_none()
}

/// Whether the wire's memory, one of the guest's, has to be given a page. Not if data are to be in it, because then
/// the guest traps before it begins.
fn needs_page(parts: &Parts<'_>, wire: u32) -> Result<bool> {
    let empty = parts.memories.get(wire as usize).is_some_and(is_empty);
    match parts.needs_page(wire) {
        Some(needs) => Ok(empty && !needs),
        None if empty => Err(Error::new(
            ErrorKind::Unsupported,
            "cannot tell whether the data of a guest go beyond its memory, which starts out empty",
        )),
        None => Ok(false),
    }
}

/// The two functions that the rewritten module imports.
const FD_WRITE: u32 = 0;
const FD_READ: u32 = 1;
/// By how much the numbers of functions change: the functions in place of the guest's imports have
/// the numbers those imports had, behind ours.
const SHIFT: u32 = 2;

/// The guest on a wire.
struct Wired<'a> {
    module: Rewriter<'a>,
    relayed: &'a Relayed,
    wire: u32,
    apart: Option<Apart>,
    layout: Layout,
    /// The helper that makes calls.
    call: u32,
    /// A global with what is known of the standard streams.
    streams: Option<u32>,
}

impl<'a> Wired<'a> {
    fn new(parts: &'a Parts<'a>, relayed: &'a Relayed, wire: u32, apart: Option<Apart>) -> Self {
        Wired {
            module: Rewriter::new(parts, SHIFT),
            relayed,
            wire,
            apart,
            layout: relayed.layout(),
            call: 0,
            streams: None,
        }
    }

    /// The module. It makes these calls once it begins and then, if it is to stay, those of what is callable.
    fn write(
        mut self,
        calls: &[u32],
        callable: Option<Vec<(Target, Cow<'_, FuncSignature>)>>,
        terms: Terms,
    ) -> Result<Vec<u8>> {
        use ValType::{I32, I64};
        let fd = self.module.func_type([I32; 4], [I32]);
        let transfer = transfer(self.wire, FD_READ, FD_WRITE);
        let transfer = self.module.helper(TRANSFER, [], transfer);
        let mut params = vec![I32];
        params.extend(vec![I64; self.layout.arguments]);
        params.extend([I32; 3]);
        let apart = self.apart.as_ref();
        let apart = apart.map(|apart| apart.functions(&mut self.module, self.layout, transfer));
        let mut hints = (0..)
            .zip(&self.relayed.functions)
            .map(|(number, function)| self.hint(number, function));
        let has = Has {
            vectors: hints.any(|hint| matches!(hint, HintOf::Vectors { .. })),
            writes: self.relayed.writes(),
        };
        let (wire, layout) = (self.wire, self.layout);
        let obeying = Obeying::new(wire, layout, transfer, apart);
        let obey = self.module.helper(obeying.params(), [I64], obeying.body());
        let caller = Caller::new(&self.module, wire, layout, has, [transfer, obey], apart);
        let call = caller.body();
        self.call = self.module.helper(params, [I64], call);
        self.module.growth = Some(Growth {
            bytes: self.asking(own::GROW_MEMORIES),
            elements: self.asking(own::GROW_TABLES),
        });
        self.module.most_pages = terms.most_pages;
        if let Some(bytes) = terms.stack {
            self.module.bound = Some(Bound {
                counter: self.module.global(I32, &ConstExpr::i32_const(0)),
                limit: Bound::limit_of(bytes),
                exceeded: self.ending(own::OVERFLOW),
            });
        }
        if terms.fuel {
            self.module.meter = Some(Meter {
                left: self.module.global(I64, &ConstExpr::i64_const(0)),
                exhausted: self.ending(own::OUT_OF_FUEL),
            });
        }
        if self.relayed.is_told_of_streams() {
            self.streams = Some(self.module.global(I32, &ConstExpr::i32_const(0)));
        }
        let receive = self.relayed.is_told(terms.fuel).then(|| {
            let fuel = self.module.meter.map(|meter| meter.left);
            let receive = receive(self.wire, transfer, fuel, self.streams);
            self.module.helper([], [], receive)
        });
        let bodies = self.module.bodies()?;
        let standby = callable.map(|targets| {
            let renumbered = |target| match target {
                Target::Function(function) => Target::Function(self.module.number(function)),
                global => global,
            };
            let targets = targets.into_iter();
            let standby = Standby {
                layout,
                wire,
                call: self.call,
                transfer,
                fuel: self.module.meter.map(|meter| meter.left),
                targets: targets
                    .map(|(target, ty)| (renumbered(target), ty))
                    .collect(),
            };
            self.module.helper([], [], standby.body())
        });
        let start = self.start_body(calls, terms, receive, standby);
        let start = self.module.helper([], [], start);

        let mut imports = ImportSection::new();
        imports.import(preview1::MODULE, "fd_write", EntityType::Function(fd));
        imports.import(preview1::MODULE, "fd_read", EntityType::Function(fd));
        let mut exports = ExportSection::new();
        exports.export(MEMORY, ExportKind::Memory, self.wire);
        exports.export(Guest::DEFAULT_ENTRY, ExportKind::Func, start);

        let (own, parts) = (&self.module, self.module.parts);
        let stubs = self.relayed.functions.iter().enumerate();
        let stubs = stubs.map(|(number, function)| self.stub(number as u32, function));
        let mut module = Module::new();
        raw(&mut module, SectionId::Type, &own.type_section());
        module.section(&imports);
        raw(
            &mut module,
            SectionId::Function,
            &own.function_section(&parts.imports)?,
        );
        own.copied(&mut module, SectionId::Table)?;
        self.memory_section(&mut module);
        own.copied(&mut module, SectionId::Tag)?;
        raw(&mut module, SectionId::Global, &own.global_section()?);
        module.section(&exports);
        own.copied(&mut module, SectionId::Element)?;
        own.copied(&mut module, SectionId::DataCount)?;
        raw(
            &mut module,
            SectionId::Code,
            &own.code_section(stubs, &bodies),
        );
        own.copied(&mut module, SectionId::Data)?;
        if !parts.names.is_empty() {
            module.section(&self.name_section());
        }
        Ok(module.finish())
    }

    /// The body of a function that asks us whether something may grow.
    fn asking(&self, what: u32) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.ask(&mut code, what, |code| code.local_get(0));
        code.i64_eqz().i32_eqz().end();
        function
    }

    /// A function that says why the guest must end, which it then does.
    fn ending(&mut self, why: u32) -> u32 {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.ask(&mut code, why, |code| code.i64_const(0));
        code.unreachable().end();
        self.module.helper([], [], function)
    }

    // ---- sections -------------------------------------------------------------------------------

    /// The guest's memories and, if the wire has one of its own, that, and what keeps what it lends.
    fn memory_section(&self, module: &mut Module) {
        let own = self.module.memory_section();
        let is_own = self.wire as usize >= self.module.parts.memories.len();
        let more = usize::from(is_own) + usize::from(self.apart.is_some());
        let mut memory = Vec::new();
        MemoryType {
            minimum: 1,
            maximum: Some(1),
            memory64: false,
            shared: false,
            page_size_log2: None,
        }
        .encode(&mut memory);
        let memories = append(&own, std::iter::repeat_n(memory.as_slice(), more));
        raw(module, SectionId::Memory, &memories);
    }

    /// Call stacks that a runtime prints are for people.
    fn name_section(&self) -> wasm_encoder::NameSection {
        let mut functions = wasm_encoder::NameMap::new();
        for (function, name) in &self.module.parts.names {
            if !self.module.is_dropped(*function) {
                functions.append(self.module.number(*function), name);
            }
        }
        let mut names = wasm_encoder::NameSection::new();
        names.functions(&functions);
        names
    }

    // ---- functions ------------------------------------------------------------------------------

    /// The number of the memory that calls of that function are about.
    fn memory(&self, number: u32) -> u32 {
        let apart = self.apart.as_ref();
        apart.map_or(0, |apart| apart.number(number))
    }

    /// Where a call has no memory, there is nothing to hint at.
    fn hint(&self, number: u32, function: &Imported) -> HintOf {
        match function {
            _ if !self.relayed.has_memory && self.memory(number) == 0 => HintOf::Nothing,
            Imported::Wasi(function) => hint(function.name),
            Imported::Host(function) => function.reads().map_or(HintOf::Nothing, HintOf::Text),
        }
    }

    /// What is in the place of an import: it sends the call, with a hint, unless the answer is known.
    fn stub(&self, number: u32, function: &Imported) -> Function {
        let wasi = function.wasi().map_or("", |function| function.name);
        let answers = self.streams.filter(|_| wasi == FDSTAT);
        let mut stub = Function::new(answers.map(|_| (1, ValType::I32)));
        let mut code = stub.instructions();
        if let Some(streams) = answers {
            answer_fdstat(&mut code, &self.module, self.wire, streams);
        }
        if let Some(streams) = self.streams {
            forget(&mut code, wasi, streams);
        }
        code.i32_const(number as i32);
        for (place, param) in function.params().iter().enumerate() {
            push(&mut code, *param, place as u32);
        }
        let params = function.params().iter().map(|ty| ty.slots()).sum();
        let tells_fuel = tells_fuel(function);
        for place in params..self.layout.arguments {
            if tells_fuel && place == params {
                self.fuel_left(&mut code);
            } else {
                code.i64_const(0);
            }
        }
        let memory = self.memory(number) << hinted::MEMORY;
        let hint = match self.hint(number, function) {
            HintOf::Nothing => None,
            HintOf::Text(at) => Some((at, hinted::FOLLOWS)),
            HintOf::Vectors { at, read: true } => Some((at, hinted::VECTORS | hinted::FOLLOWS)),
            HintOf::Vectors { at, read: false } => Some((at, hinted::VECTORS)),
        };
        match hint {
            Some((at, hinted)) => code
                .local_get(at as u32)
                .local_get(at as u32 + 1)
                .i32_const((hinted | memory) as i32),
            None => code.i32_const(0).i32_const(0).i32_const(memory as i32),
        };
        if let Some(streams) = self.streams.filter(|_| wasi == WRITE) {
            takes_all(&mut code, streams);
            code.i32_const(hinted::UNAWAITED.trailing_zeros() as i32);
            code.i32_shl().i32_or();
        }
        code.call(self.call);
        match function {
            // It does not return.
            Imported::Wasi(function) if function.result.is_none() => {
                code.unreachable();
            }
            function => self.take_results(&mut code, function.results()),
        }
        code.end();
        stub
    }

    /// Makes results of what a call returned, which is the first slot of them, and of the slots behind it.
    fn take_results(&self, code: &mut InstructionSink<'_>, results: &[ValueType]) {
        let mut slot = 0;
        for ty in results {
            take(code, *ty, |code| {
                if slot > 0 {
                    self.ask(code, own::RESULT, |code| code.i64_const(slot));
                }
                slot += 1;
            });
        }
        if results.is_empty() {
            code.drop();
        }
    }

    fn start_body(
        &self,
        calls: &[u32],
        terms: Terms,
        receive: Option<u32>,
        standby: Option<u32>,
    ) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        if terms.spent_segments_stay {
            self.module.drop_spent_segments(&mut code);
        }
        self.ask(&mut code, own::BEGIN, |code| {
            self.module.total_bytes(code);
            code
        });
        code.drop();
        if let Some(receive) = receive {
            code.call(receive);
        }
        for function in calls {
            code.call(self.module.number(*function));
        }
        match standby {
            Some(standby) => {
                code.call(standby);
            }
            None => {
                self.ask(&mut code, own::END, |code| self.fuel_left(code));
                code.drop();
            }
        }
        code.end();
        function
    }

    /// The fuel that is left; 0 where none is counted.
    fn fuel_left<'b, 'c>(&self, code: &'c mut InstructionSink<'b>) -> &'c mut InstructionSink<'b> {
        match self.module.meter {
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
        for _ in 1..self.layout.arguments {
            code.i64_const(0);
        }
        no_hint(code).call(self.call);
    }
}

fn no_hint<'a, 'b>(code: &'a mut InstructionSink<'b>) -> &'a mut InstructionSink<'b> {
    code.i32_const(0).i32_const(0).i32_const(0)
}

#[cfg(test)]
mod tests {
    use wasmparser::{Validator, WasmFeatures};
    use wasmrun_core::RawFunction;

    use super::*;

    /// All there is, and neither a bound on the stack nor fuel.
    const TERMS: Terms = Terms {
        proposals: Proposals::ALL,
        first_memory_only: false,
        spent_segments_stay: false,
        most_pages: None,
        stack: None,
        fuel: false,
    };

    /// Everything that is counted, and segments dropped.
    const COUNTED: Terms = Terms {
        spent_segments_stay: true,
        most_pages: Some(65535),
        stack: Some(1 << 20),
        fuel: true,
        ..TERMS
    };

    fn rewritten(wat: &str, terms: Terms) -> Result<Vec<u8>> {
        let guest = Guest::from_bytes("guest.wasm", wat).expect("a guest");
        relayed(
            &guest,
            &HostFunctions::new(),
            Purpose::Run(Guest::DEFAULT_ENTRY),
            terms,
        )
        .map(|(wasm, _)| wasm)
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
             (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $stat (param i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
             (import "wasi_unstable" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
             (memory (export "memory") 1)
             (func (export "_start")
               (drop (call $stat (i32.const 1) (i32.const 16)))
               (drop (call $renumber (i32.const 2) (i32.const 1)))
               (drop (call $close (call $stat (i32.const 1) (i32.const 8))))))"#,
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
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 0 3) (memory $other 1) (memory $long i64 1)
             (data $d "abc")
             (func $sizes (result i32 i32) (memory.size) (memory.grow (i32.const 1)))
             (func (export "_start") (local v128)
               (call $sizes) (drop) (drop)
               (i64.store32 offset=3 (i32.const 4) (i64.load8_u (i32.const 5)))
               (i32.store $other (i32.const 4) (i32.load $other (i32.const 5)))
               (local.set 0 (v128.load8_lane 1 (i32.const 0) (local.get 0)))
               (drop (i32.atomic.rmw8.cmpxchg_u (i32.const 0) (i32.const 1) (i32.const 2)))
               (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))
               (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0))
               (memory.copy 0 0 (i32.const 0) (i32.const 0) (i32.const 0))
               (memory.copy $other 0 (i32.const 0) (i32.const 0) (i32.const 0))
               (memory.copy 0 $long (i32.const 0) (i64.const 0) (i32.const 0))
               (memory.copy $other $other (i32.const 0) (i32.const 0) (i32.const 0))))"#,
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

    /// A guest that exports its second memory as `memory` and its first as `other`, and imports a function for each.
    fn of_two_memories(wire: u32, pages: u32, terms: Terms) -> Result<Vec<u8>> {
        let text = format!(
            r#"(module
              (import "host" "on_memory" (func $on_memory (param i32 i32)))
              (import "host" "on_other" (func $on_other (param i32 i32) (result i32)))
              (memory (export "other") {pages}) (memory (export "memory") 1)
              (func (export "_start")
                (call $on_memory (i32.const 8) (i32.const 8))
                (drop (call $on_other (i32.const 8) (i32.const 8)))))"#
        );
        let guest = Guest::from_bytes("guest.wasm", text).expect("a guest");
        let signature = |results: &[ValueType]| FuncSignature {
            params: vec![ValueType::I32; 2],
            results: results.to_vec(),
        };
        let on_memory = RawFunction::new(signature(&[]), |_, _| Ok(())).reading(0);
        let on_other = RawFunction::new(signature(&[ValueType::I32]), |_, _| Ok(()));
        let host = HostFunctions::new()
            .function("host", "on_memory", on_memory)
            .function("host", "on_other", on_other.reading(0).on_memory("other"));
        let purpose = Purpose::Run(Guest::DEFAULT_ENTRY);
        let wasm = relayed(&guest, &host, purpose, terms)?.0;
        let parts = Guest::from_bytes("rewritten.wasm", wasm.clone()).expect("a module");
        let parts = Parts::of(&parts).expect("a module");
        assert_eq!(parts.exported_memory, Some(wire));
        assert_eq!(parts.memories.len(), 3);
        Ok(wasm)
    }

    #[test]
    fn calls_about_several_memories_go_through_one() {
        let first_only = Terms {
            first_memory_only: true,
            ..COUNTED
        };
        for (wire, terms) in [(1, TERMS), (1, COUNTED), (0, first_only)] {
            for pages in [0, 1] {
                validate(&of_two_memories(wire, pages, terms).expect("rewritten"));
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
                if let Ok((wasm, _)) = relayed(
                    &guest,
                    &HostFunctions::new(),
                    Purpose::Run(Guest::DEFAULT_ENTRY),
                    terms,
                ) {
                    Validator::new_with_features(WasmFeatures::all())
                        .validate_all(&wasm)
                        .unwrap_or_else(|error| panic!("{} {terms:?}: {error}", module.name));
                    rewritten += 1;
                }
            }
        }
        assert!(rewritten > 1000, "only {rewritten} were rewritten");
    }

    /// A guest of as many functions as engines take, which do nothing. The first is its entry, and a table has the
    /// first of them.
    fn most_functions(in_table: u32) -> Guest {
        use wasm_encoder::{
            CodeSection, ElementSection, Elements, FunctionSection, TableSection, TableType,
            TypeSection,
        };
        const FUNCTIONS: u32 = 1_000_000;
        let (mut types, mut functions, mut code) = (
            TypeSection::new(),
            FunctionSection::new(),
            CodeSection::new(),
        );
        types.ty().function([], []);
        let mut nothing = Function::new([]);
        nothing.instructions().end();
        for _ in 0..FUNCTIONS {
            functions.function(0);
            code.function(&nothing);
        }
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: wasm_encoder::RefType::FUNCREF,
            table64: false,
            minimum: in_table.into(),
            maximum: None,
            shared: false,
        });
        let mut exports = ExportSection::new();
        exports.export(Guest::DEFAULT_ENTRY, ExportKind::Func, 0);
        let mut elements = ElementSection::new();
        let listed: Vec<_> = (0..in_table).collect();
        let start = ConstExpr::i32_const(0);
        elements.active(None, &start, Elements::Functions(listed.into()));
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&tables);
        module.section(&exports).section(&elements).section(&code);
        Guest::from_bytes("guest.wasm", module.finish()).expect("a guest")
    }

    #[test]
    fn a_guest_of_as_many_functions_as_engines_take_gets_no_more() {
        let rewritten = |in_table| {
            let guest = most_functions(in_table);
            relayed(
                &guest,
                &HostFunctions::new(),
                Purpose::Run(Guest::DEFAULT_ENTRY),
                COUNTED,
            )
            .map(|(wasm, _)| wasm)
        };
        validate(&rewritten(7).expect("rewritten"));
        let error = rewritten(1_000_000).expect_err("all may be called");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("1000000"), "{error}");
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
