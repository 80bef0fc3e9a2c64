//! What is lowered here is held against wasmtime: its own types of WASI, and what it makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use wasmrun_backend_wasmi::WasmiEngine;
use wasmrun_core::guest::{FuncSignature, Import, ImportKind, ValueType};
use wasmrun_core::{
    Capability, Code, Compile, ComponentValue, Engine as CoreEngine, EngineInfo, ErrorKind, Guest,
    HostFunctions, HostInterface, Mount, Network, NetworkRules, Outcome, Program, Request,
    RunConfig, Stdin,
};
use wasmrun_flatten::Caller;
use wasmrun_testkit::particular;
use wasmtime::Engine;
use wasmtime::component::{Component, ComponentType, Linker};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types as filesystem;
use wasmtime_wasi::p2::bindings::io::streams::StreamError;
use wasmtime_wasi::p2::bindings::sockets::network::{
    self, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasmtime_wasi::p2::bindings::sockets::tcp::ShutdownType;
use wasmtime_wasi::p2::bindings::sockets::udp::{IncomingDatagram, OutgoingDatagram};

use super::call::Function;
use super::lift::Lift;
use super::list::ALL;
use super::lower::Lower;
use super::types::{Resource, Type};
use super::{check, find, functions};
use crate::{System, add_to_linker, flattened};

const DROP: &str = "[resource-drop]";

#[test]
fn every_function_of_the_world_of_commands_is_there_once() {
    let names: BTreeSet<_> = ALL
        .iter()
        .map(|function| (function.interface, function.name))
        .collect();
    assert_eq!(names.len(), ALL.len());
    let mut counts = BTreeMap::new();
    for (interface, _) in &names {
        let package = interface.split('/').next().expect("a package");
        *counts.entry(package).or_insert(0) += 1;
    }
    let expected = [
        ("wasi:cli", 13),
        ("wasi:clocks", 6),
        ("wasi:filesystem", 32),
        ("wasi:io", 23),
        ("wasi:random", 5),
        ("wasi:sockets", 58),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    let drops = ALL
        .iter()
        .filter(|function| function.name.starts_with(DROP));
    let dropped: BTreeSet<_> = drops
        .map(|function| (function.interface, &function.name[DROP.len()..]))
        .collect();
    let resources: BTreeSet<_> = Resource::ALL.map(Resource::name).into_iter().collect();
    assert_eq!(dropped, resources);
}

/// wasmtime-wasi's own agree with the WIT that they are made of, which their crate checks.
#[test]
fn types_are_as_large_as_wasmtime_has_them() {
    macro_rules! same {
        ($($way:ident $type:ty),* $(,)?) => {$({
            let ty = <$type as $way>::TYPE;
            let own = (ty.size() as usize, ty.align());
            assert_eq!(own, (<$type>::SIZE32, <$type>::ALIGN32), "{ty}");
            let most = ty.flat_count();
            assert_eq!(<$type>::ABI.flat_count(most), Some(most), "{ty}");
            assert_eq!(ty.flat().len(), most, "{ty}");
        })*};
    }
    same!(
        Lower StreamError, Lift Datetime, Lower Datetime,
        Lower filesystem::DescriptorType, Lift filesystem::DescriptorFlags, Lower filesystem::DescriptorFlags,
        Lift filesystem::PathFlags, Lift filesystem::OpenFlags, Lower filesystem::DescriptorStat,
        Lift filesystem::NewTimestamp, Lower filesystem::DirectoryEntry, Lower filesystem::ErrorCode,
        Lift filesystem::Advice, Lower filesystem::MetadataHashValue,
        Lower network::ErrorCode, Lift IpAddressFamily, Lower IpAddressFamily, Lower IpAddress,
        Lift Ipv4SocketAddress, Lower Ipv4SocketAddress, Lift Ipv6SocketAddress, Lower Ipv6SocketAddress,
        Lift IpSocketAddress, Lower IpSocketAddress, Lift ShutdownType,
        Lower IncomingDatagram, Lift OutgoingDatagram,
        Lower Option<IpAddress>, Lower (Vec<u8>, bool), Lower (u64, u64), Lower Option<filesystem::DirectoryEntry>,
        Lower Result<filesystem::DescriptorStat, filesystem::ErrorCode>, Lower Result<(), StreamError>,
        Lower Vec<(String, String)>, Lift Option<IpSocketAddress>, Lift Result<(), ()>,
    );
}

/// Writes a component that imports everything with the types that are known here, and lowers it to the core types that
/// are.
struct Writer {
    imports: String,
    lowered: String,
    core_imports: String,
    arguments: BTreeMap<String, String>,
    version: &'static str,
}

impl Writer {
    fn component(version: &'static str) -> String {
        let mut writer = Writer {
            imports: String::new(),
            lowered: String::new(),
            core_imports: String::new(),
            arguments: BTreeMap::new(),
            version,
        };
        // Whose resources others have come first.
        let mut interfaces: Vec<_> = Resource::ALL.iter().map(|of| of.name().0).collect();
        interfaces.extend(ALL.iter().map(|function| function.interface));
        let mut seen = BTreeSet::new();
        for interface in interfaces {
            if seen.insert(interface) {
                writer.interface(interface);
            }
        }
        let Writer {
            imports,
            lowered,
            core_imports,
            arguments,
            ..
        } = writer;
        let instances: String = arguments
            .iter()
            .map(|(name, exports)| format!("(with \"{name}\" (instance {exports}))\n"))
            .collect();
        format!(
            r#"(component $C {imports}
            (core module $libc (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
            (core instance $libc (instantiate $libc))
            (alias core export $libc "memory" (core memory $memory))
            (alias core export $libc "realloc" (core func $realloc))
            {lowered}
            (core module $main {core_imports})
            (core instance (instantiate $main {instances})))"#
        )
    }

    fn interface(&mut self, interface: &str) {
        let id = interface.replace([':', '/'], "-");
        let name = format!("{interface}@{}", self.version);
        let functions = ALL
            .iter()
            .filter(|function| function.interface == interface);
        let functions: Vec<_> = functions.collect();
        let mut body = String::new();
        let mut used = BTreeSet::new();
        for function in &functions {
            for ty in function.params.iter().chain([&function.result]) {
                resources(ty, &mut used);
            }
        }
        let own: Vec<_> = Resource::ALL
            .into_iter()
            .filter(|resource| resource.name().0 == interface)
            .collect();
        for resource in Resource::ALL {
            let (_, called) = resource.name();
            if own.contains(&resource) {
                let _ = writeln!(
                    body,
                    "(export \"{called}\" (type ${called} (sub resource)))"
                );
            } else if used.contains(called) {
                let _ = writeln!(body, "(alias outer $C ${called} (type ${called}))");
            }
        }
        let mut exports = String::new();
        for function in &functions {
            let core = self.core_type(function);
            let at = self.lowered.matches("(core func").count();
            let _ = write!(exports, "(export \"{}\" (func $f{at}))", function.name);
            let _ = writeln!(
                self.core_imports,
                "(import \"{name}\" \"{}\" (func {core}))",
                function.name
            );
            if let Some(resource) = function.name.strip_prefix(DROP) {
                let _ = writeln!(
                    self.lowered,
                    "(core func $f{at} (canon resource.drop ${resource}))"
                );
                continue;
            }
            let mut count = body.matches("(type $t").count();
            let mut params = String::new();
            for (place, ty) in function.params.iter().enumerate() {
                let ty = written(ty, &mut body, &mut count);
                let called = match place {
                    0 if function.name.starts_with("[method]") => "self".to_owned(),
                    place => format!("p{place}"),
                };
                let _ = write!(params, "(param \"{called}\" {ty})");
            }
            let result = match function.result {
                Type::Nothing => String::new(),
                ty => format!("(result {})", written(&ty, &mut body, &mut count)),
            };
            let _ = writeln!(
                body,
                "(export \"{}\" (func {params} {result}))",
                function.name
            );
            let _ = writeln!(
                self.lowered,
                "(core func $f{at} (canon lower (func ${id} \"{}\") (memory $memory) (realloc $realloc)))",
                function.name
            );
        }
        let _ = writeln!(self.imports, "(import \"{name}\" (instance ${id}\n{body}))");
        for resource in own {
            let (_, called) = resource.name();
            let _ = writeln!(
                self.imports,
                "(alias export ${id} \"{called}\" (type ${called}))"
            );
        }
        if !exports.is_empty() {
            self.arguments.insert(name, exports);
        }
    }

    /// Its core type by the canonical ABI: what is wanted of memory is not in it.
    fn core_type(&self, function: &Function) -> String {
        let FuncSignature {
            params,
            mut results,
        } = function.signature();
        if function.result.allocates() {
            assert_eq!(results, [ValueType::I64]);
            results.clear();
        }
        let list = |types: Vec<ValueType>| {
            let names: Vec<_> = types.into_iter().map(ValueType::as_str).collect();
            names.join(" ")
        };
        format!("(param {}) (result {})", list(params), list(results))
    }
}

fn resources(ty: &Type, used: &mut BTreeSet<&'static str>) {
    match ty {
        Type::Own(resource) | Type::Borrow(resource) => {
            used.insert(resource.name().1);
        }
        Type::List(of) | Type::Option(of) => resources(of, used),
        Type::Result((ok, err)) => {
            resources(ok, used);
            resources(err, used);
        }
        Type::Tuple(types) => types.iter().for_each(|ty| resources(ty, used)),
        Type::Record(members) | Type::Variant(members) => {
            members.iter().for_each(|(_, ty)| resources(ty, used));
        }
        _ => {}
    }
}

/// Defines a type, and gives back what it is called.
fn written(ty: &Type, body: &mut String, count: &mut usize) -> String {
    let quoted = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
        names.join(" ")
    };
    let (definition, is_named) = match ty {
        Type::Nothing => panic!("no value is of it"),
        Type::Bool | Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::String => {
            return ty.to_string();
        }
        Type::Own(resource) => (format!("(own ${})", resource.name().1), false),
        Type::Borrow(resource) => (format!("(borrow ${})", resource.name().1), false),
        Type::List(of) => (format!("(list {})", written(of, body, count)), false),
        Type::Option(of) => (format!("(option {})", written(of, body, count)), false),
        Type::Result((ok, err)) => {
            let mut text = "(result".to_owned();
            if *ok != Type::Nothing {
                let _ = write!(text, " {}", written(ok, body, count));
            }
            if *err != Type::Nothing {
                let _ = write!(text, " (error {})", written(err, body, count));
            }
            (text + ")", false)
        }
        Type::Tuple(types) => {
            let types: Vec<_> = types.iter().map(|ty| written(ty, body, count)).collect();
            (format!("(tuple {})", types.join(" ")), false)
        }
        Type::Record(fields) => {
            let fields = fields.iter();
            let fields: Vec<_> = fields
                .map(|(name, ty)| format!("(field {name:?} {})", written(ty, body, count)))
                .collect();
            (format!("(record {})", fields.join(" ")), true)
        }
        Type::Variant(cases) => {
            let cases = cases.iter().map(|(name, ty)| match ty {
                Type::Nothing => format!("(case {name:?})"),
                ty => format!("(case {name:?} {})", written(ty, body, count)),
            });
            (
                format!("(variant {})", cases.collect::<Vec<_>>().join(" ")),
                true,
            )
        }
        Type::Enum(names) => (format!("(enum {})", quoted(names)), true),
        Type::Flags(names) => (format!("(flags {})", quoted(names)), true),
    };
    *count += 1;
    let at = *count;
    let _ = writeln!(body, "(type $t{at} {definition})");
    if !is_named {
        return format!("$t{at}");
    }
    let _ = writeln!(body, "(export \"t{at}\" (type $n{at} (eq $t{at})))");
    format!("$n{at}")
}

/// The oracle is wasmtime's linker, with what wasmtime-wasi and we add to it, and its validator for core types.
#[test]
fn names_and_types_are_those_that_wasmtime_links() {
    for version in ["0.2.0", "0.2.12", "0.2.99"] {
        let text = Writer::component(version);
        let binary = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let engine = Engine::default();
        let component = Component::new(&engine, &binary).expect("it is valid");
        let mut linker = Linker::<System>::new(&engine);
        add_to_linker(&mut linker).expect("all is new");
        linker.instantiate_pre(&component).expect("it is linked");

        let guest = Guest::from_bytes("all.wasm", binary).expect("a component");
        check(&guest).expect("it is as it should be");
    }
}

#[test]
fn what_wasi_does_not_have_is_refused_by_name() {
    let error = "(import \"wasi:io/error@0.2.0\" (instance $error (export \"error\" (type (sub resource)))))
        (alias export $error \"error\" (type $error))";
    for (imports, told) in [
        (
            r#"(import "wasi:cli/exit@0.2.0" (instance (export "leave" (func))))"#.to_owned(),
            "wasi:cli/exit@0.2.0#leave, which WASI 0.2 does not have",
        ),
        (
            r#"(import "wasi:cli/exit@0.2.0" (instance (export "exit" (func (param "status" u8)))))"#.to_owned(),
            "exit as func(status: u8), and WASI 0.2 has it as func(result)",
        ),
        (
            r#"(import "wasi:random/random@0.2.0" (instance
                (export "get-random-u64" (func (result u32)))))"#
                .to_owned(),
            "as func() -> u32, and WASI 0.2 has it as func() -> u64",
        ),
        (
            r#"(import "wasi:clocks/wall-clock@0.2.0" (instance
                (type $d (record (field "nanoseconds" u32) (field "seconds" u64)))
                (export "datetime" (type $datetime (eq $d)))
                (export "now" (func (result $datetime)))))"#
                .to_owned(),
            "wasi:clocks/wall-clock@0.2.0#now as",
        ),
        (
            r#"(import "wasi:io/poll@0.2.0" (instance (export "pool" (type (sub resource)))))"#.to_owned(),
            "the resource pool of wasi:io/poll@0.2.0",
        ),
        // Of its own, and not of what has it.
        (
            r#"(import "wasi:io/streams@0.2.0" (instance (export "error" (type (sub resource)))))"#.to_owned(),
            "the resource error of wasi:io/streams@0.2.0",
        ),
        // Another one under the name.
        (
            format!(
                r#"{error} (import "wasi:io/poll@0.2.0" (instance
                    (alias outer 1 $error (type $e)) (export "pollable" (type (eq $e)))))"#
            ),
            "the resource pollable of wasi:io/poll@0.2.0",
        ),
        (
            format!(
                r#"{error} (import "wasi:io/poll@0.2.0" (instance
                    (export "pollable" (type $pollable (sub resource)))
                    (alias outer 1 $error (type $e))
                    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
                    (export "poll" (func (param "in" (list (borrow $e))) (result (list u32))))))"#
            ),
            "wasi:io/poll@0.2.0#poll as",
        ),
    ] {
        let guest = Guest::from_bytes("c.wat", format!("(component {imports})"));
        let error = check(&guest.expect("a component")).expect_err(&imports);
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(told), "{error}\n{imports}");
    }
}

