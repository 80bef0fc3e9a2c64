//! The way to something mounted, where no file system has directories of these names.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::{
    Directory, Entry, Errno, File, FileType, Name, OpenOptions, Result, SetTimes, Stat, Step,
};

/// A directory with nothing in it, which stays so.
pub(crate) struct Nothing {
    number: u64,
}

/// The file system that all of them are in.
const DEVICE: u64 = u64::MAX;

impl Nothing {
    /// The one on the way at this spot.
    pub(crate) fn at(spot: usize) -> Self {
        Nothing {
            number: spot as u64 + 1,
        }
    }
}

impl Directory for Nothing {
    fn stat(&self) -> Result<Stat> {
        Ok(Stat {
            file_type: FileType::Directory,
            device: DEVICE,
            inode: self.number,
            links: 2,
            size: 0,
            accessed: 0,
            modified: 0,
            changed: 0,
        })
    }

    fn set_times(&self, _: SetTimes) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn open(&self) -> Result<()> {
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn list(
        &self,
        cookie: u64,
        _: usize,
        each: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        for (name, next) in [(&b"."[..], 1), (b"..", 2)]
            .into_iter()
            .skip(cookie as usize)
        {
            let entry = Entry {
                name,
                inode: self.number,
                file_type: FileType::Directory,
                next,
            };
            if each(entry).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn enter(&self, _: Name<'_>) -> Result<Step> {
        Err(Errno::Noent)
    }

    fn stat_at(&self, _: Name<'_>) -> Result<Stat> {
        Err(Errno::Noent)
    }

    fn set_times_at(&self, _: Name<'_>, _: SetTimes) -> Result<()> {
        Err(Errno::Noent)
    }

    fn open_at(&self, _: Name<'_>, options: OpenOptions) -> Result<Arc<dyn File>> {
        Err(if options.create {
            Errno::Rofs
        } else {
            Errno::Noent
        })
    }

    fn read_link(&self, _: Name<'_>) -> Result<Vec<u8>> {
        Err(Errno::Noent)
    }

    fn create_directory(&self, _: Name<'_>) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn symlink(&self, _: Name<'_>, _: &[u8]) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn link(&self, _: Name<'_>, _: &dyn Directory, _: Name<'_>) -> Result<()> {
        Err(Errno::Noent)
    }

    fn rename(&self, _: Name<'_>, _: &dyn Directory, _: Name<'_>) -> Result<()> {
        Err(Errno::Noent)
    }

    fn remove_file(&self, _: Name<'_>) -> Result<()> {
        Err(Errno::Noent)
    }

    fn remove_directory(&self, _: Name<'_>) -> Result<()> {
        Err(Errno::Noent)
    }
}
