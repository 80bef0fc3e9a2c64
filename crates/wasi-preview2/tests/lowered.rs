//! Modules as components are flattened to, on an interpreter: what they are given, what they may do with it, and how they
//! end.

use std::sync::Arc;
use std::time::Duration;

use wasmrun_backend_wasmi::WasmiEngine;
use wasmrun_core::{
    Access, Capability, Clock, Code, Compile, Engine, EngineInfo, Guest, Mount, Outcome, Program,
    Random, Report, Result, RunConfig, Stdin, Stdout, Trap, TrapKind,
};
use wasmrun_testkit::particular;
use wasmrun_wasi_preview2::flattened;

/// wasmi, which takes every component to be this module, flattened.
#[derive(Debug)]
struct Flattening {
    wasmi: WasmiEngine,
    module: Guest,
}

impl Engine for Flattening {
    fn info(&self) -> &EngineInfo {
        self.wasmi.info()
    }

    fn capability(&self) -> Capability {
        flattened::capability(self.wasmi.capability())
    }

    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        flattened::compile_flattened(compile, &self.module, 1, |compile| {
            self.wasmi.compile(compile)
        })
    }
}

/// What guests import here, and a way to be given memory: room is made from 4096 on, 8 bytes and more for each.
const IMPORTS: &str = r#"
    (import "[cabi]" "allocated" (func $allocated (param i32) (result i64)))
    (import "[cabi]" "exit-err" (func $exit-err))
    (import "[cabi]" "trap" (func $trap (param i32)))
    (import "wasi:cli/environment@0.2.6" "get-arguments" (func $arguments (param i32) (result i64)))
    (import "wasi:cli/environment@0.2.6" "get-environment" (func $environment (param i32) (result i64)))
    (import "wasi:cli/environment@0.2.6" "initial-cwd" (func $cwd (param i32) (result i64)))
    (import "wasi:cli/exit@0.2.6" "exit" (func $exit (param i32)))
    (import "wasi:cli/exit@0.2.6" "exit-with-code" (func $exit-with-code (param i32)))
    (import "wasi:cli/stdin@0.2.6" "get-stdin" (func $stdin (result i32)))
    (import "wasi:cli/stdout@0.2.6" "get-stdout" (func $stdout (result i32)))
    (import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration" (func $sleep (param i64) (result i32)))
    (import "wasi:clocks/wall-clock@0.2.6" "now" (func $now (param i32)))
    (import "wasi:random/insecure-seed@0.2.6" "insecure-seed" (func $seed (param i32)))
    (import "wasi:io/poll@0.2.6" "poll" (func $poll (param i32 i32 i32) (result i64)))
    (import "wasi:io/poll@0.2.6" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:io/poll@0.2.6" "[resource-drop]pollable" (func $drop-pollable (param i32)))
    (import "wasi:io/streams@0.2.6" "[method]input-stream.blocking-read" (func $read (param i32 i64 i32) (result i64)))
    (import "wasi:io/streams@0.2.6" "[method]input-stream.subscribe" (func $subscribe (param i32) (result i32)))
    (import "wasi:io/streams@0.2.6" "[resource-drop]input-stream" (func $drop-input (param i32)))
    (import "wasi:io/streams@0.2.6" "[method]output-stream.blocking-write-and-flush" (func $write (param i32 i32 i32 i32)))
    (import "wasi:io/streams@0.2.6" "[resource-drop]output-stream" (func $drop-output (param i32)))
    (import "wasi:filesystem/preopens@0.2.6" "get-directories" (func $directories (param i32) (result i64)))
    (import "wasi:filesystem/types@0.2.6" "[method]descriptor.open-at"
        (func $open (param i32 i32 i32 i32 i32 i32 i32)))
    (import "wasi:filesystem/types@0.2.6" "[method]descriptor.write" (func $write-file (param i32 i32 i32 i64 i32)))
    (import "wasi:filesystem/types@0.2.6" "[method]descriptor.read"
        (func $read-file (param i32 i64 i64 i32) (result i64)))
    (import "wasi:filesystem/types@0.2.6" "[method]descriptor.stat" (func $stat (param i32 i32)))
    (import "wasi:filesystem/types@0.2.6" "[method]descriptor.advise" (func $advise (param i32 i64 i64 i32 i32)))
    (memory (export "memory") 1)
    (global $room (mut i32) (i32.const 4096))
    (func $make (param $wish i64)
        (loop $again
            (if (i64.ge_s (local.get $wish) (i64.const 0)) (then
                (local.set $wish (call $allocated (global.get $room)))
                (global.set $room (i32.add (global.get $room) (i32.const 64)))
                (br $again)))))
    (func $print (param i32 i32)
        (call $write (call $stdout) (local.get 0) (local.get 1) (i32.const 0)))"#;

fn run_with(config: &RunConfig, fields: &str, body: &str) -> Report {
    let module =
        format!(r#"(module {IMPORTS} {fields} (func (export "_start") (local $i i32) {body}))"#);
    let engine = Flattening {
        wasmi: WasmiEngine::new().expect("it is built in"),
        module: Guest::from_bytes("flattened.wat", module).expect("a module"),
    };
    let component = particular::component("(i32.const 0)");
    let component = Guest::from_bytes("app.wasm", component).expect("a component");
    let program = Program::compile(Arc::new(engine), &component, config);
    let report = program.and_then(|program| program.run(config));
    report.unwrap_or_else(|error| panic!("{error:?}\n{body}"))
}

fn captured() -> RunConfig {
    RunConfig::new().stdout(Stdout::Capture)
}

fn run(fields: &str, body: &str) -> Report {
    run_with(&captured(), fields, body)
}

fn printed(report: &Report) -> &str {
    assert_eq!(report.outcome, Outcome::Exited(0), "{report:?}");
    str::from_utf8(&report.stdout.bytes).expect("text")
}

/// What a guest is told that traps in a function of the host.
fn trapped(body: &str) -> String {
    match run("", body).outcome {
        Outcome::Trapped(trap) if trap.kind == TrapKind::HostFunction => trap.message,
        other => panic!("{other:?}\n{body}"),
    }
}

#[test]
fn a_guest_writes_to_its_standard_output() {
    let report = run(
        r#"(data (i32.const 16) "hello\0a")"#,
        "(call $print (i32.const 16) (i32.const 6))
        (if (i32.load8_u (i32.const 0)) (then unreachable))",
    );
    assert_eq!(printed(&report), "hello\n");
}

#[test]
fn lists_of_strings_go_where_the_guest_makes_room() {
    let config = captured().argv0("app").arg("one").arg("").env("A", "b=c");
    // The list of three is first, then each string; of variables, pairs of strings.
    let body = "
        (call $make (call $arguments (i32.const 8)))
        (if (i32.ne (i32.load (i32.const 8)) (i32.const 4096)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 12)) (i32.const 3)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 4112)) (i32.const 4288)) (then unreachable))
        (if (i32.load (i32.const 4116)) (then unreachable))
        (call $print (i32.load (i32.const 4104)) (i32.load (i32.const 4108)))
        (call $make (call $environment (i32.const 8)))
        (local.set $i (i32.load (i32.const 8)))
        (if (i32.ne (i32.load (i32.const 12)) (i32.const 1)) (then unreachable))
        (call $print (i32.load (local.get $i)) (i32.load offset=4 (local.get $i)))
        (call $print (i32.load offset=8 (local.get $i)) (i32.load offset=12 (local.get $i)))";
    assert_eq!(printed(&run_with(&config, "", body)), "oneAb=c");
}