#[test]
fn a_module_is_given_what_it_imports_with_its_core_type() {
    let module = |import: &str| Guest::from_bytes("m.wat", format!("(module {import})"));
    for import in [
        r#"(import "wasi:io/streams@0.2.3" "[method]input-stream.read" (func (param i32 i64 i32) (result i64)))"#,
        r#"(import "wasi:io/streams@0.2.3" "[resource-drop]input-stream" (func (param i32)))"#,
        r#"(import "wasi:random/random@0.2.0" "get-random-u64" (func (result i64)))
           (import "wasi:random/random@0.2.0" "get-random-u64" (func (result i64)))"#,
        r#"(import "wasi:filesystem/types@0.2.0" "[method]descriptor.set-times"
            (func (param i32 i32 i64 i32 i32 i64 i32 i32)))"#,
        r#"(import "[cabi]" "allocated" (func (param i32) (result i64)))"#,
        r#"(import "[cabi]" "exit-err" (func))"#,
        r#"(import "[cabi]" "trap" (func (param i32)))"#,
    ] {
        let module = module(import).expect("a module");
        let functions = functions(&module, &module, &HostFunctions::new());
        let functions = functions.expect("they are there");
        let first = module.imports().first().expect("an import");
        assert!(functions.of_import(first).is_some());
    }
    for import in [
        r#"(import "wasi:io/streams@0.2.3" "[method]input-stream.read" (func (param i32 i64 i32)))"#,
        r#"(import "wasi:io/streams@0.3.0" "[resource-drop]input-stream" (func (param i32)))"#,
        r#"(import "wasi:io/streams" "[resource-drop]input-stream" (func (param i32)))"#,
        r#"(import "wasi:io/streams@0.2.3" "read" (func (param i32 i64 i32)))"#,
        r#"(import "wasi:random/random@0.2.0" "get-random-u64" (global i64))"#,
        r#"(import "[cabi]" "realloc" (func))"#,
    ] {
        let module = module(import).expect("a module");
        let error = functions(&module, &module, &HostFunctions::new()).expect_err(import);
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

/// wasmi, which takes every component to be this module, flattened.
#[derive(Debug)]
struct Flattening {
    wasmi: WasmiEngine,
    module: Guest,
}

impl CoreEngine for Flattening {
    fn info(&self) -> &EngineInfo {
        self.wasmi.info()
    }

    fn capability(&self) -> Capability {
        flattened::capability(self.wasmi.capability())
    }

    fn compile(&self, compile: Compile<'_>) -> wasmrun_core::Result<Arc<dyn Code>> {
        let module = |compile: Compile<'_>| self.wasmi.compile(compile);
        flattened::compile_flattened(compile, &self.module, 1, module)
    }
}

/// What is called about handles: of a resource of the component's own, and of one of the host's, by two components.
const HANDLES: [(&str, &str); 16] = [
    ("[cabi]", "[resource-new]0"),
    ("[cabi]", "[resource-new]1|1"),
    ("[cabi]", "[resource-rep]0"),
    ("[cabi]", "[resource-drop]0"),
    ("[cabi]", "[resource-drop]1|1"),
    ("[cabi]", "[resource-take]0"),
    ("[cabi]", "[resource-lend]0"),
    ("[cabi]", "[resource-borrow]0|1"),
    ("[cabi]", "[resource-lend]0|1"),
    ("[cabi]", "enter-call"),
    ("[cabi]", "exit-call"),
    ("wasi:io/streams@0.2.0", "[resource-take]output-stream"),
    ("wasi:io/streams@0.2.0", "[resource-new]output-stream|1"),
    ("wasi:io/streams@0.2.0", "[resource-lend]output-stream"),
    ("wasi:io/streams@0.2.0", "[resource-borrow]output-stream|1"),
    ("wasi:io/streams@0.2.0", "[resource-drop]output-stream|1"),
];

/// A guest that calls functions as they come, with numbers that are handles and addresses as often as not.
fn any_guest(chance: &mut fastrand::Rng) -> String {
    let (mut imports, mut body) = (String::new(), String::new());
    let of_wasi = ALL.iter().map(|function| {
        let interface = format!("{}@0.2.0", function.interface);
        let allocates = function.result.allocates();
        (interface, function.name, function.signature(), allocates)
    });
    let of_handles = HANDLES.iter().map(|(module, name)| {
        let (base, caller) = Caller::of(name).expect("it is a name");
        let import = Import {
            module: (*module).to_owned(),
            name: (*name).to_owned(),
            kind: ImportKind::Function,
        };
        let (signature, _) = find(&import, base, caller).expect("it is there");
        (import.module, *name, signature, false)
    });
    let functions: Vec<_> = of_wasi.chain(of_handles).collect();
    for (at, (module, name, FuncSignature { params, results }, _)) in functions.iter().enumerate() {
        let list = |types: &[ValueType]| {
            let names: Vec<_> = types.iter().map(|ty| ty.as_str()).collect();
            names.join(" ")
        };
        let (params, results) = (list(params), list(results));
        let _ = writeln!(
            imports,
            "(import \"{module}\" \"{name}\" (func $f{at} (param {params}) (result {results})))",
        );
    }
    let likely = [
        "get-stdin",
        "get-stdout",
        "get-directories",
        "instance-network",
    ];
    let begin = likely.map(|name| ALL.iter().position(|function| function.name == name));
    let then: Vec<_> = (0..40)
        .map(|_| match chance.u8(..3) {
            0 => Some(chance.usize(ALL.len()..functions.len())),
            _ => Some(chance.usize(..ALL.len())),
        })
        .collect();
    for at in begin.into_iter().chain(then).flatten() {
        let (_, _, FuncSignature { params, results }, allocates) = &functions[at];
        let mut call = format!("(call $f{at}");
        for ty in params {
            let number = match chance.u8(..8) {
                0 => chance.i32(..),
                1 => -chance.i32(0..4),
                2..5 => chance.i32(0..2000) & !7,
                _ => chance.i32(0..6),
            };
            let _ = write!(call, " ({}.const {number})", ty.as_str());
        }
        call.push(')');
        let _ = match results[..] {
            [] => writeln!(body, "{call}"),
            [_] if *allocates => writeln!(body, "(call $make {call})"),
            _ => writeln!(body, "(drop {call})"),
        };
    }
    format!(
        r#"(module {imports}
            (import "[cabi]" "allocated" (func $allocated (param i32) (result i64)))
            (memory (export "memory") 2)
            (global $room (mut i32) (i32.const 4096))
            (func $make (param $wish i64)
                (loop $again
                    (if (i64.ge_s (local.get $wish) (i64.const 0)) (then
                        (local.set $wish (call $allocated (i32.and (global.get $room) (i32.const 0xfff8))))
                        (global.set $room (i32.add (global.get $room) (i32.const 72)))
                        (br $again)))))
            (func (export "_start") {body}))"#
    )
}

