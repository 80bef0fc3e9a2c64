//! One guest on a runtime: its process, the wire to it, and what answers its calls.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use wasmrun_core::{Control, Error, ErrorKind, Outcome, Result, TrapKind};

use super::file::File;
use super::serve::{End, Served, Session};
use crate::adapter::trapped;
use crate::runtime::Runtime;
use crate::scratch::Scratch;
use crate::spawn::{Dialogue, Launch, Status};

/// One guest on a runtime, which is gone with it.
pub(super) struct Talk {
    pub(super) dialogue: Dialogue,
    pub(super) session: Session,
    /// When the runtime was started.
    pub(super) spawned: Instant,
    pub(super) runtime: Arc<Runtime>,
    pub(super) launch: Launch,
    pub(super) file: Arc<File>,
    pub(super) _scratch: Scratch,
}

impl Talk {
    /// Whether the runtime ended because the guest's file went while it was starting.
    pub(super) fn found_no_file(&self, served: &io::Result<Served>, control: &Control) -> bool {
        let is_lost = match served {
            Ok(Served::Ended(End::Babbled(_))) => true,
            Err(error) => is_end(error),
            Ok(_) => false,
        };
        is_lost
            && self.session.began.is_none()
            && self.file.program.is_gone()
            && control.interrupted().is_none()
    }

    /// How a guest ended that was served like this.
    ///
    /// # Errors
    ///
    /// Contact was lost, or the runtime failed.
    pub(super) fn outcome(self, served: io::Result<Served>, control: &Control) -> Result<Outcome> {
        let Talk {
            mut dialogue,
            session,
            launch,
            runtime,
            ..
        } = self;
        match served {
            Ok(Served::Ready) => {
                let message = "a guest that was to end waits to be called";
                return Err(Error::new(ErrorKind::Engine, message));
            }
            Ok(Served::Ended(end)) => match end {
                End::Returned => return Ok(Outcome::Exited(0)),
                End::Stopped(stop) => return Ok(stop.outcome()),
                End::OutOfFuel => return Ok(Outcome::OutOfFuel),
                End::Overflowed => {
                    let message = "the guest's calls nest too deep";
                    return Ok(trapped(TrapKind::StackOverflow, message));
                }
                End::Babbled(start) => dialogue.overhear(&start),
            },
            Err(error) if is_end(&error) => {}
            Err(error) => return Err(launch.lost_contact(error)),
        }
        let (status, words) = dialogue.end().map_err(|error| launch.lost_contact(error))?;
        match control.interrupted() {
            Some(reason) => Ok(reason.outcome()),
            None => explain(&runtime, session.began.is_some(), status, &words),
        }
    }
}

/// What became of a guest that did not say how it ended.
fn explain(runtime: &Runtime, began: bool, status: Status, words: &str) -> Result<Outcome> {
    match runtime.adapter.explain(words) {
        Some(Err(error)) if error.kind() == ErrorKind::Unsupported && lacks_memory(words) => {
            let message = "the machine has not the memory, or the address space, that it needs";
            Err(Error::new(ErrorKind::Engine, message).with_context("said", words))
        }
        Some(outcome) => outcome,
        None => match status {
            Status::Signal(signal) => Err(runtime.killed(signal).with_context("said", words)),
            Status::Code(_) if began => Ok(trapped(TrapKind::Other, words)),
            Status::Code(code) => {
                let said = words.lines().next().unwrap_or("nothing");
                let message =
                    format!("could not start the guest; it ended with {code} and said: {said}");
                Err(Error::new(ErrorKind::Engine, message).with_context("said", words))
            }
        },
    }
}

/// Whether a runtime could not have what it asked the system for, which is no matter of the guest's. Both that tell it
/// as if it were have the system's own words.
fn lacks_memory(words: &str) -> bool {
    words.contains("Cannot allocate memory (os error ")
}

/// The other side is gone.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset)
}
