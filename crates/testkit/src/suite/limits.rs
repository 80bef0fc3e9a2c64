//! Limits, and ending a guest from outside.
//!
//! No rule asserts how long something takes: a limit that is not kept shows as a guest that never
//! ends, and the suite's patience with that is long.

use std::fs;
use std::io::Read;
use std::thread;
use std::time::Duration;

use wasmrun_core::{
    Access, Attachments, Compilation, Control, ErrorKind, Guest, Interrupt, Limits, Outcome, Place,
    Program, Run, RunConfig, Stdin, Stdout, Trap, TrapKind,
};

use crate::case::{Case, captured, stdout};
use crate::guests::{
    Endless, FAR_TOO_DEEP, HELLO, component, hello, plain, recursion, wasi, with_memory,
};

crate::suite::rules![
    memory_grows_up_to_its_limit,
    memory_that_starts_out_too_large_ends_the_guest_before_its_start,
    memory_may_declare_more_than_its_limit,
    memories_count_together,
    a_shared_memory_has_its_limit_or_is_refused,
    memory_within_its_limit_is_left_alone,
    the_peak_of_memory_is_told,
    tables_grow_up_to_their_limit,
    tables_that_start_out_too_large_end_the_guest_before_its_start,
    exceptions_count_as_memory_as_long_as_they_are_kept,
    tables_count_as_memory,
    tables_that_take_too_much_memory_end_the_guest_before_its_start,
    tables_have_a_most_that_needs_no_asking,
    more_elements_than_there_are_for_any_guest_are_refused,
    fuel_ends_a_loop,
    fuel_ends_a_loop_of_host_calls,
    fuel_ends_a_start_section,
    fuel_that_suffices_changes_nothing,
    the_data_a_guest_begins_with_take_no_fuel,
    the_fuel_used_is_told_and_the_same_each_time,
    time_ends_whatever_the_guest_does,
    time_ends_a_start_section,
    time_ends_a_component,
    time_that_is_over_before_the_start_ends_the_guest_before_it,
    time_covers_compiling,
    compiling_ends_when_it_is_to_end,
    time_that_suffices_changes_nothing,
    a_timeout_of_one_run_does_not_touch_another,
    after_a_timeout_nothing_goes_on,
    a_kill_ends_whatever_the_guest_does,
    a_kill_of_a_guest_that_has_ended_changes_nothing,
    a_kill_at_once_is_a_kill,
    a_run_that_is_dropped_is_killed,
    only_what_was_started_killable_can_be_killed,
    a_stack_limit_ends_recursion,
    a_stack_within_its_limit_is_left_alone,
    files_without_end_are_an_error_number,
    absurd_sizes_end_nobody_but_the_guest,
    all_limits_together_change_nothing_for_a_modest_guest,
];

const PAGE: u64 = 65536;
/// Long enough for a guest to get going, and short enough to wait for.
const SOON: Duration = Duration::from_millis(300);
/// Longer than anything takes.
const LATE: Duration = Duration::from_secs(3600);

fn limited(change: impl FnOnce(&mut Limits)) -> RunConfig {
    captured().limit(change)
}

// ---- memory and tables -----------------------------------------------------------------------------

/// Grows its memory page by page, at most by 50, and writes how many it got.
fn grower(memory: &str) -> Guest {
    with_memory(
        memory,
        r#"(func (export "_start") (local $grown i32)
            (loop $more
                (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1))
                    (then
                        (local.set $grown (i32.add (local.get $grown) (i32.const 1)))
                        (br_if $more (i32.lt_u (local.get $grown) (i32.const 50))))))
            (call $put (i32.add (i32.const 0x30) (local.get $grown))))"#,
    )
}

/// How many pages [`grower`] got.
fn grown(case: &Case, guest: &Guest, limit: Option<u64>) -> Option<u64> {
    let report = case.run(guest, &limited(|limits| limits.memory = limit))?;
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(report.stdout.bytes.len(), 1);
    Some(u64::from(report.stdout.bytes[0] - b'0'))
}

const ONE_PAGE: &str = r#"(memory (export "memory") 1)"#;

