//! A component, or modules that wasm-smith makes of any bytes, instantiated by one.
#![no_main]

#[path = "../../crates/flatten/tests/properties/flattening.rs"]
mod flattening;
#[path = "../../crates/flatten/tests/properties/linking.rs"]
mod linking;

use arbitrary::Unstructured;
use libfuzzer_sys::{Corpus, fuzz_target};
use linking::Held;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let is_kept = match bytes.strip_prefix(b"\0asm") {
        Some(_) => flattening::holds(bytes),
        None => match linking::holds(&mut Unstructured::new(bytes)) {
            Ok(Held::Valid | Held::Same) => true,
            Ok(Held::Refused) | Err(_) => false,
        },
    };
    match is_kept {
        true => Corpus::Keep,
        false => Corpus::Reject,
    }
});
