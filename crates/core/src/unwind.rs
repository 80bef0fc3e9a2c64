//! Leaving a compiler that cannot be ended otherwise.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::{Control, Error, ErrorKind, Result};

/// What is unwound with.
struct Interrupted;

impl Control {
    /// Unwinds to whoever called [`Engine::compile`](crate::Engine::compile), if this is interrupted: for what
    /// compilers call on their way, on any thread whose panics they hand on. It is no panic: nothing is said of it.
    ///
    /// Does nothing in a build in which a panic ends the process.
    pub fn unwind_if_interrupted(&self) {
        if cfg!(panic = "unwind") && self.interrupted().is_some() {
            resume_unwind(Box::new(Interrupted));
        }
    }
}

/// Does work that may [unwind](Control::unwind_if_interrupted).
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // What is left half done is dropped with the work.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| match panic.is::<Interrupted>() {
        true => Err(Error::new(ErrorKind::Interrupted, "compiling was ended")),
        false => resume_unwind(panic),
    })
}
