//! How a call ends, and what it takes from the guest's memory.

use std::borrow::Cow;
use std::io::{self, ErrorKind::WouldBlock};

use wasmrun_core::{Control, Interrupt};
use wasmrun_fs as fs;
use wasmtime_wasi::p1::types::{self, Errno};
use wasmtime_wasi::p2::StreamError;
use wiggle::{GuestError, GuestMemory, GuestPtr};

use crate::{HOSTCALL_FUEL, Stop};

/// The errno of a call that did what it was asked.
const SUCCESS: i32 = 0;

/// What a call comes to.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a call did not do what it was asked.
pub(crate) enum Failure {
    Errno(Errno),
    Stop(Stop),
}

/// What the guest gets of a call, or its end.
pub(crate) fn answer(done: Result<()>) -> Result<i32, Stop> {
    match done {
        Ok(()) => Ok(SUCCESS),
        Err(Failure::Errno(errno)) => Ok(errno as i32),
        Err(Failure::Stop(stop)) => Err(stop),
    }
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

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Failure::Stop(stop)
    }
}

/// A pointer out of bounds ends the guest; what no enumeration has, and bits that no flag has, are invalid arguments.
impl From<GuestError> for Failure {
    fn from(error: GuestError) -> Self {
        match types::Error::from(error).downcast() {
            Ok(errno) => Failure::Errno(errno),
            Err(error) => Failure::Stop(Stop::trap(error)),
        }
    }
}

impl From<fs::Errno> for Failure {
    fn from(error: fs::Errno) -> Self {
        macro_rules! same {
            ($($name:ident)*) => {
                match error {
                    $(fs::Errno::$name => Errno::$name,)*
                    _ => Errno::Io,
                }
            };
        }
        Failure::Errno(same! {
            Acces Again Badf Busy Dquot Exist Fbig Ilseq Intr Inval Io Isdir Loop Mfile Mlink Nametoolong Nfile
            Nodev Noent Nomem Nospc Notdir Notempty Notsup Nxio Overflow Perm Pipe Rofs Spipe Stale Txtbsy Xdev
        })
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

/// An argument that is of an enumeration or a set of flags.
pub(crate) fn argument<T: TryFrom<i32>>(argument: i32) -> Result<T> {
    T::try_from(argument).map_err(|_| Errno::Inval.into())
}

pub(crate) fn pointer<T>(address: i32) -> GuestPtr<T> {
    GuestPtr::new(address.cast_unsigned())
}

/// A buffer of the guest's.
pub(crate) fn buffer(address: i32, length: i32) -> GuestPtr<[u8]> {
    GuestPtr::new((address.cast_unsigned(), length.cast_unsigned()))
}

/// A path that the guest passes, which is UTF-8: so says WASI.
pub(crate) fn path<'a>(
    memory: &'a GuestMemory<'_>,
    address: i32,
    length: i32,
) -> Result<Cow<'a, [u8]>> {
    let length = length.cast_unsigned();
    if length > HOSTCALL_FUEL {
        return Err(Errno::Nomem.into());
    }
    let path = memory.as_cow_str(GuestPtr::<str>::new((address.cast_unsigned(), length)))?;
    Ok(match path {
        Cow::Borrowed(path) => Cow::Borrowed(path.as_bytes()),
        Cow::Owned(path) => Cow::Owned(path.into_bytes()),
    })
}

/// Tells the guest how many bytes there were.
pub(crate) fn count(memory: &mut GuestMemory<'_>, at: i32, count: usize) -> Result<()> {
    // Within what a call may take from a guest.
    Ok(memory.write(pointer::<types::Size>(at), count as types::Size)?)
}

/// The buffer that the I/O vectors lead to: the first that is not empty.
pub(crate) fn first_buffer(
    memory: &GuestMemory<'_>,
    vectors: i32,
    count: i32,
) -> Result<GuestPtr<[u8]>> {
    let vectors = pointer::<types::Iovec>(vectors).as_array(count.cast_unsigned());
    let bytes = vectors.len().checked_mul(size_of::<types::Iovec>() as u32);
    let left = bytes.and_then(|bytes| HOSTCALL_FUEL.checked_sub(bytes));
    let left = left.ok_or(Errno::Nomem)?;
    for vector in vectors.iter() {
        let vector = memory.read(vector?)?;
        if vector.buf_len > left {
            return Err(Errno::Nomem.into());
        }
        if vector.buf_len > 0 {
            return Ok(vector.buf.as_array(vector.buf_len));
        }
    }
    Ok(GuestPtr::new((0, 0)))
}

/// Has `read` fill a buffer of the guest's from its beginning on: how many bytes it read.
pub(crate) fn fill(
    memory: &mut GuestMemory<'_>,
    buffer: GuestPtr<[u8]>,
    read: impl FnOnce(&mut [u8]) -> Result<usize>,
) -> Result<usize> {
    match memory.as_slice_mut(buffer)? {
        Some(bytes) => read(bytes),
        // Other threads of the guest's use it as well.
        None => {
            let mut bytes = vec![0; (buffer.len() as usize).min(CHUNK)];
            let read = read(&mut bytes)?;
            let to = buffer.as_ptr().as_array(read as u32);
            memory.copy_from_slice(&bytes[..read], to)?;
            Ok(read)
        }
    }
}

/// The most that is read at once where it has to be copied: a guest that asks for gigabytes must not make us allocate
/// them.
const CHUNK: usize = 1 << 20;
