//! What is particular to wasmer: how its traps, limits and signals become outcomes.

use std::sync::Arc;
use std::thread;

use wasmrun_backend_wasmer::WasmerEngine;
use wasmrun_core::{
    Access, Engine, ErrorKind, Outcome, Program, Report, Result, RunConfig, Stdin, Stdout, Trap,
    TrapKind,
};
use wasmrun_testkit::particular::{self, within};

fn engine() -> Arc<dyn Engine> {
    Arc::new(WasmerEngine::new().expect("wasmer is built in"))
}

fn compile(wat: &str, config: &RunConfig) -> Result<Program> {
    particular::compile(engine(), wat, config)
}

fn run(wat: &str, config: &RunConfig) -> Report {
    particular::run(engine(), wat, config)
}

fn outcome(wat: &str, config: &RunConfig) -> Outcome {
    run(wat, config).outcome
}

fn trapped(kind: TrapKind) -> Outcome {
    Outcome::Trapped(Trap::new(kind, ""))
}

/// A command with these imports, other fields, and body of `_start`.
fn command(fields: &str, body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            {fields}
            (memory (export "memory") 1)
            (func (export "_start") {body}))"#
    )
}

/// Writes `text`, which is at 64, to standard output.
fn write(text: &str) -> String {
    format!(
        "(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const {}))
         (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))",
        text.len()
    )
}

fn text(text: &str) -> String {
    format!("(data (i32.const 64) {text:?})")
}

fn captured() -> RunConfig {
    RunConfig::new().stdout(Stdout::Capture)
}

#[test]
fn what_a_guest_writes_arrives() {
    let hello = "hello\n";
    let report = run(&command(&text(hello), &write(hello)), &captured());
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(report.stdout.bytes, hello.as_bytes());
    assert_eq!(report.engine, "wasmer");
    assert_eq!(report.stats.peak_memory, Some(65_536));
}

#[test]
fn exit_codes_arrive_whole() {
    for code in [0, 1, 42, 126, 200, 255, 256, -1, i32::MIN] {
        let exits = command("", &format!("(call $exit (i32.const {code})) unreachable"));
        assert_eq!(outcome(&exits, &RunConfig::new()), Outcome::Exited(code));
    }
}

#[test]
fn every_kind_of_trap_is_told() {
    use TrapKind::*;
    let fields = r#"
        (type $none (func)) (type $one (func (param i32)))
        (tag $tag)
        (table $table 2 funcref) (elem (i32.const 0) $noop) (func $noop)
        (func $deeper (call $deeper))"#;
    for (kind, body) in [
        (Unreachable, "unreachable"),
        (MemoryOutOfBounds, "(drop (i32.load (i32.const 70000)))"),
        (
            MemoryOutOfBounds,
            "(memory.fill (i32.const 65000) (i32.const 0) (i32.const 1000))",
        ),
        (
            TableOutOfBounds,
            "(call_indirect (type $none) (i32.const 9))",
        ),
        (TableOutOfBounds, "(drop (table.get $table (i32.const 9)))"),
        (
            UninitializedElement,
            "(call_indirect (type $none) (i32.const 1))",
        ),
        (
            IndirectCallTypeMismatch,
            "(call_indirect (type $one) (i32.const 7) (i32.const 0))",
        ),
        (
            DivideByZero,
            "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
        ),
        (
            DivideByZero,
            "(drop (i64.rem_u (i64.const 1) (i64.const 0)))",
        ),
        (
            IntegerOverflow,
            "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
        ),
        (
            InvalidConversion,
            "(drop (i32.trunc_f32_s (f32.const nan)))",
        ),
        (IntegerOverflow, "(drop (i32.trunc_f64_u (f64.const 1e30)))"),
        (StackOverflow, "(call $deeper)"),
        (UnalignedAtomic, "(drop (i32.atomic.load (i32.const 1)))"),
        (UncaughtException, "(throw $tag)"),
        (NullReference, "(throw_ref (ref.null exn))"),
        (
            HostFunction,
            "(drop (call $write (i32.const 1) (i32.const 70000) (i32.const 1) (i32.const 0)))",
        ),
    ] {
        let Outcome::Trapped(trap) = outcome(&command(fields, body), &RunConfig::new()) else {
            panic!("{body} did not trap");
        };
        assert_eq!(trap.kind, kind, "{body}: {}", trap.message);
        assert!(!trap.message.is_empty());
    }
}

