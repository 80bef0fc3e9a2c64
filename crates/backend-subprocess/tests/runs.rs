//! What every runtime does the same: streams, arguments, environment, exit codes, traps.

mod common;

use common::*;
use wasmrun_backend_subprocess::SubprocessEngine;
use wasmrun_core::{
    Engine, ErrorKind, Guest, InheritEnv, Outcome, RunConfig, Stdin, Stdout, TrapKind,
};

on_every_runtime! {
    both_outputs_arrive_byte_for_byte_and_apart
    arguments_arrive_as_given
    argv0_is_the_file_name_or_what_the_caller_sets
    the_environment_is_what_the_caller_gives_and_nothing_else
    input_comes_from_bytes_files_or_nowhere
    the_first_bytes_of_the_memory_are_the_guests_own
    an_exit_code_arrives_whole
    traps_are_told_from_exits
    a_trap_leaves_the_guests_output_as_it_was
    what_the_guest_says_of_errors_stays_its_own
    an_invalid_guest_is_an_error
    a_guest_without_the_entry_is_refused
    an_entry_is_called_after_initialize
    a_guest_without_wasi_has_no_output
    a_memory_that_is_not_exported_is_none_of_wasis
    captured_output_is_bounded
    a_guest_floods_a_closed_reader_without_harm
    a_guest_that_is_no_file_runs_too
    a_file_that_vanished_does_not_matter
    proposals_it_claims_work
}

fn both_outputs_arrive_byte_for_byte_and_apart(engine: SubprocessEngine) {
    let wat = program(
        r#"(call $write (i32.const 1) (i32.const 100) (i32.const 7))
           (call $write (i32.const 2) (i32.const 200) (i32.const 4))
           (call $write (i32.const 1) (i32.const 107) (i32.const 3))"#,
    )
    .replace(
        "(memory",
        r#"(data (i32.const 100) "out\00\ff\r\n\1b[m") (data (i32.const 200) "err\fe") (memory"#,
    );
    let report = ran(&engine, &guest(&wat), &captured());
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(report.stdout.bytes, b"out\0\xff\r\n\x1b[m");
    assert_eq!(report.stderr.bytes, b"err\xfe");
}

/// What `strings.wat` prints: arguments and environment.
fn strings(engine: &SubprocessEngine, config: &RunConfig) -> (Vec<String>, Vec<String>) {
    let report = ran(engine, &guest(include_str!("guests/strings.wat")), config);
    assert_eq!(report.outcome, Outcome::Exited(0));
    let (args, env) = text(&report.stdout.bytes)
        .split_once("\0\n")
        .expect("two lists");
    let list = |text: &str| text.split('\0').map(str::to_owned).collect();
    let env = env.strip_suffix('\0').map(list);
    (list(args), env.unwrap_or_default())
}

fn arguments_arrive_as_given(engine: SubprocessEngine) {
    let given: [&[&str]; 8] = [
        &[],
        &["--"],
        &["", ""],
        &["-x", "--help", "--version", "-h"],
        &["--", "--", "a"],
        &["ü λ 𝄞", "a b", "a=b", "x\ny", "\t'\"\\$HOME*"],
        &["--dir", "/", "--env=A=B", "--invoke=x", "-W", "fuel=1"],
        &["a", "--", ""],
    ];
    for args in given {
        let config = captured().args(args.iter().copied());
        assert_eq!(strings(&engine, &config).0[1..], *args, "{args:?}");
    }
}

fn argv0_is_the_file_name_or_what_the_caller_sets(engine: SubprocessEngine) {
    assert_eq!(strings(&engine, &captured()).0, ["guest.wasm"]);

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("-odd ü name.wasm");
    let binary = guest(include_str!("guests/strings.wat"));
    std::fs::write(&path, binary.bytes()).expect("writes");
    let report = ran(&engine, &Guest::open(&path).expect("a guest"), &captured());
    let argv0 = text(&report.stdout.bytes).split('\0').next();
    assert_eq!(argv0, Some("-odd ü name.wasm"));

    let config = captured().argv0("--other").arg("x");
    assert_eq!(strings(&engine, &config).0, ["--other", "x"]);
}

