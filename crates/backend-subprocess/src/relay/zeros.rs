//! Zeros that take memory only where they are written to.

use std::io;
use std::ops::{Deref, DerefMut};

use memmap2::{MmapMut, MmapOptions};

/// Bytes, all 0 at first. Allocators clear what they had before, however much of it is never looked at.
#[derive(Debug, Default)]
pub(super) struct Zeros(Option<MmapMut>);

impl Zeros {
    /// So many.
    ///
    /// # Errors
    ///
    /// What the system says where it has no more address space.
    pub(super) fn new(length: usize) -> io::Result<Self> {
        if length == 0 {
            return Ok(Zeros(None));
        }
        let bytes = MmapOptions::new()
            .len(length)
            .no_reserve_swap()
            .map_anon()?;
        // A large page would be cleared for the few bytes that are written to. It is only advice.
        #[cfg(target_os = "linux")]
        let _ = bytes.advise(memmap2::Advice::NoHugePage);
        Ok(Zeros(Some(bytes)))
    }
}

impl Deref for Zeros {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl DerefMut for Zeros {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}
