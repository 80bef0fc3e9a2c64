//! What the source of our own code generators is known by.

/// A number for the source of what is compiled into guests, for what identifies compiled code that is
/// kept: it is not exchanged with a wasmrun that compiles something else. (FNV-1a, for constants.)
pub const fn fingerprint<const N: usize>(sources: [&[u8]; N]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut source = 0;
    while source < N {
        let mut place = 0;
        while place < sources[source].len() {
            hash ^= sources[source][place] as u64;
            hash = u64::wrapping_mul(hash, 0x100_0000_01b3);
            place += 1;
        }
        source += 1;
    }
    hash
}