fn memory_grows_up_to_its_limit(case: &Case) {
    for (limit, expected) in [
        (PAGE, 0),
        (2 * PAGE, 1),
        (10 * PAGE, 9),
        // Memory comes in whole pages.
        (10 * PAGE - 1, 8),
        (10 * PAGE + 1, 9),
    ] {
        if let Some(grown) = grown(case, &grower(ONE_PAGE), Some(limit)) {
            assert_eq!(grown, expected, "limit {limit}");
        }
    }
}

fn memory_that_starts_out_too_large_ends_the_guest_before_its_start(case: &Case) {
    let guest = with_memory(
        r#"(memory (export "memory") 100)"#,
        r#"(data (i32.const 1024) "started\n")
        (func $say (call $print (i32.const 1024) (i32.const 8)))
        (start $say)
        (func (export "_start"))"#,
    );
    for limit in [0, 1, 99 * PAGE, 100 * PAGE - 1] {
        let config = limited(|limits| limits.memory = Some(limit));
        if let Some(report) = case.run_or_refused(&guest, &config) {
            assert_eq!(report.outcome, Outcome::OutOfMemory, "limit {limit}");
            assert_eq!(stdout(&report), "");
        }
    }
    let config = limited(|limits| limits.memory = Some(100 * PAGE));
    if let Some(report) = case.run_or_refused(&guest, &config) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "started\n");
    }
}

