//! A file that a runtime can open.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use wasmrun_core::Result;

use crate::scratch::{private_directory, read_file, write_into};
use crate::spawn::memory_file;

/// A file, and what keeps it there.
#[derive(Debug)]
pub(crate) struct Readable {
    path: PathBuf,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    /// Whoever it belongs to.
    Elsewhere,
    InMemory(Arc<File>),
    /// Where there are no files in memory, or they do not do.
    In(#[expect(dead_code, reason = "what is in it goes with it")] TempDir),
}

impl Readable {
    /// One of somebody else.
    pub(crate) fn at(path: PathBuf) -> Self {
        Readable {
            path,
            kept: Kept::Elsewhere,
        }
    }

    /// One of our own, with these bytes, that nobody else can change. Nothing is left of it, whatever ends this
    /// process.
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Result<Self> {
        match memory_file(name, bytes) {
            Some((path, file)) => Ok(Readable {
                path,
                kept: Kept::InMemory(Arc::new(file)),
            }),
            None => Readable::named(name, bytes),
        }
    }

    fn named(name: &str, bytes: &[u8]) -> Result<Self> {
        let directory = private_directory()?;
        Ok(Readable {
            path: write_into(directory.path(), name, bytes)?,
            kept: Kept::In(directory),
        })
    }

    /// A copy in a directory, if it is in memory and has no name that leads to it. It stays there if this process is
    /// killed.
    pub(crate) fn named_copy(&self, name: &str) -> Result<Option<Self>> {
        match &self.kept {
            Kept::InMemory(_) => Readable::named(name, &read_file(&self.path)?).map(Some),
            _ => Ok(None),
        }
    }

    /// An absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What a runtime has to be [handed](crate::spawn::Launch::handed) to find it there.
    pub(crate) fn handed(&self) -> Option<Arc<File>> {
        match &self.kept {
            Kept::InMemory(file) => Some(file.clone()),
            _ => None,
        }
    }

    /// Whether it was somebody else's, and is there no more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.kept, Kept::Elsewhere) && !self.path.exists()
    }
}
