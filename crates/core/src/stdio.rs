//! A guest's standard streams, opened and ready for a backend.

use std::fs::File;
use std::io::{PipeReader, PipeWriter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Captured, Error, ErrorKind, Limits, Result, Stdin, Stdout};

/// Where a guest's standard input comes from.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// The end of the file, at once.
    Null,
    /// Our own standard input.
    Inherit,
    /// These bytes.
    Bytes(Arc<[u8]>),
    /// An open file or pipe.
    File(File),
}

/// Where a guest's standard output or standard error goes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Nowhere.
    Null,
    /// To our own.
    Inherit,
    /// An open file or pipe.
    File(File),
    /// Into memory, bounded.
    Capture(Capture),
}

/// Collects an output stream up to a bound, and counts what exceeds it.
#[derive(Clone, Debug)]
pub struct Capture {
    limit: usize,
    captured: Arc<Mutex<Captured>>,
}

impl Capture {
    /// Collects up to `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Capture {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            captured: Arc::default(),
        }
    }

    /// Keeps what of `bytes` is within the bound.
    pub fn push(&self, bytes: &[u8]) {
        let mut captured = self.captured();
        let kept = bytes.len().min(self.limit - captured.bytes.len());
        captured.bytes.extend_from_slice(&bytes[..kept]);
        captured.dropped += (bytes.len() - kept) as u64;
    }

    fn captured(&self) -> MutexGuard<'_, Captured> {
        // `push` leaves whole bytes at every point where it could panic.
        self.captured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was collected since the last time this was asked.
    pub fn take(&self) -> Captured {
        std::mem::take(&mut *self.captured())
    }
}

pub(crate) fn open_input(stdin: &Stdin, piped: &mut Option<PipeWriter>) -> Result<Input> {
    Ok(match stdin {
        Stdin::Null => Input::Null,
        Stdin::Inherit => Input::Inherit,
        Stdin::Bytes(bytes) => Input::Bytes(bytes.as_slice().into()),
        Stdin::File(path) => Input::File(File::open(path).map_err(|source| {
            Error::new(
                ErrorKind::Io,
                format!("cannot open {} as standard input", path.display()),
            )
            .with_source(source)
        })?),
        Stdin::Pipe => {
            let (reader, writer) = pipe()?;
            *piped = Some(writer);
            Input::File(into_file(reader))
        }
    })
}

pub(crate) fn open_output(
    stdout: &Stdout,
    limits: &Limits,
    piped: &mut Option<PipeReader>,
    captured: &mut Option<Capture>,
) -> Result<Output> {
    Ok(match stdout {
        Stdout::Null => Output::Null,
        Stdout::Inherit => Output::Inherit,
        Stdout::Capture => {
            let capture = Capture::new(limits.output.unwrap_or(Limits::DEFAULT_OUTPUT));
            *captured = Some(capture.clone());
            Output::Capture(capture)
        }
        Stdout::File(path) => Output::File(File::create(path).map_err(|source| {
            Error::new(
                ErrorKind::Io,
                format!("cannot create {} for the guest's output", path.display()),
            )
            .with_source(source)
        })?),
        Stdout::Pipe => {
            let (reader, writer) = pipe()?;
            *piped = Some(reader);
            Output::File(into_file(writer))
        }
    })
}

fn pipe() -> Result<(PipeReader, PipeWriter)> {
    std::io::pipe()
        .map_err(|source| Error::new(ErrorKind::Io, "cannot make a pipe").with_source(source))
}

#[cfg(unix)]
fn into_file(end: impl Into<std::os::fd::OwnedFd>) -> File {
    end.into().into()
}

#[cfg(windows)]
fn into_file(end: impl Into<std::os::windows::io::OwnedHandle>) -> File {
    end.into().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_keeps_its_bound_and_counts_the_rest() {
        let capture = Capture::new(5);
        for _ in 0..3 {
            capture.push(b"abc");
        }
        let captured = capture.take();
        assert_eq!(captured.bytes, b"abcab");
        assert_eq!(captured.dropped, 4);
    }
}
