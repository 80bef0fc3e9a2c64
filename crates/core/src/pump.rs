//! Streams from and to anything: what is no file is at the other end of a pipe, and a thread moves the bytes.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::{Error, ErrorKind, Result};

/// So much is moved at a time: as much as a pipe holds.
const CHUNK: usize = 64 << 10;

/// Lets a guest read what `from` reads. The thread ends with it, or once nobody reads the pipe any more and `from` has
/// returned.
pub(crate) fn feed(mut from: Box<dyn Read + Send>, mut to: PipeWriter) -> Result<()> {
    let feed = move || {
        // A source that fails has ended, and so has a guest that is gone.
        let _ = copy(&mut *from, &mut to);
    };
    spawn("wasmrun-stdin", feed)
}

/// What takes a guest's output to where it goes.
#[derive(Debug)]
pub(crate) struct Drain(Receiver<()>);

impl Drain {
    /// Writes to `to` what the guest does. Once that fails, the guest's pipe is closed.
    pub(crate) fn new(mut from: PipeReader, mut to: Box<dyn Write + Send>) -> Result<Self> {
        let (sender, done) = sync_channel(1);
        let drain = move || {
            let _ = copy(&mut from, &mut *to);
            // Not before: whoever waits may want to use what it wrote to.
            drop((from, to));
            let _ = sender.send(());
        };
        spawn("wasmrun-output", drain)?;
        Ok(Drain(done))
    }

    /// Waits until all is written that the guest wrote, or so long.
    pub(crate) fn finish(&self, within: Option<Duration>) {
        match within {
            None => drop(self.0.recv()),
            Some(time) => match self.0.recv_timeout(time) {
                Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            },
        }
    }
}

fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return to.flush(),
            Ok(count) => to.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = thread::Builder::new().name(name.into()).spawn(work);
    thread.map(drop).map_err(|source| {
        Error::new(
            ErrorKind::Io,
            "cannot start a thread for the guest's streams",
        )
        .with_source(source)
    })
}

/// A closure that is called with each piece that is written.
pub(crate) struct Chunks<F>(pub(crate) F);

impl<F: FnMut(&[u8])> Write for Chunks<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
