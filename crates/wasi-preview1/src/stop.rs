//! What ends a guest from within a call.

use std::fmt;

use wasmrun_core::{HostEnded, Interrupt, Outcome, Trap, TrapKind};

/// Why a guest must not go on after a call.
///
/// An engine unwinds the guest with it (it is an [`Error`](std::error::Error) for that purpose) and
/// finds it again on the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The guest called `proc_exit` with this code.
    Exit(i32),
    /// The guest is to end.
    Interrupted(Interrupt),
    /// The guest handed over what the function cannot act on, such as a pointer out of bounds.
    Trap(String),
    /// A function of the host says so, and core knows how the guest ended.
    Host,
}

impl Stop {
    /// How the guest ended.
    pub fn outcome(self) -> Outcome {
        match self {
            Stop::Exit(code) => Outcome::Exited(code),
            Stop::Interrupted(reason) => reason.outcome(),
            Stop::Trap(message) => Outcome::Trapped(Trap::new(TrapKind::HostFunction, message)),
            Stop::Host => {
                Outcome::Trapped(Trap::new(TrapKind::HostFunction, HostEnded.to_string()))
            }
        }
    }

    pub(crate) fn trap(error: impl Into<wiggle::error::Error>) -> Self {
        Stop::Trap(format!("{:#}", error.into()))
    }
}

impl From<Interrupt> for Stop {
    fn from(reason: Interrupt) -> Self {
        Stop::Interrupted(reason)
    }
}

impl From<HostEnded> for Stop {
    fn from(_: HostEnded) -> Self {
        Stop::Host
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Exit(code) => write!(f, "exit with {code}"),
            Stop::Interrupted(Interrupt::Timeout) => f.write_str("out of time"),
            Stop::Interrupted(Interrupt::Kill) => f.write_str("killed"),
            Stop::Interrupted(Interrupt::Output) => f.write_str("wrote too much"),
            Stop::Trap(message) => f.write_str(message),
            Stop::Host => HostEnded.fmt(f),
        }
    }
}

impl std::error::Error for Stop {}
