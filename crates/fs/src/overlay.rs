//! Read-only directories under one that takes all changes, with the semantics of Linux's overlayfs.
//!
//! # What is shown
//!
//! The layers are the upper and the lowers below it, from the uppermost. A name shows what the uppermost layer with
//! that name has there. If that is a directory, it is merged with the directories of that name in the layers below,
//! down to the first where the name is something else or hidden. The lowers are read by the same rules as the upper,
//! so they can be the layers of an OCI image as they are, or what was an upper before.
//!
//! # What is kept in the upper
//!
//! Everything that differs from the lowers is in the upper under its own name, and beside it files that say what to
//! make of the lowers. Their names begin with `.wh.`; no layer shows such names, and no guest can make them.
//!
//! - `.wh.NAME`, empty: a whiteout. `NAME` of the layers below is not there. If this layer has a `NAME` as well, that
//!   one is shown, and a directory is not merged with what is below.
//! - `.wh..wh..opq`, empty: the directory it is in is not merged with what is below.
//! - `.wh..wh.from`: the directory it is in was renamed. Its content is a path without a leading slash, and the
//!   directory is merged not with what is below its own name, but with the directory that the layers below it show at
//!   that path by themselves, found name by name from their roots without following links. It holds against a whiteout
//!   of the directory's name, and not against `.wh..wh..opq`. Where there is no such directory, it is merged with
//!   nothing.
//! - `.wh..wh.from.NAME`: `NAME` beside it is a file of the lowers that was renamed. Its content is the path it had
//!   there. Only [`Overlay::changes`] reads it; without it (a name of more than 242 bytes has none) the file is told
//!   as created.
//! - `.wh..wh.tmp.N`: what is not complete yet, or was left so by a process that was killed. It says nothing, and
//!   is removed when it is met.
//!
//! Each change is so made of steps that to be killed between any two of them leaves what was before, or what was to
//! be, and at worst a file more that says what holds anyway.
//!
//! # What differs from other file systems
//!
//! - A name of a lower that is longer than 251 bytes cannot be removed or renamed: its whiteout would have no name.
//! - A file of the lowers is copied to the upper as a whole when it is first opened to be written. If it has several
//!   names there, only the one is copied, and is another file from then on. Who has it open to be read goes on with
//!   the copy.
//! - Neither owners nor modes are known here, so a copy has those of a new file.
//! - A device or FIFO of a lower cannot be renamed or linked, nor have its times set, and a device can only be read.
//! - A directory that is in use holds its directories of all layers, and so do those above it: descriptors, if they are
//!   the host's. A few that were used last stay in use.
//! - Nobody else may change the layers while they are used.

mod changes;
mod copy;
mod directory;
mod entries;
mod file;
mod layers;
mod listing;
mod marks;
mod node;
mod numbers;
mod origin;
mod recent;
mod rename;
mod tree;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::changes::Change;
use crate::{Directory, Result};
use directory::OverlayDirectory;
pub(crate) use origin::join;
use tree::Tree;

/// Read-only directories under one that takes all changes. All clones are the same file system.
///
/// Everything that concerns names is done one at a time, and so is copying a file to the upper; content is read and
/// written without any lock of the overlay.
#[derive(Clone)]
pub struct Overlay(Arc<Shared>);

/// What all directories and files of one overlay share.
struct Shared {
    tree: Mutex<Tree>,
}

impl Overlay {
    /// An overlay of `lowers`, of which the first is the uppermost, and `upper`, which may hold what an earlier
    /// overlay of the same lowers has left there. No layer may be in another.
    pub fn new(lowers: Vec<Arc<dyn Directory>>, upper: Arc<dyn Directory>) -> Self {
        let tree = Mutex::new(Tree::new(lowers, upper));
        Overlay(Arc::new(Shared { tree }))
    }

    /// Its root.
    pub fn root(&self) -> Arc<dyn Directory> {
        let root = self.0.tree().root();
        Arc::new(OverlayDirectory::new(Arc::clone(&self.0), root))
    }

    /// What the upper changes: see [`Change`].
    ///
    /// # Errors
    ///
    /// Whatever keeps the layers from being read.
    pub fn changes(&self) -> Result<Vec<Change>> {
        self.0.tree().changes()
    }
}

impl Shared {
    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").finish_non_exhaustive()
    }
}
