//! Reads WebAssembly programs: what one is, what it declares, and what it needs of whoever runs it.
//!
//! [`Guest`] takes a WebAssembly binary (a core module or a component), text in the text format, or
//! a webc package. Everything else is refused with a name for what it is instead.
//!
//! ```
//! use wasmrun_guest::{Guest, GuestKind, Proposals, WasiVersion};
//!
//! # fn main() -> wasmrun_guest::Result<()> {
//! let guest = Guest::from_bytes("app.wat", r#"(module
//!     (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
//!     (memory (export "memory") 1)
//!     (func (export "_start") (call $exit (i32.extend8_s (i32.const 3)))))"#)?;
//! assert_eq!(guest.kind(), GuestKind::Module);
//! assert_eq!(guest.wasi(), WasiVersion::Preview1);
//! assert_eq!(guest.proposals(), Proposals::SIGN_EXTENSION);
//! assert!(guest.is_command() && guest.unknown_imports().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! Nothing of a guest is trusted. Every section is read to its end, no memory is taken on the word of a
//! count, and nesting is bounded: what a guest claims costs nothing until it is there. What a component
//! becomes once all its instances and types are written out is counted before anybody does so. What a
//! `Guest` holds is therefore well-formed section by section. Whether its code is *valid* concerns only
//! who changes it before an engine sees it ([`Guest::validate`]): each engine validates what it compiles.
//!
//! # How it is read
//!
//! Opening a guest ([`Guest::open`], [`Guest::from_bytes`]) looks at its first bytes, translates text, and
//! walks its sections once; that is quick, as it passes over code. What takes the code
//! ([`Guest::proposals`], [`Guest::validate`], [`Guest::digest`]) is found when it is asked for, and once.
//! A file that was seen before, and has not changed, need not be read: [`Guest::known`] gives what is to
//! be kept of it, and [`Guest::from_known`] makes a guest of that.
//!
//! # What is here for all of wasmrun
//!
//! This crate is below all others, so it has as well what they share: the one [`Error`] type and the
//! [`exit_code`]s that tell it, [`Digest`], [`PullPolicy`], [`fingerprint`] and [`side_by_side`].

mod component_types;
mod components;
mod data;
mod decl;
mod derived;
mod digest;
mod error;
pub mod exit_code;
mod expansion;
mod fingerprint;
mod guest;
mod inspect;
mod inspection;
mod interfaces;
mod kind;
mod known;
mod malformed;
mod own_modules;
mod parser;
mod proposals;
mod pull_policy;
mod read;
mod scan;
mod sections;
mod sha256;
mod shown;
mod side_by_side;
mod source;
mod start;
mod text;
mod unserved;
mod validate;
mod wasi;
mod wit;

pub use data::WithoutData;
pub use decl::{
    Export, ExportKind, FuncSignature, GlobalDecl, Import, ImportKind, MemoryDecl, TableDecl,
    ValueType,
};
pub use derived::DerivedStore;
pub use digest::{Digest, NoDigest};
pub use error::{Error, ErrorKind, Result};
pub use fingerprint::fingerprint;
pub use guest::Guest;
pub use inspection::Inspection;
pub use kind::GuestKind;
pub use known::Known;
pub use proposals::Proposals;
pub use pull_policy::PullPolicy;
pub use sha256::{NoSha256, Sha256};
pub use shown::{serialize_path, shown};
pub use side_by_side::side_by_side;
pub use unserved::nearest;
pub use wasi::{WasiVersion, is_wasi, is_wasi_interface};
pub use wit::{
    ComponentFunction, ComponentSignature, ComponentType, ImportedResource, ResourceType,
    WasiImports,
};

/// Changes with what is found of a guest, and with what [`Guest::without_data`] and
/// [`Guest::start_as_export`] make of it: a part of the identity of code that is kept. See [`fingerprint`].
pub const FINGERPRINT: u64 = fingerprint([
    include_bytes!("component_types.rs"),
    include_bytes!("components.rs"),
    include_bytes!("data.rs"),
    include_bytes!("decl.rs"),
    include_bytes!("expansion.rs"),
    include_bytes!("inspect.rs"),
    include_bytes!("interfaces.rs"),
    include_bytes!("own_modules.rs"),
    include_bytes!("parser.rs"),
    include_bytes!("scan.rs"),
    include_bytes!("sections.rs"),
    include_bytes!("start.rs"),
    include_bytes!("wasi.rs"),
]);
