//! Kinds of guest: text, components, older and richer interfaces, proposals, entries.

use wasmrun_core::{
    Access, ErrorKind, Guest, Outcome, Program, Proposals, RunConfig, Stdin, TrapKind, WasiVersion,
};

use crate::case::{Case, captured, stderr, stdout};
use crate::guests::{self, cat, component, exit, hello, plain, source, text, unstable, wasi};
use crate::suite::directories::shown;
use crate::suite::outcome::assert_trapped;

crate::suite::rules![
    text_runs_as_its_binary,
    a_file_runs_as_its_bytes,
    a_guest_without_wasi_runs,
    an_unstable_guest_runs,
    a_component_runs,
    a_component_exits_with_0_or_1,
    a_component_traps,
    a_component_sees_arguments_and_environment,
    a_component_reads_its_input,
    a_component_sees_directories,
    a_component_is_told_its_working_directory,
    a_module_has_no_working_directory,
    a_component_within_its_instances_runs,
    a_component_with_more_instances_than_allowed_never_starts,
    a_guest_with_threads_runs,
    a_shared_memory_works_or_is_refused_by_name,
    a_wait_on_a_memory_that_is_not_shared_is_a_trap,
    a_wasix_guest_runs,
    a_wasix_guest_with_threads_runs,
    a_package_that_is_none_is_an_error,
    each_proposal_works_or_is_refused,
    an_entry_is_called,
    an_entry_of_a_reactor_is_called_after_its_initialisation,
    an_entry_the_guest_lacks_is_refused_by_name,
    a_guest_without_an_entry_is_refused,
    an_unknown_import_is_refused_by_name,
    an_invalid_guest_is_an_error_before_it_starts,
    sections_in_another_order_are_an_error,
];

fn assert_says_hello(case: &Case, guest: &Guest) {
    if let Some(report) = case.run(guest, &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "hello\n");
        assert_eq!(stderr(&report), "");
    }
}

fn text_runs_as_its_binary(case: &Case) {
    let text = source(r#"(memory (export "memory") 1)"#, guests::HELLO);
    let file = case.write("hello.wat", format!("\n;; text\n{text}"));
    assert_says_hello(case, &Guest::open(file).expect("text"));
}

fn a_file_runs_as_its_bytes(case: &Case) {
    for name in [
        "hello.wasm",
        "no extension",
        "-dash.wasm",
        "ünïcødé.wasm",
        "a=b:c,d.wasm",
    ] {
        let file = case.write(name, hello().bytes());
        assert_says_hello(case, &Guest::open(file).expect("the file just written"));
    }
}

fn a_guest_without_wasi_runs(case: &Case) {
    let product = |expected: i32| {
        plain(&format!(
            r#"(global $n (mut i32) (i32.const 0))
            (func (export "_start")
                (global.set $n (i32.const 6))
                (if (i32.ne (i32.mul (global.get $n) (i32.const 7)) (i32.const {expected}))
                    (then unreachable)))"#
        ))
    };
    assert_eq!(product(42).wasi(), WasiVersion::None);
    if let Some(report) = case.run(&product(42), &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(0));
    }
    if let Some(report) = case.run(&product(41), &captured()) {
        assert!(matches!(report.outcome, Outcome::Trapped(_)));
    }
}

fn an_unstable_guest_runs(case: &Case) {
    let guest = unstable(guests::HELLO);
    assert_eq!(guest.wasi(), WasiVersion::Unstable);
    assert_says_hello(case, &guest);
    let echo = unstable(guests::CAT);
    let config = captured().stdin(Stdin::Bytes(b"input".to_vec()));
    if let Some(report) = case.run(&echo, &config) {
        assert_eq!(stdout(&report), "input");
    }
}

// ---- components ------------------------------------------------------------------------------------

fn a_component_runs(case: &Case) {
    assert_says_hello(case, &component(&hello()));
}

/// The adapter, not the engine, makes a 1 of every failure.
fn a_component_exits_with_0_or_1(case: &Case) {
    for (code, told) in [(0, 0), (1, 1), (42, 1)] {
        if let Some(report) = case.run(&component(&exit(code)), &captured()) {
            assert_eq!(report.outcome, Outcome::Exited(told), "exit {code}");
        }
    }
}

