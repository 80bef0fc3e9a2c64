//! Bounds on what a guest uses, and the traps it ends with.

mod common;

use common::{both, command, compile, component, module, outcome, run};
use wasmrun_core::{Guest, Limits, Outcome, RunConfig, Trap, TrapKind};
use wasmrun_testkit::concurrent;

fn limited(change: impl FnOnce(&mut Limits)) -> RunConfig {
    RunConfig::new().limit(change)
}

/// Exits with how often `grow` worked before it returned -1, at most 100 times.
fn grows(declared: &str, grow: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
            (memory (export "memory") 1)
            {declared}
            (func (export "_start")
                (local $grown i32)
                (loop $again
                    (if (i32.ne ({grow}) (i32.const -1)) (then
                        (local.set $grown (i32.add (local.get $grown) (i32.const 1)))
                        (br_if $again (i32.lt_u (local.get $grown) (i32.const 100))))))
                (call $proc_exit (local.get $grown))))"#
    )
}

#[test]
fn memory_grows_up_to_the_limit_and_no_further() {
    let guest = module(&grows("", "memory.grow (i32.const 1)"));
    let report = run(&guest, &limited(|limits| limits.memory = Some(10 << 16)));
    assert_eq!(report.outcome, Outcome::Exited(9));
    assert_eq!(report.stats.peak_memory, Some(10 << 16));
    assert_eq!(outcome(&guest, &RunConfig::new()), Outcome::Exited(100));
}

#[test]
fn all_memories_count_together() {
    let guest = module(&grows("(memory 3)", "memory.grow 1 (i32.const 1)"));
    let config = limited(|limits| limits.memory = Some(10 << 16));
    assert_eq!(outcome(&guest, &config), Outcome::Exited(6));
}

#[test]
fn growing_beyond_what_the_memory_can_be_is_not_counted() {
    let guest = module(&grows(
        "",
        "block (result i32)
            (drop (memory.grow (i32.const 65536)))
            (memory.grow (i32.const 1))",
    ));
    let report = run(&guest, &limited(|limits| limits.memory = Some(10 << 16)));
    assert_eq!(report.outcome, Outcome::Exited(9));
}

#[test]
fn starting_out_larger_than_the_limit_is_out_of_memory() {
    for guest in both(&grows("", "memory.grow (i32.const 1)")) {
        let config = limited(|limits| limits.memory = Some(1 << 15));
        assert_eq!(outcome(&guest, &config), Outcome::OutOfMemory);
    }
}

