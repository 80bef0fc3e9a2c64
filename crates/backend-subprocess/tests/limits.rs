//! Limits, and the end of runs that do not end by themselves.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use wasmrun_backend_subprocess::{SubprocessEngine, at};
use wasmrun_core::{
    Engine, ErrorKind, Guest, Outcome, Program, Proposals, Report, Result, RunConfig, Stdin,
    Stdout, Support, Trap, TrapKind,
};
use wasmrun_testkit::particular::component;

on_every_runtime! {
    time_runs_out_in_loops_sleep_and_reading
    time_runs_out_although_nobody_reads
    a_killed_guest_leaves_no_process
    memory_stays_within_its_limit
    all_memories_and_tables_share_a_limit
    fuel_runs_out
    a_stack_is_as_deep_as_asked
    tables_and_instances_stay_within_their_limits
    a_component_ends_as_its_run_does
    what_is_not_supported_is_refused
}

const LOOP: &str = r#"(module (func (export "_start") (loop br 0)))"#;
const SLEEP: &str = include_str!("guests/sleep.wat");

fn brief() -> RunConfig {
    captured().limit(|limits| limits.timeout = Some(Duration::from_millis(700)))
}

fn time_runs_out_in_loops_sleep_and_reading(engine: SubprocessEngine) {
    let cat = include_str!("guests/cat.wat");
    for wat in [LOOP, SLEEP, cat] {
        let config = brief().stdin(Stdin::Pipe);
        let engine: Arc<dyn Engine> = Arc::new(engine.clone());
        let run = Program::compile(engine, &guest(wat), &config)
            .and_then(|program| program.start(&config));
        let mut run = run.expect("starts");
        // Open until the guest has ended, so that it has something to wait for.
        let _stdin = run.stdin.take();
        assert_eq!(run.wait().expect("a report").outcome, Outcome::TimedOut);
    }
}

fn time_runs_out_although_nobody_reads(engine: SubprocessEngine) {
    let flood = program("(loop (call $write (i32.const 2) (i32.const 0) (i32.const 65536)) br 0)");
    let config = brief().stderr(Stdout::Pipe);
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let mut run = Program::compile(engine, &guest(&flood), &config)
        .and_then(|program| program.start(&config))
        .expect("starts");
    let _unread = run.stderr.take();
    assert_eq!(run.wait().expect("a report").outcome, Outcome::TimedOut);
}

fn a_killed_guest_leaves_no_process(engine: SubprocessEngine) {
    let mark = format!("killed-{}-{}.wasm", engine.info().name, std::process::id());
    let guest = Guest::from_bytes(&mark, SLEEP).expect("a guest");
    let config = captured().killable(true);
    let shared: Arc<dyn Engine> = Arc::new(engine.clone());
    let program = Program::compile(shared, &guest, &config).expect("compiles");
    let run = program.start(&config).expect("starts");
    while processes_with(&mark).is_empty() {
        assert!(!run.has_ended(), "{:?}", run.wait());
        std::thread::sleep(Duration::from_millis(5));
    }
    run.kill().expect("killable");
    assert_eq!(run.wait().expect("a report").outcome, Outcome::Killed);
    assert_eq!(processes_with(&mark), [""; 0]);
}

/// Runs `wat` if `support` says that it can be, and checks the refusal if not.
fn if_supported(
    support: Support,
    engine: &SubprocessEngine,
    wat: &str,
    config: &RunConfig,
) -> Option<Report> {
    let result: Result<Report> = run(engine, &guest(wat), config);
    if support == Support::Unsupported {
        assert_eq!(result.expect_err("refused").kind(), ErrorKind::Unsupported);
        return None;
    }
    Some(result.unwrap_or_else(|error| panic!("{error:?}")))
}