fn the_environment_is_what_the_caller_gives_and_nothing_else(engine: SubprocessEngine) {
    assert_eq!(strings(&engine, &captured()).1, [""; 0]);
    let config = captured()
        .env("A", "1")
        .env("WITH", "a=b,c;d:e \"f\" 'g' $A \\")
        .env("LINES", "one\ntwo")
        .env("ü", "λ 𝄞")
        .env("-dash", "-x")
        .env("RUST_BACKTRACE", "full")
        .env("NODE_OPTIONS", "--bogus")
        .inherit_env(InheritEnv::Named(vec!["PATH".into()]));
    let mut env = strings(&engine, &config).1;
    env.sort();
    let path = std::env::var("PATH").expect("PATH");
    let mut expected = [
        "A=1",
        "WITH=a=b,c;d:e \"f\" 'g' $A \\",
        "LINES=one\ntwo",
        "ü=λ 𝄞",
        "-dash=-x",
        "RUST_BACKTRACE=full",
        "NODE_OPTIONS=--bogus",
        &format!("PATH={path}"),
    ];
    expected.sort();
    assert_eq!(env, expected);
}

fn input_comes_from_bytes_files_or_nowhere(engine: SubprocessEngine) {
    let cat = guest(include_str!("guests/cat.wat"));
    let input: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &input).expect("writes");
    for (stdin, expected) in [
        (Stdin::Null, &[][..]),
        (Stdin::Bytes(Vec::new()), &[]),
        (Stdin::Bytes(input.clone()), &input),
        (Stdin::File(file.path().to_owned()), &input),
    ] {
        let report = ran(&engine, &cat, &captured().stdin(stdin));
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert!(report.stdout.bytes == expected);
    }
    // Nobody reads it, and nobody waits for that.
    let unread = captured().stdin(Stdin::Bytes(vec![b'x'; 1 << 20]));
    assert_eq!(outcome(&engine, &program(""), &unread), Outcome::Exited(0));
}

/// They are where its calls are prepared, and how many are depends on what it imports.
fn the_first_bytes_of_the_memory_are_the_guests_own(engine: SubprocessEngine) {
    const LONGEST: &str = r#"(import "wasi_snapshot_preview1" "path_open"
        (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"#;
    const LENGTH: usize = 256;
    let (argument, input) = ("argument".repeat(4), "input".repeat(5));
    let config = captured()
        .argv0(&argument)
        .stdin(Stdin::Bytes(input.clone().into()));
    let pattern = Vec::from_iter(0..=u8::MAX);
    let data: String = pattern.iter().map(|byte| format!("\\{byte:02x}")).collect();
    for longest in ["", LONGEST] {
        for at in (0..LENGTH / 2).step_by(12) {
            // The vector and the count of what is read are just before or behind it.
            let vector = if at < 16 { at + 40 } else { at - 16 };
            let guest = guest(&format!(
                r#"(module
                  (import "wasi_snapshot_preview1" "args_get"
                    (func $args_get (param i32 i32) (result i32)))
                  (import "wasi_snapshot_preview1" "fd_read"
                    (func $fd_read (param i32 i32 i32 i32) (result i32)))
                  (import "wasi_snapshot_preview1" "fd_write"
                    (func $fd_write (param i32 i32 i32 i32) (result i32)))
                  {longest}
                  (memory (export "memory") 1)
                  (data (i32.const 0) "{data}")
                  (func $print
                    (i32.store (i32.const 604) (i32.const {LENGTH}))
                    (if (call $fd_write (i32.const 1) (i32.const 600) (i32.const 1) (i32.const 608))
                      (then unreachable)))
                  (func (export "_start")
                    (if (call $args_get (i32.const 512) (i32.const {at})) (then unreachable))
                    (call $print)
                    (i32.store (i32.const {vector}) (i32.const {at}))
                    (i32.store offset=4 (i32.const {vector}) (i32.const {LENGTH}))
                    (if (call $fd_read (i32.const 0) (i32.const {vector}) (i32.const 1)
                          (i32.add (i32.const {vector}) (i32.const 8)))
                      (then unreachable))
                    (call $print)))"#
            ));
            let report = ran(&engine, &guest, &config);
            assert_eq!(report.outcome, Outcome::Exited(0));
            let mut memory = pattern.clone();
            let mut write = |at: usize, bytes: &[u8]| {
                memory[at..at + bytes.len()].copy_from_slice(bytes);
                memory.clone()
            };
            write(at, argument.as_bytes());
            let first = write(at + argument.len(), &[0]);
            for (place, number) in [at, LENGTH, input.len()].into_iter().enumerate() {
                write(vector + 4 * place, &(number as u32).to_le_bytes());
            }
            let second = write(at, input.as_bytes());
            assert!(report.stdout.bytes == [first, second].concat(), "at {at}");
        }
    }
}