fn memory_may_declare_more_than_its_limit(case: &Case) {
    let guest = grower(r#"(memory (export "memory") 1 65536)"#);
    if let Some(grown) = grown(case, &guest, Some(4 * PAGE)) {
        assert_eq!(grown, 3);
    }
    let guest = grower(r#"(memory (export "memory") 1 3)"#);
    if let Some(grown) = grown(case, &guest, Some(100 * PAGE)) {
        assert_eq!(grown, 2, "the guest's own maximum stands");
    }
}

fn memories_count_together(case: &Case) {
    let guest = grower(r#"(memory (export "memory") 1) (memory $second 3)"#);
    for (limit, grown) in [(6 * PAGE, Some(2)), (3 * PAGE, None)] {
        let config = limited(|limits| limits.memory = Some(limit));
        if let Some(report) = case.run_or_refused(&guest, &config) {
            match grown {
                Some(pages) => assert_eq!(report.stdout.bytes, [b'0' + pages]),
                None => assert_eq!(report.outcome, Outcome::OutOfMemory),
            }
        }
    }
}

fn a_shared_memory_has_its_limit_or_is_refused(case: &Case) {
    let guest = with_memory(
        r#"(memory (export "memory") 1 100 shared)"#,
        r#"(func (export "_start")
            (if (i32.ne (memory.grow (i32.const 10)) (i32.const -1)) (then unreachable))
            (call $proc_exit (i32.const 7)))"#,
    );
    let config = limited(|limits| limits.memory = Some(4 * PAGE));
    if let Some(report) = case.run_or_refused(&guest, &config) {
        assert_eq!(report.outcome, Outcome::Exited(7), "it grew past its limit");
    }
}

fn memory_within_its_limit_is_left_alone(case: &Case) {
    for limit in [None, Some(64 * PAGE), Some(1 << 40), Some(u64::MAX)] {
        if let Some(grown) = grown(case, &grower(ONE_PAGE), limit) {
            assert_eq!(grown, 50, "limit {limit:?}");
        }
    }
}

fn the_peak_of_memory_is_told(case: &Case) {
    let Some(report) = case.run(&grower(ONE_PAGE), &captured()) else {
        return;
    };
    if case.can("reports_peak_memory") {
        assert_eq!(report.stats.peak_memory, Some(51 * PAGE));
    } else {
        assert_eq!(report.stats.peak_memory, None);
    }
}

/// Grows its table by 10 elements at a time, at most by 200, and writes how often it could.
const TABLE_GROWER: &str = r#"
    (table $table 10 funcref)
    (func (export "_start") (local $grown i32)
        (loop $more
            (if (i32.ne (table.grow $table (ref.null func) (i32.const 10)) (i32.const -1))
                (then
                    (local.set $grown (i32.add (local.get $grown) (i32.const 1)))
                    (br_if $more (i32.lt_u (local.get $grown) (i32.const 20))))))
        (call $put (i32.add (i32.const 0x30) (local.get $grown))))"#;

fn tables_grow_up_to_their_limit(case: &Case) {
    for (limit, expected) in [(10, 0), (39, 2), (40, 3), (1000, 20)] {
        let config = limited(|limits| limits.table_elements = Some(limit));
        if let Some(report) = case.run(&wasi(TABLE_GROWER), &config) {
            assert_eq!(report.outcome, Outcome::Exited(0));
            assert_eq!(report.stdout.bytes, [b'0' + expected], "limit {limit}");
        }
    }
}

fn tables_that_start_out_too_large_end_the_guest_before_its_start(case: &Case) {
    let guest = wasi(
        r#"(table 600 funcref) (table 600 funcref)
        (data (i32.const 1024) "started\n")
        (func (export "_start") (call $print (i32.const 1024) (i32.const 8)))"#,
    );
    for (limit, outcome, output) in [
        (1199, Outcome::OutOfMemory, ""),
        (1200, Outcome::Exited(0), "started\n"),
    ] {
        let config = limited(|limits| limits.table_elements = Some(limit));
        if let Some(report) = case.run_or_refused(&guest, &config) {
            assert_eq!(report.outcome, outcome);
            assert_eq!(stdout(&report), output);
        }
    }
}

/// Throws and catches many exceptions that hold some 100 bytes each, and does something with each.
fn thrower(and_then: &str) -> Guest {
    let payload = "i64 ".repeat(10);
    let values = "(i64.const 1)".repeat(10);
    plain(&format!(
        r#"(tag $tag (param exnref {payload}))
        (global $last (mut exnref) (ref.null exn))
        (func (export "_start") (local $left i32)
            (local.set $left (i32.const 200000))
            (loop $more
                (block $caught (result exnref)
                    (try_table (catch_all_ref $caught) (throw $tag (global.get $last) {values}))
                    unreachable)
                {and_then}
                (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))"#
    ))
}

/// What an engine cannot count, it does not limit.
fn exceptions_count_as_memory_as_long_as_they_are_kept(case: &Case) {
    let config = limited(|limits| limits.memory = Some(4 << 20));
    for (and_then, outcome) in [
        ("(global.set $last)", Outcome::OutOfMemory),
        ("drop", Outcome::Exited(0)),
    ] {
        if let Some(report) = case.run(&thrower(and_then), &config) {
            assert_eq!(report.outcome, outcome, "{and_then}");
        }
    }
}

/// Grows its table by 1000 elements at a time, at most by 20,000, and then its memory by a page; writes how often it
/// could do the one, and whether the other.
fn table_and_memory_grower(table: &str) -> Guest {
    with_memory(
        ONE_PAGE,
        &format!(
            r#"(table $table {table})
            (func (export "_start") (local $grown i32)
                (loop $more
                    (if (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))
                        (then
                            (local.set $grown (i32.add (local.get $grown) (i32.const 1)))
                            (br_if $more (i32.lt_u (local.get $grown) (i32.const 20))))))
                (call $put (i32.add (i32.const 0x30) (local.get $grown)))
                (call $put (i32.add (i32.const 0x31) (memory.grow (i32.const 1)))))"#
        ),
    )
}

fn tables_count_as_memory(case: &Case) {
    const THOUSAND: u64 = 1000 * Limits::TABLE_ELEMENT_BYTES;
    for (table, limit, expected, peak) in [
        // Not even what the table starts out with leaves room.
        ("10 funcref", PAGE + 10 * 32, "00", PAGE + 10 * 32),
        ("0 funcref", PAGE + THOUSAND - 1, "00", PAGE),
        ("0 funcref", PAGE + THOUSAND, "10", PAGE + THOUSAND),
        ("0 funcref", 3 * PAGE, "40", PAGE + 4 * THOUSAND),
        // The guest's own maximum stands, and leaves room for a page.
        ("0 2500 funcref", 3 * PAGE, "22", 2 * PAGE + 2 * THOUSAND),
    ] {
        let config = limited(|limits| limits.memory = Some(limit));
        let Some(report) = case.run(&table_and_memory_grower(table), &config) else {
            return;
        };
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), expected, "{table} in {limit} bytes");
        let told = case.can("reports_peak_memory");
        assert_eq!(report.stats.peak_memory, told.then_some(peak));
    }
}

