//! Any bytes, as a webc package, with and without the right digests: refused in a line, or everything in it lies within it.
#![no_main]

#[path = "../../crates/webc/tests/packages/held.rs"]
mod held;

use ciborium::Value;
use sha2::{Digest, Sha256};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    held::holds(bytes);
    let mut repaired = bytes.to_vec();
    if repair(&mut repaired).is_some() {
        held::holds(&repaired);
    }
});

/// Before the table of contents: what a package begins with, the version, a tag and a length.
const BEFORE: usize = 17;

/// Of version 3: gives each section that the table of contents tells of the digest that it should have, there as well.
fn repair(bytes: &mut [u8]) -> Option<()> {
    let length = bytes.get(BEFORE - 8..BEFORE)?.try_into().ok()?;
    let end = BEFORE.checked_add(usize::try_from(u64::from_le_bytes(length)).ok()?)?;
    let contents: Value = ciborium::from_reader(bytes.get(BEFORE..end)?).ok()?;
    let mut sections = Vec::new();
    spans(&contents, &mut sections);
    for (start, length) in sections {
        // A tag, the digest, a length, and what the digest is of.
        let section = bytes.get(start..start.checked_add(length)?)?;
        let (said, data) = (section.get(1..33)?.to_vec(), section.get(41..)?);
        let digest = Sha256::digest(data);
        bytes[start + 1..start + 33].copy_from_slice(&digest);
        let contents = &mut bytes[BEFORE..end];
        let at = contents.windows(32).position(|window| window == said);
        if let Some(at) = at {
            contents[at..at + 32].copy_from_slice(&digest);
        }
    }
    Some(())
}

/// The places of sections, wherever they are said.
fn spans(value: &Value, found: &mut Vec<(usize, usize)>) {
    let Value::Map(entries) = value else { return };
    let number = |name: &str| {
        let named = |(key, _): &&(Value, Value)| key.as_text() == Some(name);
        let number = entries.iter().find(named)?.1.as_integer()?;
        usize::try_from(number).ok()
    };
    found.extend(number("start").zip(number("len")));
    for (_, value) in entries {
        spans(value, found);
    }
}
