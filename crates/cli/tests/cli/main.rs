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
#[cfg(all(unix, feature = "wasmi"))]
mod config;
#[cfg(all(target_os = "linux", feature = "wasmi"))]
mod containers;
#[cfg(all(feature = "wasmtime", feature = "wasmer", feature = "wasmi"))]
mod engines;
#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
mod executable;
#[cfg(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi"))]
mod exit_codes;
mod flatten;
#[cfg(all(target_os = "linux", feature = "wasmtime", feature = "wasmi"))]
mod full_disk;
mod help;
#[cfg(all(unix, feature = "oci", feature = "wasmi"))]
mod images;
mod inspect;
#[cfg(feature = "wasmtime")]
mod invoke;
#[cfg(all(target_os = "linux", feature = "wasmi"))]
mod mounts;
#[cfg(feature = "wasmtime")]
mod network;
#[cfg(all(target_os = "linux", feature = "wasmtime", feature = "wasmi"))]
mod network_rules;
#[cfg(all(
    target_os = "linux",
    any(feature = "wasmtime", feature = "wasmer", feature = "wasmi")
))]
mod once;
mod packages;
#[cfg(all(target_os = "linux", feature = "wasmtime", feature = "wasmi"))]
mod peers;
#[cfg(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi"))]
mod report;
#[cfg(all(unix, any(feature = "wasmtime", feature = "wasmer", feature = "wasmi")))]
mod signals;
#[cfg(all(target_os = "linux", feature = "wasmtime", feature = "wasmi"))]
mod space;
#[cfg(all(
    target_os = "linux",
    any(feature = "wasmtime", feature = "wasmer", feature = "wasmi")
))]
mod unwritable;
#[cfg(all(target_os = "linux", feature = "wasmi"))]
mod workspace;
#[cfg(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi"))]
mod world;