fn tables_that_take_too_much_memory_end_the_guest_before_its_start(case: &Case) {
    let guest = with_memory(
        ONE_PAGE,
        r#"(table 600 funcref) (table 600 externref)
        (data (i32.const 1024) "started\n")
        (func (export "_start") (call $print (i32.const 1024) (i32.const 8)))"#,
    );
    let bytes = PAGE + 1200 * Limits::TABLE_ELEMENT_BYTES;
    for (limit, outcome, output) in [
        (bytes - 1, Outcome::OutOfMemory, ""),
        (bytes, Outcome::Exited(0), "started\n"),
    ] {
        let config = limited(|limits| limits.memory = Some(limit));
        if let Some(report) = case.run_or_refused(&guest, &config) {
            assert_eq!(report.outcome, outcome);
            assert_eq!(stdout(&report), output);
        }
    }
}

fn tables_have_a_most_that_needs_no_asking(case: &Case) {
    let guest = |by: u64| {
        plain(&format!(
            r#"(table $a 1 funcref) (table $b 1 externref)
            (func (export "_start")
                (if (i32.ne (table.grow $a (ref.null func) (i32.const {by})) (i32.const 1))
                    (then unreachable)))"#
        ))
    };
    let most = Limits::MAX_TABLE_ELEMENTS - 2;
    let limits = |limit| limited(|limits| limits.table_elements = limit);
    for (by, limit, ends) in [
        (most, None, true),
        (most + 1, None, false),
        (1_000_000_000, None, false),
        (u64::from(u32::MAX), None, false),
        (most + 1, Some(u64::MAX), false),
    ] {
        if let Some(report) = case.run(&guest(by), &limits(limit)) {
            let exited = report.outcome == Outcome::Exited(0);
            assert_eq!(exited, ends, "by {by}: {}", report.outcome);
            assert!(exited || matches!(report.outcome, Outcome::Trapped(_)));
        }
    }
}

