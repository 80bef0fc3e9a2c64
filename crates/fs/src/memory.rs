//! A file system in memory, with the semantics of Linux's tmpfs.

mod content;
mod directory;
mod file;
mod inode;
mod ranges;
mod space;
mod tree;

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Directory;
use directory::{MemoryDirectory, Shared};
use space::Space;

/// A file system in memory, with the semantics of Linux's tmpfs.
///
/// It starts with an empty root, and its files are lost when the last clone of it and the last open directory of it are
/// dropped. A file that is open stays readable and writable until then, whether it has a name or not. All clones are
/// the same file system.
///
/// Files are sparse: of their content, only the pages of 4096 bytes that were written or
/// [allocated](crate::File::allocate) count, and only those that were written take memory. Reads and writes of a file
/// are atomic to each other.
#[derive(Clone)]
pub struct Memory(Arc<Shared>);

/// How much a [`Memory`] may take. Beyond it, operations fail with [`Errno::Nospc`](crate::Errno::Nospc). The default is
/// no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryLimits {
    /// Bytes of content, counted in whole pages of 4096 bytes. The target of a symbolic link is a page, too, if it has more
    /// than 127 bytes.
    pub bytes: Option<u64>,
    /// Entries: every file, directory and symbolic link is one, the root included, and so is every further name of a
    /// file. A file that is open without a name still is one.
    ///
    /// This is what bounds the memory for anything but content: at most 255 bytes for a name, 4095 for the target of a
    /// symbolic link, and a few hundred for the rest. So if it is `None` while `bytes` is not, there can be one for
    /// each 4096 of the `bytes`, and the root.
    pub entries: Option<u64>,
}

/// How much a [`Memory`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryUse {
    /// Bytes of content, as [`MemoryLimits::bytes`] counts them.
    pub bytes: u64,
    /// Entries, as [`MemoryLimits::entries`] counts them.
    pub entries: u64,
}

impl Memory {
    /// An empty file system, with the times of the system's clock.
    pub fn new(limits: MemoryLimits) -> Self {
        Self::with_clock(limits, Arc::new(system_time))
    }

    /// An empty file system that takes its times from `clock`: nanoseconds since 1970.
    pub fn with_clock(limits: MemoryLimits, clock: Arc<dyn Fn() -> u64 + Send + Sync>) -> Self {
        Memory(Arc::new(Shared::new(Space::new(limits, clock))))
    }

    /// Its root.
    pub fn root(&self) -> Arc<dyn Directory> {
        Arc::new(MemoryDirectory::root(&self.0))
    }

    /// The time of its clock.
    pub(crate) fn now(&self) -> u64 {
        self.0.space().now()
    }

    /// How much it takes now.
    pub fn used(&self) -> MemoryUse {
        self.0.space().used()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Memory").field(&self.used()).finish()
    }
}

fn system_time() -> u64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}
