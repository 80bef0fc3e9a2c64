//! Keeps compiled programs in files, so that the next start neither compiles the guest nor reads
//! it.
//!
//! ```no_run
//! use std::sync::Arc;
//! use wasmrun_cache::Cache;
//! use wasmrun_core::{Engine, Guest, Program, RunConfig};
//!
//! # fn compile(engine: Arc<dyn Engine>) -> wasmrun_core::Result<()> {
//! let cache = Cache::open(Cache::user_dir()?)?;
//! let guest = cache.guest("app.wasm".as_ref(), Guest::DEFAULT_MAX_BYTES)?;
//! let program = Program::compile_cached(engine, &guest, &RunConfig::new(), &cache)?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is where
//!
//! ```text
//! v1/guests/DEVICE-INODE   what is known of the guest in that file, and the file's stamp
//! v1/answers/DEVICE-INODE  what the executable in that file said of its version, likewise
//! v1/entries/GUEST-KEY     for a guest and all that its code depends on: which code that is
//! v1/code/DIGEST           the code, exactly as the engine gave it, by the digest of its content
//! v1/lock                  held by who removes entries
//! ```
//!
//! A record starts with its own digest. Code comes before the entry that
//! names it, and everything is written to a file of another name first: whoever is interrupted,
//! anywhere, leaves files that nothing refers to, and those are swept up later.
//!
//! # Why code is trusted
//!
//! Engines run what they are given: to load code is as good as to load a shared library. So only
//! what a cache wrote itself is loaded. That is known by the directory: it belongs to the user we
//! run as and is closed to all others, as are the files in it, so that whoever could have changed
//! them could change our executable as well. [`Cache::open`] refuses any other directory. The
//! directories around it are trusted as those in `PATH` are.
//!
//! What is left is damage. Code is compared with its digest whenever its file's stamp (device, inode,
//! size, times of modification and of change) is another than when that was last done, whenever
//! the system has been started since, and by [`Cache::verify`]. So what anybody writes to it is seen,
//! and what a crash of the system makes of it; what a fault of the disk changes is seen after the
//! next start. Not more often, because to read all of a large program takes half a millisecond a
//! megabyte, several times all the rest of the start. Where the system does not say when it was
//! started (only Linux does), code is compared each time.

mod answers;
mod entries;
mod guests;
mod place;
mod platform;
mod record;
mod seen;
mod sweep;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use etcetera::BaseStrategy;
use wasmrun_core::{Error, ErrorKind, Result};

pub use entries::Entry;
pub use sweep::{Removed, Verified};

use place::Place;

/// Compiled programs in a directory. Cloning shares it.
///
/// Processes may use one directory at the same time.
#[derive(Debug, Clone)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: Place,
    max_bytes: u64,
    boot: OnceLock<Option<String>>,
}

impl Cache {
    /// How much a cache keeps unless it is [told](Cache::with_max_bytes) otherwise: 4 GiB.
    pub const DEFAULT_MAX_BYTES: u64 = 4 << 30;

    /// Where a user's programs are kept by convention: `wasmrun/code` in the user's directory for
    /// caches (`XDG_CACHE_HOME`, or what the platform has instead).
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) if the user has no home.
    pub fn user_dir() -> Result<PathBuf> {
        let home = etcetera::choose_base_strategy().map_err(|source| {
            Error::new(ErrorKind::Io, "the user has no home to keep a cache in").with_source(source)
        })?;
        Ok(home.cache_dir().join("wasmrun").join("code"))
    }

    /// Opens the cache in `directory`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if the directory is not ours alone: somebody else owns it, or
    /// may enter it. [`Io`](ErrorKind::Io) if it cannot be made.
    /// [`Unsupported`](ErrorKind::Unsupported) on platforms where wasmrun cannot tell whose a
    /// directory is.
    pub fn open(directory: impl AsRef<Path>) -> Result<Cache> {
        Ok(Cache(Arc::new(Inner {
            place: Place::open(directory.as_ref())?,
            max_bytes: Cache::DEFAULT_MAX_BYTES,
            boot: OnceLock::new(),
        })))
    }

    /// The same cache, keeping at most `max_bytes` on disk. What was used longest ago is removed
    /// first.
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: u64) -> Cache {
        Cache(Arc::new(Inner {
            place: self.0.place.clone(),
            max_bytes,
            boot: OnceLock::new(),
        }))
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.0.place.root
    }

    /// Which start of the system this is; `None` where that cannot be told.
    fn boot(&self) -> Option<&str> {
        self.0.boot.get_or_init(platform::boot).as_deref()
    }
}