fn more_elements_than_there_are_for_any_guest_are_refused(case: &Case) {
    for tables in [
        "(table 10000001 funcref)",
        "(table 0xffffffff funcref)",
        "(table 6000000 funcref) (table 6000000 externref)",
    ] {
        let guest = plain(&format!(r#"{tables} (func (export "_start"))"#));
        case.assert_refused(&["tables"], &guest, &captured());
    }
}

// ---- fuel ------------------------------------------------------------------------------------------

fn fuel(amount: u64) -> RunConfig {
    // What a host call loop writes need not be kept.
    limited(|limits| {
        limits.fuel = Some(amount);
        limits.output = Some(1000);
    })
}

fn fuel_ends_a_loop(case: &Case) {
    for amount in [0, 1, 1000, 10_000_000] {
        if let Some(report) = case.run(&Endless::Loop.guest(), &fuel(amount)) {
            assert_eq!(report.outcome, Outcome::OutOfFuel, "with {amount}");
        }
    }
}

fn fuel_ends_a_loop_of_host_calls(case: &Case) {
    if let Some(report) = case.run(&Endless::HostCalls.guest(), &fuel(100_000)) {
        assert_eq!(report.outcome, Outcome::OutOfFuel);
        assert_eq!(stdout(&report), "ready\n");
    }
}

fn fuel_ends_a_start_section(case: &Case) {
    let guest = Endless::Loop.at_instantiation();
    if let Some(report) = case.run_or_refused(&guest, &fuel(1_000_000)) {
        assert_eq!(report.outcome, Outcome::OutOfFuel);
    }
}

fn fuel_that_suffices_changes_nothing(case: &Case) {
    for amount in [1_000_000, u64::MAX / 2, u64::MAX] {
        if let Some(report) = case.run(&hello(), &fuel(amount)) {
            assert_eq!(report.outcome, Outcome::Exited(0), "with {amount}");
            assert_eq!(stdout(&report), "hello\n");
        }
    }
}

fn the_data_a_guest_begins_with_take_no_fuel(case: &Case) {
    let data = "x".repeat(20_000);
    let guest = with_memory(
        r#"(memory (export "memory") 1)"#,
        &format!(
            r#"(data (i32.const 8) "{data}") (func (export "_start") (call $proc_exit (i32.const 7)))"#
        ),
    );
    if let Some(report) = case.run(&guest, &fuel(1_000)) {
        assert_eq!(report.outcome, Outcome::Exited(7));
    }
}

fn the_fuel_used_is_told_and_the_same_each_time(case: &Case) {
    let used = || {
        let report = case.run(&hello(), &fuel(1_000_000))?;
        if case.can("reports_fuel") {
            let used = report
                .stats
                .fuel_used
                .expect("the engine says that it tells");
            assert!((1..=1_000_000).contains(&used), "{used}");
        } else {
            assert_eq!(report.stats.fuel_used, None);
        }
        Some(report.stats.fuel_used)
    };
    if let Some(first) = used() {
        assert_eq!(used(), Some(first));
    }
}

// ---- time ------------------------------------------------------------------------------------------

/// A world in which none of the [`Endless`] guests comes to an end by itself: input that stays open
/// and silent, output that nobody takes. The caller holds the run and with it the pipes.
fn quiet(endless: Endless) -> RunConfig {
    let config = captured().limit(|limits| limits.output = Some(1000));
    match endless {
        Endless::Read | Endless::Poll => config.stdin(Stdin::Pipe),
        Endless::Write => config.stdout(Stdout::Pipe),
        _ => config,
    }
}

/// Runs an endless guest until something ends it, and tells how. `end` is called once it has
/// started.
fn ended(
    case: &Case,
    guest: &Guest,
    config: &RunConfig,
    end: impl FnOnce(&Run),
) -> Option<Outcome> {
    let mut run = case.start(guest, config)?;
    // Kept open for as long as the guest runs.
    let (stdin, stdout) = (run.stdin.take(), run.stdout.take());
    end(&run);
    let report = case.ran(run.wait());
    drop((stdin, stdout));
    Some(report.outcome)
}

fn time_ends_whatever_the_guest_does(case: &Case) {
    for endless in Endless::ALL {
        let config = quiet(endless).limit(|limits| limits.timeout = Some(SOON));
        if let Some(outcome) = ended(case, &endless.guest(), &config, |_| {}) {
            assert_eq!(outcome, Outcome::TimedOut, "{endless:?}");
        }
    }
}

fn time_ends_a_start_section(case: &Case) {
    for endless in [Endless::Loop, Endless::HostCalls, Endless::Sleep] {
        let config = limited(|limits| limits.timeout = Some(SOON));
        if let Some(report) = case.run_or_refused(&endless.at_instantiation(), &config) {
            assert_eq!(report.outcome, Outcome::TimedOut, "{endless:?}");
            assert_eq!(stdout(&report), "ready\n");
        }
    }
}

fn time_ends_a_component(case: &Case) {
    for endless in [
        Endless::Loop,
        Endless::HostCalls,
        Endless::Sleep,
        Endless::Read,
    ] {
        let config = quiet(endless).limit(|limits| limits.timeout = Some(SOON));
        if let Some(outcome) = ended(case, &component(&endless.guest()), &config, |_| {}) {
            assert_eq!(outcome, Outcome::TimedOut, "{endless:?}");
        }
    }
}

fn time_that_is_over_before_the_start_ends_the_guest_before_it(case: &Case) {
    let config = limited(|limits| limits.timeout = Some(Duration::ZERO));
    for guest in [hello(), component(&hello())] {
        if let Some(report) = case.run(&guest, &config) {
            assert_eq!(report.outcome, Outcome::TimedOut);
            assert_eq!(stdout(&report), "");
        }
    }
}

/// Greets, and has many functions that do nothing.
fn large() -> Guest {
    wasi(&format!("{HELLO} {}", "(func)".repeat(100_000)))
}

fn time_covers_compiling(case: &Case) {
    let large = large();
    for guest in [component(&large), large] {
        let config = limited(|limits| limits.timeout = Some(Duration::from_millis(1)));
        if case.refuses(&guest, &config) {
            continue;
        }
        let control = Control::new();
        let engine = case.engine().clone();
        let program = Program::compile_for_run(engine, &guest, &config, None, &control);
        let program = program.expect("that its time is over is no error");
        let report = case.ran(program.run_with(&config, Attachments::new().control(&control)));
        assert_eq!(report.outcome, Outcome::TimedOut);
        assert_eq!(stdout(&report), "");
        let later = program.run(&limited(|limits| limits.timeout = Some(LATE)));
        match later {
            // Where nothing is compiled before the start, there is something to run.
            Ok(report) => assert_eq!(report.outcome, Outcome::Exited(0)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}"),
        }
    }
}

fn compiling_ends_when_it_is_to_end(case: &Case) {
    let (guest, config) = (large(), captured());
    if case.refuses(&guest, &config) {
        return;
    }
    let compile = |control: &Control| {
        let how = Compilation::new().control(control);
        Program::compile_with(case.engine().clone(), &guest, &config, how)
    };
    let control = Control::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            control.interrupt(Interrupt::Kill);
        });
        match compile(&control) {
            // It was faster.
            Ok(program) => assert_eq!(case.ran(program.run(&config)).outcome, Outcome::Exited(0)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}"),
        }
    });
    let error = compile(&control).expect_err("it is to end");
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
    assert_eq!(error.engine(), Some(case.name()), "{error:?}");
}

