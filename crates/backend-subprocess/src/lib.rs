//! Runs guests on the WebAssembly runtimes found on `PATH`.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use wasmrun_core::{Guest, Program, RunConfig};
//! # fn main() -> wasmrun_core::Result<()> {
//! let engine = Arc::new(wasmrun_backend_subprocess::find("wasmtime-cli")?);
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
//! what it can do, how its command line is written, and what its exit codes and last words mean.
//! What a runtime cannot do, or cannot be told to do by its command line, is
//! [refused](wasmrun_core::Support::Unsupported).
//!
//! What an executable shows of its guest is less than what an engine in this process shows:
//!
//! - A process's exit code has eight bits, and some runtimes pass fewer of them on. A code that did
//!   not arrive is an error rather than another code, unless the runtime itself made it another:
//!   wasmer takes it modulo 256, and WasmEdge tells every trap by 134.
//! - The guest's standard error and the runtime's own diagnostics share a stream. They are told
//!   apart by how the runtime starts its messages; what is the runtime's goes into the outcome.

mod adapters;
mod discover;
mod engine;
mod program_file;
mod scratch;
mod spawn;
mod stderr;
mod version;

pub use discover::{Discovered, NAMES, at, discover, find};
pub use engine::SubprocessEngine;