#[test]
fn what_needs_no_room_says_so_at_once() {
    let none = "(if (i64.ne (call $cwd (i32.const 8)) (i64.const -1)) (then unreachable))
        (if (i32.load8_u (i32.const 8)) (then unreachable))";
    printed(&run("", none));
    let some = "(if (i64.ne (call $cwd (i32.const 8)) (i64.const 0x100000004)) (then unreachable))
        (if (i64.ne (call $allocated (i32.const 4096)) (i64.const -1)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 8)) (i32.const 1)) (then unreachable))
        (call $print (i32.load (i32.const 12)) (i32.load (i32.const 16)))";
    let config = captured().working_directory("/cwd");
    assert_eq!(printed(&run_with(&config, "", some)), "/cwd");
}

#[test]
fn room_is_made_in_turn_and_where_there_is_memory() {
    let begin = "(drop (call $arguments (i32.const 8)))";
    for (body, told) in [
        (
            "(drop (call $allocated (i32.const 0)))".to_owned(),
            "room was made that no function wants",
        ),
        (
            format!("{begin} (drop (call $stdout))"),
            "before room was made",
        ),
        (
            format!("{begin} (call $drop-output (i32.const 1))"),
            "before room was made",
        ),
        (
            format!("{begin} (drop (call $allocated (i32.const 2)))"),
            "result not aligned",
        ),
        (
            format!("{begin} (drop (call $allocated (i32.const 65532)))"),
            "beyond end of memory",
        ),
        (
            format!("{begin} (drop (call $allocated (i32.const -4)))"),
            "beyond end of memory",
        ),
        (
            "(drop (call $arguments (i32.const 2)))".to_owned(),
            "pointer not aligned",
        ),
        (
            "(drop (call $arguments (i32.const 65532)))".to_owned(),
            "pointer out of bounds",
        ),
        (
            "(drop (call $arguments (i32.const -4)))".to_owned(),
            "pointer out of bounds",
        ),
    ] {
        let message = trapped(&body);
        assert!(message.contains(told), "{message}\n{body}");
    }
}

