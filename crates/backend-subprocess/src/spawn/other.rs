//! Platforms without process groups as Unix has them.

use std::io;
use std::path::Path;

use wasmrun_core::{Control, Error, ErrorKind, Result};

use super::{Ended, Launch, Streams};

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

pub(crate) fn execute(launch: Launch, _: Streams, _: &Control) -> Result<Ended> {
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "cannot run {} here: runtimes as executables need Unix so far; use an engine that is built in",
            launch.executable.display()
        ),
    ))
}

pub(crate) fn link(target: &Path, link: &Path) -> io::Result<()> {
    std::fs::copy(target, link).map(drop)
}

pub(crate) fn make_private(_: &mut tempfile::Builder<'_, '_>) {}
