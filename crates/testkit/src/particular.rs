//! What tests of one backend have in common: short guests, and what is asked of their runs.

use std::sync::Arc;
use std::time::Duration;

use wasmrun_core::{Engine, Guest, Program, Report, Result, RunConfig};

/// Compiles text or a binary on `engine`.
///
/// # Errors
///
/// What keeps it from being compiled.
pub fn compile(
    engine: Arc<dyn Engine>,
    wasm: impl AsRef<[u8]>,
    config: &RunConfig,
) -> Result<Program> {
    Program::compile(
        engine,
        &Guest::from_bytes("guest.wasm", wasm.as_ref())?,
        config,
    )
}

/// Runs text on `engine`.
///
/// # Panics
///
/// If it does not come to run.
pub fn run(engine: Arc<dyn Engine>, wat: &str, config: &RunConfig) -> Report {
    compile(engine, wat, config)
        .and_then(|program| program.run(config))
        .unwrap_or_else(|error| panic!("{error:?}\n{wat}"))
}

/// With that much fuel.
pub fn fuel(amount: u64) -> RunConfig {
    RunConfig::new().limit(|limits| limits.fuel = Some(amount))
}

/// With that much time.
pub fn within(milliseconds: u64) -> RunConfig {
    RunConfig::new().limit(|limits| limits.timeout = Some(Duration::from_millis(milliseconds)))
}

/// A command with these fields and body of `_start`, and one page of memory. `$exit` ends it.
pub fn command(fields: &str, body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            {fields}
            (memory (export "memory") 1)
            (func (export "_start") (local $i i32) {body}))"#
    )
}

/// The text of a component whose `wasi:cli/run` is `body`.
pub fn component(body: &str) -> String {
    format!(
        r#"(component
          (core module $m (func (export "run") (result i32) {body}))
          (core instance $i (instantiate $m))
          (func $run (result (result)) (canon lift (core func $i "run")))
          (instance $run (export "run" (func $run)))
          (export "wasi:cli/run@0.2.0" (instance $run)))"#
    )
}
