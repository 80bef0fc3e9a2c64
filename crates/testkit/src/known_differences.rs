//! Where engines are known to differ from the first one, each with its reason.
//!
//! An entry that no longer differs fails its trial: the list never outlives what it tells.

/// A part of what is seen of a scenario that differs on an engine.
pub(crate) struct Known {
    pub engine: &'static str,
    pub scenario: &'static str,
    pub part: &'static str,
}

pub(crate) const KNOWN: &[Known] = &[];
