//! What is told while something is transferred.

use crate::Digest;

/// A step of a transfer. A blob that is there already has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A blob begins.
    Begins {
        /// Which.
        digest: Digest,
        /// Its size in bytes.
        bytes: u64,
    },
    /// So much of it is there.
    Advances {
        /// Which.
        digest: Digest,
        /// Bytes from its beginning.
        bytes: u64,
    },
    /// It is there, whole.
    Ends {
        /// Which.
        digest: Digest,
    },
}

/// Who is told of a transfer: any closure `Fn(Event)`.
pub trait Progress: Send + Sync {
    /// Something happened. It is called on the thread that transfers, which waits meanwhile.
    fn event(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> Progress for F {
    fn event(&self, event: Event) {
        self(event);
    }
}

/// For who does not want to know.
pub const QUIET: &dyn Progress = &|_: Event| ();