fn memory_stays_within_its_limit(engine: SubprocessEngine) {
    const PAGE: u64 = 65536;
    // Grows from 2 pages by `by`, and exits with 1 if that is refused.
    let grow = |by: u32| {
        program(&format!(
            "(call $exit (i32.eq (i32.const -1) (memory.grow (i32.const {by}))))"
        ))
    };
    for (limit, by, refused) in [
        (5 * PAGE, 3, 0),
        (5 * PAGE - 1, 3, 1),
        (5 * PAGE, 4, 1),
        (2 * PAGE, 1, 1),
        (2 * PAGE + 100, 0, 0),
    ] {
        let config = captured().limit(|limits| limits.memory = Some(limit));
        let support = engine.capability().memory;
        let Some(report) = if_supported(support, &engine, &grow(by), &config) else {
            return;
        };
        assert_eq!(report.outcome, Outcome::Exited(refused), "{limit} {by}");
    }
    let config = captured().limit(|limits| limits.memory = Some(PAGE));
    assert_eq!(outcome(&engine, &grow(0), &config), Outcome::OutOfMemory);
    // No page at all: there is no room for the wire in it.
    let empty = r#"(module (memory 0) (func (export "_start")
      (if (i32.ne (i32.const -1) (memory.grow (i32.const 1))) (then unreachable))))"#;
    let config = captured().limit(|limits| limits.memory = Some(100));
    match run(&engine, &guest(empty), &config) {
        Ok(report) => assert_eq!(report.outcome, Outcome::Exited(0)),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        }
    }
}

fn all_memories_and_tables_share_a_limit(engine: SubprocessEngine) {
    let tables = r#"(module (table $a 1 funcref) (table $b 1 funcref) (func (export "_start")
      (if (i32.ne (i32.const 1) (table.grow $a (ref.null func) (i32.const 2))) (then unreachable))
      (if (i32.ne (i32.const -1) (table.grow $b (ref.null func) (i32.const 2))) (then unreachable))))"#;
    let config = captured().limit(|limits| limits.table_elements = Some(5));
    assert_eq!(outcome(&engine, tables, &config), Outcome::Exited(0));
    let memories = r#"(module (memory $a 1) (memory $b 1) (func (export "_start")
      (if (i32.ne (i32.const 1) (memory.grow $a (i32.const 2))) (then unreachable))
      (if (i32.ne (i32.const -1) (memory.grow $b (i32.const 2))) (then unreachable))))"#;
    let config = captured().limit(|limits| limits.memory = Some(5 << 16));
    if engine
        .capability()
        .proposals
        .contains(Proposals::MULTI_MEMORY)
    {
        assert_eq!(outcome(&engine, memories, &config), Outcome::Exited(0));
    }
}

fn fuel_runs_out(engine: SubprocessEngine) {
    let support = engine.capability().fuel;
    let config = captured().limit(|limits| limits.fuel = Some(100_000));
    if let Some(report) = if_supported(support, &engine, LOOP, &config) {
        assert_eq!(report.outcome, Outcome::OutOfFuel);
        assert_eq!(outcome(&engine, &program(""), &config), Outcome::Exited(0));
        assert!(matches!(
            outcome(&engine, &program("unreachable"), &config),
            Outcome::Trapped(trap) if trap.kind == TrapKind::Unreachable
        ));
    }
}

