//! Any text, as a run in TOML and in JSON, and as a file of variables.
#![no_main]

#[path = "../../crates/wasmrun/tests/properties/run_file.rs"]
mod run_file;

libfuzzer_sys::fuzz_target!(|text: &str| run_file::holds(text));
