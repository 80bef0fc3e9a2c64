//! Any bytes, as a guest.
#![no_main]

#[path = "../../crates/guest/tests/properties/inspection.rs"]
mod inspection;
#[path = "../../crates/core/tests/properties/refusals.rs"]
mod refusals;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    inspection::holds(bytes);
    refusals::hold(bytes);
});