fn time_that_suffices_changes_nothing(case: &Case) {
    for timeout in [
        LATE,
        Duration::from_secs(u64::from(u32::MAX)),
        Duration::MAX,
    ] {
        let config = limited(|limits| limits.timeout = Some(timeout));
        if let Some(report) = case.run(&hello(), &config) {
            assert_eq!(report.outcome, Outcome::Exited(0), "{timeout:?}");
            assert_eq!(stdout(&report), "hello\n");
        }
    }
}

fn a_timeout_of_one_run_does_not_touch_another(case: &Case) {
    // Ends by itself only if it is given no argument.
    let guest = wasi(
        r#"(func (export "_start")
            (call $check (call $args_sizes_get (i32.const 32) (i32.const 36)))
            (loop $spin
                (br_if $spin (i32.gt_u (i32.load (i32.const 32)) (i32.const 1))))
            (call $sleep (i64.const 400000000)))"#,
    );
    let short = limited(|limits| limits.timeout = Some(SOON)).arg("spin");
    let long = limited(|limits| limits.timeout = Some(LATE));
    let Some(program) = case.compile(&guest, &short) else {
        return;
    };
    thread::scope(|scope| {
        let patient = scope.spawn(|| case.ran(program.run(&long)));
        let hasty = scope.spawn(|| case.ran(program.run(&short)));
        assert_eq!(hasty.join().expect("a run").outcome, Outcome::TimedOut);
        assert_eq!(patient.join().expect("a run").outcome, Outcome::Exited(0));
    });
    assert_eq!(case.ran(program.run(&long)).outcome, Outcome::Exited(0));
}

fn after_a_timeout_nothing_goes_on(case: &Case) {
    let output = case.path("output");
    let config = RunConfig::new()
        .stdout(Stdout::File(output.clone()))
        .limit(|limits| limits.timeout = Some(SOON));
    let guest = wasi(
        r#"(func (export "_start")
            (loop $more (call $put (i32.const 0x78)) (br $more)))"#,
    );
    if let Some(report) = case.run(&guest, &config) {
        assert_eq!(report.outcome, Outcome::TimedOut);
        let size = || fs::metadata(&output).map_or(0, |file| file.len());
        let at_the_end = size();
        assert_ne!(at_the_end, 0);
        thread::sleep(Duration::from_millis(200));
        assert_eq!(size(), at_the_end, "the guest is still writing");
    }
}

