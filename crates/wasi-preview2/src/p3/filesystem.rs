//! The functions of `wasi:filesystem`. All are done at once, on the guest's own thread.

use std::iter;

use wasmrun_fs::Errno;
use wasmtime::component::{Access, Accessor, FutureReader, StreamReader};
use wasmtime_wasi::p2::bindings::filesystem::types as p2;
use wasmtime_wasi::p3::bindings::filesystem::preopens;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::filesystem::{FilesystemError, FilesystemResult};

use super::HasSystem;
use super::stat::{advice, descriptor_stat, descriptor_type, set_times};
use super::streams::{Entries, Reader, Verdict, Writer};
use crate::errors::{self, Failure, Result};
use crate::handles::inner;
use crate::host::Fd;
use crate::listing::Listing;
use crate::stat::hash;
use crate::{FilesView as _, FilesViewMut, System};

type Told = FutureReader<Result<(), ErrorCode>>;

impl From<Failure> for FilesystemError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Errno(error) => code(error).into(),
            Failure::End(error) => FilesystemError::trap(error),
        }
    }
}

pub(super) fn code(error: Errno) -> ErrorCode {
    errors::told_as!(error as ErrorCode, ErrorCode::Io)
}

/// Does something with the files of a component.
fn with<T, R>(
    store: &Accessor<T, HasSystem>,
    work: impl FnOnce(&mut FilesViewMut<'_>) -> Result<R>,
) -> FilesystemResult<R> {
    store.with(|mut access| Ok(work(&mut access.get().files())?))
}

/// Has what the component writes to `data` written to a file, from `position` on or at its end.
fn write<T>(
    mut store: Access<'_, T, HasSystem>,
    fd: &Fd,
    mut data: StreamReader<u8>,
    position: Option<u64>,
) -> wasmtime::Result<Told> {
    let (mut verdict, told) = Verdict::new();
    let files = store.get().files();
    let opened = files.writable(fd).and_then(|file| {
        let served = files.files.served.another()?;
        Ok((file, served))
    });
    match opened {
        Ok((file, served)) => data.pipe(
            &mut store,
            Writer {
                file,
                position,
                verdict,
                _served: served,
            },
        )?,
        Err(Failure::Errno(error)) => {
            verdict.failed(code(error));
            data.close(&mut store)?;
        }
        Err(Failure::End(error)) => return Err(error),
    }
    FutureReader::new(&mut store, told)
}

impl<T: 'static> types::HostDescriptorWithStore<T> for HasSystem {
    fn read_via_stream(
        mut store: Access<'_, T, Self>,
        fd: Fd,
        offset: u64,
    ) -> wasmtime::Result<(StreamReader<u8>, Told)> {
        let (mut verdict, told) = Verdict::new();
        let files = store.get().files();
        let opened = files.get(&fd).and_then(|descriptor| {
            let file = descriptor.file(Errno::Isdir)?;
            file.readable()?;
            Ok((file.clone(), files.files.served.another()?))
        });
        let stream = match opened {
            Ok((file, served)) => StreamReader::new(
                &mut store,
                Reader {
                    file,
                    position: offset,
                    verdict,
                    _served: served,
                },
            )?,
            Err(Failure::Errno(error)) => {
                verdict.failed(code(error));
                StreamReader::new(&mut store, iter::empty())?
            }
            Err(Failure::End(error)) => return Err(error),
        };
        Ok((stream, FutureReader::new(&mut store, told)?))
    }

    fn write_via_stream(
        store: Access<'_, T, Self>,
        fd: Fd,
        data: StreamReader<u8>,
        offset: u64,
    ) -> wasmtime::Result<Told> {
        write(store, &fd, data, Some(offset))
    }

    fn append_via_stream(
        store: Access<'_, T, Self>,
        fd: Fd,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<Told> {
        write(store, &fd, data, None)
    }

    fn read_directory(
        mut store: Access<'_, T, Self>,
        fd: Fd,
    ) -> wasmtime::Result<(StreamReader<DirectoryEntry>, Told)> {
        let (mut verdict, told) = Verdict::new();
        let files = store.get().files();
        let begun = files.place(&fd).and_then(|place| {
            let served = files.files.served.another()?;
            Ok((Listing::begin(place.clone())?, served))
        });
        let stream = match begun {
            Ok((listing, served)) => StreamReader::new(
                &mut store,
                Entries {
                    listing,
                    verdict,
                    _served: served,
                },
            )?,
            Err(Failure::Errno(error)) => {
                verdict.failed(code(error));
                StreamReader::new(&mut store, iter::empty())?
            }
            Err(Failure::End(error)) => return Err(error),
        };
        Ok((stream, FutureReader::new(&mut store, told)?))
    }

    async fn advise(
        store: &Accessor<T, Self>,
        fd: Fd,
        offset: u64,
        length: u64,
        told: types::Advice,
    ) -> FilesystemResult<()> {
        with(store, |files| {
            Ok(files.get(&fd)?.advise(offset, length, advice(told))?)
        })
    }

    async fn sync(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<()> {
        with(store, |files| Ok(files.get(&fd)?.sync(false)?))
    }

    async fn sync_data(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<()> {
        with(store, |files| Ok(files.get(&fd)?.sync(true)?))
    }

    async fn get_flags(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<DescriptorFlags> {
        with(store, |files| Ok(told_flags(files.get(&fd)?.flags())))
    }

    async fn get_type(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<DescriptorType> {
        with(store, |files| {
            Ok(descriptor_type(files.get(&fd)?.file_type()))
        })
    }

    async fn set_size(store: &Accessor<T, Self>, fd: Fd, size: u64) -> FilesystemResult<()> {
        with(store, |files| Ok(files.get(&fd)?.set_size(size)?))
    }

    async fn stat(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<DescriptorStat> {
        with(store, |files| Ok(descriptor_stat(&files.get(&fd)?.stat()?)))
    }

    async fn stat_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<DescriptorStat> {
        with(store, |files| {
            let stat = files
                .place(&fd)?
                .stat_path(path.as_bytes(), follows(flags))?;
            Ok(descriptor_stat(&stat))
        })
    }

    async fn set_times(
        store: &Accessor<T, Self>,
        fd: Fd,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        with(store, |files| {
            let times = set_times(accessed, modified)?;
            Ok(files.get(&fd)?.set_times(times)?)
        })
    }

    async fn set_times_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        with(store, |files| {
            let times = set_times(accessed, modified)?;
            let place = files.place(&fd)?;
            Ok(place.set_times_path(path.as_bytes(), follows(flags), times)?)
        })
    }

    async fn open_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
        how: OpenFlags,
        descriptor_flags: DescriptorFlags,
    ) -> FilesystemResult<Fd> {
        with(store, |files| {
            let flags = (follows(flags), asked_flags(descriptor_flags));
            files.open(&fd, flags.0, &path, open_flags(how), flags.1)
        })
    }

    async fn create_directory_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        path: String,
    ) -> FilesystemResult<()> {
        with(store, |files| {
            let place = files.place(&fd)?;
            Ok(place.create_directory_path(path.as_bytes())?)
        })
    }

    async fn remove_directory_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        path: String,
    ) -> FilesystemResult<()> {
        with(store, |files| {
            let place = files.place(&fd)?;
            Ok(place.remove_directory_path(path.as_bytes())?)
        })
    }

    async fn unlink_file_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        path: String,
    ) -> FilesystemResult<()> {
        with(store, |files| {
            Ok(files.place(&fd)?.remove_file_path(path.as_bytes())?)
        })
    }

    async fn rename_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        path: String,
        to: Fd,
        new: String,
    ) -> FilesystemResult<()> {
        with(store, |files| {
            let (place, to) = (files.place(&fd)?, files.place(&to)?);
            Ok(place.rename_path(path.as_bytes(), to, new.as_bytes())?)
        })
    }

    async fn link_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
        to: Fd,
        new: String,
    ) -> FilesystemResult<()> {
        with(store, |files| {
            let (place, to) = (files.place(&fd)?, files.place(&to)?);
            Ok(place.link_path(path.as_bytes(), follows(flags), to, new.as_bytes())?)
        })
    }

    async fn symlink_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        target: String,
        path: String,
    ) -> FilesystemResult<()> {
        with(store, |files| {
            let place = files.place(&fd)?;
            Ok(place.symlink_path(target.as_bytes(), path.as_bytes())?)
        })
    }

    async fn readlink_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        path: String,
    ) -> FilesystemResult<String> {
        with(store, |files| {
            let target = files.place(&fd)?.read_link_path(path.as_bytes())?;
            Ok(String::from_utf8(target).map_err(|_| Errno::Ilseq)?)
        })
    }

    async fn is_same_object(
        store: &Accessor<T, Self>,
        one: Fd,
        other: Fd,
    ) -> wasmtime::Result<bool> {
        store.with(|mut access| access.get().files().are_same(&one, &other))
    }

    async fn metadata_hash(
        store: &Accessor<T, Self>,
        fd: Fd,
    ) -> FilesystemResult<MetadataHashValue> {
        with(store, |files| {
            Ok(metadata_hash(hash(&files.get(&fd)?.stat()?)))
        })
    }

    async fn metadata_hash_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<MetadataHashValue> {
        with(store, |files| {
            let stat = files
                .place(&fd)?
                .stat_path(path.as_bytes(), follows(flags))?;
            Ok(metadata_hash(hash(&stat)))
        })
    }
}

