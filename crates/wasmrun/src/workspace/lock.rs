//! Files that are locked.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// A file that is locked until this is dropped.
#[derive(Debug)]
pub(super) struct Locked(File);

impl Locked {
    /// Locks the file at a path for us alone, unless somebody else has it.
    pub(super) fn alone(path: &Path) -> Result<Self, TryLockError> {
        let file = File::options()
            .write(true)
            .open(path)
            .map_err(TryLockError::Error)?;
        file.try_lock()?;
        Ok(Locked(file))
    }

    /// Locks the file at a path, which is made if it is not there, together with others who do the same.
    pub(super) fn shared(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        file.lock_shared()?;
        Ok(Locked(file))
    }

    /// Whether it is the file at that path now.
    pub(super) fn is_at(&self, path: &Path) -> io::Result<bool> {
        let own = same_file::Handle::from_file(self.0.try_clone()?)?;
        Ok(own == same_file::Handle::from_path(path)?)
    }

    /// Sets the time it was changed to the present.
    pub(super) fn touch(&self) -> io::Result<()> {
        self.0.set_modified(SystemTime::now())
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // To close it is not enough: a process that another thread is just starting has it open as well.
        let _ = self.0.unlock();
    }
}
