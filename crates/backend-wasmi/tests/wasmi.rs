//! What is particular to wasmi: fuel by slices, where its limits are, what it refuses late.

use std::sync::Arc;
use std::thread;

use wasmrun_backend_wasmi::WasmiEngine;
use wasmrun_core::{
    Engine, ErrorKind, Outcome, Program, Report, Result, RunConfig, Stdout, Trap, TrapKind,
};
use wasmrun_testkit::particular::{self, command, fuel, within};

fn engine() -> Arc<dyn Engine> {
    Arc::new(WasmiEngine::new().expect("wasmi is built in"))
}

fn compile(wat: &str, config: &RunConfig) -> Result<Program> {
    particular::compile(engine(), wat, config)
}

fn run(wat: &str, config: &RunConfig) -> Report {
    particular::run(engine(), wat, config)
}

/// Adds up what it stores, a million times, with a call, a branch and an operation on all of its
/// memory; exits with the sum. Takes some hundred slices of fuel.
fn work() -> String {
    command(
        "(global $sum (mut i32) (i32.const 0))
        (func $add (param i32)
            (global.set $sum (i32.add (global.get $sum) (i32.and (local.get 0) (i32.const 3)))))",
        "(loop $again
            (i32.store (i32.const 8) (local.get $i))
            (call $add (i32.load (i32.const 8)))
            (if (i32.eqz (i32.and (local.get $i) (i32.const 0xfff)))
                (then (memory.fill (i32.const 64) (i32.const 7) (i32.const 65000))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 1000000))))
        (call $exit (global.get $sum))",
    )
}

#[test]
fn slices_change_neither_what_a_guest_does_nor_the_fuel_it_uses() {
    let whole = run(&work(), &fuel(1 << 40));
    assert_eq!(whole.outcome, Outcome::Exited(1_500_000));
    let used = whole.stats.fuel_used.expect("it is told");
    let sliced = fuel(1 << 40).killable(true);
    let report = run(&work(), &sliced);
    assert_eq!(report.outcome, whole.outcome);
    assert_eq!(report.stats.fuel_used, Some(used));

    // Exactly as much suffices, and one less does not, in slices or at once.
    for killable in [false, true] {
        let enough = run(&work(), &fuel(used).killable(killable));
        assert_eq!(enough.outcome, whole.outcome);
        assert_eq!(enough.stats.fuel_used, Some(used));
        let short = run(&work(), &fuel(used - 1).killable(killable));
        assert_eq!(short.outcome, Outcome::OutOfFuel);
        assert_eq!(short.stats.fuel_used, Some(used - 1));
    }
}

#[test]
fn a_guest_without_a_fuel_limit_reports_none() {
    assert_eq!(run(&work(), &within(60_000)).stats.fuel_used, None);
}

#[test]
fn the_first_run_of_a_program_uses_no_more_fuel_than_the_next() {
    let config = fuel(1 << 40);
    let program = compile(&work(), &config).expect("compiles");
    let used = || program.run(&config).expect("runs").stats.fuel_used;
    assert_eq!(used(), used());
}

#[test]
fn operations_that_take_more_than_a_slice_go_through() {
    // A hundred megabytes are more than a million units of fuel.
    let guest = command(
        "",
        "(if (i32.ne (memory.grow (i32.const 1600)) (i32.const 1)) (then unreachable))
        (memory.fill (i32.const 0) (i32.const 9) (i32.const 100000000))
        (memory.copy (i32.const 1) (i32.const 0) (i32.const 100000000))
        (call $exit (i32.load8_u (i32.const 100000000)))",
    );
    let report = run(&guest, &within(600_000));
    assert_eq!(report.outcome, Outcome::Exited(9));
    assert_eq!(report.stats.peak_memory, Some(1601 * 65_536));
}

