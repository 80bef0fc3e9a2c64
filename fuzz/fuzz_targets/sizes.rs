//! Any text, as a size, a time, a variable or an input.
#![no_main]
// The command's values are more than these.
#![allow(dead_code)]

#[path = "../../crates/cli/src/values/held.rs"]
mod held;
#[path = "../../crates/cli/src/mounts.rs"]
mod mounts;
#[path = "../../crates/cli/src/values.rs"]
mod values;

libfuzzer_sys::fuzz_target!(|text: &str| {
    held::size(text);
    held::others(text);
});