fn a_stack_is_as_deep_as_asked(engine: SubprocessEngine) {
    let deep = |calls: u32| {
        program(&format!("(call $down (i32.const {calls}))")).replace(
            "(memory",
            "(func $down (param $n i32)
               (if (local.get $n)
                 (then (call $down (i32.sub (local.get $n) (i32.const 1)))
                       (i32.store (i32.const 0) (local.get $n)))))
             (memory",
        )
    };
    let support = engine.capability().stack;
    for (stack, calls, fits) in [
        (64 << 10, 100, true),
        (64 << 10, 100_000, false),
        (64 << 20, 100_000, true),
        (512 << 20, 1_000_000, true),
    ] {
        let config = captured().limit(|limits| limits.stack = Some(stack));
        let Some(report) = if_supported(support, &engine, &deep(calls), &config) else {
            return;
        };
        match report.outcome {
            Outcome::Exited(0) => assert!(fits, "{stack} {calls}"),
            Outcome::Trapped(trap) => {
                assert!(!fits, "{stack} {calls}: {trap:?}");
                assert_eq!(trap.kind, TrapKind::StackOverflow);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn tables_and_instances_stay_within_their_limits(engine: SubprocessEngine) {
    let capability = engine.capability();
    let grow = r#"(module (table $t 2 funcref) (func (export "_start")
      (if (i32.eq (i32.const -1) (table.grow $t (ref.null func) (i32.const 3))) (then unreachable))))"#;
    for (limit, fits) in [(5, true), (4, false)] {
        let config = captured().limit(|limits| limits.table_elements = Some(limit));
        let support = capability.table_elements;
        let Some(report) = if_supported(support, &engine, grow, &config) else {
            break;
        };
        assert_eq!(report.outcome.success(), fits, "{:?}", report.outcome);
    }
    for (limit, expected) in [(1, Outcome::Exited(0)), (0, Outcome::OutOfMemory)] {
        let config = captured().limit(|limits| limits.instances = Some(limit));
        let support = capability.instances;
        let Some(report) = if_supported(support, &engine, &program(""), &config) else {
            break;
        };
        assert_eq!(report.outcome, expected);
    }
}

fn a_component_ends_as_its_run_does(engine: SubprocessEngine) {
    for (body, expected) in [
        ("i32.const 0", Outcome::Exited(0)),
        ("i32.const 1", Outcome::Exited(1)),
        (
            "unreachable",
            Outcome::Trapped(Trap::new(TrapKind::Unreachable, "")),
        ),
    ] {
        let support = engine.capability().components;
        let Some(report) = if_supported(support, &engine, &component(body), &captured()) else {
            return;
        };
        assert_eq!(report.outcome, expected);
        assert_eq!(text(&report.stderr.bytes), "");
    }
}

fn what_is_not_supported_is_refused(engine: SubprocessEngine) {
    use wasmrun_core::{Clock, Network, NetworkRules, Random};
    let capability = engine.capability();
    let component = &component("i32.const 0");
    let plain = &program("");
    for (support, wat, config) in [
        (capability.components, component, captured()),
        (
            capability.fixed_clock,
            plain,
            captured().clock(Clock::Fixed(0)),
        ),
        (
            capability.virtual_clock,
            plain,
            captured().clock(Clock::DETERMINISTIC),
        ),
        (
            capability.sorted_listings,
            plain,
            captured().sorted_listings(true),
        ),
        (
            capability.seeded_random,
            plain,
            captured().random(Random::Seeded(1)),
        ),
        (
            capability.network,
            component,
            captured().network(Network::Host),
        ),
        (
            capability.network_rules,
            component,
            captured().network(Network::Rules(NetworkRules::new())),
        ),
        (
            capability.working_directory,
            component,
            captured().working_directory("/"),
        ),
    ] {
        if let Some(report) = if_supported(support, &engine, wat, &config) {
            assert_eq!(report.outcome, Outcome::Exited(0));
        }
    }
}

#[test]
fn wazero_gives_no_memory_the_page_that_it_cannot_address() {
    let Some(engine) = runtime("wazero-cli") else {
        return;
    };
    let refused = "(i32.ne (memory.grow (i32.const 65534)) (i32.const -1))";
    let wat = program(&format!("(if {refused} (then unreachable))"));
    assert_eq!(outcome(&engine, &wat, &captured()), Outcome::Exited(0));
    let full = guest(r#"(module (memory 65536) (func (export "_start")))"#);
    let error = run(&engine, &full, &captured()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("32 bits"), "{error}");
}

#[test]
fn memory_that_a_runtime_has_not_got_is_an_error_of_the_machine() {
    for (name, words) in [
        ("node-cli", "Out of memory"),
        ("wasmtime-cli", "the machine has not the memory"),
        ("wasmer-cli", "the machine has not the memory"),
        ("wasmedge-cli", "usable memory address"),
    ] {
        let Some(found) = runtime(name) else {
            continue;
        };
        let executable = &found.info().place;
        let (_directory, path) = script(&format!("ulimit -v 3145728; exec {executable} \"$@\""));
        let engine = at(name, path, None).expect(name);
        let error = run(&engine, &guest(SLEEP), &captured()).expect_err("no memory");
        assert_eq!(error.kind(), ErrorKind::Engine, "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}