#[test]
fn whatever_a_guest_calls_it_ends_in_an_outcome() {
    let component = particular::component("(i32.const 0)");
    let component = Guest::from_bytes("app.wasm", component).expect("a component");
    let config = RunConfig::new()
        .stdin(Stdin::Bytes(b"input".to_vec()))
        .mount(Mount::memory("/m", 1 << 20))
        .network(Network::Rules(NetworkRules::new()))
        .limit(|limits| limits.timeout = Some(Duration::from_secs(5)));
    let mut chance = fastrand::Rng::with_seed(7);
    for _ in 0..300 {
        let text = any_guest(&mut chance);
        let engine = Flattening {
            wasmi: WasmiEngine::new().expect("it is built in"),
            module: Guest::from_bytes("any.wat", &*text).expect("a module"),
        };
        let program = Program::compile(Arc::new(engine), &component, &config);
        let report = program.and_then(|program| program.run(&config));
        report.unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    }
}

#[test]
fn types_that_are_met_are_laid_out_as_those_that_are_known() {
    let binary = wat::parse_str(Writer::component("0.2.0")).expect("it is well-formed");
    let guest = Guest::from_bytes("all.wasm", binary).expect("a component");
    let imports = guest.wasi_imports().expect("they are read");
    assert_eq!(imports.functions.len(), 123);
    for import in &imports.functions {
        let interface = import.interface.split('@').next().expect("a name");
        let function = super::list::find(interface, &import.name).expect("it is there");
        let met = import.signature.params.iter().map(|(_, ty)| ty);
        let met = met.chain(&import.signature.result);
        for (ty, known) in met.zip(function.params.iter().chain([&function.result])) {
            use super::dynamic::{align, allocates, flat_count, size};
            assert_eq!(
                (size(ty), align(ty), flat_count(ty), allocates(ty)),
                (
                    known.size(),
                    known.align(),
                    known.flat_count(),
                    known.allocates()
                ),
                "{ty}"
            );
        }
    }
}

