//! Files with other numbers.

use std::sync::Arc;

use crate::{Advice, File, FileType, Result, SetTimes, Stat};

/// A file that tells another number than its file system has for it.
pub(crate) struct Numbered {
    file: Arc<dyn File>,
    device: u64,
    inode: u64,
}

impl Numbered {
    /// A file of which this is to be told.
    pub(crate) fn new(file: Arc<dyn File>, stat: &Stat) -> Self {
        Numbered {
            file,
            device: stat.device,
            inode: stat.inode,
        }
    }
}

impl File for Numbered {
    fn file_type(&self) -> FileType {
        self.file.file_type()
    }

    fn read_next(&self, buffer: &mut [u8]) -> Result<usize> {
        self.file.read_next(buffer)
    }

    fn write_next(&self, bytes: &[u8]) -> Result<usize> {
        self.file.write_next(bytes)
    }

    fn stat(&self) -> Result<Stat> {
        Ok(Stat {
            device: self.device,
            inode: self.inode,
            ..self.file.stat()?
        })
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.file.set_times(times)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn append(&self, bytes: &[u8]) -> Result<usize> {
        self.file.append(bytes)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.file.set_size(size)
    }

    fn allocate(&self, offset: u64, length: u64) -> Result<()> {
        self.file.allocate(offset, length)
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        self.file.advise(offset, length, advice)
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        self.file.sync(data_only)
    }
}
