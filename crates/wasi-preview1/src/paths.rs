//! What is done with what a path leads to, and directories that are listed.

#![expect(clippy::too_many_arguments, reason = "WASI has functions of so many")]

use std::ops::ControlFlow;

use wasmrun_fs::{Entry, Listing, OpenOptions, Opened, SyncWrites};
use wasmtime_wasi::p1::types::{self, Dirent, Errno, Fdflags, Lookupflags, Oflags, Rights};
use wiggle::{GuestMemory, GuestPtr, GuestType};

use crate::call::{Failure, Result, argument, buffer, count, path, pointer, running};
use crate::descriptors::{Descriptor, OpenDirectory, OpenFile, filetype};
use crate::files::{filestat, times, write_filestat};
use crate::{Abi, Wasi};

fn follows(flags: i32) -> Result<bool> {
    let flags: Lookupflags = argument(flags)?;
    Ok(flags.contains(Lookupflags::SYMLINK_FOLLOW))
}

pub(crate) fn path_open(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    flags: i32,
    name: i32,
    length: i32,
    oflags: i32,
    base: i64,
    _: i64,
    fdflags: i32,
    opened: i32,
) -> Result<()> {
    let follow = follows(flags)?;
    let (oflags, fdflags): (Oflags, Fdflags) = (argument(oflags)?, argument(fdflags)?);
    let rights = Rights::from_bits_truncate(base.cast_unsigned());
    let write = rights.contains(Rights::FD_WRITE);
    let options = OpenOptions {
        // What is opened for nothing can be read: C libraries know no other way.
        read: rights.contains(Rights::FD_READ) || !write,
        write,
        create: oflags.contains(Oflags::CREAT),
        exclusive: oflags.contains(Oflags::EXCL),
        truncate: oflags.contains(Oflags::TRUNC),
        sync: match fdflags {
            flags if flags.intersects(Fdflags::SYNC | Fdflags::RSYNC) => SyncWrites::All,
            flags if flags.contains(Fdflags::DSYNC) => SyncWrites::Data,
            _ => SyncWrites::No,
        },
    };
    wasi.descriptors.room()?;
    let place = wasi.descriptors.place(fd)?;
    let name = path(memory, name, length)?;
    let directory = oflags.contains(Oflags::DIRECTORY);
    let opened_path = place.open_path_until(&wasi.control, &name, follow, directory, options)?;
    let descriptor = match opened_path? {
        Opened::Directory(place) => Descriptor::Directory(OpenDirectory {
            place,
            listing: Listing::default(),
            given: None,
        }),
        Opened::File(file, access) => Descriptor::File(OpenFile {
            file_type: file.file_type(),
            file,
            access,
            read: options.read,
            write,
            position: 0,
            flags: fdflags,
        }),
    };
    let number = wasi.descriptors.add(descriptor);
    Ok(memory.write(pointer::<i32>(opened), number)?)
}

pub(crate) fn path_filestat_get(
    abi: Abi,
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    flags: i32,
    name: i32,
    length: i32,
    stat: i32,
) -> Result<()> {
    let follow = follows(flags)?;
    let place = wasi.descriptors.place(fd)?;
    let told = place.stat_path(&path(memory, name, length)?, follow)?;
    write_filestat(abi, memory, stat, filestat(&told))
}

pub(crate) fn path_filestat_set_times(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    flags: i32,
    name: i32,
    length: i32,
    accessed: i64,
    modified: i64,
    time_flags: i32,
) -> Result<()> {
    let follow = follows(flags)?;
    let times = times(accessed, modified, time_flags)?;
    let place = wasi.descriptors.place(fd)?;
    Ok(place.set_times_path(&path(memory, name, length)?, follow, times)?)
}

pub(crate) fn path_create_directory(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    name: i32,
    length: i32,
) -> Result<()> {
    let place = wasi.descriptors.place(fd)?;
    Ok(place.create_directory_path(&path(memory, name, length)?)?)
}

pub(crate) fn path_remove_directory(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    name: i32,
    length: i32,
) -> Result<()> {
    let place = wasi.descriptors.place(fd)?;
    Ok(place.remove_directory_path(&path(memory, name, length)?)?)
}