fn a_component_traps(case: &Case) {
    let guest = component(&wasi(r#"(func (export "_start") unreachable)"#));
    if let Some(report) = case.run(&guest, &captured()) {
        assert_trapped(case, &report.outcome, TrapKind::Unreachable, "unreachable");
    }
}

fn a_component_sees_arguments_and_environment(case: &Case) {
    let config = captured().args(["one", "--two", ""]);
    if let Some(report) = case.run(&component(&guests::args()), &config) {
        assert_eq!(stdout(&report), "component.wasm\0one\0--two\0\0.");
    }
    let config = captured().env("A", "1").env("B", "");
    if let Some(report) = case.run(&component(&guests::environ()), &config) {
        assert_eq!(stdout(&report), "A=1\0B=\0.");
    }
    if let Some(report) = case.run(&component(&guests::environ()), &captured()) {
        assert_eq!(stdout(&report), ".");
    }
}

fn a_component_reads_its_input(case: &Case) {
    let input = "x".repeat(1 << 20);
    for stdin in [Stdin::Null, Stdin::Bytes(input.clone().into())] {
        let expected = if stdin == Stdin::Null { "" } else { &input };
        if let Some(report) = case.run(&component(&cat()), &captured().stdin(stdin)) {
            assert_eq!(report.outcome, Outcome::Exited(0));
            assert!(
                stdout(&report) == expected,
                "{} bytes",
                report.stdout.bytes.len()
            );
        }
    }
}

fn a_component_sees_directories(case: &Case) {
    case.write("data/file", "content");
    let guest = component(&guests::files());
    let read = [
        "preopen 3",
        "open a /data:file read",
        "read a",
        "open a /data:../secret read",
    ];
    let writable = shown(case.path("data"), Access::ReadWrite)
        .args(read)
        .args(["open a /data:new write create", "write a new"]);
    if let Some(report) = case.run(&guest, &writable) {
        assert_eq!(
            stdout(&report),
            "ok /data\nok\nok content\nPERM\nok\nok 3\n"
        );
        assert_eq!(case.read("data/new"), "new");
    }
    let read_only = shown(case.path("data"), Access::ReadOnly)
        .args(read)
        .args(["open a /data:file write", "unlink /data:file"]);
    if let Some(report) = case.run(&guest, &read_only) {
        let text = stdout(&report);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..3], ["ok /data", "ok", "ok content"]);
        assert!(
            !lines[4].starts_with("ok") && !lines[5].starts_with("ok"),
            "{text}"
        );
        assert_eq!(case.read("data/file"), "content");
    }
}

fn a_component_is_told_its_working_directory(case: &Case) {
    // What the adapter makes of it is nothing, so that it can only be asked for here.
    let config = captured().working_directory("/data");
    if let Some(report) = case.run(&component(&hello()), &config) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "hello\n");
    }
}

fn a_module_has_no_working_directory(case: &Case) {
    let config = RunConfig::new().working_directory("/data");
    case.assert_refused(&["working_directory"], &hello(), &config);
}

fn a_component_within_its_instances_runs(case: &Case) {
    let config = captured().limit(|limits| limits.instances = Some(20));
    if let Some(report) = case.run(&component(&hello()), &config) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "hello\n");
    }
}

fn a_component_with_more_instances_than_allowed_never_starts(case: &Case) {
    let config = captured().limit(|limits| limits.instances = Some(1));
    if let Some(report) = case.run(&component(&hello()), &config) {
        assert_eq!(report.outcome, Outcome::OutOfMemory);
        assert_eq!(stdout(&report), "");
    }
}

// ---- beyond preview1 -------------------------------------------------------------------------------

fn a_guest_with_threads_runs(case: &Case) {
    // A thread stores a number and wakes the main one, which exits with it.
    let guest = text(
        "threads.wasm",
        r#"(module
            (import "env" "memory" (memory 1 1 shared))
            (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
            (export "memory" (memory 0))
            (func (export "wasi_thread_start") (param $id i32) (param $arg i32)
                (i32.atomic.store (i32.const 0) (local.get $arg))
                (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
            (func (export "_start")
                (if (i32.lt_s (call $spawn (i32.const 42)) (i32.const 0)) (then unreachable))
                (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))
                (call $proc_exit (i32.atomic.load (i32.const 0)))))"#,
    );
    assert!(guest.needs_threads());
    if let Some(report) = case.run(&guest, &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(42));
    }
}

