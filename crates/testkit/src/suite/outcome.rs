//! How guests end.

use std::thread;

use wasmrun_core::{ErrorKind, Guest, Outcome, RunConfig, TrapKind};

use crate::case::{Case, captured, stdout};
use crate::guests::{
    self, FAR_TOO_DEEP, component, exit, hello, plain, recursion, wasi, with_memory,
};

crate::suite::rules![
    returning_is_exiting_with_0,
    small_exit_codes_pass,
    all_exit_codes_pass_whole,
    an_exit_ends_the_guest_at_once,
    an_exit_inside_nested_calls_is_an_exit,
    an_exit_in_the_start_section_is_an_exit,
    the_start_section_may_call_wasi,
    each_trap_is_told_by_its_kind,
    a_trap_in_the_start_section_is_a_trap,
    output_before_a_trap_is_kept,
    recursion_without_bound_is_a_trap,
    a_trap_is_no_exit_and_an_exit_no_trap,
    pointers_out_of_memory_do_not_harm_the_host,
    a_program_runs_again_from_its_beginning,
    what_a_guest_left_in_its_memory_no_other_sees,
    a_guest_begins_with_its_data_whatever_ran_before,
    segments_are_what_the_specification_says,
    a_program_runs_on_many_threads,
    a_program_runs_after_a_trap,
];

fn ends(case: &Case, guest: &Guest) -> Option<Outcome> {
    case.run(guest, &captured()).map(|report| report.outcome)
}

fn returning_is_exiting_with_0(case: &Case) {
    let Some(report) = case.run(&hello(), &captured()) else {
        return;
    };
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(stdout(&report), "hello\n");
    assert!(report.stderr.bytes.is_empty());
    if let Some(outcome) = ends(case, &plain(r#"(func (export "_start"))"#)) {
        assert_eq!(outcome, Outcome::Exited(0));
    }
}

fn small_exit_codes_pass(case: &Case) {
    for code in [0, 1, 2, 3, 42, 101, 124, 125] {
        let Some(outcome) = ends(case, &exit(code)) else {
            return;
        };
        assert_eq!(outcome, Outcome::Exited(code));
    }
}

/// Where an engine does not tell the code, that is an error or a failure, never another guest's
/// success.
fn all_exit_codes_pass_whole(case: &Case) {
    let large = [
        126,
        127,
        128,
        134,
        137,
        139,
        143,
        200,
        255,
        256,
        1000,
        65536,
        i32::MAX,
    ];
    let negative = [-1, -2, -255, -256, i32::MIN];
    for code in large.into_iter().chain(negative) {
        let Some(program) = case.compile(&exit(code), &captured()) else {
            return;
        };
        let told = match program.run(&captured()) {
            Ok(report) => report.outcome,
            Err(error) if !case.can("reports_exit_codes") => {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
                continue;
            }
            Err(error) => panic!("exit {code}: {error:?}"),
        };
        if case.can("reports_exit_codes") {
            assert_eq!(told, Outcome::Exited(code));
        } else {
            let failed = matches!(told, Outcome::Exited(other) if other != 0);
            let part = format!("exit {code}");
            assert!(
                failed || case.known(&part, "a failure", &told.to_string()),
                "exit {code} was told as: {told}"
            );
        }
    }
}

fn an_exit_ends_the_guest_at_once(case: &Case) {
    let guest = wasi(
        r#"(data (i32.const 1024) "before\nafter\n")
        (func (export "_start")
            (call $print (i32.const 1024) (i32.const 7))
            (call $proc_exit (i32.const 3))
            (call $print (i32.const 1031) (i32.const 6)))"#,
    );
    if let Some(report) = case.run(&guest, &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(3));
        assert_eq!(stdout(&report), "before\n");
    }
}

fn an_exit_inside_nested_calls_is_an_exit(case: &Case) {
    let guest = wasi(
        "(func $down (param i32)
            (if (i32.eqz (local.get 0)) (then (call $proc_exit (i32.const 9))))
            (call $down (i32.sub (local.get 0) (i32.const 1)))
            unreachable)
        (func (export \"_start\") (call $down (i32.const 100)))",
    );
    if let Some(outcome) = ends(case, &guest) {
        assert_eq!(outcome, Outcome::Exited(9));
    }
}

fn an_exit_in_the_start_section_is_an_exit(case: &Case) {
    let guest = wasi(
        r#"(func $exit (call $proc_exit (i32.const 7)))
        (start $exit)
        (func (export "_start") unreachable)"#,
    );
    match case.run_or_refused(&guest, &captured()) {
        Some(report) => assert_eq!(report.outcome, Outcome::Exited(7)),
        // One that takes start sections at all takes this one.
        None => assert!(
            case.run_or_refused(&starter(), &captured()).is_none(),
            "refused after the guest had started"
        ),
    }
}

/// Writes a line from its start section, and another from its entry.
fn starter() -> Guest {
    wasi(
        r#"(data (i32.const 1024) "first\nsecond\n")
        (func $first (call $print (i32.const 1024) (i32.const 6)))
        (start $first)
        (func (export "_start") (call $print (i32.const 1030) (i32.const 7)))"#,
    )
}

fn the_start_section_may_call_wasi(case: &Case) {
    if let Some(report) = case.run_or_refused(&starter(), &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "first\nsecond\n");
    }
}