#[test]
fn segments_that_do_not_fit_are_traps() {
    let data = command("(data (i32.const 65530) \"0123456789\")", "");
    assert_eq!(
        outcome(&data, &RunConfig::new()),
        trapped(TrapKind::MemoryOutOfBounds)
    );
    let elements = command("(table 1 funcref) (func $f) (elem (i32.const 1) $f)", "");
    assert_eq!(
        outcome(&elements, &RunConfig::new()),
        trapped(TrapKind::TableOutOfBounds)
    );
}

#[test]
fn traps_on_many_threads_do_not_meet() {
    let config = RunConfig::new();
    let program = compile(
        &command("", "(drop (i32.div_u (i32.const 1) (i32.const 0)))"),
        &config,
    )
    .expect("compiles");
    let exits = compile(&command("", "(call $exit (i32.const 3))"), &config).expect("compiles");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let report = program.run(&RunConfig::new()).expect("runs");
                    assert_eq!(report.outcome, trapped(TrapKind::DivideByZero));
                    let report = exits.run(&RunConfig::new()).expect("runs");
                    assert_eq!(report.outcome, Outcome::Exited(3));
                }
            });
        }
    });
}

#[test]
fn arguments_and_environment_arrive() {
    let fields = r#"
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_get" (func $get (param i32 i32) (result i32)))"#;
    // The exit code tells: arguments, variables, and the last letter of the last argument.
    let body = "
        (drop (call $args (i32.const 0) (i32.const 4))) (drop (call $env (i32.const 8) (i32.const 12)))
        (drop (call $get (i32.const 100) (i32.const 200)))
        (call $exit (i32.add
            (i32.load8_u (i32.sub (i32.add (i32.const 200) (i32.load (i32.const 4))) (i32.const 2)))
            (i32.add (i32.mul (i32.load (i32.const 0)) (i32.const 10000))
                     (i32.mul (i32.load (i32.const 8)) (i32.const 1000)))))";
    let config = RunConfig::new()
        .args(["", "-x", "yz"])
        .env("A", "1")
        .env("B", "");
    let expected = 4 * 10_000 + 2 * 1000 + i32::from(b'z');
    assert_eq!(
        outcome(&command(fields, body), &config),
        Outcome::Exited(expected)
    );
}

/// Opens the file at 64, whose name has 4 letters, with these flags, in the first directory.
fn open(oflags: u32, rights: u64) -> String {
    format!(
        "(call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4)
            (i32.const {oflags}) (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 8)))"
    )
}

const OPEN: &str = r#"(import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (data (i32.const 64) "file")"#;

#[test]
fn a_read_only_directory_can_be_read_and_not_written() {
    const READ: u64 = 1 << 1;
    const WRITE: u64 = 1 << 6;
    const CREATE: u32 = 1;
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("file"), "kept").expect("a file");
    let config = |access| RunConfig::new().map_dir(dir.path(), "/data", access);
    let read = command(OPEN, &open(0, READ));
    assert_eq!(
        outcome(&read, &config(Access::ReadOnly)),
        Outcome::Exited(0)
    );
    for write in [open(0, WRITE), open(CREATE, WRITE)] {
        let write = command(OPEN, &write);
        let refused = outcome(&write, &config(Access::ReadOnly));
        assert!(
            matches!(refused, Outcome::Exited(errno) if errno != 0),
            "{refused}"
        );
        assert_eq!(
            outcome(&write, &config(Access::ReadWrite)),
            Outcome::Exited(0)
        );
    }
    let content = std::fs::read_to_string(dir.path().join("file")).expect("still there");
    assert_eq!(content, "kept");
}

#[test]
fn memory_grows_up_to_the_bound_of_all_memories_together() {
    let fields = "(memory $other 1)";
    let body = "
        (if (i32.ne (memory.grow $other (i32.const 1)) (i32.const 1)) (then unreachable))
        (if (i32.ne (memory.grow (i32.const 2)) (i32.const -1)) (then unreachable))
        (if (i32.ne (memory.grow (i32.const 1)) (i32.const 1)) (then unreachable))
        (if (i32.ne (memory.grow $other (i32.const 1)) (i32.const -1)) (then unreachable))";
    let guest = command(fields, body).replace("(memory (export", "(memory $own (export");
    let guest = guest.replace("(memory.grow (", "(memory.grow $own (");
    let config = RunConfig::new().limit(|limits| limits.memory = Some(4 * 65_536 + 100));
    let report = run(&guest, &config);
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(report.stats.peak_memory, Some(4 * 65_536));
}