#[test]
fn values_go_to_functions_of_the_callers_and_come_back() {
    use ComponentValue as V;

    let component = particular::component("(i32.const 0)").replacen(
        "(component",
        r#"(component (import "acme:test/echo@1.0.0" (instance
            (type $c' (variant (case "x") (case "y" string))) (export "c" (type $c (eq $c')))
            (type $d (list u16))
            (type $e' (flags "p" "q" "r")) (export "e" (type $e (eq $e')))
            (type $f (option char)) (type $g (tuple u8 s64)) (type $h (result f32 (error string)))
            (type $r' (record (field "a" s8) (field "b" float64) (field "c" $c) (field "d" $d) (field "e" $e)
                (field "f" $f) (field "g" $g) (field "h" $h) (field "i" s16) (field "j" bool)))
            (export "r" (type $r (eq $r')))
            (export "echo" (func (param "r" $r) (result $r)))
            (export "less" (func (param "n" s8) (result s8)))))"#,
        1,
    );
    let mut bytes = vec![0xfe, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(1.5_f64.to_le_bytes());
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<_>>()
    };
    bytes.extend(words(&[1, 200, 2, 208, 2, 0b101, 1, 0xe9, 7, 0]));
    bytes.extend((-1_i64).to_le_bytes());
    bytes.extend(words(&[1, 212, 1]));
    bytes.extend([0xd4, 0xfe, 1, 0]);
    let bytes: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let module = format!(
        r#"(module
            (import "acme:test/echo@1.0.0" "echo" (func $echo (param i32 i32) (result i64)))
            (import "acme:test/echo@1.0.0" "less" (func $less (param i32) (result i32)))
            (import "[cabi]" "allocated" (func $allocated (param i32) (result i64)))
            (memory (export "memory") 1)
            (data (i32.const 64) "{bytes}") (data (i32.const 200) "hi")
            (data (i32.const 208) "\01\00\ff\ffe")
            (func $make (param $wish i64) (local $room i32)
                (local.set $room (i32.const 4096))
                (loop $again
                    (if (i64.ge_s (local.get $wish) (i64.const 0)) (then
                        (local.set $wish (call $allocated (local.get $room)))
                        (local.set $room (i32.add (local.get $room) (i32.const 64)))
                        (br $again)))))
            (func (export "_start")
                (if (i32.ne (call $less (i32.const -1)) (i32.const -2)) (then unreachable))
                (call $make (call $echo (i32.const 64) (i32.const 512)))
                (call $make (call $echo (i32.const 512) (i32.const 1024)))))"#
    );
    let some = |value: V| Some(Box::new(value));
    let expected = V::Record(vec![
        ("a".into(), V::S8(-2)),
        ("b".into(), V::F64(1.5)),
        (
            "c".into(),
            V::Variant("y".into(), some(V::String("hi".into()))),
        ),
        ("d".into(), V::List(vec![V::U16(1), V::U16(65535)])),
        ("e".into(), V::Flags(vec!["p".into(), "r".into()])),
        ("f".into(), V::Option(some(V::Char('é')))),
        ("g".into(), V::Tuple(vec![V::U8(7), V::S64(-1)])),
        ("h".into(), V::Result(Err(some(V::String("e".into()))))),
        ("i".into(), V::S16(-300)),
        ("j".into(), V::Bool(true)),
    ]);
    let interface = HostInterface::new()
        .dynamic("echo", move |_, params| {
            assert_eq!(params, std::slice::from_ref(&expected));
            Ok(params.first().cloned())
        })
        .function("less", |_, (number,): (i8,)| number - 1);
    let host = HostFunctions::new().interface("acme:test/echo@1.0.0", interface);
    let engine = Flattening {
        wasmi: WasmiEngine::new().expect("it is built in"),
        module: Guest::from_bytes("echo.wat", module).expect("a module"),
    };
    let component = Guest::from_bytes("app.wat", component).expect("a component");
    let config = RunConfig::new();
    let program = Program::compile(Arc::new(engine), &component, Request::new(&config, &host));
    let report = program.and_then(|program| program.run(&config));
    assert_eq!(report.expect("it runs").outcome, Outcome::Exited(0));
}
