//! What is particular to WasmEdge: what the guest is rewritten for, what must
//! not reach WasmEdge, and where its library is looked for.

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::thread;

use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;
use wasmrun_backend_wasmedge::{NAME, WasmEdgeEngine};
use wasmrun_core::{
    Engine, ErrorKind, Guest, Outcome, Program, Report, Result, RunConfig, Stdout, Trap, TrapKind,
};
use wasmrun_testkit::particular::{self, command, fuel, within};
use wasmrun_testkit::{Named, restart_with_wasmedge, this_program};

fn main() -> ExitCode {
    restart_with_wasmedge();
    let arguments = Arguments::from_args();
    let engine = WasmEdgeEngine::new().map(|engine| Arc::new(engine) as Arc<dyn Engine>);
    let is_here = engine.is_ok();
    let mut trials = vec![Named::new(NAME, engine).present()];
    trials.extend(own(WITHOUT_LIBRARY));
    if is_here {
        trials.extend(own(WITH_LIBRARY));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

type Test = (&'static str, fn());

fn own(tests: &'static [Test]) -> impl Iterator<Item = Trial> {
    tests.iter().map(|(name, test)| {
        Trial::test(*name, || {
            test();
            Ok(())
        })
    })
}

macro_rules! tests {
    ($list:ident: $($test:ident,)*) => {
        const $list: &[Test] = &[$((stringify!($test), $test),)*];
    };
}

tests![WITHOUT_LIBRARY:
    what_is_not_the_library_is_refused,
    the_environment_says_where_the_library_is_and_is_believed,
];

tests![WITH_LIBRARY:
    memories_share_their_limit_as_the_guest_likes,
    the_peak_is_that_of_all_memories,
    tables_end_where_wasmedge_would_end_the_process,
    a_tail_call_of_a_host_function_is_a_call,
    compiled_code_in_a_guest_is_not_run,
    the_names_of_exports_are_the_guests_own,
    exactly_the_fuel_that_was_used_suffices,
    a_stack_that_was_left_by_a_trap_is_the_next_runs_own,
    operands_that_wait_for_a_call_take_stack,
    segments_that_do_not_fit_are_traps,
    a_function_imported_twice_works_twice,
    an_import_of_another_type_is_refused_by_name,
    a_start_function_can_call_wasi_and_be_ended,
    guests_on_many_threads_share_a_program,
];

fn engine() -> Arc<dyn Engine> {
    Arc::new(WasmEdgeEngine::new().expect("it was here before"))
}

fn compile(wasm: impl AsRef<[u8]>, config: &RunConfig) -> Result<Program> {
    particular::compile(engine(), wasm, config)
}

fn run(wat: &str, config: &RunConfig) -> Report {
    particular::run(engine(), wat, config)
}

// ---- the library -----------------------------------------------------------------------------------

fn what_is_not_the_library_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("libwasmedge.so.0");
    std::fs::write(&file, "no library").expect("a file");
    for path in [directory.path(), &file, &directory.path().join("none")] {
        let error = WasmEdgeEngine::at(path).expect_err("no library");
        assert_eq!(error.kind(), ErrorKind::EngineNotFound, "{error:?}");
        assert!(error.to_string().starts_with("cannot load "), "{error}");
    }
    #[cfg(target_os = "linux")]
    {
        let error = WasmEdgeEngine::at("libc.so.6").expect_err("another library");
        assert_eq!(error.kind(), ErrorKind::EngineNotFound, "{error:?}");
        let message = error.to_string();
        assert!(message.contains("is not WasmEdge's library"), "{message}");
    }
}

fn the_environment_says_where_the_library_is_and_is_believed() {
    let directory = TempDir::new().expect("a directory");
    for variable in ["WASMEDGE_LIB_DIR", "WASMEDGE_DIR"] {
        let seen = Command::new(this_program().expect("this program"))
            .args(["--exact", "wasmedge::present"])
            .env_remove("WASMRUN_ALLOW_MISSING")
            .env_remove("WASMEDGE_LIB_DIR")
            .env(variable, directory.path())
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&seen.stdout);
        assert!(!seen.status.success(), "{said}");
        assert!(said.contains(&format!("{variable} says")), "{said}");
    }
}

// ---- what grows ------------------------------------------------------------------------------------

const TWO_MEMORIES: &str = r#"(module
    (memory $a (export "memory") 1) (memory $b 0)
    (func $all (param $pages i32) (result i32)
        (i32.ne (memory.grow $b (local.get $pages)) (i32.const -1)))
    (func (export "none") (if (call $all (i32.const 9)) (then unreachable)))
    (func (export "_start")
        (if (i32.eqz (call $all (i32.const 8))) (then unreachable))
        (if (call $all (i32.const 1)) (then unreachable))
        (if (i32.ne (memory.grow $a (i32.const 1)) (i32.const -1)) (then unreachable))))"#;

