//! The functions of `wasi:filesystem`. All are done at once, on the guest's own thread.

use std::sync::Arc;

use wasmrun_core::Access;
use wasmrun_fs::{Errno, OpenFiles, OpenOptions, Opened, Place, SyncWrites};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use crate::FilesViewMut;
use crate::descriptor::{Descriptor, OpenDirectory, OpenFile};
use crate::errors::{Failure, Result, Told, code_of, interrupted};
use crate::handles::{Handle, inner, outer};
use crate::listing::Listing;
use crate::stat::{advice, descriptor_stat, descriptor_type, hash, set_times};
use crate::streams::{Reader, Writer};

pub(crate) type Fd = Resource<types::Descriptor>;

impl FilesViewMut<'_> {
    pub(crate) fn get(&self, fd: &Fd) -> Result<&Descriptor> {
        Ok(self.table.get(&inner(fd))?)
    }

    /// The directory that a path begins in.
    pub(crate) fn place(&self, fd: &Fd) -> Result<&Place> {
        Ok(self.get(fd)?.place()?)
    }

    /// A file that is to be written.
    pub(crate) fn writable(&self, fd: &Fd) -> Result<Arc<OpenFile>> {
        let file = self.get(fd)?.file(Errno::Badf)?;
        file.writable()?;
        Ok(file.clone())
    }

    /// A handle of a new entry.
    fn add<T: Handle + 'static>(&mut self, entry: T::Of) -> Result<Resource<T>> {
        Ok(outer(self.table.push(entry)?))
    }

    /// A handle of a new stream.
    fn push<T: Send + 'static>(&mut self, stream: T) -> FsResult<Resource<T>> {
        Ok(self.table.push(stream).map_err(Failure::from)?)
    }

    pub(crate) fn open(
        &mut self,
        fd: &Fd,
        follow: bool,
        path: &str,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Fd> {
        let options = options(how, flags);
        OpenFiles::default().room()?;
        let directory = how.contains(OpenFlags::DIRECTORY);
        let control = &self.files.control;
        let place = self.place(fd)?;
        let opened = place.open_path_until(control, path.as_bytes(), follow, directory, options);
        let opened = opened.map_err(|_| interrupted())??;
        let descriptor = match opened {
            Opened::Directory(place) => {
                let mutable = flags.contains(DescriptorFlags::MUTATE_DIRECTORY);
                if mutable && place.access() == Access::ReadOnly {
                    return Err(Errno::Rofs.into());
                }
                Descriptor::Directory(OpenDirectory {
                    place,
                    _counted: OpenFiles::of(2),
                })
            }
            Opened::File(file, access) => Descriptor::File(Arc::new(OpenFile {
                file_type: file.file_type(),
                file,
                access,
                flags: flags_of(options, flags),
                control: self.files.control.clone(),
                _counted: OpenFiles::of(1),
            })),
        };
        self.add(descriptor)
    }
}

fn options(how: OpenFlags, flags: DescriptorFlags) -> OpenOptions {
    let write = flags.contains(DescriptorFlags::WRITE);
    let all = DescriptorFlags::FILE_INTEGRITY_SYNC | DescriptorFlags::REQUESTED_WRITE_SYNC;
    OpenOptions {
        // What is opened for nothing can be read, as in preview1.
        read: flags.contains(DescriptorFlags::READ) || !write,
        write,
        create: how.contains(OpenFlags::CREATE),
        exclusive: how.contains(OpenFlags::EXCLUSIVE),
        truncate: how.contains(OpenFlags::TRUNCATE),
        sync: match flags {
            flags if flags.intersects(all) => SyncWrites::All,
            flags if flags.contains(DescriptorFlags::DATA_INTEGRITY_SYNC) => SyncWrites::Data,
            _ => SyncWrites::No,
        },
    }
}

/// The flags that a file has which was opened so.
fn flags_of(options: OpenOptions, asked: DescriptorFlags) -> DescriptorFlags {
    let as_asked = DescriptorFlags::WRITE
        | DescriptorFlags::FILE_INTEGRITY_SYNC
        | DescriptorFlags::DATA_INTEGRITY_SYNC
        | DescriptorFlags::REQUESTED_WRITE_SYNC;
    let read = match options.read {
        true => DescriptorFlags::READ,
        false => DescriptorFlags::empty(),
    };
    asked & as_asked | read
}

fn follows(flags: PathFlags) -> bool {
    flags.contains(PathFlags::SYMLINK_FOLLOW)
}

impl preopens::Host for FilesViewMut<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        self.directories()
    }
}

