//! Components as instances that are called, and functions of the host for them, by the names of WIT.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wasmrun_core::{
    Attachments, Called, ComponentValue, Error, ErrorKind, Guest, HostFunctions, HostInterface,
    Instance, Outcome, Program, Request, Resource, RunConfig, Support, TrapKind, check,
};

use crate::case::{Case, captured};
use crate::guests::{self, MEMORY, hello, plain};
use crate::particular;

crate::suite::rules![
    values_of_every_type_go_both_ways,
    any_values_come_through_as_they_are,
    values_of_rust_go_both_ways,
    values_are_checked_before_a_call,
    functions_are_found_by_interface_and_name,
    a_compatible_version_of_an_interface_serves,
    what_the_host_lacks_is_refused_with_the_nearest,
    another_type_is_refused_with_both,
    what_no_host_could_offer_is_refused,
    types_alone_are_nobodys_to_have,
    a_command_calls_interfaces_too,
    a_command_is_called_like_any_function,
    state_and_events_reach_functions_of_interfaces,
    an_error_ends_the_guest_and_is_kept,
    a_result_of_another_type_ends_the_guest,
    an_exit_ends_the_guest,
    a_panic_is_an_error,
    what_is_awaited_is_waited_for_and_dropped_when_the_guest_is_to_end,
    functions_of_modules_are_not_those_of_components,
    a_trap_ends_the_instance_until_it_is_reset,
    fuel_and_time_are_for_each_call,
    memory_is_limited_for_the_instance,
    calls_have_the_stack_that_is_asked_for,
    what_a_call_takes_from_a_guest_is_bounded,
    resources_are_handles_that_are_used_up,
];

type V = ComponentValue;

fn component(fields: &str) -> Guest {
    let text = format!("(component {fields})");
    match Guest::from_bytes("component.wat", text) {
        Ok(guest) => guest,
        Err(error) => panic!("{error}"),
    }
}

/// A component that imports and exports `function`, of type `$function`, which comes after `types`. The export calls the
/// import, which takes so many values of these core types; what is returned is in memory.
fn through(import: (&str, &str), types: &str, core: &str) -> Guest {
    let (interface, function) = import;
    let places = core.split_whitespace().count();
    let get: String = (0..places)
        .map(|place| format!("(local.get {place})"))
        .collect();
    component(&format!(
        r#"{types} {MEMORY}
        (import "{interface}" (instance $host (export "{function}" (func (type $function)))))
        (core func $import (canon lower (func $host "{function}") (memory $memory) (realloc $realloc)))
        (core module $main
          (import "host" "import" (func $import (param {core} i32)))
          (func (export "export") (param {core}) (result i32)
            (call $import {get} (i32.const 1024)) (i32.const 1024)))
        (core instance $main (instantiate $main
          (with "host" (instance (export "import" (func $import))))))
        (func (export "{function}") (type $function)
          (canon lift (core func $main "export") (memory $memory) (realloc $realloc)))"#
    ))
}

fn compile(
    case: &Case,
    host: &HostFunctions,
    guest: &Guest,
    config: &RunConfig,
) -> Option<Program> {
    let request = Request::new(config, host).live();
    let has = case.engine().capability_for(guest);
    let lacks = |what| {
        has.iter()
            .any(|(name, has)| name == what && has == Support::Unsupported)
    };
    let refusals = check::refusals_of(&**case.engine(), guest, request);
    match Program::compile(case.engine().clone(), guest, request) {
        Ok(program) => Some(program),
        Err(error) if refusals.iter().any(|refusal| lacks(refusal.what)) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
            None
        }
        Err(error) => panic!("not compiled: {error:?}"),
    }
}

fn instance_with(
    case: &Case,
    host: &HostFunctions,
    guest: &Guest,
    config: &RunConfig,
    attachments: Attachments,
) -> Option<Instance> {
    let program = compile(case, host, guest, config)?;
    let instance = program.instantiate_with(config, attachments);
    Some(instance.expect("an instance"))
}

fn instance(case: &Case, host: &HostFunctions, guest: &Guest) -> Option<Instance> {
    instance_with(case, host, guest, &captured(), Attachments::new())
}

fn text(value: &str) -> V {
    V::String(value.to_owned())
}

fn held(value: V) -> Option<Box<V>> {
    Some(Box::new(value))
}

// ---- values ----------------------------------------------------------------------------------------

