//! What a guest has open, and what can be done with it but for paths.

use std::sync::Arc;

use wasmrun_core::{Access, Control};
#[cfg(target_os = "linux")]
use wasmrun_fs::CutShort;
use wasmrun_fs::{Advice, Errno, File, FileType, OpenFiles, Place, SetTimes, Stat, within_files};
use wasmtime_wasi::p2::bindings::filesystem::types::DescriptorFlags;

use crate::errors::{Result, running};

/// The most that is read or written in one call: a guest that asks for gigabytes must not make us allocate them.
pub(crate) const CHUNK: usize = 1 << 20;

/// What a guest has open.
pub(crate) enum Descriptor {
    File(Arc<OpenFile>),
    Directory(OpenDirectory),
}

/// A file, as long as a descriptor or a stream of it is there.
pub(crate) struct OpenFile {
    pub(crate) file: Arc<dyn File>,
    pub(crate) file_type: FileType,
    /// What may be done with what is known of it.
    pub(crate) access: Access,
    /// What it was opened for.
    pub(crate) flags: DescriptorFlags,
    pub(crate) control: Control,
    pub(crate) _counted: OpenFiles,
}

pub(crate) struct OpenDirectory {
    pub(crate) place: Place,
    /// None, if the guest was given it.
    pub(crate) _counted: OpenFiles,
}

impl Descriptor {
    /// A file, for what a directory cannot: `otherwise` is the error for that.
    pub(crate) fn file(&self, otherwise: Errno) -> Result<&Arc<OpenFile>, Errno> {
        match self {
            Descriptor::File(file) => Ok(file),
            Descriptor::Directory(_) => Err(otherwise),
        }
    }

    /// The directory that a path begins in.
    pub(crate) fn place(&self) -> Result<&Place, Errno> {
        match self {
            Descriptor::Directory(directory) => Ok(&directory.place),
            Descriptor::File(_) => Err(Errno::Notdir),
        }
    }

    pub(crate) fn file_type(&self) -> FileType {
        match self {
            Descriptor::File(file) => file.file_type,
            Descriptor::Directory(_) => FileType::Directory,
        }
    }

    pub(crate) fn flags(&self) -> DescriptorFlags {
        match self {
            Descriptor::File(file) => file.flags,
            Descriptor::Directory(directory) => match directory.place.access() {
                Access::ReadOnly => DescriptorFlags::READ,
                Access::ReadWrite => DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
            },
        }
    }

    pub(crate) fn stat(&self) -> Result<Stat, Errno> {
        match self {
            Descriptor::File(file) => file.file.stat(),
            Descriptor::Directory(directory) => directory.place.stat(),
        }
    }

    pub(crate) fn set_times(&self, times: SetTimes) -> Result<(), Errno> {
        match self {
            Descriptor::File(file) if file.access == Access::ReadOnly => Err(Errno::Rofs),
            Descriptor::File(file) => file.file.set_times(times),
            Descriptor::Directory(directory) => directory.place.set_times(times),
        }
    }

    pub(crate) fn sync(&self, data_only: bool) -> Result<(), Errno> {
        match self {
            Descriptor::File(file) => file.file.sync(data_only),
            Descriptor::Directory(directory) => directory.place.sync(),
        }
    }

    pub(crate) fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<(), Errno> {
        match self {
            Descriptor::File(file) => file.file.advise(offset, length, advice),
            Descriptor::Directory(_) => Ok(()),
        }
    }

    pub(crate) fn set_size(&self, size: u64) -> Result<(), Errno> {
        let file = self.file(Errno::Inval)?;
        if !file.is_for(DescriptorFlags::WRITE) || i64::try_from(size).is_err() {
            return Err(Errno::Inval);
        }
        file.file.set_size(size)
    }
}

impl OpenFile {
    fn is_for(&self, flags: DescriptorFlags) -> bool {
        self.flags.contains(flags)
    }

    /// Fails if it was not opened to be read.
    pub(crate) fn readable(&self) -> Result<(), Errno> {
        match self.is_for(DescriptorFlags::READ) {
            true => Ok(()),
            false => Err(Errno::Badf),
        }
    }

    /// Fails if it was not opened to be written.
    pub(crate) fn writable(&self) -> Result<(), Errno> {
        match self.is_for(DescriptorFlags::WRITE) {
            true => Ok(()),
            false => Err(Errno::Badf),
        }
    }

    /// Reads from an offset, as much as there is of `length`, up to [`CHUNK`].
    pub(crate) fn read(&self, length: u64, offset: u64) -> Result<Vec<u8>> {
        self.readable()?;
        let length = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
        let mut bytes = vec![0; length];
        let read = self.read_to(&mut bytes, offset)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Reads from an offset as much as there is room for, up to [`CHUNK`]: how much that was.
    pub(crate) fn read_to(&self, to: &mut [u8], offset: u64) -> Result<usize> {
        let length = to.len().min(CHUNK);
        within_files(offset, length)?;
        self.waiting(|file| file.read_at(&mut to[..length], offset))
    }

    /// Writes at an offset: how much of it, at least a byte.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        self.writable()?;
        within_files(offset, bytes.len())?;
        if bytes.is_empty() {
            return Ok(0);
        }
        self.waiting(|file| file.write_at(bytes, offset))
    }

    /// Writes at the end: how much of it, at least a byte.
    pub(crate) fn append(&self, bytes: &[u8]) -> Result<usize> {
        self.writable()?;
        self.waiting(|file| file.append(bytes))
    }

    /// Does what may have to be waited for, if it is a device, until the guest is to end.
    fn waiting<T>(&self, work: impl FnOnce(&dyn File) -> Result<T, Errno>) -> Result<T> {
        #[cfg(target_os = "linux")]
        let _cut_short = (self.file_type != FileType::Regular).then(|| CutShort::by(&self.control));
        let done = work(&*self.file);
        running(&self.control)?;
        Ok(done?)
    }
}
