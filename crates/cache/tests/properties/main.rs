//! What holds of a cache, whatever its files hold.
//!
//! The property is in a file of its own, because a fuzz target in `fuzz/` uses it too.
#![cfg(unix)]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod common;
mod damage;

use std::sync::LazyLock;

use damage::{Damage, Kept};
use proptest::collection::vec;
use proptest::prelude::*;

static KEPT: LazyLock<Kept> = LazyLock::new(Kept::new);

proptest! {
    #[test]
    fn whatever_a_file_of_the_cache_holds_is_what_was_kept_or_a_miss(
        file in 0..4_u8,
        at in 0..700_u16,
        removed in prop_oneof![0..4_u16, 0..700_u16],
        added in vec(prop_oneof![any::<u8>(), b'0'..=b'9'], 0..8),
        sealed in any::<bool>(),
    ) {
        KEPT.holds(&Damage { file, at, removed, added: &added, sealed });
    }
}
