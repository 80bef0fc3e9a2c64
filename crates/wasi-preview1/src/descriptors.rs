//! What a guest's descriptors stand for, and what is known of each.

use std::sync::Arc;

use wasmrun_core::Access;
use wasmrun_fs::{File, FileType, Listing, OpenFiles, Place};
use wasmtime_wasi::p1::types::{self, Errno, Fdflags, Fdstat, Filetype, Rights};
use wiggle::GuestMemory;

use crate::Wasi;
use crate::call::{Result, argument, buffer, pointer};
use crate::streams::Stream;

/// What a guest has open, by number.
#[derive(Default)]
pub(crate) struct Descriptors {
    numbered: Vec<Option<Descriptor>>,
    opened: OpenFiles,
}

pub(crate) enum Descriptor {
    Stream(Stream),
    File(OpenFile),
    Directory(OpenDirectory),
}

pub(crate) struct OpenFile {
    pub(crate) file: Arc<dyn File>,
    pub(crate) file_type: FileType,
    /// What may be done with what is known of it.
    pub(crate) access: Access,
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) position: u64,
    pub(crate) flags: Fdflags,
}

pub(crate) struct OpenDirectory {
    pub(crate) place: Place,
    pub(crate) listing: Listing,
    /// The path it was given by, if the guest did not open it.
    pub(crate) given: Option<String>,
}

impl Descriptors {
    /// Those a guest begins with.
    pub(crate) fn new(given: impl Iterator<Item = Descriptor>) -> Self {
        Descriptors {
            numbered: given.map(Some).collect(),
            opened: OpenFiles::default(),
        }
    }

    pub(crate) fn get(&mut self, fd: i32) -> Result<&mut Descriptor> {
        let number = usize::try_from(fd.cast_unsigned()).ok();
        let descriptor = number.and_then(|number| self.numbered.get_mut(number)?.as_mut());
        descriptor.ok_or(Errno::Badf.into())
    }

    /// The directory that a path begins in.
    pub(crate) fn place(&mut self, fd: i32) -> Result<&Place> {
        match self.get(fd)? {
            Descriptor::Directory(directory) => Ok(&directory.place),
            Descriptor::File(_) => Err(Errno::Notdir.into()),
            Descriptor::Stream(_) => Err(Errno::Badf.into()),
        }
    }

    /// Fails if the guest can open no more.
    pub(crate) fn room(&self) -> Result<()> {
        Ok(self.opened.room()?)
    }

    /// Numbers what was opened: the lowest number that is free, as POSIX has it.
    pub(crate) fn add(&mut self, descriptor: Descriptor) -> i32 {
        self.opened.more(descriptor.holds());
        let free = self.numbered.iter().position(Option::is_none);
        let number = free.unwrap_or_else(|| {
            self.numbered.push(None);
            self.numbered.len() - 1
        });
        self.numbered[number] = Some(descriptor);
        // There are a few thousand at most.
        number as i32
    }

    fn remove(&mut self, fd: i32) -> Result<Descriptor> {
        let holds = self.get(fd)?.holds();
        self.opened.less(holds);
        let removed = self.numbered[fd.cast_unsigned() as usize].take();
        removed.ok_or(Errno::Badf.into())
    }
}

pub(crate) fn fd_close(wasi: &mut Wasi, _: &mut GuestMemory<'_>, fd: i32) -> Result<()> {
    wasi.descriptors.remove(fd).map(drop)
}

pub(crate) fn fd_renumber(
    wasi: &mut Wasi,
    _: &mut GuestMemory<'_>,
    fd: i32,
    to: i32,
) -> Result<()> {
    let descriptors = &mut wasi.descriptors;
    descriptors.get(fd)?;
    let holds = descriptors.get(to)?.holds();
    if fd != to {
        let numbered = &mut descriptors.numbered;
        numbered[to.cast_unsigned() as usize] = numbered[fd.cast_unsigned() as usize].take();
        descriptors.opened.less(holds);
    }
    Ok(())
}

/// What every directory that is given is said to allow: guests expect no less.
const GIVEN: Rights = Rights::PATH_CREATE_DIRECTORY
    .union(Rights::PATH_CREATE_FILE)
    .union(Rights::PATH_LINK_SOURCE)
    .union(Rights::PATH_LINK_TARGET)
    .union(Rights::PATH_OPEN)
    .union(Rights::FD_READDIR)
    .union(Rights::PATH_READLINK)
    .union(Rights::PATH_RENAME_SOURCE)
    .union(Rights::PATH_RENAME_TARGET)
    .union(Rights::PATH_SYMLINK)
    .union(Rights::PATH_REMOVE_DIRECTORY)
    .union(Rights::PATH_UNLINK_FILE)
    .union(Rights::PATH_FILESTAT_GET)
    .union(Rights::PATH_FILESTAT_SET_TIMES)
    .union(Rights::FD_FILESTAT_GET)
    .union(Rights::FD_FILESTAT_SET_TIMES);

