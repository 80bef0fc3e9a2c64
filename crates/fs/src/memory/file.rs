//! Regular files.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::content::Content;
use super::inode::Inode;
use crate::{Advice, Errno, File, FileType, Result, SetTimes, Stat};

/// A regular file.
pub(super) struct RegularFile {
    pub(super) inode: Inode,
    content: RwLock<Content>,
}

impl RegularFile {
    /// An empty file.
    pub(super) fn new(inode: Inode) -> Self {
        let content = RwLock::new(Content::new(&inode.space.pages));
        RegularFile { inode, content }
    }

    fn content(&self) -> RwLockReadGuard<'_, Content> {
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn content_mut(&self) -> RwLockWriteGuard<'_, Content> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes at the offset that its content gives.
    fn write(&self, bytes: &[u8], offset: impl FnOnce(&Content) -> u64) -> Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let now = self.inode.space.now();
        let mut content = self.content_mut();
        let offset = offset(&content);
        let written = content.write(bytes, offset);
        // As on Linux, a write that finds no room changes the times nevertheless.
        if written != Err(Errno::Fbig) {
            self.inode.mark_modified(now);
        }
        written
    }

    /// Changes its content, and its times if that succeeds.
    fn modify(&self, change: impl FnOnce(&mut Content) -> Result<()>) -> Result<()> {
        let now = self.inode.space.now();
        let mut content = self.content_mut();
        change(&mut content)?;
        self.inode.mark_modified(now);
        Ok(())
    }
}

impl File for RegularFile {
    fn stat(&self) -> Result<Stat> {
        let size = self.content().size();
        Ok(self.inode.stat(FileType::Regular, size))
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.inode.set_times(times);
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let count = self.content().read(buffer, offset);
        self.inode.mark_accessed();
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        self.write(bytes, |_| offset)
    }

    fn append(&self, bytes: &[u8]) -> Result<usize> {
        self.write(bytes, Content::size)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.modify(|content| content.set_size(size))
    }

    fn allocate(&self, offset: u64, length: u64) -> Result<()> {
        self.modify(|content| content.allocate(offset, length))
    }

    fn advise(&self, _offset: u64, _length: u64, _advice: Advice) -> Result<()> {
        Ok(())
    }

    fn sync(&self, _data_only: bool) -> Result<()> {
        Ok(())
    }
}
