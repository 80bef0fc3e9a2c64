//! What a guest left of a mount that keeps changes apart: told, shown as a diff, exported, and made for good.

mod commit;
mod diff;
mod export;
mod tree;

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use wasmrun_core as core;
use wasmrun_core::{Error, ErrorKind};

use crate::overlay::{Change, ChangeKind, Overlay};
use crate::{Directory, Errno, FileType, Memory, MemoryLimits};

/// What a guest left of a mount that keeps changes apart.
pub struct Kept {
    overlay: Overlay,
    /// What it found, the uppermost first.
    lowers: Vec<Arc<dyn Directory>>,
    /// The directory of the host that changes can be made in for good.
    commits_to: Option<Arc<dyn Directory>>,
}

impl Kept {
    /// Of an overlay of these lower directories, of which the first may be one that changes can be made in for good.
    pub fn new(
        overlay: Overlay,
        lowers: Vec<Arc<dyn Directory>>,
        commits_to: Option<Arc<dyn Directory>>,
    ) -> Self {
        Kept {
            overlay,
            lowers,
            commits_to,
        }
    }

    /// Of a directory that was empty.
    pub fn of_empty(root: Arc<dyn Directory>) -> Self {
        Kept::new(Overlay::new(Vec::new(), root), Vec::new(), None)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl core::Changes for Kept {
    fn changes(&self) -> core::Result<Vec<core::Change>> {
        let changes = self.overlay.changes().map_err(failed("what was changed"))?;
        Ok(changes.into_iter().map(told).collect())
    }

    fn diff(&self) -> core::Result<String> {
        let changes = self.overlay.changes().map_err(failed("what was changed"))?;
        let nothing = Memory::new(MemoryLimits::default());
        let before = Overlay::new(self.lowers.clone(), nothing.root()).root();
        diff::unified(&*before, &*self.overlay.root(), &changes)
    }

    fn export(&self, to: &mut dyn Write) -> core::Result<()> {
        let changes = self.overlay.changes().map_err(failed("what was changed"))?;
        export::archive(&*self.overlay.root(), &changes, to)
    }

    fn commit(&self) -> core::Result<()> {
        let Some(to) = &self.commits_to else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "there is no directory of the host to make the changes in",
            ));
        };
        let changes = self.overlay.changes().map_err(failed("what was changed"))?;
        commit::make(&*self.overlay.root(), &**to, &changes)
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
