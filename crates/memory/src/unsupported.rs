//! Where no memory is made with data.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::ops::Range;

/// Not as far as is known.
pub fn is_address_space_limited() -> bool {
    false
}

/// There is none.
#[derive(Debug)]
pub struct Image(Infallible);

impl Image {
    /// None.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn new(_: usize, _: &[u8]) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// None.
    ///
    /// # Errors
    ///
    /// Always.
    ///
    /// # Safety
    ///
    /// It is safe.
    pub unsafe fn in_file(_: File, _: u64, _: Range<usize>) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Nowhere.
    pub fn place(&self) -> Range<usize> {
        match self.0 {}
    }

    /// Nothing.
    ///
    /// # Errors
    ///
    /// None.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        match self.0 {}
    }
}