fn a_shared_memory_works_or_is_refused_by_name(case: &Case) {
    let guest = plain(
        r#"(memory (export "memory") 1 1 shared)
        (func (export "_start")
            (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 5)))
            (if (i32.eq (i32.atomic.load (i32.const 0)) (i32.const 5)) (then unreachable)))"#,
    );
    if let Some(report) = case.run(&guest, &captured()) {
        assert!(matches!(report.outcome, Outcome::Trapped(_)));
    }
}

/// Nobody could wake it, and no time limit would be needed to say so.
fn a_wait_on_a_memory_that_is_not_shared_is_a_trap(case: &Case) {
    let guest = plain(
        r#"(memory (export "memory") 1)
        (func (export "_start")
            (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))"#,
    );
    if let Some(report) = case.run(&guest, &captured()) {
        assert!(
            matches!(report.outcome, Outcome::Trapped(_)),
            "{}",
            report.outcome
        );
    }
}

fn a_wasix_guest_runs(case: &Case) {
    let guest = text(
        "wasix.wasm",
        r#"(module
            (import "wasix_32v1" "proc_id" (func $proc_id (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (if (call $proc_id (i32.const 16)) (then unreachable))
                (call $proc_exit (i32.const 5))))"#,
    );
    assert_eq!(guest.wasi(), WasiVersion::Wasix);
    if let Some(report) = case.run(&guest, &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(5));
    }
}

fn a_wasix_guest_with_threads_runs(case: &Case) {
    // The memory alone says nothing: all that is built for WASIX shares one.
    let guest = text(
        "wasix-threads.wasm",
        r#"(module
            (import "env" "memory" (memory 1 1 shared))
            (import "wasix_32v1" "thread_spawn_v2" (func $spawn (param i32 i32) (result i32)))
            (import "wasix_32v1" "proc_exit" (func $proc_exit (param i32)))
            (export "memory" (memory 0))
            (func (export "wasi_thread_start") (param $id i32) (param $arg i32))
            (func (export "_start")
                (call $proc_exit (i32.add (i32.const 7) (call $spawn (i32.const 64) (i32.const 0))))))"#,
    );
    assert_eq!(guest.wasi(), WasiVersion::Wasix);
    assert!(guest.needs_threads());
    if let Some(report) = case.run(&guest, &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(7));
    }
}

fn a_package_that_is_none_is_an_error(case: &Case) {
    let guest = Guest::from_bytes("package.webc", *b"\0webc003 and then nothing")
        .expect("it starts like a package");
    if !case.can("packages") || !case.can("wasix") {
        case.assert_refused(&["packages", "wasix"], &guest, &captured());
        return;
    }
    let ran = Program::compile(case.engine().clone(), &guest, &captured())
        .and_then(|program| program.run(&captured()));
    let error = ran.expect_err("there is nothing in it");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
}