fn memories_share_their_limit_as_the_guest_likes() {
    let config = RunConfig::new().limit(|limits| limits.memory = Some(9 * 65_536 + 1));
    for config in [config.clone(), config.entry("none")] {
        assert_eq!(run(TWO_MEMORIES, &config).outcome, Outcome::Exited(0));
    }
}

fn the_peak_is_that_of_all_memories() {
    let config = RunConfig::new().limit(|limits| limits.memory = Some(9 * 65_536));
    let report = run(TWO_MEMORIES, &config);
    assert_eq!(report.stats.peak_memory, Some(9 * 65_536));
}

fn tables_end_where_wasmedge_would_end_the_process() {
    let grows = |by: u32| {
        format!(
            r#"(module (table $a 1 funcref) (table $b 1 externref)
            (func (export "_start")
                (if (i32.ne (table.grow $a (ref.null func) (i32.const {by})) (i32.const 1))
                    (then unreachable))))"#
        )
    };
    let most = 10_000_000;
    let outcome = |by| run(&grows(by), &RunConfig::new()).outcome;
    assert_eq!(outcome(most - 2), Outcome::Exited(0));
    for by in [most - 1, u32::MAX] {
        assert!(matches!(outcome(by), Outcome::Trapped(_)), "{by}");
    }
    let large =
        format!(r#"(module (table {most} funcref) (table 1 funcref) (func (export "_start")))"#);
    let error = compile(&large, &RunConfig::new()).expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
}

// ---- what must not reach WasmEdge ------------------------------------------------------------------

/// With more parameters than the host function, as many, and by a table and a reference.
fn a_tail_call_of_a_host_function_is_a_call() {
    let guest = r#"(module
        (type $yield (func (result i32)))
        (type $close (func (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wasi_snapshot_preview1" "sched_yield" (func $yield (type $yield)))
        (import "wasi_snapshot_preview1" "fd_close" (func $close (type $close)))
        (table funcref (elem $yield))
        (elem declare func $yield)
        (func $more (param i32 i64 i64 i64) (result i32) (return_call $yield))
        (func $same (param i32) (result i32) (return_call $close (local.get 0)))
        (func $by_table (param i64 i64) (result i32)
            (return_call_indirect (type $yield) (i32.const 0)))
        (func $by_reference (param i64 i64) (result i32)
            (return_call_ref $yield (ref.func $yield)))
        (func (export "_start")
            (if (call $more (i32.const 1) (i64.const 2) (i64.const 3) (i64.const 4)) (then unreachable))
            (if (i32.ne (call $same (i32.const 77)) (i32.const 8)) (then unreachable))
            (if (call $by_table (i64.const 1) (i64.const 2)) (then unreachable))
            (if (call $by_reference (i64.const 1) (i64.const 2)) (then unreachable))
            (return_call $exit (i32.const 5))))"#;
    for config in [RunConfig::new(), within(60_000), fuel(10_000)] {
        assert_eq!(run(guest, &config).outcome, Outcome::Exited(5));
    }
}

/// WasmEdge takes a section of that name for machine code.
fn compiled_code_in_a_guest_is_not_run() {
    let guest = command("", "(call $exit (i32.const 3))");
    let guest = Guest::from_bytes("guest.wat", guest).expect("a guest");
    let section = [&[8][..], b"wasmedge", &[2, 0, 0, 0, 0, 0, 0]].concat();
    let mut wasm = guest.bytes().to_vec();
    wasm.extend([0, section.len() as u8]);
    wasm.extend(section);
    let program = compile(wasm, &RunConfig::new()).expect("it is a guest as any other");
    let report = program.run(&RunConfig::new()).expect("runs");
    assert_eq!(report.outcome, Outcome::Exited(3));
}

fn the_names_of_exports_are_the_guests_own() {
    let guest = command(
        r#"(global (export "stack-limit") (mut i64) (i64.const 1))
        (func (export "start") unreachable) (func (export "memory 0"))
        (func (export "stack")) (func (export "memory-limit"))
        (func $start) (start $start)"#,
        "",
    );
    assert_eq!(run(&guest, &RunConfig::new()).outcome, Outcome::Exited(0));
    let report = run(&guest, &RunConfig::new().entry("start"));
    assert!(matches!(report.outcome, Outcome::Trapped(_)));
}

// ---- limits ----------------------------------------------------------------------------------------

fn exactly_the_fuel_that_was_used_suffices() {
    let guest = command(
        "(func $id (param i32) (result i32) (local.get 0))",
        "(loop $again
            (local.set $i (i32.add (call $id (local.get $i)) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 1000))))
        (call $exit (i32.const 9))",
    );
    let report = run(&guest, &fuel(1 << 40));
    assert_eq!(report.outcome, Outcome::Exited(9));
    let used = report.stats.fuel_used.expect("it is told");
    for killable in [false, true] {
        let report = run(&guest, &fuel(used).killable(killable));
        assert_eq!(report.outcome, Outcome::Exited(9));
        assert_eq!(report.stats.fuel_used, Some(used));
        let short = run(&guest, &fuel(used - 1).killable(killable));
        assert_eq!(short.outcome, Outcome::OutOfFuel);
    }
    assert_eq!(run(&guest, &within(60_000)).stats.fuel_used, None);
}