fn an_exit_code_arrives_whole(engine: SubprocessEngine) {
    for code in [0, 1, 42, 101, 126, 127, 134, 200, 255, 256, -1, i32::MIN] {
        let wat = program(&format!("(call $exit (i32.const {code})) unreachable"));
        assert_eq!(outcome(&engine, &wat, &captured()), Outcome::Exited(code));
    }
    assert_eq!(
        outcome(&engine, &program(""), &captured()),
        Outcome::Exited(0)
    );
}

fn traps_are_told_from_exits(engine: SubprocessEngine) {
    let capability = engine.capability();
    for (body, kind) in [
        ("unreachable", TrapKind::Unreachable),
        (
            "(drop (i32.load (i32.const 0x7fffffff)))",
            TrapKind::MemoryOutOfBounds,
        ),
        (
            "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
            TrapKind::DivideByZero,
        ),
        (
            "(drop (i32.rem_u (i32.const 1) (i32.const 0)))",
            TrapKind::DivideByZero,
        ),
        (
            "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
            TrapKind::IntegerOverflow,
        ),
        (
            "(drop (i32.trunc_f64_s (f64.const nan)))",
            TrapKind::InvalidConversion,
        ),
        (
            "(call_indirect $t (result i32) (i32.const 9)) drop",
            TrapKind::TableOutOfBounds,
        ),
        (
            "(call_indirect $t (result i32) (i32.const 1)) drop",
            TrapKind::UninitializedElement,
        ),
        (
            "(call_indirect $t (result i64) (i32.const 0)) drop",
            TrapKind::IndirectCallTypeMismatch,
        ),
        (
            "(drop (table.get $t (i32.const 9)))",
            TrapKind::TableOutOfBounds,
        ),
    ] {
        let wat = program(body).replace(
            "(memory",
            "(table $t 2 funcref) (func $f (result i32) i32.const 1) (elem (table $t) (i32.const 0) func $f) (memory",
        );
        match outcome(&engine, &wat, &captured()) {
            Outcome::Trapped(trap) if capability.reports_trap_kinds.is_supported() => {
                assert_eq!(trap.kind, kind, "{trap:?}");
                assert!(!trap.message.is_empty());
            }
            Outcome::Trapped(trap) => {
                assert!(
                    [kind, TrapKind::Other].contains(&trap.kind),
                    "{body}: {trap:?}"
                );
            }
            other => panic!("{body}: {other:?}"),
        }
    }
}

fn a_trap_leaves_the_guests_output_as_it_was(engine: SubprocessEngine) {
    let wat = program(
        r#"(call $write (i32.const 1) (i32.const 100) (i32.const 3))
           (call $write (i32.const 2) (i32.const 200) (i32.const 3))
           unreachable"#,
    )
    .replace(
        "(memory",
        r#"(data (i32.const 100) "out") (data (i32.const 200) "err") (memory"#,
    );
    let report = ran(&engine, &guest(&wat), &captured());
    assert!(matches!(report.outcome, Outcome::Trapped(_)), "{report:?}");
    assert_eq!(text(&report.stdout.bytes), "out");
    assert_eq!(text(&report.stderr.bytes), "err");
}

fn what_the_guest_says_of_errors_stays_its_own(engine: SubprocessEngine) {
    let said = "error: bad input\nError: cannot parse WebAssembly\nerror instantiating x\n";
    let wat = program(&format!(
        "(call $write (i32.const 2) (i32.const 100) (i32.const {})) (call $exit (i32.const 1))",
        said.len()
    ))
    .replace(
        "(memory",
        &format!("(data (i32.const 100) {said:?}) (memory"),
    );
    let report = ran(&engine, &guest(&wat), &captured());
    assert_eq!(report.outcome, Outcome::Exited(1));
    assert_eq!(text(&report.stderr.bytes), said);
    assert_eq!(report.stdout.bytes, b"");
}