/// For each proposal fields of a module whose `_start`, the last of them, traps if the proposal does
/// not work.
const PROPOSALS: &[(Proposals, &str)] = &[
    (
        Proposals::MUTABLE_GLOBAL,
        r#"(global (export "g") (mut i32) (i32.const 0)) (func (export "_start"))"#,
    ),
    (
        Proposals::SIGN_EXTENSION,
        r#"(global $x (mut i32) (i32.const 0xff))
        (func (export "_start")
            (if (i32.ne (i32.extend8_s (global.get $x)) (i32.const -1)) (then unreachable)))"#,
    ),
    (
        Proposals::SATURATING_FLOAT_TO_INT,
        r#"(global $x (mut f32) (f32.const 1e30))
        (func (export "_start")
            (if (i32.ne (i32.trunc_sat_f32_s (global.get $x)) (i32.const 0x7fffffff))
                (then unreachable)))"#,
    ),
    (
        Proposals::MULTI_VALUE,
        r#"(func $two (result i32 i32) (i32.const 1) (i32.const 2))
        (func (export "_start") (if (i32.ne (i32.sub (call $two)) (i32.const -1)) (then unreachable)))"#,
    ),
    (
        Proposals::BULK_MEMORY,
        r#"(memory (export "memory") 1) (data $d "abc")
        (func (export "_start")
            (memory.init $d (i32.const 8) (i32.const 0) (i32.const 3))
            (memory.copy (i32.const 16) (i32.const 8) (i32.const 3))
            (data.drop $d)
            (if (i32.ne (i32.load8_u (i32.const 18)) (i32.const 0x63)) (then unreachable)))"#,
    ),
    (
        Proposals::REFERENCE_TYPES,
        r#"(table $t 1 externref)
        (func (export "_start")
            (if (i32.eqz (ref.is_null (table.get $t (i32.const 0)))) (then unreachable)))"#,
    ),
    (
        Proposals::SIMD,
        r#"(func (export "_start")
            (if (i32.ne (i32x4.extract_lane 2 (i32x4.add (v128.const i32x4 1 2 3 4)
                    (v128.const i32x4 1 1 1 1))) (i32.const 4)) (then unreachable)))"#,
    ),
    (
        Proposals::THREADS,
        r#"(memory (export "memory") 1)
        (func (export "_start")
            (atomic.fence)
            (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 5)))
            (if (memory.atomic.notify (i32.const 0) (i32.const 1)) (then unreachable))
            (if (i32.ne (i32.atomic.load (i32.const 0)) (i32.const 5)) (then unreachable)))"#,
    ),
    (
        Proposals::TAIL_CALL,
        r#"(func $down (param i32)
            (if (i32.eqz (local.get 0)) (then (return)))
            (return_call $down (i32.sub (local.get 0) (i32.const 1))))
        (func (export "_start") (call $down (i32.const 10000000)))"#,
    ),
    (
        Proposals::EXTENDED_CONST,
        r#"(global $x i32 (i32.add (i32.const 40) (i32.const 2)))
        (func (export "_start") (if (i32.ne (global.get $x) (i32.const 42)) (then unreachable)))"#,
    ),
    (
        Proposals::MULTI_MEMORY,
        r#"(memory (export "memory") 1) (memory $second 1)
        (func (export "_start")
            (i32.store $second (i32.const 0) (i32.const 7))
            (if (i32.load (i32.const 0)) (then unreachable))
            (if (i32.ne (i32.load $second (i32.const 0)) (i32.const 7)) (then unreachable)))"#,
    ),
    (
        Proposals::MEMORY64,
        r#"(memory (export "memory") i64 1)
        (func (export "_start")
            (i32.store (i64.const 8) (i32.const 7))
            (if (i32.ne (i32.load (i64.const 8)) (i32.const 7)) (then unreachable)))"#,
    ),
    (
        Proposals::RELAXED_SIMD,
        r#"(func (export "_start")
            (if (i32.ne (i8x16.extract_lane_u 1 (i8x16.relaxed_swizzle
                    (v128.const i8x16 5 6 7 8 0 0 0 0 0 0 0 0 0 0 0 0)
                    (v128.const i8x16 3 2 1 0 0 0 0 0 0 0 0 0 0 0 0 0))) (i32.const 7))
                (then unreachable)))"#,
    ),
    (
        Proposals::EXCEPTIONS,
        r#"(tag $e (param i32))
        (func (export "_start")
            (if (i32.ne
                    (block $caught (result i32)
                        (try_table (catch $e $caught) (throw $e (i32.const 7)))
                        (i32.const 0))
                    (i32.const 7))
                (then unreachable)))"#,
    ),
    (
        Proposals::LEGACY_EXCEPTIONS,
        r#"(tag $e)
        (func (export "_start") try throw $e unreachable catch $e end)"#,
    ),
    (
        Proposals::FUNCTION_REFERENCES,
        r#"(type $f (func (result i32)))
        (func $seven (type $f) (i32.const 7))
        (elem declare func $seven)
        (func (export "_start")
            (if (i32.ne (call_ref $f (ref.func $seven)) (i32.const 7)) (then unreachable)))"#,
    ),
    (
        Proposals::GC,
        r#"(type $point (struct (field i32) (field i32)))
        (func (export "_start")
            (if (i32.ne (struct.get $point 1 (struct.new $point (i32.const 3) (i32.const 4)))
                    (i32.const 4)) (then unreachable)))"#,
    ),
    (
        Proposals::WIDE_ARITHMETIC,
        r#"(func (export "_start") (local $high i64)
            (i64.mul_wide_u (i64.const -1) (i64.const -1))
            (local.set $high)
            (if (i64.ne (i64.const 1)) (then unreachable))
            (if (i64.ne (local.get $high) (i64.const -2)) (then unreachable)))"#,
    ),
    (
        Proposals::CUSTOM_PAGE_SIZES,
        r#"(memory (export "memory") 5 (pagesize 1))
        (func (export "_start")
            (if (i32.ne (memory.size) (i32.const 5)) (then unreachable)))"#,
    ),
    (
        Proposals::STACK_SWITCHING,
        r#"(type $f (func)) (type $c (cont $f))
        (func $nothing) (elem declare func $nothing)
        (func (export "_start") (resume $c (cont.new $c (ref.func $nothing))))"#,
    ),
];

