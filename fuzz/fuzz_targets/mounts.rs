//! Any text, as `--dir`, `--mount` and a path in the guest.
#![no_main]
// The command's values are more than these.
#![allow(dead_code)]

#[path = "../../crates/cli/src/values/held.rs"]
mod held;
#[path = "../../crates/cli/src/mounts.rs"]
mod mounts;
#[path = "../../crates/core/tests/properties/path.rs"]
mod path;
#[path = "../../crates/cli/src/values.rs"]
mod values;

libfuzzer_sys::fuzz_target!(|text: &str| {
    held::dir(text);
    held::mount(text);
    path::holds(text);
});