#[test]
fn what_a_guest_passes_is_looked_at() {
    let write = |address: i64, length: i64| {
        format!(
            "(call $write (call $stdout) (i32.const {address}) (i32.const {length}) (i32.const 0))"
        )
    };
    for (body, told) in [
        (
            write(65530, 10),
            "list pointer/length out of bounds of memory",
        ),
        (write(-1, 0), "list pointer/length out of bounds of memory"),
        (
            write(0, 5000),
            "Buffer too large for blocking-write-and-flush",
        ),
        (
            "(call $drop-output (i32.const 0))".to_owned(),
            "unknown handle index 0",
        ),
        (
            "(call $drop-output (i32.const 1))".to_owned(),
            "unknown handle index 1",
        ),
        (
            "(call $drop-output (call $stdin))".to_owned(),
            "wrong type, expected output-stream but found input-stream",
        ),
        (
            "(call $drop-input (call $stdin)) (call $drop-input (i32.const 1))".to_owned(),
            "unknown handle index 1",
        ),
        (
            "(drop (call $subscribe (call $stdin))) (call $drop-input (i32.const 1))".to_owned(),
            "has children",
        ),
        (
            "(drop (call $poll (i32.const 0) (i32.const 0) (i32.const 8)))".to_owned(),
            "empty poll list",
        ),
        (
            "(drop (call $poll (i32.const 2) (i32.const 1) (i32.const 8)))".to_owned(),
            "list pointer is not aligned",
        ),
        (
            "(drop (call $poll (i32.const 0) (i32.const 1) (i32.const 8)))".to_owned(),
            "unknown handle index 0",
        ),
        (
            "(call $exit (i32.const 2))".to_owned(),
            "invalid expected discriminant",
        ),
    ] {
        let message = trapped(&body);
        assert!(message.contains(told), "{message}\n{body}");
    }
}

#[test]
fn handles_are_used_again() {
    let body = "(if (i32.ne (call $stdin) (i32.const 1)) (then unreachable))
        (if (i32.ne (call $stdout) (i32.const 2)) (then unreachable))
        (call $drop-input (i32.const 1))
        (if (i32.ne (call $stdin) (i32.const 1)) (then unreachable))
        (if (i32.ne (call $stdin) (i32.const 3)) (then unreachable))";
    printed(&run("", body));
}

