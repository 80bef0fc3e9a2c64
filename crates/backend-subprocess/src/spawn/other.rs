//! Platforms without process groups as Unix has them.

use std::io;
use std::path::Path;

use wasmrun_core::{Control, Error, ErrorKind, Result};

use super::launch::{Launch, Status, Streams};

#[derive(Debug)]
pub(crate) enum Words {}

impl Words {
    pub(crate) fn text(&self) -> String {
        match *self {}
    }

    pub(crate) fn release(self, _: &Control) {
        match self {}
    }
}

pub(crate) fn execute(launch: Launch, _: Streams, _: &Control) -> Result<(Status, Words)> {
    Err(not_here(&launch))
}

#[derive(Debug)]
pub(crate) enum Dialogue {}

impl Dialogue {
    pub(crate) fn start(launch: &Launch, _: &Control) -> Result<Self> {
        Err(not_here(launch))
    }

    pub(crate) fn start_lasting(launch: &Launch, _: &Control) -> Result<Self> {
        Err(not_here(launch))
    }

    pub(crate) fn receive(&mut self, _: &mut [u8]) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn send(&mut self, _: &[u8]) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn overhear(&mut self, _: &[u8]) {
        match *self {}
    }

    pub(crate) fn end(self) -> io::Result<(Status, String)> {
        match self {}
    }
}

fn not_here(launch: &Launch) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "cannot run {} here: runtimes as executables need Unix so far; use an engine that is built in",
            launch.executable.display()
        ),
    )
}

pub(crate) fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn make_private(_: &mut tempfile::Builder<'_, '_>) {}

pub(crate) fn memory_file(_: &str, _: &[u8]) -> Option<(std::path::PathBuf, std::fs::File)> {
    None
}