#[test]
fn tables_grow_up_to_the_bound() {
    let fields = "(table $table 2 funcref)";
    let body = "
        (if (i32.ne (table.grow $table (ref.null func) (i32.const 8)) (i32.const 2)) (then unreachable))
        (if (i32.ne (table.grow $table (ref.null func) (i32.const 1)) (i32.const -1)) (then unreachable))";
    let config = RunConfig::new().limit(|limits| limits.table_elements = Some(10));
    assert_eq!(outcome(&command(fields, body), &config), Outcome::Exited(0));
}

#[test]
fn a_table_does_not_grow_until_the_host_is_out_of_memory() {
    let body =
        "(if (i32.ne (table.grow $table (ref.null func) (i32.const 0xfffffff0)) (i32.const -1))
        (then unreachable))";
    let guest = command("(table $table 2 funcref)", body);
    assert_eq!(outcome(&guest, &RunConfig::new()), Outcome::Exited(0));
}

#[test]
fn fuel_runs_out_exactly() {
    let guest = command(
        "(global $left (mut i32) (i32.const 100))",
        "(loop $again
            (global.set $left (i32.sub (global.get $left) (i32.const 1)))
            (br_if $again (global.get $left)))",
    );
    let fuel = |fuel| RunConfig::new().limit(|limits| limits.fuel = Some(fuel));
    let report = run(&guest, &fuel(1_000_000));
    assert_eq!(report.outcome, Outcome::Exited(0));
    let used = report.stats.fuel_used.expect("fuel is counted");
    assert!(used >= 600, "{used}");
    let report = run(&guest, &fuel(used));
    assert_eq!(
        (report.outcome, report.stats.fuel_used),
        (Outcome::Exited(0), Some(used))
    );
    let report = run(&guest, &fuel(used - 1));
    assert_eq!(
        (report.outcome, report.stats.fuel_used),
        (Outcome::OutOfFuel, Some(used - 1))
    );
    assert_eq!(run(&guest, &RunConfig::new()).stats.fuel_used, None);
}

#[test]
fn a_start_function_uses_fuel_and_time() {
    let guest = r#"(module (func $spin (loop $again (br $again))) (start $spin)
        (func (export "_start")))"#;
    let config = RunConfig::new().limit(|limits| limits.fuel = Some(1000));
    assert_eq!(outcome(guest, &config), Outcome::OutOfFuel);
    assert_eq!(outcome(guest, &within(50)), Outcome::TimedOut);
}

#[test]
fn a_start_function_can_call_wasi() {
    let early = "early\n";
    let guest = command(
        &format!(
            "{} (func $early {}) (start $early)",
            text(early),
            write(early)
        ),
        "(call $exit (i32.const 7))",
    );
    let report = run(&guest, &captured());
    assert_eq!(report.outcome, Outcome::Exited(7));
    assert_eq!(report.stdout.bytes, early.as_bytes());
}

#[test]
fn a_start_function_runs_before_initialize_and_that_before_the_entry() {
    let guest = |exports: &str| {
        command(
            &format!(
                r#"(global $seen (mut i32) (i32.const 0))
                (func $next (param $digit i32)
                    (global.set $seen (i32.add (i32.mul (global.get $seen) (i32.const 10)) (local.get $digit))))
                (func $start (call $next (i32.const 1))) (start $start)
                (func (export "_initialize") (call $next (i32.const 2)))
                (func (export "other") (call $next (i32.const 3)) (call $exit (global.get $seen)))
                {exports}"#
            ),
            "(call $next (i32.const 4)) (call $exit (global.get $seen))",
        )
    };
    for exports in ["", r#"(func (export "wasmrun:start") unreachable)"#] {
        let guest = guest(exports);
        assert_eq!(
            outcome(&guest, &RunConfig::new().entry("other")),
            Outcome::Exited(123)
        );
        assert_eq!(outcome(&guest, &RunConfig::new()), Outcome::Exited(124));
    }
}

#[test]
fn wasi_unstable_works() {
    let guest = r#"(module
        (import "wasi_unstable" "proc_exit" (func $exit (param i32)))
        (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\03\00\00\00") (data (i32.const 16) "old")
        (func (export "_start")
            (call $exit (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
    let report = run(guest, &captured());
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(report.stdout.bytes, b"old");
}

#[test]
fn an_import_of_another_type_is_refused_by_name() {
    let guest = r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64)))
        (func (export "_start")))"#;
    let config = RunConfig::new();
    let error = compile(guest, &config)
        .and_then(|program| program.run(&config))
        .expect_err("no such function");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(
        error
            .to_string()
            .contains("wasi_snapshot_preview1.fd_close"),
        "{error}"
    );
}

