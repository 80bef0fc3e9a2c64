//! The layers of all workspaces.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use wasmrun_core::Result;

use super::failed;
use super::lock::Locked;
use super::state::{self, State};

/// The directory of the layers, in that of the workspaces.
const LAYERS: &str = ".layers";

/// The file that is locked by who makes layers, and who removes them.
const LOCK: &str = ".lock";

/// The layer that never has anything in it.
const EMPTY: &str = "empty";

/// The layers of all workspaces. As long as this is there, none is removed.
#[derive(Debug)]
pub(super) struct Layers {
    directory: PathBuf,
    lock: Locked,
}

impl Layers {
    pub(super) fn open(root: &Path) -> Result<Self> {
        let directory = root.join(LAYERS);
        let make = || {
            fs::create_dir_all(directory.join(EMPTY))?;
            Locked::shared(&root.join(LOCK))
        };
        let lock = make().map_err(failed(format!("keep workspaces in {}", root.display())))?;
        Ok(Layers { directory, lock })
    }

    /// Makes an empty one: its name.
    pub(super) fn create(&self) -> Result<String> {
        let made = tempfile::Builder::new()
            .prefix("l")
            .rand_bytes(12)
            .tempdir_in(&self.directory);
        let made = made.map_err(failed("make a layer of a workspace"))?.keep();
        let name = made.file_name().unwrap_or_default();
        Ok(name.to_string_lossy().into_owned())
    }

    /// Removes those that no workspace has, and what else was begun and came to nothing, unless somebody else makes
    /// some just now. What goes wrong is left to the next.
    pub(super) fn remove_unused(self, root: &Path) {
        let Layers { directory, lock } = self;
        drop(lock);
        let Ok(_lock) = Locked::alone(&root.join(LOCK)) else {
            return;
        };
        let Some(used) = used(root) else { return };
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !used.contains(&*name.to_string_lossy()) && name != EMPTY {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        state::remove_unfinished(root);
    }
}

/// Where a layer is.
pub(super) fn path(root: &Path, name: &str) -> PathBuf {
    root.join(LAYERS).join(name)
}

/// Where the empty one is.
pub(super) fn empty(root: &Path) -> PathBuf {
    path(root, EMPTY)
}

/// The layers that workspaces have; `None` if that cannot be told of all of them.
fn used(root: &Path) -> Option<HashSet<String>> {
    let mut used = HashSet::new();
    for name in state::names(root).ok()? {
        let State {
            upper, own, below, ..
        } = State::read(&root.join(name)).ok()?;
        used.insert(upper);
        used.extend(own);
        used.extend(below);
    }
    Some(used)
}
