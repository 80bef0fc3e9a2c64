//! The facade: its registry, its choice of an engine, its command.

#[cfg(all(unix, any(feature = "wasmtime", feature = "wasmer")))]
mod cache;
mod command;
mod engines;
mod fake;
mod select;