fn a_stack_that_was_left_by_a_trap_is_the_next_runs_own() {
    let guest = command(
        "(func $deep (param i32)
            (if (i32.eqz (local.get 0)) (then unreachable))
            (call $deep (i32.sub (local.get 0) (i32.const 1))))",
        "(call $deep (i32.const 10000))",
    );
    let config = RunConfig::new();
    let program = compile(&guest, &config).expect("compiles");
    for _ in 0..3 {
        let outcome = program.run(&config).expect("runs").outcome;
        assert_eq!(
            outcome,
            Outcome::Trapped(Trap::new(TrapKind::Unreachable, ""))
        );
    }
}

/// WasmEdge keeps them in memory of the host's.
fn operands_that_wait_for_a_call_take_stack() {
    let operands = |operator: &str| operator.repeat(1000);
    let guest = command(
        &format!(
            "(func $deep (param i32)
                (if (i32.eqz (local.get 0)) (then return))
                {} (call $deep (i32.sub (local.get 0) (i32.const 1))) {})",
            operands("local.get 0 "),
            operands("drop ")
        ),
        "(call $deep (i32.const 1000))",
    );
    let outcome = |stack| {
        let config = RunConfig::new().limit(|limits| limits.stack = stack);
        run(&guest, &config).outcome
    };
    let overflow = Trap::new(TrapKind::StackOverflow, "");
    assert_eq!(outcome(None), Outcome::Trapped(overflow));
    assert_eq!(outcome(Some(32 << 20)), Outcome::Exited(0));
}

// ---- imports, segments, start functions ------------------------------------------------------------

fn segments_that_do_not_fit_are_traps() {
    for (fields, kind) in [
        (
            "(data (i32.const 65530) \"0123456789\")",
            TrapKind::MemoryOutOfBounds,
        ),
        (
            "(table 1 funcref) (func $f) (elem (i32.const 1) $f)",
            TrapKind::TableOutOfBounds,
        ),
    ] {
        assert_eq!(
            run(&command(fields, ""), &RunConfig::new()).outcome,
            Outcome::Trapped(Trap::new(kind, ""))
        );
    }
}

fn a_function_imported_twice_works_twice() {
    let guest = command(
        r#"(import "wasi_snapshot_preview1" "proc_exit" (func $also (param i32)))"#,
        "(if (i32.eqz (local.get $i)) (then (call $also (i32.const 3)))) (call $exit (i32.const 4))",
    );
    assert_eq!(run(&guest, &RunConfig::new()).outcome, Outcome::Exited(3));
}

fn an_import_of_another_type_is_refused_by_name() {
    for import in [
        r#"(func (param i64))"#,
        r#"(func (param i32))"#,
        r#"(func (param i32 i32) (result i32))"#,
    ] {
        let guest = format!(
            r#"(module (import "wasi_snapshot_preview1" "fd_close" {import})
                (func (export "_start")))"#
        );
        let error = compile(&guest, &RunConfig::new()).expect_err("no such function");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let message = error.to_string();
        assert!(
            message.contains("wasi_snapshot_preview1.fd_close"),
            "{message}"
        );
    }
}

fn a_start_function_can_call_wasi_and_be_ended() {
    let write = r#"(import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (data (i32.const 0) "\10\00\00\00\05\00\00\00") (data (i32.const 16) "early")
        (func $start (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
        (start $start)"#;
    let config = RunConfig::new().stdout(Stdout::Capture);
    let report = run(&command(write, "(call $exit (i32.const 7))"), &config);
    assert_eq!(report.outcome, Outcome::Exited(7));
    assert_eq!(report.stdout.bytes, b"early");

    let endless = command("(func $start (loop $again (br $again))) (start $start)", "");
    assert_eq!(run(&endless, &within(10)).outcome, Outcome::TimedOut);
    assert_eq!(run(&endless, &fuel(1_000_000)).outcome, Outcome::OutOfFuel);
}

fn guests_on_many_threads_share_a_program() {
    let guest = command(
        "",
        "(loop $again
            (i32.store (i32.const 8) (local.get $i))
            (local.set $i (i32.add (i32.load (i32.const 8)) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 10000))))
        (call $exit (local.get $i))",
    );
    let config = within(600_000);
    let program = compile(&guest, &config).expect("compiles");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let report = program.run(&config).expect("runs");
                    assert_eq!(report.outcome, Outcome::Exited(10_000));
                }
            });
        }
    });
}
