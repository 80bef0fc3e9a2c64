//! How a call ends that is answered here: with a number of bytes, an errno, or the guest's end.

use std::io::{self, ErrorKind::WouldBlock};

use wasmrun_core::{Control, Interrupt};
use wasmtime_wasi::p1::types::{self, Errno};
use wasmtime_wasi::p2::StreamError;
use wiggle::{GuestError, GuestMemory, GuestPtr};

use crate::Stop;

/// The errno of a call that did what it was asked.
pub(crate) const SUCCESS: i32 = 0;

/// What comes of a call that its function refused: what no enumeration has, and bits that no flag has, are invalid
/// arguments. With any other error the guest cannot go on.
pub(crate) fn refused(error: wiggle::error::Error) -> Result<i32, Stop> {
    use GuestError::{InvalidEnumValue, InvalidFlagValue, TryFromIntError};
    match guest_error(&error) {
        Some(InvalidEnumValue(_) | InvalidFlagValue(_) | TryFromIntError(_)) => {
            Ok(Errno::Inval as i32)
        }
        _ => Err(Stop::trap(error)),
    }
}

/// What was wrong about what the guest handed over, if that is the error.
pub(crate) fn guest_error(error: &wiggle::error::Error) -> Option<&GuestError> {
    let mut error = error.downcast_ref::<GuestError>()?;
    while let GuestError::InFunc { err, .. } = error {
        error = err;
    }
    Some(error)
}

/// What comes of a call that moved bytes: their number, which goes to `at`.
pub(crate) fn counted(
    memory: &mut GuestMemory<'_>,
    at: i32,
    done: Result<usize, Failure>,
) -> Result<Option<i32>, Stop> {
    match done {
        Ok(count) => {
            // Within what a call may take from a guest.
            let written = memory.write(pointer::<types::Size>(at), count as types::Size);
            written.map_err(Stop::trap)?;
            Ok(Some(SUCCESS))
        }
        Err(Failure::Errno(errno)) => Ok(Some(errno as i32)),
        Err(Failure::Stop(stop)) => Err(stop),
    }
}

/// Why a call moved nothing.
pub(crate) enum Failure {
    Errno(Errno),
    Stop(Stop),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Failure::Errno(errno)
    }
}

impl From<Interrupt> for Failure {
    fn from(reason: Interrupt) -> Self {
        Failure::Stop(reason.into())
    }
}

impl From<GuestError> for Failure {
    fn from(error: GuestError) -> Self {
        match types::Error::from(error).downcast() {
            Ok(errno) => Failure::Errno(errno),
            Err(error) => Failure::Stop(Stop::trap(error)),
        }
    }
}

#[cfg(target_os = "linux")]
impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        errno(error).into()
    }
}

/// Fails if the guest is to end.
pub(crate) fn running(control: &Control) -> Result<(), Interrupt> {
    control.interrupted().map_or(Ok(()), Err)
}

/// The errno of an error of the system.
pub(crate) fn errno(error: impl Into<io::Error>) -> Errno {
    let error = error.into();
    if error.kind() == WouldBlock {
        return Errno::Again;
    }
    let failed = StreamError::LastOperationFailed(error.into());
    types::Error::from(failed).downcast().unwrap_or(Errno::Io)
}

pub(crate) fn pointer<T>(address: i32) -> GuestPtr<T> {
    GuestPtr::new(address.cast_unsigned())
}