fn each_proposal_works_or_is_refused(case: &Case) {
    for (proposal, fields) in PROPOSALS {
        // Where it works, its end is reached, and that is what traps: an engine that returns early,
        // or does nothing, does not get there.
        let fields = fields.replace("(then unreachable)", "(then return)");
        let entry = fields.strip_suffix(')').expect("the entry comes last");
        let guest = plain(&format!("{entry} unreachable)"));
        assert!(
            guest.proposals().contains(*proposal),
            "the guest for {proposal} uses {}",
            guest.proposals()
        );
        if let Some(report) = case.run(&guest, &captured()) {
            let reached = matches!(&report.outcome, Outcome::Trapped(trap)
                if matches!(trap.kind, TrapKind::Unreachable | TrapKind::Other));
            assert!(reached, "{proposal}: {}", report.outcome);
        }
    }
}

// ---- entries and imports ---------------------------------------------------------------------------

fn an_entry_is_called(case: &Case) {
    let guest = wasi(
        r#"(data (i32.const 1024) "start\nother\n")
        (func (export "_start") (call $print (i32.const 1024) (i32.const 6)))
        (func (export "other") (call $print (i32.const 1030) (i32.const 6)))
        (func (export "with space") (call $proc_exit (i32.const 4)))
        (func (export "--dash") (call $proc_exit (i32.const 5)))"#,
    );
    for (entry, outcome, output) in [
        ("other", Outcome::Exited(0), "other\n"),
        ("_start", Outcome::Exited(0), "start\n"),
        ("with space", Outcome::Exited(4), ""),
        ("--dash", Outcome::Exited(5), ""),
    ] {
        if let Some(report) = case.run(&guest, &captured().entry(entry)) {
            assert_eq!(report.outcome, outcome, "{entry}");
            assert_eq!(stdout(&report), output, "{entry}");
            assert_eq!(stderr(&report), "", "{entry}");
        }
    }
}

fn an_entry_of_a_reactor_is_called_after_its_initialisation(case: &Case) {
    let guest = wasi(
        r#"(data (i32.const 1024) "initialised\nserving\n")
        (func (export "_initialize") (call $print (i32.const 1024) (i32.const 12)))
        (func (export "serve") (call $print (i32.const 1036) (i32.const 8)))"#,
    );
    if let Some(report) = case.run_or_refused(&guest, &captured().entry("serve")) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "initialised\nserving\n");
    }
}

fn an_entry_the_guest_lacks_is_refused_by_name(case: &Case) {
    let guest = wasi(
        r#"(func (export "_start"))
        (func (export "takes") (param i32))
        (func (export "gives") (result i32) (i32.const 1))"#,
    );
    for entry in ["missing", "takes", "gives", "memory", ""] {
        case.assert_refused(&["entry"], &guest, &RunConfig::new().entry(entry));
    }
}

