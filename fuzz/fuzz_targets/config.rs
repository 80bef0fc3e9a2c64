//! Any text, as the JSON of a config.
#![no_main]

#[path = "../../crates/core/tests/properties/config.rs"]
mod config;

libfuzzer_sys::fuzz_target!(|text: &str| config::holds(text));
