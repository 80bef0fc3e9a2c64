//! What a run has changed of a mount that keeps changes apart.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::Result;

/// A mount that kept what the guest changed apart: an overlay, or a file system in memory. Once it is dropped, what was
/// kept in memory is gone.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its path in the guest.
    pub path: String,
    changes: Arc<dyn Changes>,
}

/// How what a guest left differs from what it found.
///
/// Who writes a file system implements this, and hands it to the run by [`Layers::keep`].
pub trait Changes: fmt::Debug + Send + Sync {
    /// What differs: see [`Layer::changes`].
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being read.
    fn changes(&self) -> Result<Vec<Change>>;

    /// As unified text: see [`Layer::diff`].
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being read.
    fn diff(&self) -> Result<String>;

    /// As a tar archive: see [`Layer::export`].
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being read, or written.
    fn export(&self, to: &mut dyn Write) -> Result<()>;

    /// Makes the changes: see [`Layer::commit`].
    ///
    /// # Errors
    ///
    /// Whatever keeps them from being made.
    fn commit(&self) -> Result<()>;
}

/// How something differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// Its path below the mount, without a leading slash. What in it is not UTF-8 is told by U+FFFD.
    pub path: String,
    /// How it differs.
    #[serde(flatten)]
    pub kind: ChangeKind,
    /// What it is, or was if it is removed.
    #[serde(rename = "type")]
    pub file_type: ChangedType,
    /// Its size in bytes; 0 of a directory.
    pub size: u64,
}

impl Change {
    /// One of these.
    pub fn new(path: String, kind: ChangeKind, file_type: ChangedType, size: u64) -> Self {
        Change {
            path,
            kind,
            file_type,
            size,
        }
    }
}

/// How something differs from what was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is new.
    Created,
    /// It has another content, or another time.
    Modified,
    /// It is not there any more.
    Removed,
    /// It was at another path. A file may be modified as well; what differs in a directory is told by itself.
    Renamed {
        /// The path it had.
        from: String,
    },
}

/// What something that differs is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangedType {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Something else.
    Other,
}

impl Layer {
    /// What the guest changed, in the order of paths. A directory comes before what is in it, and only what differs is
    /// told of one that was there.
    ///
    /// # Errors
    ///
    /// [`Io`](crate::ErrorKind::Io), as of all of these, for whatever keeps files from being read or written.
    pub fn changes(&self) -> Result<Vec<Change>> {
        self.changes.changes()
    }

    /// The changes as unified text, as `diff` and `patch` have it. Of what is no text, or beyond a mebibyte, it says only
    /// that it differs.
    ///
    /// # Errors
    ///
    /// As for [`changes`](Layer::changes).
    pub fn diff(&self) -> Result<String> {
        self.changes.diff()
    }

    /// Writes the changes as a tar archive, in which a removed file `NAME` is an empty file `.wh.NAME`, as in the layers of
    /// an image.
    ///
    /// # Errors
    ///
    /// As for [`changes`](Layer::changes).
    pub fn export(&self, to: &mut dyn Write) -> Result<()> {
        self.changes.export(to)
    }

    /// Makes the changes in the directory of the host that is the overlay's only lower one, or that the memory is a copy of.
    /// Each file is there as a whole or not at all, whenever this ends.
    ///
    /// # Errors
    ///
    /// As for [`changes`](Layer::changes); and [`Unsupported`](crate::ErrorKind::Unsupported) where there is no such
    /// directory.
    pub fn commit(&self) -> Result<()> {
        self.changes.commit()
    }
}

/// Where a run leaves its [`Layer`]s. All clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Layers(Arc<Mutex<Vec<Layer>>>);

impl Layers {
    /// Keeps what is changed of the mount at `path` for the report.
    pub fn keep(&self, path: impl Into<String>, changes: Arc<dyn Changes>) {
        let layer = Layer {
            path: path.into(),
            changes,
        };
        // No panic leaves half of one here.
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(layer);
    }

    pub(crate) fn all(&self) -> Vec<Layer> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
