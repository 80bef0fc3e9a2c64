//! A guest's standard streams: core's inputs and outputs, read and written without blocking.
//!
//! What can be read or written at once is, by one system call on the guest's own thread. What has
//! to wait does so in a future, so that it can be cut short together with the guest; and nothing is
//! read that the guest did not ask for.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use wasmrun_core::stdio::{Capture, Input, Meter, Output};
use wasmrun_core::{Error, ErrorKind, Result};

#[cfg_attr(unix, path = "stdio/unix.rs")]
#[cfg_attr(not(unix), path = "stdio/portable.rs")]
mod descriptor;
mod streams;

use descriptor::Descriptor;
pub use descriptor::STDIO_IS_INTERRUPTIBLE;
pub(crate) use streams::Writer;
pub use streams::{Outputs, wrote_too_much};

/// The most that is moved at once where it has to be copied: a guest that asks for gigabytes must not
/// make us allocate them.
pub(crate) const CHUNK: usize = 64 << 10;

/// A guest's standard input. All clones read the same bytes.
#[derive(Clone)]
pub(crate) enum Source {
    Null,
    Bytes(Arc<Mutex<Bytes>>),
    Open(Arc<Descriptor>),
}

impl Source {
    pub(crate) fn of(stdin: Input) -> Result<Self> {
        Ok(match stdin {
            Input::Null => Source::Null,
            Input::Bytes(bytes) => Source::Bytes(Arc::new(Mutex::new(Bytes::from_owner(bytes)))),
            Input::Inherit => Source::Open(Descriptor::stdin().into()),
            Input::File(file) => Source::Open(opened(file, "standard input")?),
            other => return Err(unknown(&other)),
        })
    }

    /// Reads what is there, or fails with [`WouldBlock`](io::ErrorKind::WouldBlock). Nothing is the end.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::Null => Ok(0),
            Source::Bytes(bytes) => {
                // Nothing that can panic runs under this lock.
                let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
                let read = buffer.len().min(bytes.len());
                bytes.copy_to_slice(&mut buffer[..read]);
                Ok(read)
            }
            Source::Open(descriptor) => descriptor.read(buffer),
        }
    }

    /// Waits until there is something to read, or the end.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Source::Null | Source::Bytes(_) => Ok(()),
            Source::Open(descriptor) => descriptor.readable().await,
        }
    }

    fn descriptor(&self) -> Option<&Descriptor> {
        match self {
            Source::Null | Source::Bytes(_) => None,
            Source::Open(descriptor) => Some(descriptor),
        }
    }

    /// Writes to the disk what is not there yet, as `fsync` does.
    pub(crate) fn sync(&self, data_only: bool) -> io::Result<()> {
        sync(self.descriptor(), data_only)
    }
}

/// A guest's standard output or standard error.
#[derive(Clone)]
pub(crate) enum Sink {
    Null,
    Captured(Capture),
    Open(Arc<Descriptor>),
    /// As far as the meter allows.
    Metered(Meter, Box<Sink>),
}

impl Sink {
    pub(crate) fn stdout(stdout: Output) -> Result<Self> {
        let own = || {
            // An error here shows again when the guest writes.
            let _ = io::stdout().flush();
            Descriptor::stdout()
        };
        Sink::of(stdout, "standard output", own)
    }

    pub(crate) fn stderr(stderr: Output) -> Result<Self> {
        Sink::of(stderr, "standard error", Descriptor::stderr)
    }

    fn of(output: Output, name: &str, own: fn() -> Descriptor) -> Result<Self> {
        Ok(match output {
            Output::Null => Sink::Null,
            Output::Capture(capture) => Sink::Captured(capture),
            Output::Inherit => Sink::Open(own().into()),
            Output::File(file) => Sink::Open(opened(file, name)?),
            Output::Metered(meter, to) => Sink::Metered(meter, Box::new(Sink::of(*to, name, own)?)),
            other => return Err(unknown(&other)),
        })
    }

    /// Writes what there is room for, at least a byte of what is not empty, or fails with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock). Where the guest has written more than it may, its
    /// control is interrupted.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Null => Ok(bytes.len()),
            Sink::Captured(capture) => {
                capture.push(bytes);
                match capture.has_stopped() {
                    true => Err(io::Error::other(TooMuch)),
                    false => Ok(bytes.len()),
                }
            }
            Sink::Open(descriptor) => descriptor.write(bytes),
            Sink::Metered(meter, to) => {
                let allowed = meter.allows(bytes.len());
                if allowed == 0 && !bytes.is_empty() {
                    meter.stop();
                    return Err(io::Error::other(TooMuch));
                }
                let written = to.write(&bytes[..allowed])?;
                meter.count(&bytes[..written]);
                Ok(written)
            }
        }
    }

    /// How much can be written at once; 0 if somebody has to read first.
    pub(crate) fn room(&self) -> io::Result<usize> {
        match self.descriptor() {
            None => Ok(CHUNK),
            Some(descriptor) => descriptor.room(),
        }
    }

    /// Waits until there is room to write, or nobody reads any longer.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self.descriptor() {
            None => Ok(()),
            Some(descriptor) => descriptor.writable().await,
        }
    }

    fn descriptor(&self) -> Option<&Descriptor> {
        match self {
            Sink::Null | Sink::Captured(_) => None,
            Sink::Open(descriptor) => Some(descriptor),
            Sink::Metered(_, to) => to.descriptor(),
        }
    }

    /// Whether what is written goes to the end, whoever else writes there.
    pub(crate) fn appends(&self) -> bool {
        self.descriptor().is_none_or(Descriptor::appends)
    }

    /// Writes to the disk what is not there yet, as `fsync` does.
    pub(crate) fn sync(&self, data_only: bool) -> io::Result<()> {
        sync(self.descriptor(), data_only)
    }
}

/// What is in memory is to a guest what a pipe is, which cannot be synchronised.
fn sync(descriptor: Option<&Descriptor>, data_only: bool) -> io::Result<()> {
    match descriptor {
        None => Err(io::ErrorKind::InvalidInput.into()),
        Some(descriptor) => descriptor.sync(data_only),
    }
}

fn opened(file: std::fs::File, name: &str) -> Result<Arc<Descriptor>> {
    let descriptor = Descriptor::owned(file).map_err(|source| {
        let message = format!("cannot use the guest's {name}");
        Error::new(ErrorKind::Io, message).with_source(source)
    })?;
    Ok(descriptor.into())
}

fn unknown(stream: &dyn fmt::Debug) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{stream:?} is not known here as a standard stream"),
    )
}

/// The guest must not go on after a call in which it wrote more than it may.
#[derive(Debug)]
struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the guest wrote more than it may")
    }
}

impl std::error::Error for TooMuch {}
