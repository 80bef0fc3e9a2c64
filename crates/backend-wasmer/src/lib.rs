//! Runs guests in-process on wasmer.
//!
//! Modules are compiled by cranelift. Their WASI is that of `wasmrun-wasi-preview1`, so that a guest
//! cannot tell wasmer from wasmtime; with the feature `wasix`, modules that import WASIX run too,
//! through wasmer-wasix, as far as it can keep what it is asked. Components over WASI 0.2 are made
//! modules: see [`flattened`](wasmrun_wasi_preview2::flattened).
//!
//! ```
//! use std::sync::Arc;
//!
//! use wasmrun_backend_wasmer::WasmerEngine;
//! use wasmrun_core::{Guest, Outcome, Program, RunConfig};
//!
//! let guest = Guest::from_bytes("app.wat", r#"(module (func (export "_start")))"#)?;
//! let config = RunConfig::new();
//! let program = Program::compile(Arc::new(WasmerEngine::new()?), &guest, &config)?;
//! assert_eq!(program.run(&config)?.outcome, Outcome::Exited(0));
//! # Ok::<(), wasmrun_core::Error>(())
//! ```
//!
//! | asked for | how it is kept |
//! |---|---|
//! | memory, table elements | counted where wasmer makes and grows them, and in the guest where it grows tables. A limit on memory is refused for a guest that may throw: wasmer keeps exceptions until the run is over |
//! | fuel | wasmer's metering, compiled in only when asked for |
//! | time, kill | a signal to the thread that runs the guest, and a check before its long operations |
//! | stack | refused: wasmer hands out pooled stacks, which may be larger than asked for |
//!
//! While it runs guests, wasmer owns the signals SIGSEGV, SIGILL, SIGFPE and SIGUSR1 of the process,
//! passes on the first three when they are not a guest's, and aborts on a SIGUSR1 that it did not
//! send itself.

mod checkpoints;
mod code;
mod compiler;
mod config;
mod engine;
mod exceptions;
mod growth;
mod host;
#[cfg_attr(
    not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )),
    path = "interrupt/unsupported.rs"
)]
mod interrupt;
#[cfg(target_os = "linux")]
mod kept;
mod limits;
mod live;
mod start;
mod traps;
mod values;
mod wasi;
#[cfg(feature = "wasix")]
mod wasix;

pub use engine::{NAME, WasmerEngine};
