//! What a run of a module calls.

use crate::guest::shown;
use crate::{Error, ErrorKind, Guest};

/// The exports that a run of a module calls before its entry. What it calls is there: core has seen it.
#[derive(Debug, Clone, Default)]
pub struct Entries(Vec<String>);

impl Entries {
    /// Of a guest whose start function the engine calls itself, or without one.
    pub fn of(guest: &Guest) -> Self {
        let initialize = guest.has_entry(Guest::INITIALIZE);
        Entries(Vec::from_iter(
            initialize.then(|| Guest::INITIALIZE.to_owned()),
        ))
    }

    /// Of a guest whose start function is an [export](Guest::start_export).
    pub fn with_start(guest: &Guest) -> Self {
        let mut entries = Vec::from_iter(guest.start_export());
        entries.extend(Entries::of(guest).0);
        Entries(entries)
    }

    /// What is called before anything else, in order.
    pub fn before(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// All that a run calls to be started at `entry`, in order.
    pub fn calls<'a>(&'a self, entry: &'a str) -> impl Iterator<Item = &'a str> {
        let before = self.before();
        before.filter(move |name| *name != entry).chain([entry])
    }

    /// Why a run ends in which the engine does not find such an export.
    pub fn lost(name: &str) -> Error {
        let message = format!("lost the guest's export {}", shown(name));
        Error::new(ErrorKind::Engine, message)
    }
}
