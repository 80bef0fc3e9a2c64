//! The bytes of an archive, which are read as long as the run goes on that wants them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use wasmrun_core::Control;

/// A file that is read at any place, until the run is to end.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a File,
    pub(super) control: &'a Control,
}

impl Source<'_> {
    /// Reads what there is at a place, nothing at the end of the file.
    pub(super) fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        loop {
            goes_on(self.control)?;
            match self.file.read_at(buffer, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// Fills the buffer.
    pub(super) fn read_exact_at(&self, mut buffer: &mut [u8], mut at: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => {
                    buffer = &mut buffer[count..];
                    at += count as u64;
                }
            }
        }
        Ok(())
    }
}

/// Fails once the run is to end.
pub(super) fn goes_on(control: &Control) -> io::Result<()> {
    match control.interrupted() {
        None => Ok(()),
        // Not of the kind `Interrupted`, after which readers try again.
        Some(_) => Err(io::Error::other("the run it is for is to end")),
    }
}
