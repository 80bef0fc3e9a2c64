//! A rewritten guest, in a file.

use std::sync::Arc;

use tempfile::TempDir;

use super::rewrite::Relayed;
use crate::readable::Readable;

/// A rewritten guest, in a file.
pub(super) struct File {
    pub(super) relayed: Arc<Relayed>,
    pub(super) program: Readable,
    /// By the runtime itself.
    pub(super) compiled: bool,
    /// The directory in which the runtime finds what it compiled.
    pub(super) code: Option<TempDir>,
}
