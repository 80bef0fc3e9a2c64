//! Where an engine is known to differ from what the suite expects, each with its reason.
//!
//! There is none: guests have one host on every engine. What an engine cannot do, or cannot tell, is in
//! its [`Capability`](wasmrun_core::Capability) and refused. A difference that comes up is put here with
//! its reason until it is gone; an entry that a whole run did not need fails that run.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// A known difference.
struct Known {
    engine: &'static str,
    /// Why it is there, and why it stays.
    why: &'static str,
    /// Whether it is the difference between what was expected and what was seen, in a part of a
    /// rule or scenario (an operation of `files`, mostly).
    covers: fn(part: &str, expected: &str, seen: &str) -> bool,
}

const KNOWN: &[Known] = &[];

/// The places in the list that were needed.
static NEEDED: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

/// Whether a difference is known.
pub(crate) fn is_known(engine: &str, part: &str, expected: &str, seen: &str) -> bool {
    let covers = |known: &Known| known.engine == engine && (known.covers)(part, expected, seen);
    let Some(place) = KNOWN.iter().position(covers) else {
        return false;
    };
    let mut needed = NEEDED.lock().unwrap_or_else(PoisonError::into_inner);
    needed.insert(place);
    true
}

/// The entries that no trial of this process has needed, as engine and reason.
pub fn unneeded() -> Vec<(&'static str, &'static str)> {
    let needed = NEEDED.lock().unwrap_or_else(PoisonError::into_inner);
    let entries = KNOWN.iter().enumerate();
    entries
        .filter(|(place, _)| !needed.contains(place))
        .map(|(_, known)| (known.engine, known.why))
        .collect()
}