/// What each kind of trap can be provoked by.
const TRAPS: &[(TrapKind, &str)] = &[
    (TrapKind::Unreachable, "(unreachable)"),
    (
        TrapKind::MemoryOutOfBounds,
        "(drop (i32.load (i32.const 65536)))",
    ),
    (
        TrapKind::MemoryOutOfBounds,
        "(i64.store offset=4294967295 (i32.const -1) (i64.const 0))",
    ),
    (
        TrapKind::MemoryOutOfBounds,
        "(memory.fill (i32.const 65530) (i32.const 0) (i32.const 7))",
    ),
    (
        TrapKind::TableOutOfBounds,
        "(call_indirect (type $nothing) (i32.const 4))",
    ),
    (
        TrapKind::TableOutOfBounds,
        "(drop (table.get 0 (i32.const 4)))",
    ),
    (
        TrapKind::UninitializedElement,
        "(call_indirect (type $nothing) (i32.const 3))",
    ),
    (
        TrapKind::IndirectCallTypeMismatch,
        "(drop (call_indirect (result i32) (i32.const 0)))",
    ),
    (
        TrapKind::DivideByZero,
        "(drop (i32.div_u (i32.const 1) (global.get $zero)))",
    ),
    (
        TrapKind::DivideByZero,
        "(drop (i64.rem_s (i64.const 1) (i64.extend_i32_u (global.get $zero))))",
    ),
    (
        TrapKind::IntegerOverflow,
        "(drop (i32.div_s (i32.const 0x80000000) (global.get $minus_one)))",
    ),
    (
        TrapKind::IntegerOverflow,
        "(drop (i32.trunc_f64_s (f64.const 1e10)))",
    ),
    (
        TrapKind::InvalidConversion,
        "(drop (i32.trunc_f32_s (f32.const nan)))",
    ),
];

fn trap_guest(body: &str) -> Guest {
    plain(&format!(
        r#"(type $nothing (func))
        (memory (export "memory") 1)
        (table 4 funcref)
        (elem (i32.const 0) $start)
        (global $zero (mut i32) (i32.const 0))
        (global $minus_one (mut i32) (i32.const -1))
        (func $start (export "_start") {body})"#
    ))
}

fn each_trap_is_told_by_its_kind(case: &Case) {
    for (kind, body) in TRAPS {
        let Some(outcome) = ends(case, &trap_guest(body)) else {
            return;
        };
        assert_trapped(case, &outcome, *kind, body);
    }
}

pub(super) fn assert_trapped(case: &Case, outcome: &Outcome, kind: TrapKind, body: &str) {
    let Outcome::Trapped(trap) = outcome else {
        panic!("{body}: expected a trap ({kind}), got {outcome}");
    };
    let untold = !case.can("reports_trap_kinds") && trap.kind == TrapKind::Other;
    let (expected, seen) = (kind.to_string(), trap.kind.to_string());
    assert!(
        trap.kind == kind || untold || case.known(body, &expected, &seen),
        "{body}: expected {expected}, got {seen}: {}",
        trap.message
    );
}

fn a_trap_in_the_start_section_is_a_trap(case: &Case) {
    let guest = plain(
        r#"(memory (export "memory") 1)
        (func $trap unreachable) (start $trap) (func (export "_start"))"#,
    );
    if let Some(report) = case.run_or_refused(&guest, &captured()) {
        assert_trapped(case, &report.outcome, TrapKind::Unreachable, "(start)");
    }
}

fn output_before_a_trap_is_kept(case: &Case) {
    let guest = wasi(
        r#"(data (i32.const 1024) "out\nerr\n")
        (func (export "_start")
            (call $write (i32.const 1) (i32.const 1024) (i32.const 4))
            (call $write (i32.const 2) (i32.const 1028) (i32.const 4))
            unreachable)"#,
    );
    if let Some(report) = case.run(&guest, &captured()) {
        assert_trapped(case, &report.outcome, TrapKind::Unreachable, "unreachable");
        assert_eq!(stdout(&report), "out\n");
        assert_eq!(
            report.stderr.bytes, b"err\n",
            "the engine's words are no output"
        );
    }
}

