//! A guest's memory at the other end of the wire, for functions of the host and between calls of an instance.

use std::io;

use wasmrun_core::DistantMemory;

use super::memory::Mirror;
use crate::spawn::Dialogue;

/// The memory of a guest that waits for an answer.
pub(super) struct Distant<'a> {
    mirror: &'a mut Mirror,
    wire: &'a mut Dialogue,
    /// Contact was lost, which is the end whatever becomes of it here.
    lost: &'a mut Option<io::ErrorKind>,
}

impl<'a> Distant<'a> {
    pub(super) fn new(
        mirror: &'a mut Mirror,
        wire: &'a mut Dialogue,
        lost: &'a mut Option<io::ErrorKind>,
    ) -> Self {
        Distant { mirror, wire, lost }
    }

    fn noted<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &done {
            *self.lost = Some(error.kind());
        }
        done
    }

    fn place(&self, address: u64) -> io::Result<usize> {
        contact(*self.lost)?;
        usize::try_from(address).map_err(|_| io::ErrorKind::InvalidInput.into())
    }
}

/// Whether the other side is still there, as far as is known.
pub(super) fn contact(lost: Option<io::ErrorKind>) -> io::Result<()> {
    lost.map_or(Ok(()), |kind| Err(kind.into()))
}

impl DistantMemory for Distant<'_> {
    fn size(&self) -> u64 {
        self.mirror.size()
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> io::Result<()> {
        let at = self.place(address)?;
        let got = self.mirror.get(self.wire, at, bytes);
        self.noted(got)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> io::Result<()> {
        let at = self.place(address)?;
        let set = self.mirror.set(self.wire, at, bytes);
        self.noted(set)
    }
}
