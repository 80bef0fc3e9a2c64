//! What was found of files, so that a file that has not changed is not looked at again.

use std::fs::Metadata;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasmrun_core::guest;

use crate::platform::Stamp;
use crate::record::{self, Found};

/// Two changes of a file within this many seconds may leave it with the same stamp: the clocks of
/// file systems tick as slowly as that.
const TICK: i64 = 2;

/// What was found of a file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Seen<T> {
    /// The version of wasmrun that looked, and its fingerprint: another one may see something else.
    wasmrun: (String, u64),
    stamp: Stamp,
    /// When the stamp was taken, before the file was looked at; seconds since 1970.
    seen: i64,
    pub(crate) known: T,
}

impl<T> Seen<T> {
    /// Whether the file cannot have changed unseen. One that was changed just before it was looked
    /// at may have been changed again within the same tick.
    fn is_certain(&self) -> bool {
        self.stamp.last_change().saturating_add(TICK) < self.seen
    }
}

fn this_wasmrun() -> (String, u64) {
    (env!("CARGO_PKG_VERSION").into(), guest::FINGERPRINT)
}

/// A file as it was at some time.
pub(crate) struct Look {
    stamp: Stamp,
    at: i64,
}

impl Look {
    /// At a file of which the system says `metadata`, no earlier than `at`: seconds since 1970. `None`
    /// if the system says too little.
    pub(crate) fn new(metadata: &Metadata, at: i64) -> Option<Look> {
        let stamp = Stamp::of(metadata)?;
        Some(Look { stamp, at })
    }

    /// Whether the file was the same at another look.
    pub(crate) fn is_at(&self, other: &Look) -> bool {
        self.stamp == other.stamp
    }

    /// What was found of the file, by the records in `directory`.
    pub(crate) fn recall<T: DeserializeOwned>(&self, directory: &Path) -> Option<T> {
        let path = directory.join(self.stamp.name());
        let Found::Whole(record) = record::read::<Seen<T>>(&path) else {
            return None;
        };
        let is_same =
            record.stamp == self.stamp && record.wasmrun == this_wasmrun() && record.is_certain();
        is_same.then(|| {
            record::used(&path);
            record.known
        })
    }

    /// Keeps what was found of the file after this look, if that will be certain later.
    pub(crate) fn keep<T: Serialize>(self, directory: &Path, known: T) {
        let name = self.stamp.name();
        let record = Seen {
            wasmrun: this_wasmrun(),
            stamp: self.stamp,
            seen: self.at,
            known,
        };
        if record.is_certain()
            && let Err(error) = record::write(directory, &name, &record)
        {
            tracing::debug!(directory = %directory.display(), %error, "what was found is not kept");
        }
    }
}

pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