impl types::Host for &mut System {
    fn convert_error_code(&mut self, error: FilesystemError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

impl types::HostDescriptor for &mut System {
    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.resources.delete(inner(&fd))?;
        Ok(())
    }
}

impl preopens::Host for &mut System {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        self.files().directories()
    }
}

fn follows(flags: PathFlags) -> bool {
    flags.contains(PathFlags::SYMLINK_FOLLOW)
}

/// Flags of one version as those of the other, which have the same names.
macro_rules! flags {
    ($from:expr, $theirs:ty as $ours:ty: $($flag:ident)*) => {{
        let mut flags = <$ours>::empty();
        $(if $from.contains(<$theirs>::$flag) {
            flags |= <$ours>::$flag;
        })*
        flags
    }};
}

fn open_flags(how: OpenFlags) -> p2::OpenFlags {
    flags!(how, OpenFlags as p2::OpenFlags: CREATE DIRECTORY EXCLUSIVE TRUNCATE)
}

fn asked_flags(flags: DescriptorFlags) -> p2::DescriptorFlags {
    flags!(flags, DescriptorFlags as p2::DescriptorFlags:
        READ WRITE FILE_INTEGRITY_SYNC DATA_INTEGRITY_SYNC REQUESTED_WRITE_SYNC MUTATE_DIRECTORY)
}

fn told_flags(flags: p2::DescriptorFlags) -> DescriptorFlags {
    flags!(flags, p2::DescriptorFlags as DescriptorFlags:
        READ WRITE FILE_INTEGRITY_SYNC DATA_INTEGRITY_SYNC REQUESTED_WRITE_SYNC MUTATE_DIRECTORY)
}

fn metadata_hash(hash: p2::MetadataHashValue) -> MetadataHashValue {
    MetadataHashValue {
        lower: hash.lower,
        upper: hash.upper,
    }
}
