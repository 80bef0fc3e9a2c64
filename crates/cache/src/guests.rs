//! What is known of the guests in files, so that a file that has not changed is not read.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use wasmrun_core::guest::Known;
use wasmrun_core::{Guest, Result};

use crate::Cache;
use crate::platform::Stamp;
use crate::record::{self, Found};

/// Two changes of a file within this many seconds may leave it with the same stamp: the clocks of
/// file systems tick as slowly as that.
const TICK: i64 = 2;

/// What was found in a file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    /// The version of wasmrun that looked: another one may see something else.
    wasmrun: String,
    stamp: Stamp,
    /// When the stamp was taken, before the file was read; seconds since 1970.
    seen: i64,
    pub(crate) known: Known,
}

impl Record {
    /// Whether the file cannot have changed unseen. One that was changed just before it was looked
    /// at may have been changed again within the same tick.
    fn is_certain(&self) -> bool {
        self.stamp.last_change().saturating_add(TICK) < self.seen
    }
}

impl Cache {
    /// Like [`Guest::open_capped`], but does not read a file that was read before and has not
    /// changed since: what is known of the guest is remembered.
    ///
    /// # Errors
    ///
    /// As for [`Guest::open`].
    pub fn guest(&self, path: &Path, max_bytes: u64) -> Result<Guest> {
        if let Some(known) = self.known(path, max_bytes) {
            return Ok(Guest::from_known(path, max_bytes, known));
        }
        let seen = now();
        let (guest, metadata) = Guest::open_seen(path, max_bytes)?;
        let Some(stamp) = Stamp::of(&metadata) else {
            return Ok(guest);
        };
        let name = stamp.name();
        let record = Record {
            wasmrun: env!("CARGO_PKG_VERSION").into(),
            stamp,
            seen,
            known: guest.known(),
        };
        if record.is_certain()
            && let Err(error) = record::write(&self.0.place.guests, &name, &record)
        {
            tracing::debug!(?guest, %error, "what is known of it is not kept");
        }
        Ok(guest)
    }

    fn known(&self, path: &Path, max_bytes: u64) -> Option<Known> {
        let metadata = std::fs::metadata(path).ok()?;
        if !metadata.is_file() || metadata.len() > max_bytes {
            return None;
        }
        let stamp = Stamp::of(&metadata)?;
        let path = self.0.place.guests.join(stamp.name());
        let Found::Whole(record) = record::read::<Record>(&path) else {
            return None;
        };
        let is_same = record.stamp == stamp
            && record.wasmrun == env!("CARGO_PKG_VERSION")
            && record.is_certain();
        is_same.then(|| {
            record::used(&path);
            record.known
        })
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
