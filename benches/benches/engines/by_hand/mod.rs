//! The same work without wasmrun: what wasmrun costs is the ratio to it.

#[cfg(feature = "wasmer")]
pub mod wasmer;
#[cfg(feature = "wasmtime")]
pub mod wasmtime;

use std::path::Path;

use wasmrun::Guest;

/// Runs of a guest that was made ready once.
pub struct ByHand {
    /// The engine.
    pub name: &'static str,
    /// A run, with nothing on its streams.
    pub run: Box<dyn Fn()>,
}

/// Every engine that has a WASI of its own for `guest`, which sees `directory` as `/`, if there is one.
pub fn all(guest: &Guest, directory: Option<&Path>) -> Vec<ByHand> {
    vec![
        #[cfg(feature = "wasmtime")]
        wasmtime::by_hand(guest, directory),
    ]
}
