//! WASI 0.3 for components on wasmtime.
//!
//! Its interfaces are those of 0.2 with functions, streams and futures that are asynchronous. What they do is the same and
//! done by the same code: files are those of [`wasmrun_fs`], clocks may be the component's own, and sockets ask
//! [`Sockets`](crate::Sockets). But the streams of a connection are wasmtime-wasi's, so what goes through them is not counted.
//!
//! Streams have a life of their own here: the host serves one that the component has long forgotten. So they are counted, and
//! no more than a run may have files open are served at a time; and a stream that the host moves from
//! one place to another, with no code of the component's in between, looks whether the run is to end.

mod cli;
mod clocks;
mod filesystem;
mod sockets;
mod stat;
mod streams;

use std::sync::Arc;

pub use clocks::Passing;
pub(crate) use clocks::Sleepers;
use wasmrun_fs::{Errno, most_open_files};
use wasmtime::Result;
use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::p3::bindings;
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};

use crate::System;

/// The state of a store that has a [`System`].
pub trait SystemView: WasiView {
    /// It.
    fn system(&mut self) -> &mut System;
}

/// That the data of the functions is a [`System`].
struct HasSystem;

impl HasData for HasSystem {
    type Data<'a> = &'a mut System;
}

/// Adds every interface that [`wasmtime_wasi::p3::add_to_linker`] does.
///
/// # Errors
///
/// One of them is in the linker already.
pub fn add_to_linker<T: SystemView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    use bindings::{cli, clocks, filesystem, random, sockets};

    filesystem::types::add_to_linker::<T, HasSystem>(linker, T::system)?;
    filesystem::preopens::add_to_linker::<T, HasSystem>(linker, T::system)?;

    clocks::types::add_to_linker::<T, HasSystem>(linker, T::system)?;
    clocks::system_clock::add_to_linker::<T, HasSystem>(linker, T::system)?;
    clocks::monotonic_clock::add_to_linker::<T, HasSystem>(linker, T::system)?;

    random::random::add_to_linker::<T, WasiRandom>(linker, T::random)?;
    random::insecure::add_to_linker::<T, WasiRandom>(linker, T::random)?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(linker, T::random)?;

    cli::exit::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::environment::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stdout::add_to_linker::<T, HasSystem>(linker, T::system)?;
    cli::stderr::add_to_linker::<T, HasSystem>(linker, T::system)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;

    sockets::types::add_to_linker::<T, HasSystem>(linker, T::system)?;
    sockets::ip_name_lookup::add_to_linker::<T, HasSystem>(linker, T::system)
}

/// A stream that is served, as long as this is kept. All clones of one are of the same run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served(Arc<()>);

impl Served {
    /// One more.
    fn another(&self) -> Result<Served, Errno> {
        match Arc::strong_count(&self.0) <= most_open_files() as usize {
            true => Ok(self.clone()),
            false => Err(Errno::Mfile),
        }
    }
}