#[test]
fn tables_and_globals_of_exceptions_are_refused() {
    for (field, what) in [
        ("(table 1 exnref)", "table of exceptions"),
        (
            "(global (mut exnref) (ref.null exn))",
            "global of exceptions",
        ),
    ] {
        let guest = format!(r#"(module {field} (func (export "_start")))"#);
        let error = compile(&guest, &captured()).expect_err("wasmer cannot make it");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn an_invalid_module_is_refused() {
    let guest = r#"(module (func (export "_start") (drop (i32.add (i32.const 1) (i64.const 1)))))"#;
    let error = compile(guest, &RunConfig::new()).expect_err("not valid");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

const SPIN: &str = "(loop $again (br $again))";

#[test]
fn a_loop_runs_out_of_time() {
    for _ in 0..20 {
        assert_eq!(outcome(&command("", SPIN), &within(10)), Outcome::TimedOut);
    }
}

#[test]
fn loops_on_many_threads_run_out_of_time_each_on_its_own() {
    let config = within(30);
    let spin = compile(&command("", SPIN), &config).expect("compiles");
    let exit = compile(&command("", "(call $exit (i32.const 5))"), &config).expect("compiles");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let report = spin.run(&config).expect("runs");
                    assert_eq!(report.outcome, Outcome::TimedOut);
                    let report = exit.run(&within(60_000)).expect("runs");
                    assert_eq!(report.outcome, Outcome::Exited(5));
                }
            });
        }
    });
}

/// A signal that comes while wasmer collects a trap's call stack, or after the guest has ended, must
/// not leave a lock behind.
#[test]
fn an_interrupt_that_meets_the_end_of_a_guest_does_no_harm() {
    let fields = r#"(import "wasi_snapshot_preview1" "clock_time_get"
        (func $now (param i32 i64 i32) (result i32)))
        (tag $tag)"#;
    let until_deadline = "
        (drop (call $now (i32.const 1) (i64.const 1) (i32.const 0)))
        (loop $again
            (drop (call $now (i32.const 1) (i64.const 1) (i32.const 8)))
            (br_if $again (i64.lt_u
                (i64.sub (i64.load (i32.const 8)) (i64.load (i32.const 0)))
                (i64.const 1000000))))";
    let config = within(1);
    let programs: Vec<_> = [
        "unreachable",
        "(throw $tag)",
        "(call $exit (i32.const 1))",
        "",
    ]
    .iter()
    .map(|end| {
        compile(
            &command(fields, &format!("{until_deadline} {end}")),
            &config,
        )
    })
    .collect::<Result<_>>()
    .expect("they compile");
    thread::scope(|scope| {
        for program in &programs {
            scope.spawn(|| {
                for _ in 0..100 {
                    program.run(&config).expect("ends");
                }
            });
        }
    });
}

#[test]
fn a_loop_of_calls_into_the_host_runs_out_of_time() {
    let fields = r#"(import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))"#;
    let body = "(loop $again (drop (call $yield)) (br $again))";
    for _ in 0..20 {
        assert_eq!(
            outcome(&command(fields, body), &within(10)),
            Outcome::TimedOut
        );
    }
}

#[test]
fn a_loop_that_grows_fills_and_copies_runs_out_of_time() {
    for body in [
        "(loop $again (drop (memory.grow (i32.const 0))) (br $again))",
        "(drop (memory.grow (i32.const 1023)))
         (loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x4000000)) (br $again))",
        "(drop (memory.grow (i32.const 1023)))
         (loop $again (memory.copy (i32.const 0) (i32.const 0x100000) (i32.const 0x3000000)) (br $again))",
    ] {
        assert_eq!(outcome(&command("", body), &within(10)), Outcome::TimedOut);
    }
}

#[test]
fn a_loop_that_throws_and_catches_runs_out_of_time() {
    let body = "(loop $again
        (block $caught (try_table (catch $tag $caught) (throw $tag)))
        (br $again))";
    for _ in 0..5 {
        assert_eq!(
            outcome(&command("(tag $tag)", body), &within(10)),
            Outcome::TimedOut
        );
    }
}

