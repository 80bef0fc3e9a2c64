//! Any bytes, in the files of a cache.
#![no_main]

#[path = "../../crates/cache/tests/common/mod.rs"]
#[allow(dead_code, reason = "the tests of the cache use the rest")]
mod common;
#[path = "../../crates/cache/tests/properties/damage.rs"]
mod damage;

use std::sync::LazyLock;

use damage::{Damage, Kept};

static KEPT: LazyLock<Kept> = LazyLock::new(Kept::new);

libfuzzer_sys::fuzz_target!(|damage: (u8, u16, u16, bool, &[u8])| {
    let (file, at, removed, sealed, added) = damage;
    KEPT.holds(&Damage {
        file,
        at,
        removed,
        added,
        sealed,
    });
});
