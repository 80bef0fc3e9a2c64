//! The same work without wasmrun: what wasmrun costs is the ratio to it.

pub mod commands;
#[cfg(feature = "wasmer")]
pub mod wasmer;
#[cfg(feature = "wasmtime")]
pub mod wasmtime;

use std::path::Path;

use wasmrun::Guest;

/// Something to do with a guest.
pub struct ByHand {
    /// The engine.
    pub name: &'static str,
    /// Does it once. A run of a guest that was made ready has nothing on its streams.
    pub run: Box<dyn Fn() + Send + Sync>,
}

/// Runs of `guest` in this process, which sees `directory` as `/`, if there is one.
pub fn all(guest: &Guest, directory: Option<&Path>) -> Vec<ByHand> {
    vec![
        #[cfg(feature = "wasmtime")]
        wasmtime::by_hand(guest, directory),
        #[cfg(feature = "wasmer")]
        wasmer::by_hand(guest, directory),
    ]
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
