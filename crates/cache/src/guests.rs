//! What is known of the guests in files, so that a file that has not changed is not read.

use std::path::Path;

use wasmrun_core::guest::Known;
use wasmrun_core::{Guest, Result};

use crate::Cache;
use crate::seen::{Look, now};

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
        let before = now();
        let (guest, metadata) = Guest::open_seen(path, max_bytes)?;
        if let Some(look) = Look::new(&metadata, before) {
            look.keep(&self.0.place.guests, guest.known());
        }
        Ok(guest)
    }

    fn known(&self, path: &Path, max_bytes: u64) -> Option<Known> {
        let metadata = std::fs::metadata(path).ok()?;
        if !metadata.is_file() || metadata.len() > max_bytes {
            return None;
        }
        Look::new(&metadata, now())?.recall(&self.0.place.guests)
    }
}
