//! What is started, with what, and how it ends.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use wasmrun_core::stdio::{Input, Output};
use wasmrun_core::{Error, ErrorKind, Usage};

use crate::stderr::Splitter;

/// What to start.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) executable: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// A file that it has under the same descriptor as we do.
    pub(crate) handed: Option<Arc<File>>,
    /// What is told of the process while it runs.
    pub(crate) usage: Usage,
}

impl Launch {
    #[cfg_attr(not(unix), allow(dead_code, reason = "nothing is started there"))]
    pub(super) fn cannot_start(&self, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::ArgumentListTooLong {
            return Error::new(
                ErrorKind::Unsupported,
                "the arguments and environment variables are too long for a command line; use an engine that is built in",
            );
        }
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::EngineNotFound,
            _ => ErrorKind::Io,
        };
        Error::new(kind, format!("cannot start {}", self.executable.display())).with_source(source)
    }

    pub(crate) fn lost_contact(&self, source: io::Error) -> Error {
        let message = format!("lost contact with {}", self.executable.display());
        Error::new(ErrorKind::Io, message).with_source(source)
    }
}

/// Its streams.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdin: Input,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    pub(crate) splitter: Splitter,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// With an exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

/// The variables of our environment that a runtime is started with: where its shared libraries
/// are. Nothing else of it can reach a guest, or change what a runtime does.
const KEPT_VARIABLES: &[&str] = &["LD_LIBRARY_PATH"];

/// Those of them that are set.
#[cfg_attr(not(unix), allow(dead_code, reason = "nothing is started there"))]
pub(super) fn kept_variables() -> impl Iterator<Item = (&'static str, OsString)> {
    let kept = KEPT_VARIABLES.iter();
    kept.filter_map(|name| Some((*name, std::env::var_os(name)?)))
}
