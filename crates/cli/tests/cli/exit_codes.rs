//! The table of exit codes in `wasmrun --help`, on every in-process engine.

use crate::common::{Guests, LOOP, NOTHING, YES, engines, exit, run};

#[test]
fn a_guests_own_code_passes_through_silently() {
    let guests = Guests::new();
    for engine in engines() {
        for (code, seen) in [
            (0, 0),
            (1, 1),
            (42, 42),
            (134, 134),
            (200, 200),
            (-1, 255),
            (256, 1),
        ] {
            let guest = guests.file("app.wat", exit(code));
            let run = run(["--engine".as_ref(), engine.as_ref(), guest.as_os_str()]);
            assert_eq!(run.code, Some(seen), "{engine}: {run:?}");
            assert_eq!(run.stderr, "", "{engine}");
        }
    }
}

#[test]
fn a_trap_is_134_and_says_which() {
    let guests = Guests::new();
    let guest = guests.file(
        "app.wat",
        r#"(module (func (export "_start") (drop (i32.div_s (i32.const 1) (i32.const 0)))))"#,
    );
    for engine in engines() {
        let run = run(["--engine".as_ref(), engine.as_ref(), guest.as_os_str()]);
        assert_eq!(run.code, Some(134), "{run:?}");
        assert_eq!(
            run.message(),
            format!("app.wat trapped: integer divide by zero ({engine})")
        );
    }
}

#[test]
fn a_limit_that_ends_the_guest_is_named() {
    let guests = Guests::new();
    let large = r#"(module (memory 100) (func (export "_start")))"#;
    for (option, value, guest, code, message) in [
        (
            "--timeout",
            "50ms",
            LOOP,
            124,
            "app.wat ran out of time (limit 50ms; ",
        ),
        (
            "--fuel",
            "1000",
            LOOP,
            124,
            "app.wat ran out of fuel (limit 1000; ",
        ),
        (
            "--max-memory",
            "64Ki",
            large,
            137,
            "app.wat needs more memory than it may have (limit 65536 bytes; ",
        ),
        (
            "--max-output",
            "1k",
            YES,
            153,
            "app.wat wrote more than it may (limit 1000 bytes; ",
        ),
    ] {
        let guest = guests.file("app.wat", guest);
        for engine in engines() {
            let run = run([
                "--engine".as_ref(),
                engine.as_ref(),
                option.as_ref(),
                value.as_ref(),
                guest.as_os_str(),
            ]);
            assert_eq!(run.code, Some(code), "{run:?}");
            assert_eq!(run.message(), format!("{message}{engine})"));
        }
    }
}

#[test]
fn bad_usage_is_125() {
    let guests = Guests::new();
    let app = guests.file("app.wat", NOTHING);
    let app = app.to_str().expect("UTF-8");
    for args in [
        &[][..],
        &["--no-such-option", app],
        &["--timeout", "2", app],
        &["--max-memory", "lots", app],
        &["--fuel", "-1", app],
        &["--env", "=V", app],
        &["--env", "WASMRUN_NOT_SET", app],
        &["--dir", "no/such/directory", app],
        &["--dir", "..", app],
        &["--dir", "/::/data", "--dir", "/::/data", app],
        &["--stdin", "no/such/file", app],
        &["--engine", "wasmtime", "--prefer", "wasmer", app],
        &["--report", "no/such/directory/report.json", app],
        &["--report", "-", app],
        &["bench", "--html", "-", app],
        &["engines", "--no-such-option"],
        &["inspect"],
        &["completions"],
        &["man"],
    ] {
        let run = run(args);
        assert_eq!(run.code, Some(125), "{args:?}: {run:?}");
        assert_eq!(run.stdout, "", "{args:?}");
        assert_ne!(run.stderr, "", "{args:?}");
    }
}

#[test]
fn an_engine_that_is_not_there_is_127() {
    let guests = Guests::new();
    let app = guests.file("app.wat", NOTHING);
    for engine in ["wasmtim", "wasmi-cli=/no/such/wasmi"] {
        let run = run(["--engine".as_ref(), engine.as_ref(), app.as_os_str()]);
        assert_eq!(run.code, Some(127), "{engine}: {run:?}");
        assert!(!run.message().is_empty());
    }
}

#[test]
fn a_time_without_a_unit_is_not_guessed() {
    let seen = run(["--timeout", "3", "app.wasm"]);
    assert_eq!(seen.code, Some(125), "{seen:?}");
    assert!(seen.stderr.contains("did you mean 3s?"), "{seen:?}");
}
