//! Archives that are compressed by gzip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;
use wasmrun_core::Control;

use super::error::Problem;
use super::source::{Source, goes_on};

/// What gzip begins with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Whether an archive is compressed.
pub(super) fn compresses(archive: Source<'_>) -> io::Result<bool> {
    let mut magic = [0; MAGIC.len()];
    match archive.read_exact_at(&mut magic, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| magic == MAGIC),
    }
}

/// A file without a name with what a compressed one, of one part or several, decompresses to, which may be `most`
/// bytes.
pub(super) fn decompressed(compressed: Source<'_>, most: u64) -> Result<File, Problem> {
    let control = compressed.control;
    let mut compressed = BufReader::with_capacity(64 << 10, Beginning::of(compressed));
    let mut file =
        tempfile::tempfile().map_err(|error| Problem::io("no temporary file for it", error))?;
    let mut left = most;
    while another_part(&mut compressed)? {
        let part = GzDecoder::new(&mut compressed).take(left.saturating_add(1));
        let copied = io::copy(&mut WhileItGoesOn { part, control }, &mut file)
            .map_err(|error| Problem::io("decompressing it to a temporary file failed", error))?;
        left = left.checked_sub(copied).ok_or_else(|| {
            Problem::new(format!(
                "expected to decompress to at most {most} bytes, found more"
            ))
        })?;
    }
    Ok(file)
}

/// Whether there is another part. Zeros between parts and behind the last, which tapes are filled up with, are none.
fn another_part(compressed: &mut impl BufRead) -> Result<bool, Problem> {
    loop {
        let bytes = compressed.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        match bytes.first() {
            None => return Ok(false),
            Some(first) if *first == MAGIC[0] => return Ok(true),
            Some(0) => compressed.consume(zeros),
            Some(_) => return Err(Problem::new("expected nothing else behind the gzip")),
        }
    }
}

/// A file read from its beginning on, whatever its cursor is at.
struct Beginning<'a> {
    source: Source<'a>,
    at: u64,
}

impl<'a> Beginning<'a> {
    fn of(source: Source<'a>) -> Self {
        Beginning { source, at: 0 }
    }
}

impl Read for Beginning<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// What is decompressed, until the run is to end: a few bytes of gzip may be gigabytes.
struct WhileItGoesOn<'a, R> {
    part: R,
    control: &'a Control,
}

impl<R: Read> Read for WhileItGoesOn<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        goes_on(self.control)?;
        self.part.read(buffer)
    }
}