/// What is opened there, in addition.
const INHERITED: Rights = GIVEN
    .union(Rights::FD_DATASYNC)
    .union(Rights::FD_READ)
    .union(Rights::FD_SEEK)
    .union(Rights::FD_FDSTAT_SET_FLAGS)
    .union(Rights::FD_SYNC)
    .union(Rights::FD_TELL)
    .union(Rights::FD_WRITE)
    .union(Rights::FD_ADVISE)
    .union(Rights::FD_ALLOCATE)
    .union(Rights::FD_FILESTAT_SET_SIZE)
    .union(Rights::POLL_FD_READWRITE);

/// What makes no sense for a directory, or would let it be written.
const NOT_OF_DIRECTORIES: Rights = Rights::FD_SEEK
    .union(Rights::FD_FILESTAT_SET_SIZE)
    .union(Rights::PATH_FILESTAT_SET_SIZE)
    .union(Rights::FD_WRITE);

impl Descriptor {
    /// How many descriptors of the host it may hold.
    fn holds(&self) -> u32 {
        match self {
            Descriptor::Stream(_) | Descriptor::File(_) => 1,
            // One to find names by, and one to list it.
            Descriptor::Directory(_) => 2,
        }
    }

    pub(crate) fn fdstat(&self) -> Fdstat {
        let (fs_filetype, fs_flags, base, inheriting) = match self {
            Descriptor::Stream(stream) => {
                let rights = stream.rights();
                (stream.filetype(), stream.flags(), rights, rights)
            }
            Descriptor::File(file) => {
                let rights = file.rights();
                (filetype(file.file_type), file.flags, rights, rights)
            }
            Descriptor::Directory(directory) => {
                // A C library opens with no right that is not said to be inherited.
                let (base, inheriting) = match &directory.given {
                    Some(_) => (GIVEN, INHERITED),
                    None => (Rights::all() - NOT_OF_DIRECTORIES, Rights::all()),
                };
                (Filetype::Directory, Fdflags::empty(), base, inheriting)
            }
        };
        Fdstat {
            fs_filetype,
            fs_flags,
            fs_rights_base: base,
            fs_rights_inheriting: inheriting,
        }
    }
}

impl OpenFile {
    fn rights(&self) -> Rights {
        let mut rights = Rights::all();
        if !self.read {
            rights -= Rights::FD_READ | Rights::FD_READDIR;
        }
        if !self.write {
            rights -= Rights::FD_WRITE;
        }
        rights
    }
}

pub(crate) fn filetype(file_type: FileType) -> Filetype {
    match file_type {
        FileType::Regular => Filetype::RegularFile,
        FileType::Directory => Filetype::Directory,
        FileType::Symlink => Filetype::SymbolicLink,
        FileType::CharacterDevice => Filetype::CharacterDevice,
        FileType::BlockDevice => Filetype::BlockDevice,
        FileType::Other => Filetype::Unknown,
    }
}

pub(crate) fn fd_fdstat_get(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    stat: i32,
) -> Result<()> {
    let told = wasi.descriptors.get(fd)?.fdstat();
    Ok(memory.write(pointer::<Fdstat>(stat), told)?)
}

pub(crate) fn fd_fdstat_set_flags(
    wasi: &mut Wasi,
    _: &mut GuestMemory<'_>,
    fd: i32,
    flags: i32,
) -> Result<()> {
    const CAN_CHANGE: Fdflags = Fdflags::APPEND.union(Fdflags::NONBLOCK);
    let descriptor = wasi.descriptors.get(fd)?;
    let flags: Fdflags = argument(flags)?;
    match descriptor {
        Descriptor::Stream(stream) => stream.set_flags(flags),
        // What it was opened with stays, as on Linux.
        Descriptor::File(file) => {
            file.flags = (flags & CAN_CHANGE) | (file.flags - CAN_CHANGE);
            Ok(())
        }
        Descriptor::Directory(_) if flags.is_empty() => Ok(()),
        Descriptor::Directory(_) => Err(Errno::Inval.into()),
    }
}

/// Rights are told and not kept, as no C library has a use for that.
pub(crate) fn fd_fdstat_set_rights(
    wasi: &mut Wasi,
    _: &mut GuestMemory<'_>,
    fd: i32,
    _: i64,
    _: i64,
) -> Result<()> {
    wasi.descriptors.get(fd)?;
    Err(Errno::Notsup.into())
}

pub(crate) fn fd_prestat_get(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    prestat: i32,
) -> Result<()> {
    match wasi.descriptors.get(fd)? {
        Descriptor::Directory(OpenDirectory {
            given: Some(path), ..
        }) => {
            let pr_name_len = path.len() as types::Size;
            let told = types::Prestat::Dir(types::PrestatDir { pr_name_len });
            Ok(memory.write(pointer(prestat), told)?)
        }
        _ => Err(Errno::Badf.into()),
    }
}

pub(crate) fn fd_prestat_dir_name(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    to: i32,
    room: i32,
) -> Result<()> {
    match wasi.descriptors.get(fd)? {
        Descriptor::Directory(OpenDirectory {
            given: Some(path), ..
        }) => {
            if path.len() > room.cast_unsigned() as usize {
                return Err(Errno::Nametoolong.into());
            }
            let to = buffer(to, path.len() as i32);
            Ok(memory.copy_from_slice(path.as_bytes(), to)?)
        }
        _ => Err(Errno::Notdir.into()),
    }
}
