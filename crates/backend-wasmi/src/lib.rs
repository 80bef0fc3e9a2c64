//! Runs guests in-process on [wasmi], an interpreter: core modules over WASI preview1 (and
//! `wasi_unstable` before it), and components over WASI 0.2, [flattened](wasmrun_wasi_preview2::flattened).
//!
//! It generates no machine code, so it runs where that is forbidden, starts large guests at once, and
//! adds little to a program that embeds it. A guest that computes for long is better off elsewhere.
//!
//! ```
//! use std::sync::Arc;
//!
//! use wasmrun_backend_wasmi::WasmiEngine;
//! use wasmrun_core::{Guest, Outcome, Program, RunConfig};
//!
//! let guest = Guest::from_bytes("app.wat", r#"(module (func (export "_start")))"#)?;
//! let config = RunConfig::new();
//! let program = Program::compile(Arc::new(WasmiEngine::new()?), &guest, &config)?;
//! assert_eq!(program.run(&config)?.outcome, Outcome::Exited(0));
//! # Ok::<(), wasmrun_core::Error>(())
//! ```
//!
//! | asked for | how it is kept |
//! |---|---|
//! | memory, table elements | counted where wasmi makes and grows them |
//! | fuel | wasmi's own, counted only when asked for |
//! | time, kill | fuel comes in slices; between two of them the guest may end. A guest that grows tables is [rewritten](wasmrun_rewrite) for that |
//! | stack | half for the values of the guest's functions, half for their frames |
//!
//! wasmi must not be built with both optimisation and debug assertions, which is no profile of Cargo's
//! own: its instructions then no longer jump but call, and loops overflow the stack of the host.

mod code;
mod config;
mod engine;
mod fuel;
mod host;
mod limits;
mod live;
mod rewrite;
mod traps;
mod values;
mod wasi;

pub use engine::{NAME, WasmiEngine};
