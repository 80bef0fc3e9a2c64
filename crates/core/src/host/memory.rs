//! The guest's memory, as a function of the host sees it.

use std::fmt;
use std::io;
use std::ops::Range;

/// A guest's memory, wherever it is: the one it exports as `memory`.
#[non_exhaustive]
pub enum HostMemory<'a> {
    /// In this process. Empty for a guest that has none.
    Bytes(&'a mut [u8]),
    /// In another.
    Distant(&'a mut dyn DistantMemory),
}

/// A memory in another process. Nothing beyond its [`size`](DistantMemory::size) is asked of it.
pub trait DistantMemory {
    /// Bytes that it has.
    fn size(&self) -> u64;

    /// Fills `bytes` with what is at that address.
    ///
    /// # Errors
    ///
    /// The other process is gone. The guest ends, whatever the function returns.
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Puts `bytes` there.
    ///
    /// # Errors
    ///
    /// Likewise.
    fn write(&mut self, address: u64, bytes: &[u8]) -> io::Result<()>;
}

/// Why a guest's memory was not read or written.
#[derive(Debug)]
pub struct MemoryError(Why);

#[derive(Debug)]
enum Why {
    Beyond {
        address: u64,
        length: u64,
        size: u64,
    },
    NotText {
        address: u64,
        source: std::string::FromUtf8Error,
    },
    Lost(io::Error),
}

impl MemoryError {
    pub(super) fn not_text(address: u64, source: std::string::FromUtf8Error) -> Self {
        MemoryError(Why::NotText { address, source })
    }
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Why::Beyond {
                address,
                length,
                size,
            } => write!(
                f,
                "{length} bytes at {address:#x} are not within the guest's memory of {size} bytes"
            ),
            Why::NotText { address, .. } => {
                write!(f, "the guest's text at {address:#x} is not UTF-8")
            }
            Why::Lost(_) => f.write_str("the guest's memory is out of reach: its process is gone"),
        }
    }
}

impl std::error::Error for MemoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Why::Beyond { .. } => None,
            Why::NotText { source, .. } => Some(source),
            Why::Lost(source) => Some(source),
        }
    }
}

impl fmt::Debug for HostMemory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostMemory({} bytes)", self.size())
    }
}

impl HostMemory<'_> {
    pub(crate) fn size(&self) -> u64 {
        match self {
            HostMemory::Bytes(bytes) => bytes.len() as u64,
            HostMemory::Distant(memory) => memory.size(),
        }
    }

    pub(crate) fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), MemoryError> {
        let range = self.range(address, into.len() as u64)?;
        match self {
            HostMemory::Bytes(bytes) => into.copy_from_slice(&bytes[range]),
            HostMemory::Distant(memory) => memory.read(address, into).map_err(lost)?,
        }
        Ok(())
    }

    pub(crate) fn read_vec(&mut self, address: u64, length: u64) -> Result<Vec<u8>, MemoryError> {
        let range = self.range(address, length)?;
        match self {
            HostMemory::Bytes(bytes) => Ok(bytes[range].to_vec()),
            HostMemory::Distant(memory) => {
                let mut bytes = vec![0; range.len()];
                memory.read(address, &mut bytes).map_err(lost)?;
                Ok(bytes)
            }
        }
    }

    pub(crate) fn write(&mut self, address: u64, from: &[u8]) -> Result<(), MemoryError> {
        let range = self.range(address, from.len() as u64)?;
        match self {
            HostMemory::Bytes(bytes) => bytes[range].copy_from_slice(from),
            HostMemory::Distant(memory) => memory.write(address, from).map_err(lost)?,
        }
        Ok(())
    }

    pub(crate) fn with_bytes<R>(
        &mut self,
        address: u64,
        length: u64,
        work: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, MemoryError> {
        let range = self.range(address, length)?;
        match self {
            HostMemory::Bytes(bytes) => Ok(work(&mut bytes[range])),
            HostMemory::Distant(memory) => {
                let mut before = vec![0; range.len()];
                memory.read(address, &mut before).map_err(lost)?;
                let mut bytes = before.clone();
                let result = work(&mut bytes);
                if bytes != before {
                    memory.write(address, &bytes).map_err(lost)?;
                }
                Ok(result)
            }
        }
    }

    /// The places of so many bytes, if all are within the memory.
    fn range(&self, address: u64, length: u64) -> Result<Range<usize>, MemoryError> {
        let size = self.size();
        let end = address.checked_add(length).filter(|end| *end <= size);
        // What is within a memory has an address here, or it is another process's, and the host allocates it.
        let range = end.and_then(|end| Some(address.try_into().ok()?..end.try_into().ok()?));
        range.ok_or(MemoryError(Why::Beyond {
            address,
            length,
            size,
        }))
    }
}

fn lost(source: io::Error) -> MemoryError {
    MemoryError(Why::Lost(source))
}
