//! Runs WebAssembly programs on any of several engines, through one API.
