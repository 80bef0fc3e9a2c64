//! What a guest left of a mount that keeps changes apart: told, shown as a diff, exported, and made for good.

mod commit;
mod diff;
mod export;

use std::fmt;
use std::io::Write;
use std::sync::Arc;

pub use commit::Commit;
pub use export::export;
use wasmrun_core as core;
use wasmrun_core::{Error, ErrorKind};

use crate::changes::{Change, ChangeKind};
use crate::copied::Copied;
use crate::overlay::Overlay;
use crate::{Directory, Errno, FileType, Memory, MemoryLimits, Result};

/// What a guest left of a mount that keeps changes apart.
pub struct Kept {
    changed: Changed,
    /// What it found.
    before: Arc<dyn Directory>,
    /// What it left.
    after: Arc<dyn Directory>,
    /// The directory of the host that changes can be made in for good.
    commits_to: Option<Arc<dyn Directory>>,
}

enum Changed {
    Overlay(Overlay),
    Copied(Copied),
}

impl Kept {
    /// Of an overlay of these lower directories, of which the first may be one that changes can be made in for good.
    pub fn new(
        overlay: Overlay,
        lowers: Vec<Arc<dyn Directory>>,
        commits_to: Option<Arc<dyn Directory>>,
    ) -> Self {
        let nothing = Memory::new(MemoryLimits::default());
        Kept {
            before: Overlay::new(lowers, nothing.root()).root(),
            after: overlay.root(),
            changed: Changed::Overlay(overlay),
            commits_to,
        }
    }

    /// Of a directory that was empty.
    pub fn of_empty(root: Arc<dyn Directory>) -> Self {
        Kept::new(Overlay::new(Vec::new(), root), Vec::new(), None)
    }

    /// Copies a directory to an empty file system in memory: files, directories and symbolic links, with their times and
    /// further names, but nothing that no guest can open. What it is a copy of must not change as long as this is used.
    /// `go_on` is asked before each file.
    ///
    /// # Errors
    ///
    /// [`Errno::Nospc`] if it does not fit, whatever keeps it from being read, and what `go_on` says.
    pub fn copy(
        from: Arc<dyn Directory>,
        to: &Memory,
        commits_to: Option<Arc<dyn Directory>>,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        Ok(Kept {
            before: Arc::clone(&from),
            after: to.root(),
            changed: Changed::Copied(Copied::new(from, to, go_on)?),
            commits_to,
        })
    }

    fn changes(&self) -> core::Result<Vec<Change>> {
        let changes = match &self.changed {
            Changed::Overlay(overlay) => overlay.changes(),
            Changed::Copied(copied) => copied.changes(),
        };
        changes.map_err(failed("what was changed"))
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl core::Changes for Kept {
    fn changes(&self) -> core::Result<Vec<core::Change>> {
        Ok(self.changes()?.into_iter().map(told).collect())
    }

    fn diff(&self) -> core::Result<String> {
        diff::unified(&*self.before, &*self.after, &self.changes()?)
    }

    fn export(&self, to: &mut dyn Write) -> core::Result<()> {
        export::archive(&*self.before, &*self.after, &self.changes()?, to)
    }

    fn commit(&self) -> core::Result<()> {
        let Some(to) = &self.commits_to else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "there is no directory of the host to make the changes in",
            ));
        };
        Commit::new(self.changes()?).make(&*self.after, &**to, &mut |_| Ok(()))
    }
}

fn told(change: Change) -> core::Change {
    let text = |path: Vec<u8>| String::from_utf8_lossy(&path).into_owned();
    let kind = match change.kind {
        ChangeKind::Created => core::ChangeKind::Created,
        ChangeKind::Modified => core::ChangeKind::Modified,
        ChangeKind::Removed => core::ChangeKind::Removed,
        ChangeKind::Renamed { from } => core::ChangeKind::Renamed { from: text(from) },
    };
    let file_type = match change.file_type {
        FileType::Regular => core::ChangedType::File,
        FileType::Directory => core::ChangedType::Directory,
        FileType::Symlink => core::ChangedType::Symlink,
        _ => core::ChangedType::Other,
    };
    core::Change::new(text(change.path), kind, file_type, change.size)
}

/// An error about something that cannot be read or written.
fn failed(what: impl fmt::Display) -> impl FnOnce(Errno) -> Error {
    move |errno| Error::new(ErrorKind::Io, format!("cannot get at {what}")).with_source(errno)
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
