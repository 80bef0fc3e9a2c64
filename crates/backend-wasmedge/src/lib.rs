//! Runs guests in-process on [WasmEdge](https://wasmedge.org), through its C library: core modules over WASI
//! preview1 (and `wasi_unstable` before it), and components over WASI 0.2,
//! [flattened](wasmrun_wasi_preview2::flattened), in its interpreter.
//!
//! The library is not linked. It is looked for and loaded when a [`WasmEdgeEngine`] is made, so that this crate
//! builds anywhere and a program that never asks for WasmEdge does not load it:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use wasmrun_backend_wasmedge::WasmEdgeEngine;
//! use wasmrun_core::{Guest, Outcome, Program, RunConfig};
//!
//! let guest = Guest::from_bytes("app.wat", r#"(module (func (export "_start")))"#)?;
//! let config = RunConfig::new();
//! let program = Program::compile(Arc::new(WasmEdgeEngine::new()?), &guest, &config)?;
//! assert_eq!(program.run(&config)?.outcome, Outcome::Exited(0));
//! # Ok::<(), wasmrun_core::Error>(())
//! ```
//!
//! Guests are [rewritten](wasmrun_rewrite) before WasmEdge sees them, for what it does not do itself:
//!
//! | asked for | how it is kept |
//! |---|---|
//! | memory, table elements | the guest looks at the limits before it grows something |
//! | stack | the guest counts it: WasmEdge lets it recurse until the host's memory is used up |
//! | fuel | WasmEdge's own cost, counted only when asked for |
//! | time, kill | the guest runs on a thread of WasmEdge's, where it can be cancelled |
//!
//! What WasmEdge 0.17 has and this backend leaves off, because a guest could harm the host with it:
//!
//! - *Compiled code.* Around each call of it WasmEdge puts its own handlers for faults in the place of the
//!   process's, and the system's defaults after: other engines in the process could no longer trap. A guest
//!   that brings compiled code in a section of its own is interpreted as well.
//! - *Memories of 64 bits*, which it maps over whatever comes behind the twelve gigabytes it reserves.
//! - *Exceptions*, which in 0.17.1 can write outside its stack; *threads*, where nothing would end a guest that
//!   waits; and *garbage collection*, which nothing bounds.

mod code;
mod engine;
mod library;
mod live;
mod native;
mod rewrite;
mod settings;
mod traps;
mod values;
mod wasi;

pub use engine::{NAME, WasmEdgeEngine};
