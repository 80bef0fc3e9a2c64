//! One run of an executable: started, fed, listened to, ended.

#[cfg(unix)]
#[path = "spawn/unix.rs"]
mod platform;
#[cfg(not(unix))]
#[path = "spawn/other.rs"]
mod platform;

use std::ffi::OsString;
use std::path::PathBuf;

use wasmrun_core::stdio::{Input, Output};

use crate::stderr::Splitter;

pub(crate) use platform::{Words, execute, link, make_private};

/// What to start.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) executable: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// Its working directory; the root where `None`, so that it depends on nothing of ours.
    pub(crate) directory: Option<PathBuf>,
    /// It hands the guest's exit code on as it is, however large.
    pub(crate) passes_large_exit_codes: bool,
}

/// Its streams.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdin: Input,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    pub(crate) splitter: Splitter,
}

/// It ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Status,
    /// What it may have said itself on its standard error.
    pub(crate) words: Words,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// With an exit code.
    Code(i32),
    /// With an exit code of more than eight bits, which are all that arrive.
    LargeCode,
    /// By a signal.
    Signal(i32),
}

/// The variables of our environment that a runtime is started with: where its shared libraries
/// are. Nothing else of it can reach a guest, or change what a runtime does.
const KEPT_VARIABLES: &[&str] = &["LD_LIBRARY_PATH"];
