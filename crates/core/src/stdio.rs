//! A guest's standard streams, opened and ready for a backend.

use std::fs::File;
use std::io::{PipeReader, PipeWriter};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::log::Recorder;
use crate::{
    Captured, Control, Error, ErrorKind, Interrupt, Limits, Overflow, Result, Stdin, Stdout, open,
};

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
    /// To one of the others, none of which is bounded or kept itself, as far as the meter allows.
    Metered(Meter, Box<Output>),
}

impl Output {
    /// Whether whatever is written to it is taken at once and whole, and no write ends the guest.
    pub fn takes_all(&self) -> bool {
        match self {
            Output::Null => true,
            Output::Capture(capture) => capture.stop.is_none(),
            Output::Inherit | Output::File(_) | Output::Metered(..) => false,
        }
    }
}

/// Collects an output stream up to a bound, and counts what exceeds it.
#[derive(Clone, Debug)]
pub struct Capture {
    limit: usize,
    captured: Arc<Mutex<Captured>>,
    /// Ends a guest that exceeds the bound.
    stop: Option<Control>,
    log: Option<Recorder>,
}

/// Counts what a guest writes to a stream, and ends a guest that writes too much; keeps what it wrote last, if that is
/// asked for. For the one thread that writes for the guest.
#[derive(Clone, Debug)]
pub struct Meter {
    left: Arc<AtomicU64>,
    control: Control,
    log: Option<Recorder>,
}

impl Meter {
    /// Allows `limit` bytes. Whoever writes more is ended by `control`.
    pub fn new(limit: u64, control: &Control) -> Self {
        Meter {
            left: Arc::new(AtomicU64::new(limit)),
            control: control.clone(),
            log: None,
        }
    }

    /// How many of the next `wanted` bytes may be written. If that is less, [`Meter::stop`] is to
    /// be called once they are.
    pub fn allows(&self, wanted: usize) -> usize {
        // No more than a `usize` is wanted.
        self.left.load(Ordering::Relaxed).min(wanted as u64) as usize
    }

    /// Counts bytes that were written.
    pub fn count(&self, written: &[u8]) {
        let left = self.left.load(Ordering::Relaxed);
        let left = left.saturating_sub(written.len() as u64);
        self.left.store(left, Ordering::Relaxed);
        if let Some(log) = &self.log {
            log.record(written);
        }
    }

    /// Ends the guest.
    pub fn stop(&self) {
        self.control.interrupt(Interrupt::Output);
    }
}

impl Capture {
    /// Collects up to `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Capture {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            captured: Arc::default(),
            stop: None,
            log: None,
        }
    }

    /// As [`Capture::new`]; a guest that writes more is ended by `control`.
    pub fn stopping(limit: u64, control: &Control) -> Self {
        Capture {
            stop: Some(control.clone()),
            ..Capture::new(limit)
        }
    }

    /// Keeps what of `bytes` is within the bound.
    pub fn push(&self, bytes: &[u8]) {
        let mut captured = self.captured();
        let kept = bytes.len().min(self.limit - captured.bytes.len());
        captured.bytes.extend_from_slice(&bytes[..kept]);
        captured.dropped += (bytes.len() - kept) as u64;
        drop(captured);
        if let Some(log) = &self.log {
            log.record(match self.stop {
                Some(_) => &bytes[..kept],
                None => bytes,
            });
        }
        if kept < bytes.len()
            && let Some(control) = &self.stop
        {
            control.interrupt(Interrupt::Output);
        }
    }

    /// Whether the guest has written too much, and is not to go on.
    pub fn has_stopped(&self) -> bool {
        self.stop.is_some() && self.captured().dropped > 0
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
        Stdin::File(path) => Input::File(open::to_read(path).map_err(|source| {
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
    control: &Control,
    log: Option<Recorder>,
    piped: &mut Option<PipeReader>,
    captured: &mut Option<Capture>,
) -> Result<Output> {
    let output = match stdout {
        Stdout::Null => Output::Null,
        Stdout::Inherit => Output::Inherit,
        Stdout::Capture => {
            let limit = limits.output.unwrap_or(Limits::DEFAULT_OUTPUT);
            let mut capture = match limits.overflow {
                Overflow::Truncate => Capture::new(limit),
                Overflow::Stop => Capture::stopping(limit, control),
            };
            capture.log = log;
            *captured = Some(capture.clone());
            return Ok(Output::Capture(capture));
        }
        Stdout::File(path) => Output::File(open::to_write(path).map_err(|source| {
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
    };
    let limit = limits.output.filter(|_| limits.overflow == Overflow::Stop);
    Ok(match (limit, log) {
        (None, None) => output,
        (limit, log) => {
            let mut meter = Meter::new(limit.unwrap_or(u64::MAX), control);
            meter.log = log;
            Output::Metered(meter, Box::new(output))
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

    #[test]
    fn a_capture_that_stops_ends_the_guest_at_the_first_byte_too_many() {
        let control = Control::new();
        let capture = Capture::stopping(3, &control);
        capture.push(b"abc");
        assert!(!capture.has_stopped());
        assert_eq!(control.interrupted(), None);
        capture.push(b"d");
        assert!(capture.has_stopped());
        assert_eq!(control.interrupted(), Some(Interrupt::Output));
        assert_eq!(capture.take().bytes, b"abc");
    }

    #[test]
    fn a_meter_allows_its_bound_and_no_more() {
        let control = Control::new();
        let meter = Meter::new(5, &control);
        for allowed in [3, 2, 0] {
            assert_eq!(meter.allows(3), allowed);
            meter.count(&[0; 3][..allowed]);
        }
        assert_eq!(control.interrupted(), None);
        meter.stop();
        assert_eq!(control.interrupted(), Some(Interrupt::Output));
    }
}
