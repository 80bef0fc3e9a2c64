//! A guest's memory at the other end of the wire, for functions of the host.

use std::io;

use wasmrun_core::DistantMemory;

use super::memory::Mirror;
use crate::spawn::Dialogue;

/// The memory of a guest that waits for the return of its call.
pub(super) struct Distant<'a> {
    mirror: &'a mut Mirror,
    wire: &'a mut Dialogue,
    size: u64,
    /// The start of the memory is to be replaced when the call returns.
    replaces: bool,
    /// Contact was lost, which is the end whatever the function makes of it.
    lost: Option<io::ErrorKind>,
}

impl<'a> Distant<'a> {
    pub(super) fn new(
        mirror: &'a mut Mirror,
        wire: &'a mut Dialogue,
        size: u64,
    ) -> io::Result<Self> {
        mirror.begin(size)?;
        Ok(Distant {
            mirror,
            wire,
            size,
            replaces: false,
            lost: None,
        })
    }

    /// Returns from the call.
    pub(super) fn finish(self, value: u64) -> io::Result<()> {
        self.contact()?;
        self.mirror.end(self.wire, value, self.replaces)
    }

    /// Whether the other side is still there, as far as is known.
    pub(super) fn contact(&self) -> io::Result<()> {
        self.lost.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn noted<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &done {
            self.lost = Some(error.kind());
        }
        done
    }

    fn place(address: u64) -> io::Result<usize> {
        usize::try_from(address).map_err(|_| io::ErrorKind::InvalidInput.into())
    }
}

impl DistantMemory for Distant<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.contact()?;
        let at = Self::place(address)?;
        let got = self.mirror.get(self.wire, at, bytes);
        self.noted(got)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.contact()?;
        let at = Self::place(address)?;
        let set = self.mirror.set(self.wire, at, bytes);
        self.replaces |= self.noted(set)?;
        Ok(())
    }
}