fn an_invalid_guest_is_an_error(engine: SubprocessEngine) {
    // Sound in every section, and a function that takes from an empty stack.
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    bytes.extend([1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 7, 10, 1, 6]);
    bytes.extend(b"_start");
    bytes.extend([0, 0, 10, 5, 1, 3, 0, 0x6a, 0x0b]);
    let guest = Guest::from_bytes("guest.wasm", bytes).expect("sound sections");
    let error = run(&engine, &guest, &captured()).expect_err("invalid");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
}

fn a_guest_without_the_entry_is_refused(engine: SubprocessEngine) {
    let guest = guest("(module (func (export \"other\")))");
    let error = run(&engine, &guest, &captured()).expect_err("no entry");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

fn an_entry_is_called_after_initialize(engine: SubprocessEngine) {
    let wat = program("(call $exit (i32.const 1))").replace(
        "(memory",
        r#"(func (export "") (call $exit (i32.const 2)))
           (func (export "other") (call $exit (i32.const 3)))
           (memory"#,
    );
    assert_eq!(outcome(&engine, &wat, &captured()), Outcome::Exited(1));
    let other = run(&engine, &guest(&wat), &captured().entry("other").arg("-x"));
    assert_eq!(other.expect("a run").outcome, Outcome::Exited(3));

    let reactor = r#"(module
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (func (export "_initialize") (i32.store (i32.const 0) (i32.const 40)))
      (func (export "_start")
        (call $exit (i32.add (i32.const 2) (i32.load (i32.const 0))))))"#;
    assert_eq!(outcome(&engine, reactor, &captured()), Outcome::Exited(42));
}

fn a_guest_without_wasi_has_no_output(engine: SubprocessEngine) {
    let guest = guest("(module (func (export \"_start\")))");
    let report = ran(&engine, &guest, &captured().arg("x"));
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(text(&report.stdout.bytes), "");
    assert_eq!(text(&report.stderr.bytes), "");
}

/// Writes 64 KiB `count` times.
fn a_memory_that_is_not_exported_is_none_of_wasis(engine: SubprocessEngine) {
    const EBADF: i32 = 8;
    let outcome_of = |call: &str| {
        let wat = format!(
            r#"(module
              (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
              (import "wasi_snapshot_preview1" "fd_write"
                (func $fd_write (param i32 i32 i32 i32) (result i32)))
              (import "wasi_snapshot_preview1" "path_create_directory"
                (func $create (param i32 i32 i32) (result i32)))
              (memory 1)
              (data (i32.const 1024) "\08\04\00\00\06\00\00\00")
              (func (export "_start") (call $exit (call {call}))))"#
        );
        outcome(&engine, &wat, &captured())
    };
    let nowhere = "$fd_write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 1040)";
    let Outcome::Trapped(trap) = outcome_of(nowhere) else {
        panic!("there is no such memory");
    };
    assert_eq!(trap.kind, TrapKind::HostFunction);
    let in_no_directory = "$create (i32.const 3) (i32.const 1024) (i32.const 5)";
    assert_eq!(outcome_of(in_no_directory), Outcome::Exited(EBADF));
}

fn flood(fd: u32, count: u32) -> String {
    program(&format!(
        "(local $n i32)
         (loop $more
           (call $write (i32.const {fd}) (i32.const 1024) (i32.const 65536))
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (br_if $more (i32.lt_u (local.get $n) (i32.const {count}))))"
    ))
}

fn captured_output_is_bounded(engine: SubprocessEngine) {
    for fd in [1, 2] {
        let config = captured().limit(|limits| limits.output = Some(1000));
        let report = ran(&engine, &guest(&flood(fd, 50)), &config);
        assert_eq!(report.outcome, Outcome::Exited(0));
        let captured = if fd == 1 {
            report.stdout
        } else {
            report.stderr
        };
        assert_eq!(captured.bytes, vec![0; 1000]);
        assert_eq!(captured.dropped, 50 * 65536 - 1000);
    }
}

fn a_guest_floods_a_closed_reader_without_harm(engine: SubprocessEngine) {
    for fd in [1, 2] {
        let config = if fd == 1 {
            captured().stdout(Stdout::Pipe)
        } else {
            captured().stderr(Stdout::Pipe)
        };
        let engine = std::sync::Arc::new(engine.clone());
        let program = wasmrun_core::Program::compile(engine, &guest(&flood(fd, 50)), &config)
            .expect("compiles");
        let mut run = program.start(&config).expect("starts");
        drop((run.stdout.take(), run.stderr.take()));
        let outcome = run.wait().expect("a report").outcome;
        assert_eq!(outcome, Outcome::Exited(0));
    }
}

fn a_guest_that_is_no_file_runs_too(engine: SubprocessEngine) {
    let guest =
        Guest::from_bytes("no/such/file", program("(call $exit (i32.const 7))")).expect("a guest");
    assert_eq!(
        ran(&engine, &guest, &captured()).outcome,
        Outcome::Exited(7)
    );
}

fn a_file_that_vanished_does_not_matter(engine: SubprocessEngine) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("gone.wasm");
    let binary = guest(&program("(call $exit (i32.const 7))"));
    std::fs::write(&path, binary.bytes()).expect("writes");
    let guest = Guest::open(&path).expect("a guest");
    drop(directory);
    let report = ran(&engine, &guest, &captured());
    assert_eq!(report.outcome, Outcome::Exited(7));
}

