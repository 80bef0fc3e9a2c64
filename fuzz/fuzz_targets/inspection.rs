//! Any bytes, as a guest.
#![no_main]

#[path = "../../crates/core/tests/properties/inspection.rs"]
mod inspection;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| inspection::holds(bytes));
