//! Any bytes, and what wasm-smith makes of them, as a guest.
#![no_main]

#[path = "../../crates/guest/tests/properties/inspection.rs"]
mod inspection;
#[path = "../../crates/guest/tests/properties/memory.rs"]
mod memory;
#[path = "../../crates/core/tests/properties/refusals.rs"]
mod refusals;

use libfuzzer_sys::arbitrary::{self, Unstructured};
use wasm_smith::{Component, Config, Module};
use wasmrun_guest::Guest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    inspected(bytes);
    // What begins like a program is one by itself, or its text.
    if !bytes.starts_with(b"\0")
        && !bytes.starts_with(b"(")
        && let Ok(generated) = generated(bytes)
    {
        inspected(&generated);
        Guest::from_bytes("generated", generated).expect("it is well-formed");
    }
});

fn inspected(bytes: &[u8]) {
    memory::in_proportion(bytes, |bytes| {
        inspection::holds(bytes);
        refusals::hold(bytes);
    });
}

fn generated(bytes: &[u8]) -> arbitrary::Result<Vec<u8>> {
    let mut bytes = Unstructured::new(bytes);
    let config: Config = bytes.arbitrary()?;
    Ok(match bytes.arbitrary()? {
        true => Component::new(config, &mut bytes)?.to_bytes(),
        false => Module::new(config, &mut bytes)?.to_bytes(),
    })
}
