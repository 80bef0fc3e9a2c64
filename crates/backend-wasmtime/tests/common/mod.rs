//! What the tests of this backend share.

// Each test binary uses a part of it.
#![allow(dead_code)]

use std::sync::Arc;

use wasmrun_backend_wasmtime::WasmtimeEngine;
use wasmrun_core::{Engine, Error, Guest, Outcome, Program, Report, RunConfig, Stdout};
use wasmrun_testkit::guests;

pub fn engine() -> Arc<dyn Engine> {
    Arc::new(WasmtimeEngine::new().expect("wasmtime"))
}

pub fn module(text: &str) -> Guest {
    Guest::from_bytes("guest.wat", text).expect("a module")
}

/// The same program as a component.
pub fn component(text: &str) -> Guest {
    guests::component(&module(text))
}

/// The program as a module and as a component.
pub fn both(text: &str) -> [Guest; 2] {
    [module(text), component(text)]
}

pub fn compile(guest: &Guest, config: &RunConfig) -> Program {
    Program::compile(engine(), guest, config).expect("compiles")
}

pub fn run(guest: &Guest, config: &RunConfig) -> Report {
    compile(guest, config).run(config).expect("runs")
}

pub fn outcome(guest: &Guest, config: &RunConfig) -> Outcome {
    run(guest, config).outcome
}

pub fn refused(guest: &Guest, config: &RunConfig) -> Error {
    Program::compile(engine(), guest, config).expect_err("refused")
}

/// Standard output is captured.
pub fn captured() -> RunConfig {
    RunConfig::new().stdout(Stdout::Capture)
}

/// A command with one page of memory that does `body`, in which `$write` writes a text of a length
/// to standard output.
pub fn command(body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read"
                (func $fd_read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff"
                (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_fdstat_get"
                (func $fd_fdstat_get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
            (memory (export "memory") 1)
            (func $write (param $at i32) (param $len i32)
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $len))
                (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
            (func $read (param $at i32) (param $len i32) (result i32)
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $len))
                (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
                (i32.load (i32.const 8)))
            ;; The subscription at 1024 is for the monotonic clock.
            (func $sleep (param $nanoseconds i64)
                (i32.store (i32.const 1040) (i32.const 1))
                (i64.store (i32.const 1048) (local.get $nanoseconds))
                (drop (call $poll_oneoff
                    (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 8))))
            {body})"#
    )
}