fn proposals_it_claims_work(engine: SubprocessEngine) {
    use wasmrun_core::Proposals;
    let claimed = engine.capability().proposals;
    for (proposal, fields, body) in [
        (
            Proposals::MUTABLE_GLOBAL,
            "(global (export \"g\") (mut i32) (i32.const 0))",
            "",
        ),
        (
            Proposals::SIGN_EXTENSION,
            "",
            "(drop (i32.extend8_s (i32.const 1)))",
        ),
        (
            Proposals::SATURATING_FLOAT_TO_INT,
            "",
            "(drop (i32.trunc_sat_f32_s (f32.const 1)))",
        ),
        (
            Proposals::MULTI_VALUE,
            "(func $f (result i32 i32) i32.const 1 i32.const 2)",
            "call $f drop drop",
        ),
        (
            Proposals::BULK_MEMORY,
            "(memory 1)",
            "(memory.fill (i32.const 0) (i32.const 0) (i32.const 1))",
        ),
        (
            Proposals::REFERENCE_TYPES,
            "(table 1 externref)",
            "(drop (table.get (i32.const 0)))",
        ),
        (Proposals::SIMD, "", "(drop (v128.const i32x4 1 2 3 4))"),
        (
            Proposals::THREADS,
            "(memory 1 1 shared)",
            "(drop (i32.atomic.load (i32.const 0)))",
        ),
        (Proposals::TAIL_CALL, "(func $f)", "(return_call $f)"),
        (
            Proposals::EXTENDED_CONST,
            "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
            "",
        ),
        (
            Proposals::MULTI_MEMORY,
            "(memory 1) (memory 1)",
            "(drop (i32.load 1 (i32.const 0)))",
        ),
        (
            Proposals::MEMORY64,
            "(memory i64 1)",
            "(drop (i32.load (i64.const 0)))",
        ),
        (
            Proposals::RELAXED_SIMD,
            "",
            "(drop (i8x16.relaxed_swizzle (v128.const i32x4 1 2 3 4) (v128.const i32x4 1 2 3 4)))",
        ),
        (
            Proposals::EXCEPTIONS,
            "(tag $e)",
            "(block $h (try_table (catch_all $h) (throw $e)))",
        ),
        (
            Proposals::FUNCTION_REFERENCES,
            "(type $t (func)) (func $f) (elem declare func $f)",
            "(call_ref $t (ref.func $f))",
        ),
        (
            Proposals::GC,
            "(type $s (struct (field i32)))",
            "(drop (struct.get $s 0 (struct.new $s (i32.const 1))))",
        ),
        (
            Proposals::WIDE_ARITHMETIC,
            "",
            "(i64.mul_wide_u (i64.const 1) (i64.const 2)) drop drop",
        ),
        (Proposals::CUSTOM_PAGE_SIZES, "(memory 1 (pagesize 1))", ""),
    ] {
        let guest = guest(&format!(
            "(module {fields} (func (export \"_start\") {body}))"
        ));
        assert!(guest.proposals().contains(proposal), "{proposal}");
        let result = run(&engine, &guest, &captured());
        if claimed.contains(guest.proposals()) {
            let report = result.unwrap_or_else(|error| panic!("{proposal}: {error:?}"));
            assert_eq!(report.outcome, Outcome::Exited(0), "{proposal}");
        } else {
            let error = result.expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(
                error.to_string().contains("lacks WebAssembly proposals"),
                "{error}"
            );
        }
    }
}
