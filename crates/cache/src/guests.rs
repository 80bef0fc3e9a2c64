//! What is known of the guests in files, so that a file that has not changed is not read.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use wasmrun_core::guest::DerivedStore;
use wasmrun_core::{CodeCache, CodeKey, EngineInfo, Guest, Place, Result};

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
        if let Some(guest) = self.known_guest(path, max_bytes) {
            return Ok(guest);
        }
        let before = now();
        let (guest, metadata) = Guest::open_seen(path, max_bytes)?;
        if let Some(look) = Look::new(&metadata, before) {
            look.keep(&self.0.place.guests, guest.known());
        }
        Ok(self.keeping_derived(guest))
    }

    /// The guest in a file that was read before and has not changed since; `None` of any other. Nothing is read of the file.
    pub fn known_guest(&self, path: &Path, max_bytes: u64) -> Option<Guest> {
        let metadata = fs::metadata(path).ok()?;
        if !metadata.is_file() || metadata.len() > max_bytes {
            return None;
        }
        let known = Look::new(&metadata, now())?.recall(&self.0.place.guests)?;
        Some(self.keeping_derived(Guest::from_known(path, max_bytes, known)))
    }

    fn keeping_derived(&self, guest: Guest) -> Guest {
        guest.keep_derived_in(Arc::new(self.clone()));
        guest
    }
}

/// Beside compiled code, as if an engine of the maker's name had compiled it.
impl DerivedStore for Cache {
    fn find(&self, guest: &Guest, maker: &str, identity: &[u8]) -> Option<Vec<u8>> {
        let maker = by(maker);
        let key = CodeKey::of_derived(guest, &maker, identity);
        let found = CodeCache::find(self, &key).ok()?;
        fs::read(found.path()).ok()
    }

    fn keep(&self, guest: &Guest, maker: &str, identity: &[u8], made: &[u8]) {
        let maker = by(maker);
        let key = CodeKey::of_derived(guest, &maker, identity);
        if let Err(why) = CodeCache::keep(self, &key, made) {
            tracing::debug!(guest = guest.name(), maker = maker.name, why, "not kept");
        }
    }
}

fn by(maker: &str) -> EngineInfo {
    EngineInfo {
        name: maker.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        place: Place::InProcess,
    }
}
