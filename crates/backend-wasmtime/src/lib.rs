//! Runs guests in-process on wasmtime.