#[test]
fn memory_that_is_paused_while_it_grows_is_counted_once() {
    let guest = command(
        "",
        "(loop $again
            (if (i32.eq (memory.grow (i32.const 200)) (i32.const -1)) (then unreachable))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 4))))",
    );
    let config = within(600_000).limit(|limits| limits.memory = Some(801 * 65_536));
    let report = run(&guest, &config);
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(report.stats.peak_memory, Some(801 * 65_536));
}

#[test]
fn a_loop_that_fills_and_copies_runs_out_of_time() {
    for body in [
        "(drop (memory.grow (i32.const 1023)))
         (loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x4000000)) (br $again))",
        "(drop (memory.grow (i32.const 1023)))
         (loop $again (memory.copy (i32.const 0) (i32.const 0x100000) (i32.const 0x3000000)) (br $again))",
        "(loop $again (drop (memory.grow (i32.const 0))) (br $again))",
    ] {
        assert_eq!(
            run(&command("", body), &within(10)).outcome,
            Outcome::TimedOut
        );
    }
}

/// wasmi 2.0 by itself runs on at the wrong place after such a pause.
#[test]
fn a_guest_is_paused_while_it_grows_a_table() {
    // So many elements that slices of fuel end with them, and what must not be done twice in front of each.
    let grows = command(
        "(table $table 1 funcref) (table $other 1 externref) (global $times (mut i32) (i32.const 0))
        (func $early
            (global.set $times (i32.add (global.get $times) (i32.const 1)))
            (if (i32.ne (table.grow $other (ref.null extern) (i32.const 2800000)) (i32.const 1))
                (then unreachable)))
        (elem declare func $early)
        (start $early)",
        "(loop $again
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (global.set $times (i32.add (global.get $times) (i32.const 1)))
            (if (i32.ne
                    (i32.add
                        (local.get $i)
                        (table.grow $table (ref.func $early) (i32.mul (local.get $i) (i32.const 100000))))
                    (i32.add (i32.add (local.get $i) (i32.const 1)) (i32.mul (i32.const 50000)
                        (i32.mul (local.get $i) (i32.sub (local.get $i) (i32.const 1))))))
                (then unreachable))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 11))))
        (if (i32.ne (table.size $table) (i32.const 6600001)) (then unreachable))
        (if (ref.is_null (table.get $table (i32.const 6600000))) (then unreachable))
        (if (i32.ne (global.get $times) (i32.const 12)) (then unreachable))
        (call $exit (i32.const 9))",
    );
    assert_eq!(run(&grows, &within(600_000)).outcome, Outcome::Exited(9));
    assert_eq!(run(&grows, &RunConfig::new()).outcome, Outcome::Exited(9));
    let limited = fuel(20_000_000).killable(true);
    assert_eq!(run(&grows, &limited).outcome, Outcome::Exited(9));
    let limited = fuel(200_000).killable(true);
    assert_eq!(run(&grows, &limited).outcome, Outcome::OutOfFuel);

    let endless = command(
        "(table $table 1 funcref)",
        "(loop $again (drop (table.grow $table (ref.null func) (i32.const 1000))) (br $again))",
    );
    assert_eq!(run(&endless, &within(10)).outcome, Outcome::TimedOut);
}

#[test]
fn guests_on_many_threads_share_a_program_that_is_translated_as_they_go() {
    let config = fuel(1 << 40).killable(true);
    let program = compile(&work(), &config).expect("compiles");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let report = program.run(&config).expect("runs");
                assert_eq!(report.outcome, Outcome::Exited(1_500_000));
            });
        }
    });
}

#[test]
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

#[test]
fn a_function_imported_twice_works_twice() {
    let guest = command(
        r#"(import "wasi_snapshot_preview1" "proc_exit" (func $also (param i32)))"#,
        "(if (i32.eqz (local.get $i)) (then (call $also (i32.const 3)))) (call $exit (i32.const 4))",
    );
    assert_eq!(run(&guest, &RunConfig::new()).outcome, Outcome::Exited(3));
}

#[test]
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

#[test]
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