// ---- killing ---------------------------------------------------------------------------------------

fn a_kill_ends_whatever_the_guest_does(case: &Case) {
    for endless in Endless::ALL {
        let config = quiet(endless).stdout(Stdout::Pipe).killable(true);
        let Some(mut run) = case.start(&endless.guest(), &config) else {
            return;
        };
        let stdin = run.stdin.take();
        let mut stdout = run.stdout.take().expect("the pipe that was asked for");
        let mut ready = [0; 6];
        stdout.read_exact(&mut ready).expect("the guest writes");
        assert_eq!(&ready, b"ready\n");
        // Wherever it is by then, mostly where it means to stay.
        thread::sleep(Duration::from_millis(20));
        run.kill().expect("it was started killable");
        assert_eq!(case.ran(run.wait()).outcome, Outcome::Killed, "{endless:?}");
        drop((stdin, stdout));
    }
}

fn a_kill_of_a_guest_that_has_ended_changes_nothing(case: &Case) {
    let Some(run) = case.start(&hello(), &captured().killable(true)) else {
        return;
    };
    while !run.has_ended() {
        thread::sleep(Duration::from_millis(1));
    }
    run.kill().expect("it was started killable");
    let report = case.ran(run.wait());
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(stdout(&report), "hello\n");
}

fn a_kill_at_once_is_a_kill(case: &Case) {
    for endless in [Endless::Loop, Endless::Sleep] {
        let config = quiet(endless).killable(true);
        let kill = |run: &Run| run.kill().expect("it was started killable");
        if let Some(outcome) = ended(case, &endless.guest(), &config, kill) {
            assert_eq!(outcome, Outcome::Killed, "{endless:?}");
        }
        if let Some(program) = case.compile(&endless.guest(), &config) {
            let ran = program.run_killable(&config, |killer| killer.kill());
            assert_eq!(case.ran(ran).outcome, Outcome::Killed, "{endless:?}");
        }
    }
}

fn a_run_that_is_dropped_is_killed(case: &Case) {
    let config = captured().stdout(Stdout::Pipe).killable(true);
    let Some(mut run) = case.start(&Endless::Naps.guest(), &config) else {
        return;
    };
    let mut stdout = run.stdout.take().expect("the pipe that was asked for");
    stdout.read_exact(&mut [0; 6]).expect("the guest writes");
    drop(run);
    // The end of the file comes when nobody is left who could write.
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).expect("a pipe reads");
    assert_eq!(rest, b"");
}