fn recursion_without_bound_is_a_trap(case: &Case) {
    let Some(outcome) = ends(case, &recursion(FAR_TOO_DEEP)) else {
        return;
    };
    if !case.known("recursion without bound", "a trap", &outcome.to_string()) {
        assert_trapped(case, &outcome, TrapKind::StackOverflow, "recursion");
    }
}

/// 134 is how a shell tells SIGABRT, and how some runtimes tell a trap.
fn a_trap_is_no_exit_and_an_exit_no_trap(case: &Case) {
    let noisy = |code: i32| {
        // Words that an engine might use of a trap, and a guest may use as well.
        wasi(&format!(
            r#"(data (i32.const 1024)
                "Error: wasm trap: wasm `unreachable` instruction executed\nRuntimeError: unreachable\n")
            (func (export "_start")
                (call $write (i32.const 2) (i32.const 1024) (i32.const 84))
                (call $proc_exit (i32.const {code})))"#
        ))
    };
    for code in [1, 45] {
        if let Some(report) = case.run(&noisy(code), &captured()) {
            assert_eq!(report.outcome, Outcome::Exited(code));
            assert_eq!(report.stderr.bytes.len(), 84);
        }
    }
    if case.can("reports_exit_codes")
        && let Some(report) = case.run(&noisy(134), &captured())
    {
        assert_eq!(report.outcome, Outcome::Exited(134));
    }
}

fn pointers_out_of_memory_do_not_harm_the_host(case: &Case) {
    let guest = wasi(
        r#"(data (i32.const 1024) "done\n")
        (func (export "_start")
            (drop (call $fd_write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 8)))
            (drop (call $random_get (i32.const 0x7fffffff) (i32.const 0x7fffffff)))
            (drop (call $args_get (i32.const -4) (i32.const -4)))
            (call $print (i32.const 1024) (i32.const 5)))"#,
    );
    let Some(report) = case.run(&guest, &captured()) else {
        return;
    };
    // An error number or a trap: engines may differ, because the specification leaves it open.
    match &report.outcome {
        Outcome::Trapped(_) => {}
        outcome => {
            assert_eq!(*outcome, Outcome::Exited(0));
            assert_eq!(stdout(&report), "done\n");
        }
    }
}

fn a_program_runs_again_from_its_beginning(case: &Case) {
    let guest = wasi(
        r#"(global $runs (mut i32) (i32.const 0x30))
        (func (export "_start")
            (global.set $runs (i32.add (global.get $runs) (i32.const 1)))
            (i32.store8 (i32.const 1024) (i32.add (i32.load8_u (i32.const 1024)) (i32.const 0x31)))
            (call $put (global.get $runs))
            (call $print (i32.const 1024) (i32.const 1))
            (drop (memory.grow (i32.const 1)))
            (call $put (i32.add (i32.const 0x30) (memory.size))))"#,
    );
    let Some(program) = case.compile(&guest, &captured()) else {
        return;
    };
    for _ in 0..3 {
        let report = case.ran(program.run(&captured()));
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "113");
    }
}

/// Grows its memory, sees that all of it is zeros, and fills it.
fn soiling(pages: u32) -> Guest {
    with_memory(
        &format!(r#"(memory (export "memory") {pages})"#),
        r#"(func (export "_start") (local $at i32)
            (if (i32.eq (memory.grow (i32.const 3)) (i32.const -1)) (then unreachable))
            (loop $next
                (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then unreachable))
                (local.set $at (i32.add (local.get $at) (i32.const 8)))
                (br_if $next
                    (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 0x10000)))))
            (memory.fill (i32.const 0) (i32.const 0xff) (local.get $at))
            (call $proc_exit (i32.const 7)))"#,
    )
}

fn what_a_guest_left_in_its_memory_no_other_sees(case: &Case) {
    for pages in [1, 4, 2, 2] {
        if let Some(outcome) = ends(case, &soiling(pages)) {
            assert_eq!(outcome, Outcome::Exited(7), "{pages} pages");
        }
    }
    let beyond = with_memory(
        r#"(memory (export "memory") 1)"#,
        r#"(func (export "_start") (drop (i32.load8_u (i32.const 0x10000))))"#,
    );
    if let Some(outcome) = ends(case, &beyond) {
        assert_trapped(
            case,
            &outcome,
            TrapKind::MemoryOutOfBounds,
            "beyond its memory",
        );
    }
}