fn a_guest_without_an_entry_is_refused(case: &Case) {
    let guests = [
        plain(""),
        plain(r#"(func (export "main"))"#),
        plain(r#"(func (export "_start") (param i32))"#),
        plain(r#"(func (export "_start") (result i32) (i32.const 0))"#),
        plain(r#"(global (export "_start") i32 (i32.const 0))"#),
        text("component.wasm", "(component)"),
    ];
    for guest in guests {
        case.assert_refused(&["entry"], &guest, &RunConfig::new());
    }
}

fn an_unknown_import_is_refused_by_name(case: &Case) {
    for (module, name) in [
        ("env", "log"),
        ("wasi_snapshot_preview1", "no_such_function"),
        ("wasi_snapshot_preview2", "fd_write"),
        ("", ""),
    ] {
        let guest = plain(&format!(
            r#"(import "{module}" "{name}" (func)) (func (export "_start"))"#
        ));
        case.assert_refused(&["imports"], &guest, &RunConfig::new());
        let error = Program::compile(case.engine().clone(), &guest, &RunConfig::new())
            .expect_err("just asserted");
        if case.can("preview1") && !module.is_empty() {
            assert!(
                error.to_string().contains(&format!("{module}.{name}")),
                "{error}"
            );
        }
    }
}

/// Well-formed section by section, and nonsense inside.
fn an_invalid_guest_is_an_error_before_it_starts(case: &Case) {
    for fields in [
        "(func (export \"_start\") i32.add drop)",
        "(func (export \"_start\") (local.set 5 (i32.const 0)))",
        "(func (export \"_start\") (call 99))",
        // Running the start section first would show.
        "(func $s unreachable) (start $s) (func (export \"_start\") i32.add drop)",
        // An export of the start function would declare it, and could have any type.
        "(start $s) (func $s (drop (ref.func $s))) (func (export \"_start\"))",
        "(start $s) (func $s (param i32)) (func (export \"_start\"))",
        "(start $s) (func $s (result i32) (i32.const 0)) (func (export \"_start\"))",
    ] {
        assert_invalid(case, &plain(fields), fields);
    }
}

fn assert_invalid(case: &Case, guest: &Guest, what: &str) {
    let ran = Program::compile(case.engine().clone(), guest, &captured())
        .and_then(|program| program.run(&captured()));
    let error = match ran {
        Ok(report) => panic!("{what}: {}", report.outcome),
        Err(error) => error,
    };
    assert!(
        matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported),
        "{what}: {error:?}"
    );
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line}");
}

/// Start and data are what engines are given otherwise than the guest has them.
fn sections_in_another_order_are_an_error(case: &Case) {
    const START: u8 = 8;
    const DATA: u8 = 11;
    let data = "x".repeat(40_000);
    let guest = plain(&format!(
        r#"(memory 1) (data (i32.const 8) "{data}") (func $s) (start $s) (func (export "_start"))"#
    ));
    if let Some(report) = case.run(&guest, &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(0));
    }
    let (header, sections) = sections(guest.bytes());
    for moved in [START, DATA] {
        let from = sections.iter().position(|section| section[0] == moved);
        let from = from.expect("it has one");
        for to in 0..=sections.len() {
            let mut sections = sections.clone();
            // To where it is already is once too often.
            sections.insert(to, sections[from]);
            if to < from {
                sections.remove(from + 1);
            } else if to > from + 1 {
                sections.remove(from);
            }
            let wasm = [header, &sections.concat()].concat();
            match Guest::from_bytes("moved.wasm", wasm) {
                Ok(guest) => assert_invalid(case, &guest, &format!("section {moved} at {to}")),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid),
            }
        }
    }
}

/// The header of a module, and its sections but for custom ones, which may be anywhere.
fn sections(wasm: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (header, mut rest) = wasm.split_at(8);
    let mut sections = Vec::new();
    while !rest.is_empty() {
        let digits = 1 + rest[1..].iter().take_while(|byte| **byte >= 0x80).count();
        let length = rest[1..][..digits].iter().rev();
        let length = length.fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
        let (section, others) = rest.split_at(1 + digits + length);
        if section[0] != 0 {
            sections.push(section);
        }
        rest = others;
    }
    (header, sections)
}
