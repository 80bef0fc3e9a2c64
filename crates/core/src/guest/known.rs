//! What is known of a guest, to be kept for the next time.

use serde::{Deserialize, Serialize};

use super::inspect::Facts;
use super::scan::Scanned;
use super::{GuestKind, WasiVersion};
use crate::Digest;

/// What is known of a guest without its bytes: enough to check what it needs, not to compile it.
///
/// It can be serialized, and is then good for the wasmrun that made it, by its version and
/// [`FINGERPRINT`](super::FINGERPRINT): another one may look for more. Made by [`Guest::known`](super::Guest::known).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    pub(super) kind: GuestKind,
    pub(super) wasi: WasiVersion,
    /// The file holds text, and the size and digest are those of its translation.
    pub(super) text: bool,
    pub(super) size: u64,
    pub(super) digest: Digest,
    pub(super) scanned: Scanned,
    pub(super) facts: Facts,
}

impl Known {
    /// [`Guest::digest`](super::Guest::digest).
    pub fn digest(&self) -> Digest {
        self.digest
    }
}
