//! What [holds] of every package, tried on bytes of any kind. The property is in a file of its own, because a fuzz target uses it
//! too.
//!
//! [holds]: crate::held

use proptest::prelude::*;

use crate::full;
use crate::held::holds;

/// A package in one of the ways to write it.
fn written(way: usize) -> Vec<u8> {
    match way {
        0 => full().link("assets", "l", "top").bytes(),
        1 => full().bytes_of_version_2(),
        // What is wrong in it is not found by its digest.
        _ => full().bytes_without_digests(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_behind_a_header_are_read_to_an_end(
        version in prop::sample::select(vec!["002", "003"]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        holds(&[b"\0webc", version.as_bytes(), &bytes].concat());
    }

    #[test]
    fn a_package_that_was_changed_is_read_to_an_end(
        way in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = written(way);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(length.index(bytes.len()));
        }
        holds(&bytes);
    }

    /// Numbers at the edge of what there is, wherever a number may be.
    #[test]
    fn a_package_with_other_numbers_is_read_to_an_end(
        way in 0..3_usize,
        at in any::<prop::sample::Index>(),
        number in prop::sample::select(vec![
            0, 1, 7, 8, 255, 1 << 20, u32::MAX.into(), 1 << 62, i64::MAX as u64, u64::MAX - 8, u64::MAX,
        ]),
    ) {
        let mut bytes = written(way);
        let at = at.index(bytes.len() - 8);
        bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(number));
        holds(&bytes);
    }
}
