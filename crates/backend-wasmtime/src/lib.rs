//! Runs guests in-process on [wasmtime]: core modules over WASI preview1 (and `wasi_unstable`
//! before it), components over WASI 0.2 and, experimentally, 0.3.
//!
//! ```
//! use std::sync::Arc;
//!
//! use wasmrun_backend_wasmtime::WasmtimeEngine;
//! use wasmrun_core::{Guest, Outcome, Program, RunConfig};
//!
//! let guest = Guest::from_bytes("app.wat", r#"(module (func (export "_start")))"#)?;
//! let config = RunConfig::new();
//! let program = Program::compile(Arc::new(WasmtimeEngine::new()?), &guest, &config)?;
//! assert_eq!(program.run(&config)?.outcome, Outcome::Exited(0));
//! # Ok::<(), wasmrun_core::Error>(())
//! ```
//!
//! Preview1 is that of `wasmrun-wasi-preview1`, the same on every in-process engine; 0.2 and 0.3 are
//! wasmtime's own, but for files, which are those of `wasmrun-wasi-preview2`.

mod command;
mod compiler;
mod component;
mod component_values;
mod data;
mod engine;
mod epoch;
mod host;
mod interfaces;
#[cfg_attr(not(target_os = "linux"), path = "kept/unsupported.rs")]
mod kept;
mod limits;
mod live;
mod live_component;
mod module;
mod refusal;
mod store;
mod traps;
mod values;
mod variant;
mod world;

pub use engine::{NAME, WasmtimeEngine};
