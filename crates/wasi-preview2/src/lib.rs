//! WASI 0.2 for components, with the files of [`wasmrun_fs`], and the network within rules.
//!
//! There are two ways to it. wasmtime has components, and is given all interfaces by [`add_to_linker`]. For any other engine
//! a component is made one module ([`flattened`]), whose imports are those interfaces, lowered. Both do the same, by the same
//! traits, on a [`System`] for each run.
//!
//! What a component imports is as wasmtime-wasi has it, its types as well. But `wasi:filesystem` is of this crate: what a
//! path leads to, which error a call has, what is mounted where and what is read-only is the same as for modules, whose
//! calls end in the same layer. The suite holds both against each other.
//!
//! So are `wasi:clocks` of a component whose clocks only it moves.
//!
//! Sockets are wasmtime-wasi's, but `wasi:sockets` asks [`Sockets`] before a name is looked up or an address used, and what
//! goes through it is counted.
//!
//! Where the text of WASI and Linux differ, it is as on Linux:
//!
//! - A symbolic link that is absolute is followed, as a path of the guest's, and can be read.
//! - To create a file that is there already changes nothing, and succeeds in what is read-only.
//! - A stream that failed can be used again, as a file can.
//! - A directory may be changed by whoever may change its mount, whatever it was opened for; its flags say so.
//!
//! There is no error code for too many open files: it is `insufficient-memory`.
//!
//! With the feature `p3` there is WASI 0.3 as well, for components on wasmtime.

mod clocks;
mod descriptor;
mod errors;
pub mod flattened;
mod flattening;
mod handles;
mod host;
mod linker;
mod listing;
mod lowered;
#[cfg(feature = "p3")]
pub mod p3;
mod sockets;
mod stat;
mod streams;
mod system;
mod traps;
mod view;

pub use flattening::Flattening;
pub use linker::add_to_linker;
pub use sockets::Sockets;
pub use system::System;
pub use traps::trap_kind;
pub use view::{Files, FilesView, FilesViewMut, NetworkView, NetworkViewMut, resources};

pub use wasmrun_fs::World;
