//! Why a call did not do what it was asked, in the words of WASI.

use wasmrun_core::Control;
use wasmrun_fs::Errno;
use wasmtime::component::ResourceTableError;
use wasmtime::{Error, Trap};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::{FsError, FsResult, StreamError};

/// What a call comes to.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a call did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The guest is told.
    Errno(Errno),
    /// It must not go on.
    End(Error),
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Failure::Errno(error)
    }
}

impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Self {
        match error {
            ResourceTableError::Full => Failure::Errno(Errno::Mfile),
            error => Failure::End(error.into()),
        }
    }
}

impl From<Failure> for FsError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Errno(error) => code(error).into(),
            Failure::End(error) => FsError::trap(error),
        }
    }
}

/// What a call comes to that only the guest is told of.
pub(crate) trait Told<T> {
    fn told(self) -> FsResult<T>;
}

impl<T> Told<T> for Result<T, Errno> {
    fn told(self) -> FsResult<T> {
        Ok(self.map_err(Failure::Errno)?)
    }
}

impl From<Failure> for StreamError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Errno(error) => StreamError::LastOperationFailed(Error::new(error)),
            Failure::End(error) => StreamError::Trap(error),
        }
    }
}

/// Fails if the guest is to end.
pub(crate) fn running(control: &Control) -> Result<()> {
    match control.interrupted() {
        Some(_) => Err(interrupted()),
        None => Ok(()),
    }
}

/// What ends a guest that is to end: as in code that is interrupted. Why is in the control.
pub(crate) fn interrupted() -> Failure {
    Failure::End(Trap::Interrupt.into())
}

/// The code of an error that an operation on a stream had, if it has one.
pub(crate) fn code_of(error: &Error) -> Option<ErrorCode> {
    let ours = error.downcast_ref().map(|error: &Errno| code(*error));
    // Standard streams have the system's.
    ours.or_else(|| error.downcast_ref::<std::io::Error>().map(ErrorCode::from))
}

/// The words for errors are those of 0.2 in 0.3, but for one.
macro_rules! told_as {
    ($error:ident as $code:ident, $again:expr) => {
        match $error {
            Errno::Again => $again,
            Errno::Acces => $code::Access,
            Errno::Badf => $code::BadDescriptor,
            Errno::Busy => $code::Busy,
            Errno::Dquot => $code::Quota,
            Errno::Exist => $code::Exist,
            Errno::Fbig => $code::FileTooLarge,
            Errno::Ilseq => $code::IllegalByteSequence,
            Errno::Intr => $code::Interrupted,
            Errno::Inval => $code::Invalid,
            Errno::Isdir => $code::IsDirectory,
            Errno::Loop => $code::Loop,
            // WASI has no word for what is used up but memory and disk.
            Errno::Mfile | Errno::Nfile | Errno::Nomem => $code::InsufficientMemory,
            Errno::Mlink => $code::TooManyLinks,
            Errno::Nametoolong => $code::NameTooLong,
            Errno::Nodev => $code::NoDevice,
            Errno::Noent => $code::NoEntry,
            Errno::Nospc => $code::InsufficientSpace,
            Errno::Notdir => $code::NotDirectory,
            Errno::Notempty => $code::NotEmpty,
            Errno::Notsup => $code::Unsupported,
            Errno::Nxio => $code::NoSuchDevice,
            Errno::Overflow => $code::Overflow,
            Errno::Perm => $code::NotPermitted,
            Errno::Pipe => $code::Pipe,
            Errno::Rofs => $code::ReadOnly,
            Errno::Spipe => $code::InvalidSeek,
            Errno::Txtbsy => $code::TextFileBusy,
            Errno::Xdev => $code::CrossDevice,
            // `ESTALE` has none.
            _ => $code::Io,
        }
    };
}
#[cfg(feature = "p3")]
pub(crate) use told_as;

fn code(error: Errno) -> ErrorCode {
    told_as!(error as ErrorCode, ErrorCode::WouldBlock)
}
