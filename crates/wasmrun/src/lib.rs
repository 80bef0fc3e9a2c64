//! Runs WebAssembly programs on any of several engines, through one API, with every engine behaving
//! the same way.
//!
//! [`Command`] runs a program as [`std::process::Command`] does:
//!
//! ```no_run
//! use wasmrun::{Access, Command};
//!
//! # fn main() -> wasmrun::Result<()> {
//! let report = Command::new("app.wasm")
//!     .arg("x")
//!     .env("K", "V")
//!     .map_dir("/data", "/data", Access::ReadOnly)
//!     .output()?;
//! println!("{} on {}", report.outcome, report.engine);
//! # Ok(())
//! # }
//! ```
//!
//! Whatever a caller asks for is enforced, emulated or refused before the guest starts; nothing is
//! ignored. How a guest ended, however badly, is an [`Outcome`]; an [`Error`] is what kept it from
//! running.
//!
//! # Engines
//!
//! Each comes by a Cargo feature, all of them on by default but the last two:
//!
//! | feature      | engines                                                                 |
//! |--------------|-------------------------------------------------------------------------|
//! | `wasmtime`   | `wasmtime`, in-process                                                  |
//! | `wasmer`     | `wasmer`, in-process                                                    |
//! | `wasmi`      | `wasmi`, in-process: an interpreter, small and quick to start           |
//! | `subprocess` | `wasmtime-cli`, `wasmer-cli`, `wasmedge-cli`, `wasmi-cli`, `wazero-cli`, `node-cli`: runtimes found on `PATH` |
//! | `wasix`      | `wasmer`, for programs built for WASIX too                              |
//! | `wasmedge`   | `wasmedge`, in-process: a library that is looked for and loaded when the engine is asked for |
//!
//! The feature `flatten` adds `flatten`: a component as one core module, as engines without components are given it.
//!
//! The feature `oci` adds `oci`: guests from registries, and the store they are kept in. Without it nothing here speaks HTTP.
//!
//! The feature `webc` lets programs come in webc packages, whose volumes they see: [`PackageChoice`], and the module `webc`.
//!
//! The feature `tokio` adds `asynchronous`: runs as futures, and their streams as tokio has them.
//!
//! [`Engines`] opens them when they are asked for, takes those of your own
//! ([`register`](Engines::register)), and [selects](Engines::select) the first that can do what a
//! guest needs and a caller asks; an [`Explanation`] tells why it is that one.
//!
//! # Compiling once, running often
//!
//! A [`Program`] is a compiled guest that runs any number of times, from many threads:
//!
//! ```
//! use wasmrun::{Choice, Engines, Guest, RunConfig, Stdout};
//!
//! # fn main() -> wasmrun::Result<()> {
//! # if !cfg!(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi")) { return Ok(()); }
//! let guest = Guest::from_bytes("exit.wat", r#"
//!     (module
//!       (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
//!       (memory (export "memory") 1)
//!       (func (export "_start") (call $exit (i32.const 42))))
//! "#)?;
//! let config = RunConfig::new().stdout(Stdout::Capture);
//! let program = Engines::shared().compile(&guest, &config, &Choice::Auto)?;
//! for name in ["a", "b"] {
//!     let report = program.run(&config.clone().arg(name))?;
//!     assert_eq!(report.outcome, wasmrun::Outcome::Exited(42));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Cache`] keeps compiled code for later processes, and what is known of a guest's file, so that
//! the next start neither compiles nor reads it: [`Engines::with_cache`], [`Command::cache`].
//! [`Stats::cache`] tells what came of it. Whatever is wrong with a cache costs time and nothing else.
//!
//! # A run as a file
//!
//! [`RunFile`] is a run in TOML or JSON: the program, the engine, and a [`RunConfig`] in the form it has for serde. What is
//! wrong in such a file is told with its line and column. The feature `schema` adds a JSON Schema for editors.
//!
//! # Functions of the host
//!
//! A guest may import functions of the host beside WASI's: [`HostFunctions`] is a set of closures that works on every
//! engine. It is asked for by a [`Request`] where the guest is compiled, or [`Command::host_functions`].
//!
//! # An engine of your own
//!
//! Implement [`Engine`] and [`Code`] and [register](Engines::register) it. What it cannot do, its
//! [`Capability`] says, and callers who ask for that are refused before your code is reached.

#[cfg(all(feature = "tokio", unix))]
pub mod asynchronous;
mod command;
mod compile;
mod engines;
pub mod env_file;
#[cfg(feature = "oci")]
pub mod oci;
mod packaged;
mod registry;
mod run_file;
mod select;
mod source;
mod workspace;

pub use command::Command;
pub use engines::{Engines, own_command};
pub use packaged::PackageChoice;
pub use run_file::{Launch, RunFile};
pub use select::{Choice, Considered, Explanation, Selection, Verdict};
pub use source::{Source, is_read_once, is_reference};
pub use wasmrun_cache::Cache;
pub use wasmrun_core::*;
pub use workspace::{LockedWorkspace, Workspace, WorkspaceInfo, WorkspaceSettings, Workspaces};

/// The guide's examples compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
struct Guide;

/// A component as one core module.
#[cfg(feature = "flatten")]
pub mod flatten {
    pub use wasmrun_flatten::{Flattened, Import, flatten};
}

/// Packages of programs and files: what is in them, and their commands as guests. [`Command`] and [`RunFile`] open those
/// that they are given.
#[cfg(feature = "webc")]
pub mod webc {
    pub use wasmrun_webc::{
        Manifest, Package, PackageInspection, PackagedCommand, PackedAtom, PackedCommand,
        PackedDependency, PackedMapping, PackedVolume, Problem, Use,
    };
}

/// What a [`Cache`] tells of itself.
pub mod cache {
    pub use wasmrun_cache::{Entry, Removed, Verified};
}

/// Runs `guest` as `config` asks, on the first of the [process's engines](Engines::shared) that
/// can, on the calling thread.
///
/// # Errors
///
/// Those of [`Engines::select`], [`Program::compile`] and [`Program::run`].
///
/// ```
/// use wasmrun::{Guest, Outcome, RunConfig};
///
/// # fn main() -> wasmrun::Result<()> {
/// # if !cfg!(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi")) { return Ok(()); }
/// let guest = Guest::from_bytes("nothing.wat", r#"(module (func (export "_start")))"#)?;
/// let report = wasmrun::run(&guest, &RunConfig::new())?;
/// assert_eq!(report.outcome, Outcome::Exited(0));
/// # Ok(())
/// # }
/// ```
pub fn run(guest: &Guest, config: &RunConfig) -> Result<Report> {
    let control = Control::new();
    Engines::shared()
        .compile_for_run(guest, config, &Choice::Auto, &control)?
        .run_with(config, Attachments::new().control(&control))
}