#[test]
fn a_guest_ends_as_it_says() {
    use wasmtime::Trap as Theirs;

    let trap = |kind| Outcome::Trapped(Trap::new(kind, ""));
    let code = |trap: Theirs| format!("(call $trap (i32.const {}))", trap as u8);
    for (body, outcome) in [
        (
            "(call $exit (i32.const 0)) unreachable".to_owned(),
            Outcome::Exited(0),
        ),
        (
            "(call $exit (i32.const 1)) unreachable".to_owned(),
            Outcome::Exited(1),
        ),
        (
            "(call $exit-with-code (i32.const 77)) unreachable".to_owned(),
            Outcome::Exited(77),
        ),
        (
            "(call $exit-err) unreachable".to_owned(),
            Outcome::Exited(1),
        ),
        (code(Theirs::CannotLeaveComponent), trap(TrapKind::Other)),
        (
            code(Theirs::UnreachableCodeReached),
            trap(TrapKind::Unreachable),
        ),
        (
            "(call $trap (i32.const 1000))".to_owned(),
            trap(TrapKind::HostFunction),
        ),
    ] {
        assert_eq!(run("", &body).outcome, outcome, "{body}");
    }
    let report = run("", &code(Theirs::CannotLeaveComponent));
    let Outcome::Trapped(trap) = report.outcome else {
        panic!("{report:?}");
    };
    assert_eq!(trap.message, Theirs::CannotLeaveComponent.to_string());
}

#[test]
fn files_are_opened_written_told_of_and_read() {
    let config = captured().mount(Mount::memory("/m", 1 << 20));
    let fields = r#"(data (i32.const 16) "name") (data (i32.const 32) "content")"#;
    let body = r#"
        (call $make (call $directories (i32.const 8)))
        (if (i32.ne (i32.load (i32.const 12)) (i32.const 1)) (then unreachable))
        (local.set $i (i32.load (i32.const 8)))
        (call $print (i32.load offset=4 (local.get $i)) (i32.load offset=8 (local.get $i)))
        ;; To be created, read and written.
        (call $open (i32.load (local.get $i)) (i32.const 0) (i32.const 16) (i32.const 4)
            (i32.const 1) (i32.const 3) (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable))
        (local.set $i (i32.load (i32.const 68)))
        (call $write-file (local.get $i) (i32.const 32) (i32.const 7) (i64.const 2) (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable))
        (if (i64.ne (i64.load (i32.const 72)) (i64.const 7)) (then unreachable))
        ;; A regular file, with one link and 9 bytes, whose times are told.
        (call $stat (local.get $i) (i32.const 128))
        (if (i32.load8_u (i32.const 128)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 136)) (i32.const 6)) (then unreachable))
        (if (i64.ne (i64.load (i32.const 144)) (i64.const 1)) (then unreachable))
        (if (i64.ne (i64.load (i32.const 152)) (i64.const 9)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 184)) (i32.const 1)) (then unreachable))
        (if (i64.ne (i64.load (i32.const 192)) (i64.const 5)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 200)) (i32.const 6)) (then unreachable))
        ;; To the end, and what was there stays around what is written.
        (i32.store8 (i32.const 253) (i32.const 9))
        (call $make (call $read-file (local.get $i) (i64.const 100) (i64.const 2) (i32.const 240)))
        (if (i32.load8_u (i32.const 240)) (then unreachable))
        (if (i32.load8_u (i32.const 252)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 253)) (i32.const 9)) (then unreachable))
        (call $print (i32.load (i32.const 244)) (i32.load (i32.const 248)))
        (call $advise (local.get $i) (i64.const 0) (i64.const 0) (i32.const 5) (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then unreachable))
        ;; What is not there.
        (call $open (i32.const 1) (i32.const 0) (i32.const 32) (i32.const 4)
            (i32.const 0) (i32.const 1) (i32.const 64))
        (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 20)) (then unreachable))"#;
    let fixed = config.clock(Clock::Fixed(5_000_000_006));
    assert_eq!(printed(&run_with(&fixed, fields, body)), "/mcontent");

    let advice = "(call $make (call $directories (i32.const 8)))
        (call $advise (i32.const 1) (i64.const 0) (i64.const 0) (i32.const 6) (i32.const 64))";
    let Outcome::Trapped(trap) = run_with(&fixed, "", advice).outcome else {
        panic!("there is no such advice");
    };
    assert!(
        trap.message.contains("unexpected discriminant: 6"),
        "{trap:?}"
    );
}