impl FilesViewMut<'_> {
    /// Whether two descriptors are of the same file. Of what nothing is known that is not known.
    pub(crate) fn are_same(&self, one: &Fd, other: &Fd) -> wasmtime::Result<bool> {
        let stat = |fd: &Fd| Ok::<_, wasmtime::Error>(self.table.get(&inner(fd))?.stat());
        Ok(match (stat(one)?, stat(other)?) {
            (Ok(one), Ok(other)) => (one.device, one.inode) == (other.device, other.inode),
            _ => false,
        })
    }

    /// The directories that the guest was given, and their paths.
    pub(crate) fn directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let Some(world) = self.files.world.clone() else {
            return Ok(Vec::new());
        };
        let given = world.mounts().map(|(path, place)| {
            let directory = OpenDirectory {
                place,
                _counted: OpenFiles::default(),
            };
            let fd = self.table.push(Descriptor::Directory(directory))?;
            Ok((outer(fd), path.to_owned()))
        });
        given.collect()
    }
}

impl types::Host for FilesViewMut<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(code_of(self.table.get(&error)?))
    }
}

impl types::HostDescriptor for FilesViewMut<'_> {
    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.table.delete(inner(&fd))?;
        Ok(())
    }

    fn read_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynInputStream>> {
        let file = self.get(&fd)?.file(Errno::Isdir).told()?;
        file.readable().told()?;
        let stream: DynInputStream = Box::new(Reader::new(file.clone(), offset));
        self.push(stream)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynOutputStream>> {
        let file = self.writable(&fd)?;
        self.push(Box::new(Writer::at(file, offset)) as DynOutputStream)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let file = self.writable(&fd)?;
        self.push(Box::new(Writer::at_the_end(file)) as DynOutputStream)
    }

    async fn read(&mut self, fd: Fd, length: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        let file = self.get(&fd)?.file(Errno::Isdir).told()?;
        let bytes = file.read(length, offset)?;
        let is_end = bytes.is_empty() && length > 0;
        Ok((bytes, is_end))
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        let file = self.get(&fd)?.file(Errno::Badf).told()?;
        Ok(file.write(&bytes, offset)? as u64)
    }

    async fn advise(
        &mut self,
        fd: Fd,
        offset: u64,
        length: u64,
        told: types::Advice,
    ) -> FsResult<()> {
        self.get(&fd)?.advise(offset, length, advice(told)).told()
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.get(&fd)?.sync(false).told()
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.get(&fd)?.sync(true).told()
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        Ok(self.get(&fd)?.flags())
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        Ok(descriptor_type(self.get(&fd)?.file_type()))
    }

    async fn set_size(&mut self, fd: Fd, size: u64) -> FsResult<()> {
        self.get(&fd)?.set_size(size).told()
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        Ok(descriptor_stat(&self.get(&fd)?.stat().told()?))
    }

    async fn stat_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let stat = self.place(&fd)?.stat_path(path.as_bytes(), follows(flags));
        Ok(descriptor_stat(&stat.told()?))
    }

    async fn set_times(
        &mut self,
        fd: Fd,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let times = set_times(accessed, modified).told()?;
        self.get(&fd)?.set_times(times).told()
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let times = set_times(accessed, modified).told()?;
        let place = self.place(&fd)?;
        let set = place.set_times_path(path.as_bytes(), follows(flags), times);
        set.told()
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<types::DirectoryEntryStream>> {
        let listing = Listing::begin(self.place(&fd)?.clone()).told()?;
        Ok(self.add(listing)?)
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        how: OpenFlags,
        descriptor_flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        Ok(self.open(&fd, follows(flags), &path, how, descriptor_flags)?)
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let place = self.place(&fd)?;
        place.create_directory_path(path.as_bytes()).told()
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let place = self.place(&fd)?;
        place.remove_directory_path(path.as_bytes()).told()
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.place(&fd)?.remove_file_path(path.as_bytes()).told()
    }

    async fn rename_at(&mut self, fd: Fd, path: String, to: Fd, new: String) -> FsResult<()> {
        let (place, to) = (self.place(&fd)?, self.place(&to)?);
        place
            .rename_path(path.as_bytes(), to, new.as_bytes())
            .told()
    }

    async fn link_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        to: Fd,
        new: String,
    ) -> FsResult<()> {
        let (place, to) = (self.place(&fd)?, self.place(&to)?);
        let linked = place.link_path(path.as_bytes(), follows(flags), to, new.as_bytes());
        linked.told()
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        let place = self.place(&fd)?;
        place
            .symlink_path(target.as_bytes(), path.as_bytes())
            .told()
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        let target = self.place(&fd)?.read_link_path(path.as_bytes()).told()?;
        String::from_utf8(target).map_err(|_| Errno::Ilseq).told()
    }

    async fn is_same_object(&mut self, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        self.are_same(&one, &other)
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        Ok(hash(&self.get(&fd)?.stat().told()?))
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let stat = self.place(&fd)?.stat_path(path.as_bytes(), follows(flags));
        Ok(hash(&stat.told()?))
    }
}

impl types::HostDirectoryEntryStream for FilesViewMut<'_> {
    async fn read_directory_entry(
        &mut self,
        listing: Resource<types::DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let listing = self.table.get_mut(&inner(&listing));
        listing.map_err(Failure::from)?.next().told()
    }

    fn drop(&mut self, listing: Resource<types::DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.table.delete(inner(&listing))?;
        Ok(())
    }
}
