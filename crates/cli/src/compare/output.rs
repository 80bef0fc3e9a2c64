//! What a guest writes to a stream, however much that is.

use std::io::{self, PipeReader, Read};
use std::thread::{self, ScopedJoinHandle};

use wasmrun::{Digest, Error, ErrorKind, Report, Result, Run};

/// The most of a stream that is kept as it is.
const KEPT: u64 = 64 << 20;

/// All that was written to a stream.
#[derive(Debug, PartialEq)]
pub struct Output {
    /// As much of it as is kept.
    pub start: Vec<u8>,
    /// How many bytes there were.
    pub bytes: u64,
    /// Of those that are not kept.
    pub rest: Digest,
}

impl Output {
    fn read(mut pipe: PipeReader) -> io::Result<Output> {
        let mut start = Vec::new();
        pipe.by_ref().take(KEPT).read_to_end(&mut start)?;
        let mut beyond = pipe.take(u64::MAX);
        let rest = Digest::of_reader(&mut beyond)?;
        let bytes = start.len() as u64 + (u64::MAX - beyond.limit());
        Ok(Output { start, bytes, rest })
    }

    pub fn is_kept(&self) -> bool {
        self.start.len() as u64 == self.bytes
    }
}

/// Waits for a guest whose standard output and standard error are pipes, and reads both to their end.
pub fn of_run(mut run: Run) -> Result<(Report, Output, Output)> {
    let pipes = (run.stdout.take(), run.stderr.take());
    let (ended, stdout, stderr) = thread::scope(|scope| {
        let read = |pipe: Option<PipeReader>| {
            let read =
                move || pipe.map_or_else(|| Err(io::ErrorKind::NotFound.into()), Output::read);
            thread::Builder::new().spawn_scoped(scope, read)
        };
        let (stdout, stderr) = (read(pipes.0), read(pipes.1));
        (run.wait(), joined(stdout), joined(stderr))
    });
    let failed =
        |source| Error::new(ErrorKind::Io, "cannot read the guest's output").with_source(source);
    Ok((ended?, stdout.map_err(failed)?, stderr.map_err(failed)?))
}

fn joined(thread: io::Result<ScopedJoinHandle<'_, io::Result<Output>>>) -> io::Result<Output> {
    let joined = thread?.join();
    joined.unwrap_or_else(|_| Err(io::Error::other("it could not be read")))
}
