//! Runs guests in-process on wasmer.
