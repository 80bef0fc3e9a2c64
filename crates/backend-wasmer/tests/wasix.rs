//! WASIX guests: what they get, and what is refused.

use std::sync::Arc;

use wasmrun_backend_wasmer::WasmerEngine;
use wasmrun_core::{ErrorKind, Guest, Program, RunConfig};

/// Exits with the number of its arguments, by way of a function that only WASIX has.
const GUEST: &str = r#"(module
    (import "wasix_32v1" "getcwd" (func $getcwd (param i32 i32) (result i32)))
    (import "wasix_32v1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
    (import "wasix_32v1" "proc_exit" (func $exit (param i32)))
    (import "wasix_32v1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasix_32v1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\20\00\00\00")
    (func (export "_start")
        (i32.store (i32.const 100) (i32.const 64))
        (if (call $getcwd (i32.const 200) (i32.const 100)) (then unreachable))
        (if (call $args (i32.const 104) (i32.const 108)) (then unreachable))
        (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)) (then unreachable))
        (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
        (call $exit (i32.load (i32.const 104)))))"#;

fn compile(wat: &str, config: &RunConfig) -> wasmrun_core::Result<Program> {
    let engine = Arc::new(WasmerEngine::new().expect("wasmer is built in"));
    Program::compile(engine, &Guest::from_bytes("guest.wasm", wat)?, config)
}

#[cfg(not(feature = "wasix"))]
#[test]
fn wasix_is_refused_where_it_is_not_built_in() {
    let error = compile(GUEST, &RunConfig::new()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("WASIX"), "{error}");
}

#[cfg(feature = "wasix")]
mod built_in {
    use std::time::Duration;

    use wasmrun_core::{Access, Clock, Outcome, Random, Report, Stdin, Stdout, Trap, TrapKind};

    use super::*;

    fn run(wat: &str, config: &RunConfig) -> Report {
        compile(wat, config)
            .and_then(|program| program.run(config))
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    #[test]
    fn a_guest_gets_arguments_and_streams() {
        let config = RunConfig::new()
            .args(["", "-b"])
            .stdin(Stdin::Bytes(b"through".to_vec()))
            .stdout(Stdout::Capture);
        let report = run(GUEST, &config);
        assert_eq!(report.outcome, Outcome::Exited(3));
        assert_eq!(report.stdout.bytes, b"through");
    }

    #[test]
    fn its_environment_is_what_was_given() {
        let guest = r#"(module
            (import "wasix_32v1" "proc_id" (func $pid (param i32) (result i32)))
            (import "wasix_32v1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
            (import "wasix_32v1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (if (call $pid (i32.const 8)) (then unreachable))
                (if (call $env (i32.const 0) (i32.const 4)) (then unreachable))
                (call $exit (i32.load (i32.const 0)))))"#;
        assert_eq!(run(guest, &RunConfig::new()).outcome, Outcome::Exited(0));
        let config = RunConfig::new().env("A", "1").env("B", "2");
        assert_eq!(run(guest, &config).outcome, Outcome::Exited(2));
    }

    #[test]
    fn traps_and_exit_codes_are_told() {
        let guest = |body: &str| {
            format!(
                r#"(module (import "wasix_32v1" "proc_exit2" (func $exit (param i32)))
                (memory (export "memory") 1) (func (export "_start") {body}))"#
            )
        };
        for code in [0, 1, 200, -1] {
            let exits = guest(&format!("(call $exit (i32.const {code}))"));
            assert_eq!(
                run(&exits, &RunConfig::new()).outcome,
                Outcome::Exited(code)
            );
        }
        assert_eq!(
            run(&guest(""), &RunConfig::new()).outcome,
            Outcome::Exited(0)
        );
        let traps = run(&guest("unreachable"), &RunConfig::new()).outcome;
        assert_eq!(
            traps,
            Outcome::Trapped(Trap::new(TrapKind::Unreachable, ""))
        );
    }

    #[test]
    fn an_import_that_wasix_lacks_is_named() {
        let guest = r#"(module (import "wasix_32v1" "sing" (func (param i32)))
            (memory (export "memory") 1) (func (export "_start")))"#;
        let config = RunConfig::new();
        let error = compile(guest, &config)
            .and_then(|program| program.run(&config))
            .expect_err("no such function");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("wasix_32v1.sing"), "{error}");
    }

    #[test]
    fn what_runs_before_the_entry_may_end_the_guest() {
        for (early, expected) in [
            ("(call $exit (i32.const 4))", Outcome::Exited(4)),
            (
                "unreachable",
                Outcome::Trapped(Trap::new(TrapKind::Unreachable, "")),
            ),
        ] {
            for field in [r#"(export "_initialize" (func $early))"#, "(start $early)"] {
                let guest = format!(
                    r#"(module (import "wasix_32v1" "proc_exit2" (func $exit (param i32)))
                    (memory (export "memory") 1) (func $early {early}) {field}
                    (func (export "_start")))"#
                );
                assert_eq!(run(&guest, &RunConfig::new()).outcome, expected, "{field}");
            }
        }
    }

    #[test]
    fn a_start_section_together_with_initialize_is_refused() {
        let guest = r#"(module (import "wasix_32v1" "proc_exit2" (func (param i32)))
            (memory (export "memory") 1) (func $early) (start $early)
            (export "_initialize" (func $early)) (func (export "_start")))"#;
        let error = compile(guest, &RunConfig::new()).expect_err("refused");
        assert!(error.to_string().contains("_initialize"), "{error}");
    }

    #[test]
    fn a_memory_may_be_shared_though_no_thread_is_started() {
        let guest = r#"(module
            (import "env" "memory" (memory 1 4 shared))
            (import "wasix_32v1" "proc_exit" (func $exit (param i32)))
            (export "memory" (memory 0))
            (func (export "_start")
                (call $exit (i32.atomic.rmw.add (i32.const 64) (i32.const 1)))))"#;
        assert_eq!(run(guest, &RunConfig::new()).outcome, Outcome::Exited(0));
    }

    #[test]
    fn a_guest_that_starts_threads_is_refused() {
        let guest = r#"(module
            (import "wasix_32v1" "thread_spawn_v2" (func (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "wasi_thread_start") (param i32 i32))
            (func (export "_start")))"#;
        let error = compile(guest, &RunConfig::new()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("thread_spawn_v2"), "{error}");
    }

    #[test]
    fn what_wasix_cannot_keep_is_refused() {
        let limit = |change: fn(&mut wasmrun_core::Limits)| RunConfig::new().limit(change);
        for config in [
            limit(|limits| limits.fuel = Some(1)),
            limit(|limits| limits.timeout = Some(Duration::from_secs(1))),
            limit(|limits| limits.memory = Some(1 << 20)),
            limit(|limits| limits.table_elements = Some(1)),
            RunConfig::new().killable(true),
            RunConfig::new().map_dir(".", "/x", Access::ReadWrite),
            RunConfig::new().clock(Clock::Fixed(0)),
            RunConfig::new().clock(Clock::DETERMINISTIC),
            RunConfig::new().sorted_listings(true),
            RunConfig::new().random(Random::Seeded(0)),
        ] {
            let error = compile(GUEST, &config)
                .and_then(|program| program.run(&config))
                .expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("WASIX"), "{error}");
        }
    }
}
