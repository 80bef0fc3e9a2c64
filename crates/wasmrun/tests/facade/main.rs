//! The facade: its registry, its choice of an engine, its command.

#[cfg(all(
    unix,
    feature = "tokio",
    any(feature = "wasmtime", feature = "wasmer", feature = "wasmi")
))]
mod asynchronous;
#[cfg(all(unix, any(feature = "wasmtime", feature = "wasmer")))]
mod cache;
mod command;
mod engines;
mod fake;
#[cfg(all(feature = "wasmtime", feature = "wasmi"))]
mod flattened;
mod select;
mod source;
#[cfg(all(unix, any(feature = "wasmtime", feature = "wasmer", feature = "wasmi")))]
mod workspace;