pub(crate) fn path_unlink_file(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    name: i32,
    length: i32,
) -> Result<()> {
    let place = wasi.descriptors.place(fd)?;
    Ok(place.remove_file_path(&path(memory, name, length)?)?)
}

pub(crate) fn path_link(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    flags: i32,
    name: i32,
    length: i32,
    new_fd: i32,
    new: i32,
    new_length: i32,
) -> Result<()> {
    let follow = follows(flags)?;
    let place = wasi.descriptors.place(fd)?.clone();
    let to = wasi.descriptors.place(new_fd)?;
    let (name, new) = (path(memory, name, length)?, path(memory, new, new_length)?);
    Ok(place.link_path(&name, follow, to, &new)?)
}

pub(crate) fn path_rename(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    name: i32,
    length: i32,
    new_fd: i32,
    new: i32,
    new_length: i32,
) -> Result<()> {
    let place = wasi.descriptors.place(fd)?.clone();
    let to = wasi.descriptors.place(new_fd)?;
    let (name, new) = (path(memory, name, length)?, path(memory, new, new_length)?);
    Ok(place.rename_path(&name, to, &new)?)
}

pub(crate) fn path_symlink(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    target: i32,
    target_length: i32,
    fd: i32,
    name: i32,
    length: i32,
) -> Result<()> {
    let place = wasi.descriptors.place(fd)?;
    let target = path(memory, target, target_length)?;
    Ok(place.symlink_path(&target, &path(memory, name, length)?)?)
}

pub(crate) fn path_readlink(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    name: i32,
    length: i32,
    to: i32,
    room: i32,
    used: i32,
) -> Result<()> {
    let place = wasi.descriptors.place(fd)?;
    if room == 0 {
        return Err(Errno::Inval.into());
    }
    let mut target = place.read_link_path(&path(memory, name, length)?)?;
    target.truncate(room.cast_unsigned() as usize);
    memory.copy_from_slice(&target, buffer(to, target.len() as i32))?;
    count(memory, used, target.len())
}

/// A call lists as much of the directory as it has room for, from where its cookie says, so that the largest takes no
/// longer to interrupt than any other call.
pub(crate) fn fd_readdir(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    to: i32,
    length: i32,
    cookie: i64,
    used: i32,
) -> Result<()> {
    let OpenDirectory { place, listing, .. } = match wasi.descriptors.get(fd)? {
        Descriptor::Directory(directory) => directory,
        Descriptor::File(_) => return Err(Errno::Notdir.into()),
        Descriptor::Stream(_) => return Err(Errno::Badf.into()),
    };
    let length = length.cast_unsigned();
    let mut room = Room {
        memory,
        at: to.cast_unsigned(),
        left: length,
    };
    let mut failed = None;
    let control = &wasi.control;
    listing.list(
        place,
        cookie.cast_unsigned(),
        length as usize,
        &mut |entry| {
            let put = running(control)
                .map_err(Failure::from)
                .and_then(|()| room.put(entry));
            match put {
                Ok(true) => ControlFlow::Continue(()),
                Ok(false) => ControlFlow::Break(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        },
    )?;
    let left = room.left;
    match failed {
        Some(error) => Err(error),
        None => count(memory, used, (length - left) as usize),
    }
}

/// What is left of the guest's buffer.
struct Room<'a, 'b> {
    memory: &'a mut GuestMemory<'b>,
    at: u32,
    left: u32,
}

impl Room<'_, '_> {
    /// Puts as much of an entry there as there is room for. Whether there is room for more.
    fn put(&mut self, entry: Entry<'_>) -> Result<bool> {
        let head = Dirent {
            d_next: entry.next,
            d_ino: entry.inode,
            d_namlen: entry.name.len() as types::Dirnamlen,
            d_type: filetype(entry.file_type),
        };
        let mut bytes = vec![0; Dirent::guest_size() as usize];
        GuestMemory::Unshared(&mut bytes).write(GuestPtr::new(0), head)?;
        bytes.extend_from_slice(entry.name);
        bytes.truncate(self.left as usize);
        let length = bytes.len() as u32;
        let to = GuestPtr::<[u8]>::new((self.at, length));
        self.memory.copy_from_slice(&bytes, to)?;
        // What ends with the memory ends the room.
        self.at = self.at.wrapping_add(length);
        self.left -= length;
        Ok(self.left > 0)
    }
}
