//! Reading, writing, copying and comparing the content of files as a whole.

use crate::{Errno, File, Result};

/// So many bytes are copied or compared at once. If they are all zeros, a copy has a hole.
const CHUNK: usize = 128 << 10;

/// Reads until the buffer is full or the file ends: how much.
pub(crate) fn read_all(file: &dyn File, buffer: &mut [u8], offset: u64) -> Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], offset + length as u64)? {
            0 => break,
            count => length += count,
        }
    }
    Ok(length)
}

pub(crate) fn write_all(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> Result<()> {
    while !bytes.is_empty() {
        let count = file.write_at(bytes, offset)?;
        offset += count as u64;
        bytes = bytes.get(count..).ok_or(Errno::Io)?;
    }
    Ok(())
}

/// Gives an empty file the content of another.
pub(crate) fn copy(from: &dyn File, to: &dyn File) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let count = read_all(from, &mut buffer, size)?;
        let chunk = &buffer[..count];
        if chunk.iter().any(|byte| *byte != 0) {
            write_all(to, chunk, size)?;
        }
        size += count as u64;
        if count < CHUNK {
            return to.set_size(size);
        }
    }
}

/// Whether two files have the same content.
pub(crate) fn is_equal(one: &dyn File, other: &dyn File) -> Result<bool> {
    let (mut a, mut b) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut offset = 0;
    loop {
        let length = read_all(one, &mut a, offset)?;
        let other_length = read_all(other, &mut b, offset)?;
        if a[..length] != b[..other_length] {
            return Ok(false);
        }
        if length < CHUNK {
            return Ok(true);
        }
        offset = offset.checked_add(length as u64).ok_or(Errno::Overflow)?;
    }
}
