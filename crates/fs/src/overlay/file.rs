//! The open files of an overlay that are not those of its upper.

use std::sync::Arc;

use super::Shared;
use super::layers::UPPER;
use super::node::{Node, Replaced};
use super::tree::Item;
use crate::numbered::Numbered;
use crate::{Advice, Errno, File, FileType, Name, Result, SetTimes, Stat};

/// A file of a lower that is open to be read. Once it is copied to the upper, this is the copy.
pub(super) struct LowerFile {
    pub(super) shared: Arc<Shared>,
    pub(super) directory: Arc<Node>,
    pub(super) name: Box<[u8]>,
    pub(super) lower: Numbered,
    pub(super) copy: Arc<Replaced>,
}

impl LowerFile {
    fn file(&self) -> &dyn File {
        match self.copy.get() {
            Some(copy) => &**copy,
            None => &self.lower,
        }
    }
}

impl File for LowerFile {
    fn file_type(&self) -> FileType {
        self.lower.file_type()
    }

    fn read_next(&self, buffer: &mut [u8]) -> Result<usize> {
        self.lower.read_next(buffer)
    }

    fn stat(&self) -> Result<Stat> {
        self.file().stat()
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        let mut tree = self.shared.tree();
        if let Some(copy) = self.copy.get() {
            return copy.set_times(times);
        }
        let name = Name::new(&self.name)?;
        match tree.find(&self.directory, name)? {
            Some(Item::File(layer, stat)) if layer.number != UPPER => {
                tree.copy(&self.directory, name, (&layer, &stat))?;
                tree.upper(&self.directory)?.set_times_at(name, times)
            }
            // It has no name that a copy could have.
            _ => Err(Errno::Stale),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.file().read_at(buffer, offset)
    }

    // Nobody opens it to be written, whatever is above says.

    fn write_at(&self, _bytes: &[u8], _offset: u64) -> Result<usize> {
        Err(Errno::Badf)
    }

    fn append(&self, _bytes: &[u8]) -> Result<usize> {
        Err(Errno::Badf)
    }

    fn set_size(&self, _size: u64) -> Result<()> {
        Err(Errno::Badf)
    }

    fn allocate(&self, _offset: u64, _length: u64) -> Result<()> {
        Err(Errno::Badf)
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        self.file().advise(offset, length, advice)
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        self.file().sync(data_only)
    }
}