/// Sees that its memory is so many bytes of data and zeros around them, and fills it.
fn with_data(bytes: u32, step: u32) -> Guest {
    const BEGIN: u32 = 5000;
    let data: String = (0..bytes)
        .map(|at| format!("\\{:02x}", at * step % 251))
        .collect();
    with_memory(
        r#"(memory (export "memory") 3)"#,
        &format!(
            r#"(data (i32.const {BEGIN}) "{data}")
            (func $expected (param $at i32) (result i32)
                (local.set $at (i32.sub (local.get $at) (i32.const {BEGIN})))
                (if (result i32) (i32.lt_u (local.get $at) (i32.const {bytes}))
                    (then (i32.rem_u
                        (i32.mul (local.get $at) (i32.const {step})) (i32.const 251)))
                    (else (i32.const 0))))
            (func (export "_start") (local $at i32)
                (loop $next
                    (if (i32.ne (i32.load8_u (local.get $at)) (call $expected (local.get $at)))
                        (then unreachable))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $next (i32.lt_u (local.get $at) (i32.const 0x30000))))
                (memory.fill (i32.const 0) (i32.const 0xff) (local.get $at))
                (call $proc_exit (i32.const 7)))"#
        ),
    )
}

fn a_guest_begins_with_its_data_whatever_ran_before(case: &Case) {
    let mut modules = vec![
        with_data(1_000, 3),
        with_data(100_000, 5),
        with_data(100_000, 7),
    ];
    let components = modules.iter().map(component).collect();
    modules.push(soiling(3));
    // A component tells only that it failed.
    for (guests, code) in [(modules, 7), (components, 1)] {
        let programs: Option<Vec<_>> = guests
            .iter()
            .map(|guest| case.compile(guest, &captured()))
            .collect();
        let Some(programs) = programs else { return };
        for next in [1, 1, 0, 1, 2, 2, 1, 3, 1, 0, 3, 2, 0] {
            let report = case.ran(programs[next % programs.len()].run(&captured()));
            assert_eq!(report.outcome, Outcome::Exited(code), "guest {next}");
        }
    }
}

/// The later go over the earlier, and those that were put into a memory or a table are gone.
fn segments_are_what_the_specification_says(case: &Case) {
    let many = "z".repeat(60_000);
    let segments = format!(
        r#"(data $first (i32.const 2000) "{many}") (data $passive "passive")
        (data (i32.const 61990) "over the end") (data (i32.const 131072) "")"#
    );
    let print = r#"
        (call $print (i32.const 61980) (i32.const 22))
        (memory.init $passive (i32.const 100) (i32.const 0) (i32.const 7))
        (call $print (i32.const 100) (i32.const 7))
        (memory.init $first (i32.const 0) (i32.const 0) (i32.const 0))"#;
    let guest = wasi(&format!(r#"{segments} (func (export "_start") {print})"#));
    if let Some(report) = case.run(&guest, &captured()) {
        assert_eq!(stdout(&report), "zzzzzzzzzzover the endpassive");
        assert_eq!(report.outcome, Outcome::Exited(0));
    }
    let again = wasi(&format!(
        r#"{segments} (func (export "_start")
            (memory.init $first (i32.const 0) (i32.const 0) (i32.const 1)))"#
    ));
    let beyond = wasi(&format!(
        r#"{segments} (data (i32.const 131071) "ab") (func (export "_start"))"#
    ));
    let table = plain(
        r#"(table 2 funcref) (elem $first (i32.const 0) $f) (func $f)
        (func (export "_start")
            (table.init $first (i32.const 0) (i32.const 0) (i32.const 1)))"#,
    );
    for (guest, kind) in [
        (again, TrapKind::MemoryOutOfBounds),
        (beyond, TrapKind::MemoryOutOfBounds),
        (table, TrapKind::TableOutOfBounds),
    ] {
        if let Some(outcome) = ends(case, &guest) {
            assert_trapped(case, &outcome, kind, "a segment that is gone");
        }
    }
}

fn a_program_runs_on_many_threads(case: &Case) {
    let Some(program) = case.compile(&guests::args(), &captured()) else {
        return;
    };
    let run = |number: i32| {
        let config = captured().arg(format!("number {number}"));
        let report = case.ran(program.run(&config));
        (number, report)
    };
    thread::scope(|scope| {
        let runs: Vec<_> = (0..8).map(|n| scope.spawn(move || run(n))).collect();
        for run in runs {
            let (number, report) = run.join().expect("the run's thread");
            assert_eq!(report.outcome, Outcome::Exited(0));
            assert_eq!(stdout(&report), format!("guest.wasm\0number {number}\0."));
        }
    });
}

fn a_program_runs_after_a_trap(case: &Case) {
    let guest = wasi(
        r#"(func (export "_start")
            (call $check (call $args_sizes_get (i32.const 32) (i32.const 36)))
            (if (i32.gt_u (i32.load (i32.const 32)) (i32.const 1)) (then unreachable)))"#,
    );
    let Some(program) = case.compile(&guest, &RunConfig::new()) else {
        return;
    };
    for arg in [None, Some("trap"), None, Some("trap"), None] {
        let report = case.ran(program.run(&captured().args(arg)));
        match arg {
            None => assert_eq!(report.outcome, Outcome::Exited(0)),
            Some(_) => assert_trapped(case, &report.outcome, TrapKind::Unreachable, "arg"),
        }
    }
}
