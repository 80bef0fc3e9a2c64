//! A module, or what wasm-smith makes of any bytes, rewritten.
#![no_main]

#[path = "../../crates/rewrite/tests/properties/computing.rs"]
mod computing;

use std::sync::LazyLock;

use computing::Held;
use libfuzzer_sys::arbitrary::{self, Unstructured};
use libfuzzer_sys::{Corpus, fuzz_target};
use wasm_smith::{Config, Module};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let held = match bytes.strip_prefix(b"\0asm") {
        Some(_) => computing::holds(bytes),
        None => match generated(bytes) {
            Ok(module) => computing::holds(&module.to_bytes()),
            Err(_) => Held::Refused,
        },
    };
    match held {
        Held::Refused => Corpus::Reject,
        Held::Valid | Held::Same => Corpus::Keep,
    }
});

/// The functions that a module may import.
static WASI: LazyLock<Vec<u8>> = LazyLock::new(|| {
    wat::parse_str(include_str!("../../crates/corpus/wasi.wat")).expect("it is sound")
});

fn generated(bytes: &[u8]) -> arbitrary::Result<Module> {
    let mut bytes = Unstructured::new(bytes);
    // What wasmi lacks is only validated.
    let has_all = bytes.ratio(1, 8)?;
    let config = Config {
        available_imports: Some(WASI.clone()),
        // Many small modules find more than few large ones.
        max_types: 20,
        max_funcs: 10,
        max_globals: 10,
        max_memories: 3,
        max_tables: 3,
        export_everything: true,
        canonicalize_nans: true,
        exceptions_enabled: has_all,
        gc_enabled: has_all,
        threads_enabled: has_all,
        relaxed_simd_enabled: has_all,
        wide_arithmetic_enabled: true,
        custom_page_sizes_enabled: true,
        disallow_traps: bytes.arbitrary()?,
        ..Config::default()
    };
    Module::new(config, &mut bytes)
}
