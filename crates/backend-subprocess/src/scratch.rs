//! A private directory of one run.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wasmrun_core::{Error, ErrorKind, Result};

use crate::spawn;

/// A directory that only we can look into, made when something is first put there and removed with
/// the run.
#[derive(Debug, Default)]
pub(crate) struct Scratch(OnceCell<TempDir>);

impl Scratch {
    pub(crate) fn path(&self) -> Result<&Path> {
        if let Some(made) = self.0.get() {
            return Ok(made.path());
        }
        let made = private_directory()?;
        Ok(self.0.get_or_init(|| made).path())
    }
}

pub(crate) fn private_directory() -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("wasmrun-");
    spawn::make_private(&mut builder);
    builder.tempdir().map_err(|source| {
        Error::new(ErrorKind::Io, "cannot make a temporary directory").with_source(source)
    })
}

pub(crate) fn write_into(directory: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = directory.join(name);
    std::fs::write(&path, bytes).map_err(|source| {
        Error::new(ErrorKind::Io, format!("cannot write {}", path.display())).with_source(source)
    })?;
    Ok(path)
}

pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| {
        Error::new(ErrorKind::Io, format!("cannot read {}", path.display())).with_source(source)
    })
}
