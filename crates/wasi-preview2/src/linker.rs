//! The interfaces of `wasi:cli/command`.

use wasmtime::Result;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::p2::bindings::{LinkOptions, cli, clocks, filesystem, io, random, sockets};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};

use crate::clocks::{self as ours, HasClocks};
use crate::view::{HasFiles, HasNetwork};
use crate::{FilesView, NetworkView};

struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

/// Adds every interface that [`wasmtime_wasi::p2::add_to_linker_async`] does. All but `wasi:filesystem`, virtual clocks, and
/// what of `wasi:sockets` uses names and sockets, are wasmtime-wasi's.
///
/// # Errors
///
/// One of them is in the linker already.
pub fn add_to_linker<T: FilesView + NetworkView>(linker: &mut Linker<T>) -> Result<()> {
    filesystem::types::add_to_linker::<T, HasFiles>(linker, T::files)?;
    filesystem::preopens::add_to_linker::<T, HasFiles>(linker, T::files)?;

    io::error::add_to_linker::<T, HasTable>(linker, |state| state.ctx().table)?;
    io::poll::add_to_linker::<T, HasTable>(linker, |state| state.ctx().table)?;
    io::streams::add_to_linker::<T, HasTable>(linker, |state| state.ctx().table)?;

    clocks::wall_clock::add_to_linker::<T, HasClocks>(linker, ours::clocks)?;
    clocks::monotonic_clock::add_to_linker::<T, HasClocks>(linker, ours::clocks)?;

    random::random::add_to_linker::<T, WasiRandom>(linker, T::random)?;
    random::insecure::add_to_linker::<T, WasiRandom>(linker, T::random)?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(linker, T::random)?;

    cli::exit::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::environment::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;

    let options = LinkOptions::default();
    sockets::network::add_to_linker::<T, WasiSockets>(linker, &(&options).into(), T::sockets)?;
    sockets::instance_network::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<T, HasNetwork>(linker, T::network)?;
    sockets::tcp::add_to_linker::<T, HasNetwork>(linker, T::network)?;
    sockets::tcp_create_socket::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    sockets::udp::add_to_linker::<T, HasNetwork>(linker, T::network)?;
    sockets::udp_create_socket::add_to_linker::<T, WasiSockets>(linker, T::sockets)
}
