//! What holds of flattening, whatever is flattened.
//!
//! The properties are in files of their own, because a fuzz target in `fuzz/` uses them too.

mod flattening;
mod linking;

use arbitrary::Unstructured;
use linking::Held;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Components that nobody wrote, and programs behind the adapter of preview1.
fn components() -> impl Iterator<Item = &'static [u8]> {
    let modules = wasmrun_corpus::modules().map(|module| module.wasm);
    modules.filter(|wasm| wasm.starts_with(b"\0asm\x0d\0\x01\0"))
}

#[test]
fn components_that_nobody_wrote_are_flattened_or_refused() {
    let flattened = components().filter(|wasm| flattening::holds(wasm)).count();
    println!("{flattened} of {} were flattened", components().count());
    // The programs.
    assert!(flattened >= 4);
}

#[test]
fn modules_that_nobody_wrote_do_together_what_they_do_apart() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut held = Vec::new();
    for _ in 0..500 {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random.to_le_bytes()
        })
        .take(1 << 9)
        .flatten()
        .collect();
        // Too few bytes are as good as none.
        held.extend(linking::holds(&mut Unstructured::new(&bytes)));
    }
    let count = |wanted: &[Held]| held.iter().filter(|held| wanted.contains(held)).count();
    let (valid, same) = (count(&[Held::Valid, Held::Same]), count(&[Held::Same]));
    println!(
        "of {} {valid} were flattened, and {same} ran to an end",
        held.len()
    );
    assert!(valid > 200 && same > 100);
}

/// A program behind the adapter of preview1.
fn program() -> impl Strategy<Value = Vec<u8>> {
    let programs: Vec<_> = components()
        .filter(|wasm| flattening::holds(wasm))
        .collect();
    select(programs).prop_map(<[u8]>::to_vec)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_program_with_flipped_bits_is_flattened_or_refused(
        (mut bytes, flips) in (program(), vec((any::<Index>(), 0..8_u32), 1..8)),
    ) {
        for (place, bit) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
        }
        flattening::holds(&bytes);
    }

    #[test]
    fn a_program_with_other_bytes_in_it_is_flattened_or_refused(
        (mut bytes, at, more) in (program(), any::<Index>(), vec(any::<u8>(), 0..20)),
    ) {
        let at = at.index(bytes.len());
        bytes.splice(at..at, more);
        flattening::holds(&bytes);
    }
}
