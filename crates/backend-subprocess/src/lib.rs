//! Runs guests on the WebAssembly runtimes found on `PATH`.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use wasmrun_core::{Guest, Program, RunConfig};
//! # fn main() -> wasmrun_core::Result<()> {
//! let engine = Arc::new(wasmrun_backend_subprocess::find("wasmtime-cli", None)?);
//! let config = RunConfig::new().arg("hello");
//! let report = Program::compile(engine, &Guest::open("app.wasm")?, &config)?.run(&config)?;
//! # Ok(())
//! # }
//! ```
//!
//! Each run is one process of the runtime, in a session of its own, with an environment of its own.
//! When the guest is to end, the whole process group is killed; when we die, so does it.
//!
//! A runtime is one *adapter* (`adapters/`): the name of its executable, how it tells its version,
//! what it can do, how its command line is written, and what its last words mean.
//! What a runtime cannot do, or cannot be told to do by its command line, is
//! [refused](wasmrun_core::Support::Unsupported).
//!
//! Modules are the same on every runtime, because we are their host: see `relay`. Components are
//! left to the runtimes that take them, and become [modules](wasmrun_wasi_preview2::flattened) for others. Where they
//! are left to a runtime, the guest's standard error and the runtime's own
//! diagnostics share a stream, and are told apart by how the runtime starts its messages.

mod adapter;
mod adapters;
mod ahead;
mod component;
mod discover;
mod engine;
mod identity;
mod packed;
mod program_file;
mod readable;
mod relay;
mod runtime;
mod scratch;
mod spawn;
mod stderr;
mod version;

pub use discover::{Discovered, NAMES, at, discover, find, own_command};
pub use engine::SubprocessEngine;