fn only_what_was_started_killable_can_be_killed(case: &Case) {
    let Some(run) = case.start(&hello(), &captured()) else {
        return;
    };
    let error = run.kill().expect_err("nobody asked for it");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(case.ran(run.wait()).outcome, Outcome::Exited(0));
    if let Some(program) = case.compile(&hello(), &captured()) {
        let ran = program.run_killable(&captured(), |_| panic!("there is nothing to hand out"));
        let error = ran.expect_err("nobody asked for it");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

// ---- stack -----------------------------------------------------------------------------------------

fn stack(bytes: u64) -> RunConfig {
    limited(|limits| limits.stack = Some(bytes))
}

fn a_stack_limit_ends_recursion(case: &Case) {
    for bytes in [64 << 10, 256 << 10, 1 << 20, 8 << 20] {
        if let Some(report) = case.run(&recursion(FAR_TOO_DEEP), &stack(bytes)) {
            let told = matches!(&report.outcome, Outcome::Trapped(trap)
                if trap.kind == TrapKind::StackOverflow
                    || (trap.kind == TrapKind::Other && !case.can("reports_trap_kinds")));
            assert!(told, "{bytes} bytes: {:?}", report.outcome);
        }
    }
    // What fits into eight mebibytes does not fit into one eightieth of it.
    if let Some(report) = case.run(&recursion(20_000), &stack(100 << 10)) {
        let overflow = Outcome::Trapped(Trap::new(TrapKind::StackOverflow, ""));
        let other = Outcome::Trapped(Trap::new(TrapKind::Other, ""));
        assert!(
            report.outcome == overflow
                || (report.outcome == other && !case.can("reports_trap_kinds")),
            "{:?}",
            report.outcome
        );
    }
}

fn a_stack_within_its_limit_is_left_alone(case: &Case) {
    for (depth, bytes) in [(100, 64 << 10), (1000, 512 << 10), (20_000, 8 << 20)] {
        if let Some(report) = case.run(&recursion(depth), &stack(bytes)) {
            assert_eq!(
                report.outcome,
                Outcome::Exited(7),
                "{depth} in {bytes} bytes"
            );
        }
    }
}

// ---- what is the host's ----------------------------------------------------------------------------

fn files_without_end_are_an_error_number(case: &Case) {
    const MFILE: i32 = 33;
    const NFILE: i32 = 41;
    // Exits with the error number, or 0 after far too many.
    let guest = wasi(
        r#"(data (i32.const 1024) "file")
        (func (export "_start") (local $left i32) (local $errno i32)
            (local.set $left (i32.const 50000))
            (loop $more
                (local.set $errno (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024)
                    (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0)
                    (i32.const 512)))
                (if (local.get $errno) (then (call $proc_exit (local.get $errno))))
                (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))"#,
    );
    case.write("data/file", "content");
    let config = captured().map_dir(case.path("data"), "/", Access::ReadOnly);
    let Some(program) = case.compile(&guest, &config) else {
        return;
    };
    // What one guest had open is there for the next.
    for _ in 0..3 {
        let outcome = case.ran(program.run(&config)).outcome;
        let refused = [MFILE, NFILE].map(Outcome::Exited).contains(&outcome);
        // A process of its own has descriptors of its own.
        let own = case.engine().info().place != Place::InProcess;
        assert!(
            refused || (own && outcome == Outcome::Exited(0)),
            "{outcome}"
        );
    }
}

fn absurd_sizes_end_nobody_but_the_guest(case: &Case) {
    for call in [
        "$random_get (i32.const 0) (i32.const -1)",
        "$random_get (i32.const 0x10000) (i32.const 0x7fffffff)",
        "$fd_write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 8)",
        "$fd_read (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 8)",
        "$poll_oneoff (i32.const 64) (i32.const 64) (i32.const -1) (i32.const 8)",
        "$poll_oneoff (i32.const 64) (i32.const 64) (i32.const 0x100000) (i32.const 8)",
        "$fd_prestat_dir_name (i32.const 3) (i32.const 0) (i32.const -1)",
        "$path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0)
            (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 512)",
    ] {
        let guest = wasi(&format!(
            r#"(func (export "_start")
                ;; A buffer as large as a buffer can be told to be.
                (i32.store (i32.const 4) (i32.const -1))
                (drop (call {call}))
                (call $proc_exit (i32.const 7)))"#
        ));
        let config = captured().stdin(Stdin::Bytes(b"input".to_vec())).map_dir(
            case.mkdir("data"),
            "/",
            Access::ReadOnly,
        );
        if let Some(report) = case.run(&guest, &config) {
            let ended = matches!(report.outcome, Outcome::Exited(7) | Outcome::Trapped(_));
            assert!(ended, "{call}: {}", report.outcome);
        }
    }
}

// ---- all of them -----------------------------------------------------------------------------------

fn all_limits_together_change_nothing_for_a_modest_guest(case: &Case) {
    let config = captured().killable(true).limit(|limits| {
        limits.memory = Some(1 << 30);
        limits.fuel = Some(1 << 40);
        limits.timeout = Some(LATE);
        limits.stack = Some(1 << 20);
        limits.output = Some(1 << 20);
        limits.table_elements = Some(10_000);
        limits.instances = Some(100);
    });
    if let Some(report) = case.run(&hello(), &config) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "hello\n");
    }
    if let Some(report) = case.run(&component(&hello()), &config) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "hello\n");
    }
}
