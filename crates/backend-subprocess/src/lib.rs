//! Runs guests on the WebAssembly runtimes found on PATH.
