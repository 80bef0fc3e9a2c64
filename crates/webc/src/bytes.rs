//! Fields in memory, one after the other.

use crate::Problem;

/// What is left of some bytes.
pub(crate) struct Bytes<'a> {
    left: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub(crate) fn of(left: &'a [u8]) -> Self {
        Bytes { left }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(crate) fn take(&mut self, count: u64) -> Result<&'a [u8], Problem> {
        let split = usize::try_from(count)
            .ok()
            .and_then(|count| self.left.split_at_checked(count));
        let (taken, left) = split.ok_or_else(|| {
            Problem::new(format!(
                "expected {count} more bytes, found {}",
                self.left.len()
            ))
        })?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Problem> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Problem> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn digest(&mut self) -> Result<[u8; 32], Problem> {
        self.array()
    }

    /// What a number before it tells the length of.
    pub(crate) fn prefixed(&mut self) -> Result<&'a [u8], Problem> {
        let length = self.number()?;
        self.take(length)
    }
}