#[test]
fn sleeping_and_waiting_for_input_run_out_of_time() {
    let sleep = r#"(import "wasi_snapshot_preview1" "poll_oneoff"
        (func $poll (param i32 i32 i32 i32) (result i32)))
        (data (i32.const 16) "\01") (data (i32.const 24) "\ff\ff\ff\ff\ff\ff\ff\0f")"#;
    let guest = command(
        sleep,
        "(drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))",
    );
    assert_eq!(outcome(&guest, &within(10)), Outcome::TimedOut);

    let read = r#"(import "wasi_snapshot_preview1" "fd_read"
        (func $read (param i32 i32 i32 i32) (result i32)))
        (data (i32.const 0) "\64\00\00\00\01\00\00\00")"#;
    let guest = command(
        read,
        "(drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))",
    );
    let config = within(10).stdin(Stdin::Pipe);
    let mut started = compile(&guest, &config)
        .and_then(|program| program.start(&config))
        .expect("starts");
    let stdin = started.stdin.take();
    assert_eq!(started.wait().expect("ends").outcome, Outcome::TimedOut);
    drop(stdin);
}

#[test]
fn waiting_for_memory_to_change_runs_out_of_time() {
    let guest = r#"(module (memory (export "memory") 1 1 shared)
        (func (export "_start")
            (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 1000)))
            (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))"#;
    assert_eq!(outcome(guest, &within(10)), Outcome::TimedOut);
}

#[test]
fn a_killed_guest_is_gone() {
    let config = RunConfig::new().killable(true);
    let program = compile(&command("", SPIN), &config).expect("compiles");
    let started = program.start(&config).expect("starts");
    started.kill().expect("killable");
    assert_eq!(started.wait().expect("ends").outcome, Outcome::Killed);
}

#[test]
fn a_guest_that_sees_its_shared_memory_from_wasi_works() {
    let guest = r#"(module
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1 1 shared)
        (func (export "_start")
            (drop (call $args (i32.const 0) (i32.const 4)))
            (call $exit (i32.load (i32.const 0)))))"#;
    assert_eq!(
        outcome(guest, &RunConfig::new().arg("x")),
        Outcome::Exited(2)
    );
}

#[test]
fn what_wasmer_cannot_do_is_refused_before_it_compiles() {
    let start = |fields: &str| format!(r#"(module {fields} (func (export "_start")))"#);
    for (guest, config, what) in [
        (
            start(""),
            RunConfig::new().limit(|limits| limits.stack = Some(1 << 16)),
            "stack",
        ),
        (start("(memory i64 1)"), RunConfig::new(), "memory64"),
        (
            start("(func $f (return_call $f))"),
            RunConfig::new(),
            "tail-call",
        ),
        (start("(type (struct))"), RunConfig::new(), "gc"),
        (
            start(r#"(import "env" "memory" (memory 1 2 shared))"#),
            RunConfig::new(),
            "threads",
        ),
    ] {
        let error = compile(&guest, &config).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn every_proposal_it_states_runs() {
    for (proposal, fields, body) in [
        (
            "sign-extension",
            "",
            "(drop (i32.extend8_s (i32.const 200)))",
        ),
        (
            "saturating",
            "",
            "(drop (i32.trunc_sat_f32_s (f32.const 1e30)))",
        ),
        (
            "multi-value",
            "(func $two (result i32 i32) (i32.const 1) (i32.const 2))",
            "(call $two) drop drop",
        ),
        (
            "bulk-memory",
            r#"(data $data "abc")"#,
            "(memory.init $data (i32.const 0) (i32.const 0) (i32.const 3)) (data.drop $data)",
        ),
        (
            "reference-types",
            "(table $externs 1 externref)",
            "(table.set $externs (i32.const 0) (ref.null extern))",
        ),
        (
            "simd",
            "",
            "(drop (i32x4.add (v128.const i32x4 1 2 3 4) (v128.const i32x4 1 2 3 4)))",
        ),
        (
            "threads",
            "",
            "(drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))",
        ),
        (
            "extended-const",
            "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
            "",
        ),
        (
            "multi-memory",
            "(memory $second 1)",
            "(i32.store $second (i32.const 0) (i32.const 1))",
        ),
        (
            "relaxed-simd",
            "",
            "(drop (f32x4.relaxed_madd (v128.const f32x4 1 2 3 4) (v128.const f32x4 1 2 3 4) (v128.const f32x4 1 2 3 4)))",
        ),
        (
            "exceptions",
            "(tag $tag (param i32))",
            "(drop (block $caught (result i32) (try_table (catch $tag $caught) (throw $tag (i32.const 1))) unreachable))",
        ),
        (
            "wide-arithmetic",
            "",
            "(i64.add128 (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)) drop drop",
        ),
    ] {
        assert_eq!(
            outcome(&command(fields, body), &RunConfig::new()),
            Outcome::Exited(0),
            "{proposal}"
        );
    }
}
