//! Standard streams where nothing is known of the system but what Rust's standard library tells:
//! reads and writes block.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};

use super::CHUNK;

/// Whether a guest that waits for a standard stream can be cut short. Where it cannot, an engine
/// must refuse time limits and kills.
pub const STDIO_IS_INTERRUPTIBLE: bool = false;

/// An open file, or one of our own standard streams.
pub(crate) enum Descriptor {
    Stdin,
    Stdout,
    Stderr,
    Owned(File),
}

impl Descriptor {
    pub(crate) fn stdin() -> Self {
        Descriptor::Stdin
    }

    pub(crate) fn stdout() -> Self {
        Descriptor::Stdout
    }

    pub(crate) fn stderr() -> Self {
        Descriptor::Stderr
    }

    pub(crate) fn owned(file: File) -> io::Result<Self> {
        Ok(Descriptor::Owned(file))
    }

    pub(crate) fn is_terminal(&self) -> bool {
        match self {
            Descriptor::Stdin => io::stdin().is_terminal(),
            Descriptor::Stdout => io::stdout().is_terminal(),
            Descriptor::Stderr => io::stderr().is_terminal(),
            Descriptor::Owned(file) => file.is_terminal(),
        }
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Descriptor::Stdin => io::stdin().read(buffer),
            Descriptor::Owned(file) => (&*file).read(buffer),
            Descriptor::Stdout | Descriptor::Stderr => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let flushed = |mut stream: Box<dyn Write>| {
            stream.write_all(bytes)?;
            stream.flush()?;
            Ok(bytes.len())
        };
        match self {
            Descriptor::Stdin => Err(io::ErrorKind::Unsupported.into()),
            Descriptor::Stdout => flushed(Box::new(io::stdout())),
            Descriptor::Stderr => flushed(Box::new(io::stderr())),
            Descriptor::Owned(file) => (&*file).write(bytes),
        }
    }

    pub(crate) fn room(&self) -> io::Result<usize> {
        Ok(CHUNK)
    }

    pub(crate) fn appends(&self) -> bool {
        false
    }

    pub(crate) fn sync(&self, data_only: bool) -> io::Result<()> {
        match self {
            Descriptor::Owned(file) if data_only => file.sync_data(),
            Descriptor::Owned(file) => file.sync_all(),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        Ok(())
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        Ok(())
    }
}
