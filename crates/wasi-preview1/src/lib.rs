//! WASI preview1, and `wasi_unstable` before it, for any WebAssembly engine.
//!
//! The functions work on a plain slice of guest memory, so that every engine can offer the same WASI: same
//! files, same errno, same exit codes. What is in files is [`wasmrun_fs`]'s.
//!
//! An engine needs three things:
//!
//! - a [`Wasi`] for each run: what the guest may see, and the [`Control`](wasmrun_core::Control)
//!   that may end it;
//! - the functions its guest imports, [checked and found](imported) once, or bound with their types by
//!   [`each_function!`];
//! - at each call, the guest's memory as a [`GuestMemory`]. A guest without one gets
//!   `GuestMemory::Unshared(&mut [])`.
//!
//! A call returns an errno to the guest, or a [`Stop`]: the guest exited, was interrupted, or
//! handed over what nobody can act on. Whatever a guest waits for in a call, sleeping and standard
//! streams included, is cut short when the control is interrupted.
//!
//! ```
//! use wasmrun_core::Control;
//! use wasmrun_wasi_preview1::{GuestMemory, Wasi, World, find};
//!
//! // What the guest sees, and what may end it.
//! let args = ["app", "hello"].map(String::from);
//! let mut wasi = Wasi::new(&args, &World::new(Vec::new()), Control::new());
//!
//! // An import that the engine met in the guest, and the guest's memory.
//! let function = find("wasi_snapshot_preview1", "args_sizes_get").ok_or("no such function")?;
//! let mut memory = vec![0; 65_536];
//!
//! // The guest calls it with two pointers.
//! let errno = (function.call)(&mut wasi, &mut GuestMemory::Unshared(&mut memory), &[0, 4])?;
//! assert_eq!(errno, Some(0));
//! assert_eq!(memory[..8], [2, 0, 0, 0, 10, 0, 0, 0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod call;
mod capability;
mod context;
mod descriptors;
mod files;
mod functions;
mod imported;
mod others;
mod paths;
mod poll;
mod stdio;
mod stop;
mod streams;
mod surroundings;
mod wasi;

pub use block::{block_on, block_on_ready, within_reactor};
pub use capability::capability;
pub use context::context;
pub use functions::{FUNCTIONS, Function, find, preview1, unstable};
pub use imported::{Imported, imported};
pub use stdio::{Outputs, STDIO_IS_INTERRUPTIBLE, wrote_too_much};
pub use stop::Stop;
pub(crate) use wasi::Abi;
pub use wasi::{HOSTCALL_FUEL, Wasi};

pub use wasmrun_fs::{Mounted, World};
pub use wiggle::GuestMemory;
