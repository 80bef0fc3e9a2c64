//! The command, driven as its users drive it.

#![cfg_attr(
    not(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi")),
    allow(
        dead_code,
        reason = "a build without engines in this process has little to try"
    )
)]

mod bad_input;
#[cfg(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi"))]
mod bench;
#[cfg(all(unix, any(feature = "wasmtime", feature = "wasmer")))]
mod cache;
mod common;
#[cfg(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi"))]
mod compare;
#[cfg(all(feature = "wasmtime", feature = "wasmer", feature = "wasmi"))]
mod engines;
#[cfg(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi"))]
mod exit_codes;
mod help;
mod inspect;
#[cfg(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi"))]
mod report;
#[cfg(all(unix, any(feature = "wasmtime", feature = "wasmer", feature = "wasmi")))]
mod signals;
#[cfg(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi"))]
mod world;
