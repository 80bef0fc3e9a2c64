//! WASI preview1 for any WebAssembly engine, over a plain guest memory.