#[test]
fn a_components_memory_is_bounded() {
    let guest = component(&command(
        r#"(func (export "_start")
            (loop $again (br_if $again
                (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
            (if (i32.gt_u (memory.size) (i32.const 256)) (then unreachable)))"#,
    ));
    let report = run(&guest, &limited(|limits| limits.memory = Some(16 << 20)));
    assert_eq!(report.outcome, Outcome::Exited(0));
    let peak = report.stats.peak_memory.expect("told");
    assert!(peak > 15 << 20 && peak <= 16 << 20, "{peak}");
}

#[test]
fn tables_grow_up_to_the_limit_and_no_further() {
    let declared = "(table 2 funcref) (table $t 1 externref)";
    let grow = "table.grow $t (ref.null extern) (i32.const 1)";
    let guest = module(&grows(declared, grow));
    let config = limited(|limits| limits.table_elements = Some(10));
    assert_eq!(outcome(&guest, &config), Outcome::Exited(7));
    let config = limited(|limits| limits.table_elements = Some(2));
    assert_eq!(outcome(&guest, &config), Outcome::OutOfMemory);
}

#[test]
fn a_component_may_not_have_more_instances_than_the_limit() {
    let guest = component(&command(r#"(func (export "_start"))"#));
    let with = |instances| limited(|limits| limits.instances = Some(instances));
    assert_eq!(outcome(&guest, &with(1)), Outcome::OutOfMemory);
    assert_eq!(outcome(&guest, &with(100)), Outcome::Exited(0));
}

#[test]
fn objects_count_as_memory() {
    let guest = module(
        r#"(module
            (type $bytes (array (mut i8)))
            (type $list (struct (field (ref null $list)) (field (ref $bytes))))
            (func (export "_start")
                (local $list (ref null $list))
                (loop $again
                    (local.set $list (struct.new $list
                        (local.get $list)
                        (array.new_default $bytes (i32.const 10000))))
                    (br $again))))"#,
    );
    let config = limited(|limits| limits.memory = Some(1 << 20));
    assert_eq!(outcome(&guest, &config), Outcome::OutOfMemory);
}

#[test]
fn fuel_runs_out_exactly() {
    let guest = module(r#"(module (func (export "_start") nop nop nop nop (drop (i32.const 1))))"#);
    let with = |fuel| limited(|limits| limits.fuel = Some(fuel));
    let report = run(&guest, &with(1000));
    assert_eq!(report.outcome, Outcome::Exited(0));
    let used = report.stats.fuel_used.expect("told");
    assert_eq!(outcome(&guest, &with(used + 1)), Outcome::Exited(0));
    let report = run(&guest, &with(used - 1));
    assert_eq!(report.outcome, Outcome::OutOfFuel);
    assert!(report.stats.fuel_used.is_some_and(|fuel| fuel <= used));
}

#[test]
fn fuel_ends_loops_wherever_they_are() {
    let looping = "(loop $again (br $again))";
    let config = limited(|limits| limits.fuel = Some(100_000));
    for guest in [
        module(&command(&format!(r#"(func (export "_start") {looping})"#))),
        component(&command(&format!(r#"(func (export "_start") {looping})"#))),
        module(&format!(
            r#"(module (func $first {looping}) (start $first) (func (export "_start")))"#
        )),
        component(&command(&format!(
            r#"(func $first {looping}) (start $first) (func (export "_start"))"#
        ))),
    ] {
        assert_eq!(outcome(&guest, &config), Outcome::OutOfFuel, "{guest:?}");
    }
}

/// Calls itself as deep as its stack goes, up to `depth`.
fn deep(depth: u32) -> [Guest; 2] {
    both(&command(&format!(
        r#"(func $deep (param i32)
                (if (local.get 0) (then
                    (call $deep (i32.sub (local.get 0) (i32.const 1)))))
                ;; Not a tail call.
                (i32.store (i32.const 64) (local.get 0)))
           (func (export "_start") (call $deep (i32.const {depth})))"#
    )))
}

fn overflow() -> Outcome {
    Outcome::Trapped(Trap::new(TrapKind::StackOverflow, ""))
}

#[test]
fn endless_recursion_is_a_trap() {
    for guest in deep(u32::MAX) {
        assert_eq!(outcome(&guest, &RunConfig::new()), overflow());
        let config = limited(|limits| limits.stack = Some(64 << 20));
        assert_eq!(outcome(&guest, &config), overflow());
    }
}

#[test]
fn a_stack_is_as_deep_as_asked() {
    for guest in deep(20_000) {
        let with = |bytes| limited(|limits| limits.stack = Some(bytes));
        assert_eq!(outcome(&guest, &with(16 << 10)), overflow());
        assert_eq!(outcome(&guest, &with(8 << 20)), Outcome::Exited(0));
    }
}

#[test]
fn programs_with_different_limits_live_side_by_side() {
    let guest = module(&grows("", "memory.grow (i32.const 1)"));
    let configs = [
        RunConfig::new(),
        limited(|limits| limits.fuel = Some(1_000_000)),
        limited(|limits| limits.stack = Some(1 << 20)),
        limited(|limits| limits.timeout = Some(std::time::Duration::from_secs(60))),
    ];
    let engine = common::engine();
    let programs = configs.each_ref().map(|config| {
        wasmrun_core::Program::compile(engine.clone(), &guest, config).expect("compiles")
    });
    for (program, config) in programs.iter().zip(&configs) {
        let report = program.run(config).expect("runs");
        assert_eq!(report.outcome, Outcome::Exited(100));
        assert_eq!(
            report.stats.fuel_used.is_some(),
            config.limits.fuel.is_some()
        );
    }
}

#[test]
fn traps_arrive_with_their_kind() {
    for (kind, body) in [
        (TrapKind::Unreachable, "unreachable"),
        (
            TrapKind::MemoryOutOfBounds,
            "(drop (i32.load (i32.const 65536)))",
        ),
        (
            TrapKind::TableOutOfBounds,
            "(call_indirect (type $none) (i32.const 9))",
        ),
        (
            TrapKind::UninitializedElement,
            "(call_indirect (type $none) (i32.const 0))",
        ),
        (
            TrapKind::IndirectCallTypeMismatch,
            "(call_indirect (type $one) (i32.const 1))",
        ),
        (
            TrapKind::DivideByZero,
            "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
        ),
        (
            TrapKind::IntegerOverflow,
            "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
        ),
        (
            TrapKind::InvalidConversion,
            "(drop (i32.trunc_f32_s (f32.const nan)))",
        ),
        (TrapKind::NullReference, "(call_ref $none (ref.null $none))"),
        (TrapKind::UncaughtException, "(throw $e)"),
        (
            TrapKind::HostFunction,
            "(drop (call $fd_write (i32.const 1) (i32.const 65535) (i32.const 9) (i32.const 0)))",
        ),
    ] {
        let guest = module(&command(&format!(
            r#"(type $none (func))
               (type $one (func (result i32)))
               (tag $e)
               (table 2 funcref)
               (elem (i32.const 1) $write)
               (func (export "_start") {})"#,
            match kind {
                TrapKind::IndirectCallTypeMismatch => format!("(drop {body})"),
                _ => body.to_owned(),
            }
        )));
        match outcome(&guest, &RunConfig::new()) {
            Outcome::Trapped(trap) => {
                assert_eq!(trap.kind, kind, "{body}: {}", trap.message);
                let mut lines = trap.message.lines();
                assert!(lines.next().is_some_and(|cause| !cause.is_empty()));
                assert!(
                    lines.all(|frame| frame.contains("wasm function")),
                    "{trap:?}"
                );
            }
            other => panic!("{body}: {other}"),
        }
    }
}

#[test]
fn a_trap_in_a_start_section_is_a_trap() {
    for guest in [
        module(r#"(module (func $f unreachable) (start $f) (func (export "_start")))"#),
        component(&command(
            r#"(func $f unreachable) (start $f) (func (export "_start"))"#,
        )),
    ] {
        assert_eq!(
            outcome(&guest, &RunConfig::new()),
            Outcome::Trapped(Trap::new(TrapKind::Unreachable, ""))
        );
    }
}

#[test]
fn a_trap_of_one_run_leaves_the_next_alone() {
    let guest = module(&command(
        r#"(func (export "_start")
            (if (call $read (i32.const 100) (i32.const 1)) (then unreachable)))"#,
    ));
    let program = compile(&guest, &RunConfig::new());
    for _ in 0..3 {
        let trapping = RunConfig::new().stdin(wasmrun_core::Stdin::Bytes(vec![1]));
        assert!(matches!(
            program.run(&trapping).expect("runs").outcome,
            Outcome::Trapped(_)
        ));
        let report = program.run(&RunConfig::new()).expect("runs");
        assert_eq!(report.outcome, Outcome::Exited(0));
    }
}

#[test]
fn streams_that_a_component_forgets_are_bounded() {
    // Each is to be written to standard output and never is. Of the last it waits to be told what came of it.
    let guest = concurrent::command(
        "(loop $more
            (local.set $b (call $stdout (i32.wrap_i64 (call $stdout_new))))
            (local.set $a (i32.add (local.get $a) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $a) (i32.const 5000))))
        (drop (call $come (local.get $b) (call $stdout_told (local.get $b) (i32.const 32))))
        (i32.load8_u (i32.const 32))",
    );
    assert_eq!(outcome(&guest, &RunConfig::new()), Outcome::Exited(1));
}

#[test]
fn tasks_that_a_component_does_not_wait_for_are_bounded() {
    let guest = concurrent::command(
        "(loop $more (drop (call $begin_sleep (i64.const 86400000000000))) (br $more)) unreachable",
    );
    let outcome = outcome(&guest, &RunConfig::new());
    assert!(matches!(outcome, Outcome::Trapped(_)), "{outcome:?}");
}
