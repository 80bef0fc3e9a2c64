//! The same work without wasmrun: what wasmrun costs is the ratio to it.

pub mod commands;
#[cfg(feature = "wasmer")]
pub mod wasmer;
#[cfg(feature = "wasmtime")]
pub mod wasmtime;

use std::path::Path;

use wasmrun::Guest;
#[cfg(feature = "wasmtime")]
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, p1::WasiP1Ctx};

/// Something to do with a guest.
pub struct ByHand {
    /// The engine.
    pub name: &'static str,
    /// Does it once. A run of a guest that was made ready has nothing on its streams.
    pub run: Box<dyn Fn() + Send + Sync>,
}

/// Runs of `guest` in this process, which sees `directory` as `/`, if there is one, and may change it.
pub fn all(guest: &Guest, directory: Option<&Path>) -> Vec<ByHand> {
    vec![
        #[cfg(feature = "wasmtime")]
        wasmtime::by_hand(guest, directory),
        #[cfg(feature = "wasmer")]
        wasmer::by_hand(guest, directory),
    ]
}

/// What a guest sees: `directory` as `/`, if there is one, which it may change. Files are its own thread's work, or that of others.
#[cfg(feature = "wasmtime")]
fn context(directory: Option<&Path>, on_own_thread: bool) -> WasiP1Ctx {
    let mut context = WasiCtxBuilder::new();
    context.allow_blocking_current_thread(on_own_thread);
    if let Some(directory) = directory {
        let shown = context.preopened_dir(directory, "/", FsPerms::ReadWrite);
        shown.expect("is there");
    }
    context.build_p1()
}

/// Runs of a component.
pub fn component(guest: &Guest) -> Vec<ByHand> {
    vec![
        #[cfg(feature = "wasmtime")]
        wasmtime::component(guest),
    ]
}

/// Making a guest ready.
pub fn compiling(guest: &Guest) -> Vec<ByHand> {
    vec![
        #[cfg(feature = "wasmtime")]
        wasmtime::compiling(guest),
        #[cfg(feature = "wasmer")]
        wasmer::compiling(guest),
    ]
}

/// Taking what was made of a guest before from files in `directory`.
pub fn loading(guest: &Guest, directory: &Path) -> Vec<ByHand> {
    vec![
        #[cfg(feature = "wasmtime")]
        wasmtime::loading(guest, directory),
        #[cfg(feature = "wasmer")]
        wasmer::loading(guest, directory),
    ]
}