fn values_of_every_type_go_both_ways(case: &Case) {
    let guest = through(
        ("acme:test/echo@1.0.0", "echo"),
        r#"(type $record' (record (field "x" s32) (field "name" string)))
           (import "record" (type $record (eq $record')))
           (type $variant' (variant (case "none") (case "at" $record)))
           (import "variant" (type $variant (eq $variant')))
           (type $enum' (enum "east" "west"))
           (import "enum" (type $enum (eq $enum')))
           (type $flags' (flags "read" "write" "exec"))
           (import "flags" (type $flags (eq $flags')))
           (type $all (tuple bool s8 u8 s16 u16 s32 u32 s64 u64 f32 f64 char string (list u16) $record
             (list $variant) $enum (option (option u8)) (result) (result u8 (error string)) $flags))
           (type $function (func (param "all" $all) (result $all)))"#,
        "i32",
    );
    let record = || V::Record(vec![("x".into(), V::S32(-1)), ("name".into(), text("é"))]);
    let all = V::Tuple(vec![
        V::Bool(true),
        V::S8(-1),
        V::U8(255),
        V::S16(i16::MIN),
        V::U16(u16::MAX),
        V::S32(i32::MIN),
        V::U32(u32::MAX),
        V::S64(i64::MIN),
        V::U64(u64::MAX),
        V::F32(-0.5),
        V::F64(1e300),
        V::Char('\u{10ffff}'),
        text("hello"),
        V::List((0..100).map(V::U16).collect()),
        record(),
        V::List(vec![
            V::Variant("none".into(), None),
            V::Variant("at".into(), held(record())),
        ]),
        V::Enum("west".into()),
        V::Option(held(V::Option(None))),
        V::Result(Err(None)),
        V::Result(Err(held(text("no")))),
        V::Flags(vec!["read".into(), "exec".into()]),
    ]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = seen.clone();
    let echo = HostInterface::new().dynamic("echo", move |_, params| {
        sees.lock()
            .expect("nobody panicked")
            .extend(params.to_vec());
        Ok(params.first().cloned())
    });
    let host = HostFunctions::new().interface("acme:test/echo@1.0.0", echo);
    let Some(mut instance) = instance(case, &host, &guest) else {
        return;
    };
    for _ in 0..3 {
        let called = instance.call_component("echo", std::slice::from_ref(&all));
        assert_eq!(called.expect("a call"), Called::Returned(Some(all.clone())));
    }
    assert_eq!(*seen.lock().expect("nobody panicked"), vec![all; 3]);
}

/// A random type, in the text format, and a value of it.
fn any(random: &mut fastrand::Rng, levels: u32) -> (String, V) {
    let kinds = if levels == 0 { 5 } else { 9 };
    match random.u8(..kinds) {
        0 => ("bool".into(), V::Bool(random.bool())),
        1 => ("s16".into(), V::S16(random.i16(..))),
        2 => ("u64".into(), V::U64(random.u64(..))),
        3 => ("f64".into(), V::F64(random.f64())),
        4 => {
            let letters = (0..random.usize(..20)).map(|_| random.char(..));
            ("string".into(), V::String(letters.collect()))
        }
        5 => {
            // All of one type: that of the first, so as many times that value.
            let (ty, value) = any(random, levels - 1);
            let values = vec![value; random.usize(..5)];
            (format!("(list {ty})"), V::List(values))
        }
        6 => {
            let parts = (0..random.usize(1..5)).map(|_| any(random, levels - 1));
            let (types, values): (Vec<_>, Vec<_>) = parts.unzip();
            (format!("(tuple {})", types.join(" ")), V::Tuple(values))
        }
        7 => {
            let (ty, value) = any(random, levels - 1);
            let value = random.bool().then(|| Box::new(value));
            (format!("(option {ty})"), V::Option(value))
        }
        _ => {
            let (ok, fine) = any(random, levels - 1);
            let (err, wrong) = any(random, levels - 1);
            let value = match random.u8(..3) {
                0 => V::Result(Ok(held(fine))),
                _ => V::Result(Err(held(wrong))),
            };
            (format!("(result {ok} (error {err}))"), value)
        }
    }
}

fn any_values_come_through_as_they_are(case: &Case) {
    let mut random = fastrand::Rng::with_seed(20_261_129);
    let echo = || HostInterface::new().dynamic("echo", |_, params| Ok(params.first().cloned()));
    let host = HostFunctions::new().interface("acme:test/echo@1.0.0", echo());
    for number in 0..40 {
        // So many parts that they are in memory, whatever comes with them.
        let few = ["u8"; 17].join(" ");
        let (ty, value) = any(&mut random, 4);
        let guest = through(
            ("acme:test/echo@1.0.0", "echo"),
            &format!(
                r#"(type $all (tuple {few} {ty}))
                   (type $function (func (param "all" $all) (result $all)))"#
            ),
            "i32",
        );
        let Some(mut instance) = instance(case, &host, &guest) else {
            return;
        };
        let parts = (0..17).map(V::U8).chain([value]);
        let all = V::Tuple(parts.collect());
        let called = instance.call_component("echo", std::slice::from_ref(&all));
        let expected = Called::Returned(Some(all));
        assert_eq!(called.expect("a call"), expected, "number {number}: {ty}");
    }
}

/// `join: func(parts: list<string>, with: option<char>) -> result<string, u32>`
fn joins(interface: &str) -> Guest {
    through(
        (interface, "join"),
        r#"(type $function (func (param "parts" (list string)) (param "with" (option char))
             (result (result string (error u32)))))"#,
        "i32 i32 i32 i32",
    )
}

const JOINS: &str = "acme:test/text@1.0.0";

fn join(
    _: &mut wasmrun_core::HostCall<'_>,
    (parts, with): (Vec<String>, Option<char>),
) -> Result<String, u32> {
    let with = with.map(String::from).unwrap_or_default();
    match parts.as_slice() {
        [] => Err(7),
        parts => Ok(parts.join(&with)),
    }
}

fn joining(name: &str) -> HostFunctions {
    HostFunctions::new().interface(name, HostInterface::new().function("join", join))
}

fn values_of_rust_go_both_ways(case: &Case) {
    let Some(mut instance) = instance(case, &joining(JOINS), &joins(JOINS)) else {
        return;
    };
    let mut call = |parts: &[&str], with: Option<char>| {
        let parts: Vec<_> = parts.iter().map(|part| (*part).to_owned()).collect();
        let called = instance.call_component_as::<_, Result<String, u32>>("join", (parts, with));
        called.expect("a call").returned().expect("it returns")
    };
    assert_eq!(call(&["a", "ß", ""], Some('–')), Ok("a–ß–".to_owned()));
    assert_eq!(call(&["a", "b"], None), Ok("ab".to_owned()));
    assert_eq!(call(&[], None), Err(7_u32));
    let called = instance.call_component_as::<_, String>("join", (1_u8,));
    let error = called.expect_err("of another type");
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(
        error
            .message()
            .ends_with("is asked for as func(u8) -> string"),
        "{error}"
    );
}

fn values_are_checked_before_a_call(case: &Case) {
    let Some(mut instance) = instance(case, &joining(JOINS), &joins(JOINS)) else {
        return;
    };
    let is = "the guest's join is func(parts: list<string>, with: option<char>) -> \
              result<string, u32>: ";
    for (params, why) in [
        (vec![], "it takes 2 values, and 0 are given"),
        (
            vec![V::List(vec![text("a"), V::U8(1)]), V::Option(None)],
            "parts[1] is a u8, where string is expected",
        ),
        (
            vec![V::List(vec![]), V::Option(held(text("x")))],
            "with.some is a string, where char is expected",
        ),
    ] {
        let error = instance.call_component("join", &params).expect_err(why);
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert_eq!(error.engine(), Some(case.name()));
        assert_eq!(error.message(), format!("{is}{why}"));
    }
    // Nothing has happened.
    let params = [V::List(vec![text("a")]), V::Option(None)];
    let called = instance.call_component("join", &params).expect("a call");
    assert_eq!(
        called,
        Called::Returned(Some(V::Result(Ok(held(text("a"))))))
    );
}

// ---- names -----------------------------------------------------------------------------------------

/// Numbers from functions of two interfaces, and of the component itself.
fn numbers() -> Guest {
    component(
        r#"(core module $m
             (global $count (mut i32) (i32.const 0))
             (func (export "one") (result i32) (i32.const 1))
             (func (export "two") (result i32) (i32.const 2))
             (func (export "next") (result i32)
               (global.set $count (i32.add (global.get $count) (i32.const 1)))
               (global.get $count))
             (memory (export "memory") 1)
             (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
             (func (export "trap") unreachable)
             (func (export "spin") (loop (br 0))))
           (core instance $i (instantiate $m))
           (func $one (result u32) (canon lift (core func $i "one")))
           (func $two (result u32) (canon lift (core func $i "two")))
           (instance $a (export "number" (func $one)) (export "only-a" (func $one)))
           (instance $b (export "number" (func $two)))
           (export "acme:test/a@1.2.0" (instance $a))
           (export "acme:test/b" (instance $b))
           (func (export "next") (result u32) (canon lift (core func $i "next")))
           (func (export "grow") (param "pages" u32) (result s32) (canon lift (core func $i "grow")))
           (func (export "trap") (canon lift (core func $i "trap")))
           (func (export "spin") (canon lift (core func $i "spin")))"#,
    )
}

fn number(instance: &mut Instance, name: &str) -> u32 {
    let called = instance.call_component_as(name, ()).expect("a call");
    called.returned().expect("it returns")
}

fn functions_are_found_by_interface_and_name(case: &Case) {
    let Some(mut instance) = instance(case, &HostFunctions::new(), &numbers()) else {
        return;
    };
    for (name, is) in [
        ("acme:test/a@1.2.0#number", 1),
        ("acme:test/a@1.0.0#number", 1),
        ("acme:test/b#number", 2),
        ("only-a", 1),
        ("next", 1),
        ("next", 2),
    ] {
        assert_eq!(number(&mut instance, name), is, "{name}");
    }
    for (name, why) in [
        ("nxt", "exports no function nxt: was next meant?"),
        ("acme:test/b#numbr", "was acme:test/b#number meant?"),
        (
            "acme:test/a@2.0.0#number",
            "was acme:test/a@1.2.0#number meant?",
        ),
        (
            "number",
            "number more than once: say which of acme:test/a@1.2.0#number, acme:test/b#number",
        ),
        (
            "frobnicate",
            "it exports acme:test/a@1.2.0#number, acme:test/a@1.2.0#only-a",
        ),
    ] {
        let error = instance
            .call_component(name, &[])
            .expect_err("no such function");
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.message().contains(why), "{error}");
    }
}

fn a_compatible_version_of_an_interface_serves(case: &Case) {
    let serves = |host: &HostFunctions, wanted: &str| {
        let config = captured();
        let guest = joins(wanted);
        let request = Request::new(&config, host).live();
        let refusals = check::refusals_of(&**case.engine(), &guest, request);
        let serves = !refusals.iter().any(|refusal| refusal.what == "imports");
        if serves && let Some(mut instance) = instance(case, host, &guest) {
            let params = (vec!["a".to_owned()], None::<char>);
            let called = instance.call_component_as("join", params).expect("a call");
            assert_eq!(called, Called::Returned(Ok::<_, u32>("a".to_owned())));
        }
        serves
    };
    for (has, wanted, expected) in [
        ("1.0.1", "1.0.0", true),
        ("1.2.3", "1.9.0", true),
        ("0.2.1", "0.2.0", true),
        ("2.0.0", "1.0.0", false),
        ("0.2.0", "0.3.0", false),
        ("1.0.0-rc.1", "1.0.0", false),
    ] {
        let host = joining(&format!("acme:test/text@{has}"));
        let served = serves(&host, &format!("acme:test/text@{wanted}"));
        let lacks = !case.can("components");
        assert!(served == expected || lacks, "{has} {wanted}");
    }
    let newest =
        joining("acme:test/text@1.10.0").interface("acme:test/text@1.9.0", HostInterface::new());
    assert!(serves(&newest, "acme:test/text@1.0.0") || !case.can("components"));
}

// ---- what is refused -------------------------------------------------------------------------------

/// That this guest is refused with these words, unless the engine lacks what comes before.
fn is_refused(case: &Case, host: &HostFunctions, guest: &Guest, words: &str) {
    let config = captured();
    let request = Request::new(&config, host).live();
    let refusals = check::refusals_of(&**case.engine(), guest, request);
    let error = Program::compile(case.engine().clone(), guest, request).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(
        !case.can("components")
            || refusals
                .iter()
                .any(|refusal| refusal.reason.contains(words)),
        "{refusals:?}"
    );
}

fn what_the_host_lacks_is_refused_with_the_nearest(case: &Case) {
    let guest = joins(JOINS);
    is_refused(
        case,
        &joining("acme:test/txt@1.0.0"),
        &guest,
        "imports acme:test/text@1.0.0, which the host does not have: was acme:test/txt@1.0.0 meant?",
    );
    let other = |name: &str| {
        let interface = HostInterface::new().function(name, join);
        HostFunctions::new().interface(JOINS, interface)
    };
    is_refused(
        case,
        &other("jon"),
        &guest,
        "imports acme:test/text@1.0.0#join, which the host does not have: was jon meant?",
    );
    is_refused(
        case,
        &other("frobnicate"),
        &guest,
        "acme:test/text@1.0.0#join, which the host does not have; of that interface it has frobnicate",
    );
    is_refused(
        case,
        &HostFunctions::new(),
        &guest,
        "imports acme:test/text@1.0.0, which is not part of WASI",
    );
    let world = component(r#"(import "log" (func (param "line" string)))"#);
    let log = HostInterface::new().function("lgo", |_, (_,): (String,)| ());
    is_refused(
        case,
        &HostFunctions::new().world(log),
        &world,
        "imports log, which the host does not have: was lgo meant?",
    );
}

fn another_type_is_refused_with_both(case: &Case) {
    let interface = HostInterface::new().function("join", |_, (_,): (u8,)| 1_u64);
    is_refused(
        case,
        &HostFunctions::new().interface(JOINS, interface),
        &joins(JOINS),
        "imports acme:test/text@1.0.0#join as func(parts: list<string>, with: option<char>) -> \
         result<string, u32>, and the host has it as func(u8) -> u64",
    );
}

fn what_no_host_could_offer_is_refused(case: &Case) {
    let files = || HostInterface::new().dynamic("open", |_, _| Ok(None));
    let guest = component(
        r#"(import "acme:test/files" (instance
             (export "file" (type $file (sub resource)))
             (export "open" (func (result (own $file))))))"#,
    );
    let host = HostFunctions::new().interface("acme:test/files", files());
    is_refused(
        case,
        &host,
        &guest,
        "imports the resource file of acme:test/files",
    );
    let twice = || joining(JOINS).interface(JOINS, files());
    is_refused(
        case,
        &twice(),
        &joins(JOINS),
        "defines the interface acme:test/text@1.0.0 twice",
    );
    let twice = HostInterface::new()
        .function("join", join)
        .function("join", join);
    let host = HostFunctions::new().interface(JOINS, twice);
    is_refused(
        case,
        &host,
        &joins(JOINS),
        "defines acme:test/text@1.0.0#join twice",
    );
    let host = joining(JOINS).interface("wasi:cli/environment@0.2.0", files());
    is_refused(
        case,
        &host,
        &joins(JOINS),
        "wasi:cli/environment@0.2.0, which is WASI's own",
    );
}

fn types_alone_are_nobodys_to_have(case: &Case) {
    let guest = component(
        r#"(import "acme:test/types@1.0.0" (instance $types
             (type $color' (enum "red" "green"))
             (export "color" (type $color (eq $color')))))
           (alias export $types "color" (type $color))
           (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
           (core instance $i (instantiate $m))
           (func (export "same") (param "it" $color) (result $color) (canon lift (core func $i "f")))"#,
    );
    if let Some(mut instance) = instance(case, &HostFunctions::new(), &guest) {
        let green = V::Enum("green".into());
        let called = instance.call_component("same", std::slice::from_ref(&green));
        assert_eq!(called.expect("a call"), Called::Returned(Some(green)));
    }
}

// ---- functions of the host -------------------------------------------------------------------------

/// A guest that calls `go: func(number: u32) -> u32` of the world by an export of that name.
fn going() -> Guest {
    component(
        r#"(import "go" (func $go (param "number" u32) (result u32)))
           (core func $go (canon lower (func $go)))
           (core module $m
             (import "host" "go" (func $go (param i32) (result i32)))
             (func (export "go") (param i32) (result i32) (call $go (local.get 0))))
           (core instance $i (instantiate $m (with "host" (instance (export "go" (func $go))))))
           (func (export "go") (param "number" u32) (result u32) (canon lift (core func $i "go")))"#,
    )
}

fn go(instance: &mut Instance) -> wasmrun_core::Result<Called<u32>> {
    instance.call_component_as("go", (20_u32,))
}

fn a_command_calls_interfaces_too(case: &Case) {
    let run = particular::component("(call $exit (i32.const 3)) (i32.const 0)");
    let run = run.replacen(
        "(component",
        r#"(component
             (import "acme:test/end@1.0.0" (instance $end (export "exit" (func (param "code" s32)))))
             (core func $exit (canon lower (func $end "exit")))"#,
        1,
    );
    let run = run.replacen(
        "(core module $m",
        r#"(core module $m (import "end" "exit" (func $exit (param i32)))"#,
        1,
    );
    let with = r#"(instantiate $m (with "end" (instance (export "exit" (func $exit)))))"#;
    let guest = Guest::from_bytes("run.wat", run.replacen("(instantiate $m)", with, 1));
    let guest = guest.expect("a component");
    let interface = HostInterface::new().function("exit", |call, (code,): (i32,)| call.exit(code));
    let host = HostFunctions::new().interface("acme:test/end@1.0.1", interface);
    if let Some(program) = compile(case, &host, &guest, &captured()) {
        let report = case.ran(program.run(&captured()));
        assert_eq!(report.outcome, Outcome::Exited(3));
    }
}

fn a_command_is_called_like_any_function(case: &Case) {
    let Some(mut instance) = instance(case, &HostFunctions::new(), &guests::component(&hello()))
    else {
        return;
    };
    let called = instance.call_component("run", &[]).expect("a call");
    assert_eq!(called, Called::Returned(Some(V::Result(Ok(None)))));
    assert_eq!(instance.take_stdout().bytes, b"hello\n");
    let report = case.ran(instance.program().run(&captured()));
    assert_eq!(report.stdout.bytes, b"hello\n");
}

fn state_and_events_reach_functions_of_interfaces(case: &Case) {
    let world = HostInterface::new().function("go", |call, (number,): (u32,)| {
        let state = call.state::<u32>()?;
        *state += number;
        let sum = *state;
        call.emit(sum);
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(sum)
    });
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let attachments = Attachments::new().state(1_u32).listener(move |sum: u32| {
        hears.lock().expect("nobody panicked").push(sum);
    });
    let host = HostFunctions::new().world(world);
    let Some(mut instance) = instance_with(case, &host, &going(), &captured(), attachments) else {
        return;
    };
    for sum in [21, 41] {
        assert_eq!(go(&mut instance).expect("a call"), Called::Returned(sum));
    }
    assert_eq!(*heard.lock().expect("nobody panicked"), [21, 41]);
}

#[derive(Debug, PartialEq)]
struct Broken(u32);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken {}", self.0)
    }
}

impl std::error::Error for Broken {}

/// How a guest ends whose function of the host is this.
fn ended_by(case: &Case, world: HostInterface) -> Option<wasmrun_core::Result<Outcome>> {
    let mut instance = instance(case, &HostFunctions::new().world(world), &going())?;
    let called = go(&mut instance);
    let again = go(&mut instance).expect_err("it has ended");
    assert_eq!(again.kind(), ErrorKind::Ended, "{again:?}");
    Some(called.map(|called| called.returned().expect_err("it does not return")))
}

fn host_failed(outcome: wasmrun_core::Result<Outcome>, words: &str) -> wasmrun_core::Trap {
    match outcome {
        Ok(Outcome::Trapped(trap)) => {
            assert_eq!(trap.kind, TrapKind::HostFunction);
            assert!(trap.message.contains(words), "{trap:?}");
            trap
        }
        other => panic!("{other:?}"),
    }
}

fn an_error_ends_the_guest_and_is_kept(case: &Case) {
    let world = HostInterface::new().function("go", |_, (number,): (u32,)| {
        Err::<u32, _>(Box::<dyn std::error::Error + Send + Sync>::from(Broken(
            number,
        )))
    });
    if let Some(ended) = ended_by(case, world) {
        let trap = host_failed(ended, "go failed");
        let source = trap
            .source()
            .and_then(|error| error.downcast_ref::<Broken>());
        assert_eq!(source, Some(&Broken(20)));
    }
}

fn a_result_of_another_type_ends_the_guest(case: &Case) {
    for (result, words) in [
        (None, "its result is nothing, where u32 is expected"),
        (
            Some(V::S32(1)),
            "its result is an s32, where u32 is expected",
        ),
    ] {
        let world = HostInterface::new().dynamic("go", move |_, _| Ok(result.clone()));
        if let Some(ended) = ended_by(case, world) {
            host_failed(ended, words);
        }
    }
}

fn an_exit_ends_the_guest(case: &Case) {
    let world = HostInterface::new().function("go", |call, (number,): (u32,)| {
        call.exit(77);
        number
    });
    if let Some(ended) = ended_by(case, world) {
        assert_eq!(ended.expect("it was observed"), Outcome::Exited(77));
    }
}

fn a_panic_is_an_error(case: &Case) {
    let world = HostInterface::new().function("go", |_, (_,): (u32,)| -> u32 { panic!("oh no") });
    if let Some(ended) = ended_by(case, world) {
        let error: Error = ended.expect_err("a panic");
        assert_eq!(error.kind(), ErrorKind::Host, "{error:?}");
        assert!(error.message().contains("go panicked: oh no"), "{error}");
    }
}

fn what_is_awaited_is_waited_for_and_dropped_when_the_guest_is_to_end(case: &Case) {
    let world = |waits: bool| {
        HostInterface::new().function_async("go", async move |_, (number,): (u32,)| match waits {
            true => std::future::pending().await,
            false => number + std::future::ready(1).await,
        })
    };
    let config = captured().limit(|limits| limits.timeout = Some(Duration::from_millis(200)));
    for (waits, expected) in [
        (false, Called::Returned(21)),
        (true, Called::Ended(Outcome::TimedOut)),
    ] {
        let host = HostFunctions::new().world(world(waits));
        let made = instance_with(case, &host, &going(), &config, Attachments::new());
        if let Some(mut instance) = made {
            assert_eq!(go(&mut instance).expect("a call"), expected);
        }
    }
}

fn functions_of_modules_are_not_those_of_components(case: &Case) {
    let Some(mut instance) = instance(case, &HostFunctions::new(), &numbers()) else {
        return;
    };
    let error = instance.call("next", &[]).expect_err("it is a component");
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(
        error.message().contains("Instance::call_component"),
        "{error}"
    );
    assert!(instance.memory("memory").is_err());
    let guest = plain(r#"(func (export "next") (result i32) (i32.const 1))"#);
    let config = captured();
    let request = Request::from(&config).live();
    if let Ok(program) = Program::compile(case.engine().clone(), &guest, request) {
        let mut instance = program.instantiate(&config).expect("an instance");
        let error = instance
            .call_component("next", &[])
            .expect_err("it is a module");
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    }
}

// ---- limits and ends -------------------------------------------------------------------------------

fn ended(instance: &mut Instance, name: &str) -> Outcome {
    let called = instance.call_component(name, &[]).expect("a call");
    called.returned().expect_err("it does not return")
}

fn a_trap_ends_the_instance_until_it_is_reset(case: &Case) {
    let Some(mut instance) = instance(case, &HostFunctions::new(), &numbers()) else {
        return;
    };
    for _ in 0..2 {
        assert_eq!(number(&mut instance, "next"), 1);
        assert_eq!(number(&mut instance, "next"), 2);
        match ended(&mut instance, "trap") {
            Outcome::Trapped(trap) => assert_eq!(trap.kind, TrapKind::Unreachable),
            other => panic!("{other}"),
        }
        let error = instance
            .call_component("next", &[])
            .expect_err("it has ended");
        assert_eq!(error.kind(), ErrorKind::Ended);
        instance.reset().expect("begins again");
    }
}

fn fuel_and_time_are_for_each_call(case: &Case) {
    let fuel = captured().limit(|limits| limits.fuel = Some(100_000));
    let time = captured().limit(|limits| limits.timeout = Some(Duration::from_millis(200)));
    for (config, outcome) in [(fuel, Outcome::OutOfFuel), (time, Outcome::TimedOut)] {
        let (host, attachments) = (HostFunctions::new(), Attachments::new());
        let made = instance_with(case, &host, &numbers(), &config, attachments);
        let Some(mut instance) = made else {
            return;
        };
        for count in 1..=100 {
            assert_eq!(number(&mut instance, "next"), count);
        }
        assert_eq!(ended(&mut instance, "spin"), outcome);
        if config.limits.fuel.is_some() {
            instance.reset().expect("begins again");
            assert_eq!(number(&mut instance, "next"), 1);
            assert!(instance.stats().fuel_used.is_some_and(|used| used < 1000));
        }
    }
}

fn memory_is_limited_for_the_instance(case: &Case) {
    let config = captured().limit(|limits| limits.memory = Some(4 << 16));
    let (host, attachments) = (HostFunctions::new(), Attachments::new());
    let made = instance_with(case, &host, &numbers(), &config, attachments);
    let Some(mut instance) = made else {
        return;
    };
    for (pages, before) in [(2_u32, 1_i32), (2, -1), (1, 3), (1, -1)] {
        let called = instance
            .call_component_as("grow", (pages,))
            .expect("a call");
        assert_eq!(called, Called::Returned(before));
    }
}

fn calls_have_the_stack_that_is_asked_for(case: &Case) {
    let config = captured().limit(|limits| limits.stack = Some(1 << 20));
    let (host, attachments) = (HostFunctions::new(), Attachments::new());
    let made = instance_with(case, &host, &numbers(), &config, attachments);
    if let Some(mut instance) = made {
        for count in 1..4 {
            assert_eq!(number(&mut instance, "next"), count);
        }
    }
}

/// Lists of lists that are all the same bytes of the guest are many of the host's.
fn what_a_call_takes_from_a_guest_is_bounded(case: &Case) {
    let guest = component(
        r#"(core module $m
             (memory (export "memory") 16)
             (func (export "lists") (param $count i32) (param $each i32) (result i32)
               (local $at i32)
               (i32.store (i32.const 0) (i32.const 8))
               (i32.store (i32.const 4) (local.get $count))
               (loop $again
                 (if (i32.lt_u (local.get $at) (local.get $count)) (then
                   (i32.store offset=12 (i32.mul (local.get $at) (i32.const 8)) (local.get $each))
                   (local.set $at (i32.add (local.get $at) (i32.const 1)))
                   (br $again))))
               (i32.const 0)))
           (core instance $i (instantiate $m))
           (alias core export $i "memory" (core memory $memory))
           (func (export "lists") (param "count" u32) (param "each" u32) (result (list (list u8)))
             (canon lift (core func $i "lists") (memory $memory)))"#,
    );
    let Some(mut instance) = instance(case, &HostFunctions::new(), &guest) else {
        return;
    };
    let mut call = |count: u32, each: u32| {
        let called = instance.call_component_as::<_, Vec<Vec<u8>>>("lists", (count, each));
        called.expect("a call").returned()
    };
    assert_eq!(call(2, 1).map(|lists| lists.len()), Ok(2));
    assert_eq!(
        call(10, 100_000).map(|lists| lists.concat().len()),
        Ok(1_000_000)
    );
    match call(10_000, 500_000) {
        Err(Outcome::Trapped(_)) => {}
        other => panic!("{:?}", other.map(|lists| lists.len())),
    }
}

// ---- resources -------------------------------------------------------------------------------------

fn resources_are_handles_that_are_used_up(case: &Case) {
    let guest = component(
        r#"(core module $memory
             (global $dropped (mut i32) (i32.const 0))
             (func (export "dtor") (param i32) (global.set $dropped (local.get 0)))
             (func (export "dropped") (result i32) (global.get $dropped)))
           (core instance $dtor (instantiate $memory))
           (type $counter' (resource (rep i32) (dtor (func $dtor "dtor"))))
           (core func $new (canon resource.new $counter'))
           (core func $rep (canon resource.rep $counter'))
           (core func $drop (canon resource.drop $counter'))
           (core module $m
             (import "r" "new" (func $new (param i32) (result i32)))
             (import "r" "rep" (func $rep (param i32) (result i32)))
             (import "r" "drop" (func $drop (param i32)))
             (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
             (func (export "look") (param i32) (result i32) (local.get 0))
             (func (export "eat") (param i32) (result i32)
               (call $rep (local.get 0)) (call $drop (local.get 0))))
           (core instance $i (instantiate $m (with "r" (instance
             (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
           (export $counter "counter" (type $counter'))
           (func (export "make") (param "start" u32) (result (own $counter))
             (canon lift (core func $i "make")))
           (func (export "look") (param "it" (borrow $counter)) (result u32)
             (canon lift (core func $i "look")))
           (func (export "eat") (param "it" (own $counter)) (result u32)
             (canon lift (core func $i "eat")))
           (func (export "dropped") (result u32) (canon lift (core func $dtor "dropped")))"#,
    );
    let Some(mut one) = instance(case, &HostFunctions::new(), &guest) else {
        return;
    };
    fn make(instance: &mut Instance, start: u32) -> Resource {
        let called = instance.call_component("make", &[V::U32(start)]);
        match called.expect("a call") {
            Called::Returned(Some(V::Resource(resource))) => resource,
            other => panic!("{other:?}"),
        }
    }
    fn give(instance: &mut Instance, to: &str, it: &Resource) -> wasmrun_core::Result<u32> {
        let called = instance.call_component(to, &[V::Resource(it.clone())])?;
        match called {
            Called::Returned(Some(V::U32(number))) => Ok(number),
            other => panic!("{other:?}"),
        }
    }
    let (seven, eight, nine) = (make(&mut one, 7), make(&mut one, 8), make(&mut one, 9));
    assert_eq!(seven.ty().name(), "counter");
    // A handle that is lent stays good.
    assert_eq!(give(&mut one, "look", &seven).expect("there"), 7);
    assert_eq!(give(&mut one, "look", &seven).expect("there"), 7);
    // One that is passed on does not.
    assert_eq!(give(&mut one, "eat", &eight).expect("there"), 8);
    assert_eq!(number(&mut one, "dropped"), 8);
    let mut two = one.program().instantiate(&captured()).expect("another");
    for (instance, it) in [(&mut one, &eight), (&mut two, &seven)] {
        let error = give(instance, "look", it).expect_err("it is not there");
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(
            error.message().contains("a handle of the resource counter"),
            "{error}"
        );
    }
    let dropped = one.drop_resource(nine.clone()).expect("it is there");
    assert_eq!(dropped, Called::Returned(()));
    assert_eq!(number(&mut one, "dropped"), 9);
    assert!(one.drop_resource(nine).is_err());
    // The instance has gone on all the while.
    assert_eq!(give(&mut one, "eat", &seven).expect("there"), 7);
}