#[test]
fn text_that_is_no_text_traps() {
    let config = captured().map_dir(std::env::temp_dir(), "/d", Access::ReadOnly);
    let report = run_with(
        &config,
        r#"(data (i32.const 16) "\ff")"#,
        "(call $make (call $directories (i32.const 8)))
        (call $open (i32.const 1) (i32.const 0) (i32.const 16) (i32.const 1)
            (i32.const 0) (i32.const 1) (i32.const 64))",
    );
    let Outcome::Trapped(trap) = report.outcome else {
        panic!("{report:?}");
    };
    assert!(trap.message.contains("invalid utf-8"), "{}", trap.message);
}

#[test]
fn clocks_and_random_numbers_are_the_tasks() {
    let config = captured()
        .clock(Clock::Fixed(7_000_000_008))
        .random(Random::Seeded(42));
    let body = "(call $now (i32.const 16))
        (if (i64.ne (i64.load (i32.const 16)) (i64.const 7)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 24)) (i32.const 8)) (then unreachable))
        (call $seed (i32.const 32))
        (call $print (i32.const 32) (i32.const 16))";
    let [one, other] = [(), ()].map(|()| run_with(&config, "", body));
    assert_eq!(one.outcome, Outcome::Exited(0));
    assert_eq!(one.stdout.bytes.len(), 16);
    assert_eq!(one.stdout.bytes, other.stdout.bytes);
}

#[test]
fn what_is_read_and_polled_comes() {
    let config = captured().stdin(Stdin::Bytes(b"input".to_vec()));
    let body = "(drop (call $stdin))
        (i32.store (i32.const 100) (call $sleep (i64.const 0xffffffffffff)))
        (i32.store (i32.const 104) (call $subscribe (i32.const 1)))
        (call $make (call $poll (i32.const 100) (i32.const 2) (i32.const 8)))
        (if (i32.ne (i32.load (i32.const 12)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load (i32.load (i32.const 8))) (i32.const 1)) (then unreachable))
        (call $drop-pollable (i32.load (i32.const 104)))
        (call $make (call $read (i32.const 1) (i64.const 100) (i32.const 16)))
        (if (i32.load8_u (i32.const 16)) (then unreachable))
        (call $print (i32.load (i32.const 20)) (i32.load (i32.const 24)))
        ;; The end: closed.
        (call $make (call $read (i32.const 1) (i64.const 100) (i32.const 16)))
        (if (i32.ne (i32.load8_u (i32.const 16)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 20)) (i32.const 1)) (then unreachable))
        (call $block (call $sleep (i64.const 1000000)))";
    assert_eq!(printed(&run_with(&config, "", body)), "input");
}

#[test]
fn a_guest_that_waits_is_ended() {
    let config = captured().limit(|limits| limits.timeout = Some(Duration::from_millis(50)));
    for body in [
        "(call $block (call $sleep (i64.const -1)))",
        "(i32.store (i32.const 0) (call $sleep (i64.const -1)))
        (drop (call $poll (i32.const 0) (i32.const 1) (i32.const 8)))",
        "(loop $again (call $now (i32.const 16)) (br $again))",
    ] {
        assert_eq!(
            run_with(&config, "", body).outcome,
            Outcome::TimedOut,
            "{body}"
        );
    }
}
