//! `fd_readdir` as Linux has it: a call reads as much of the directory as it has room for, from where its
//! cookie says, so that the largest takes no longer to interrupt than any other call.
//!
//! wasmtime-wasi reads all of it at each call, and cookies are places in what it found then.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom, Stat};
use rustix::io;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p1::types::{Dirent, Filestat, Filetype, Inode};
use wasmtime_wasi::p1::wasi_snapshot_preview1::fd_filestat_get;
use wiggle::{GuestMemory, GuestPtr, GuestType};

use crate::call::{Failure, SUCCESS, counted, running};
use crate::{Stop, Wasi, block_on_ready, most_open_files};

/// The directory that was listed last, by its descriptor.
pub(crate) struct Listed {
    number: i32,
    directory: OwnedFd,
    /// Its number, and for the guest that of its parent.
    inode: Inode,
}

impl Listed {
    /// Whether it was what the descriptor stands for.
    pub(crate) fn is(&self, number: i32) -> bool {
        self.number == number
    }
}

/// `None` says that the descriptor is of no directory.
pub(crate) fn fd_readdir(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    [fd, buffer, length, used]: [i32; 4],
    cookie: i64,
) -> Result<Option<i32>, Stop> {
    if !wasi.listed.as_ref().is_some_and(|listed| listed.is(fd)) {
        wasi.listed = find(wasi, fd)?;
    }
    let Some(listed) = &wasi.listed else {
        return Ok(None);
    };
    let mut room = Room {
        memory,
        at: buffer.cast_unsigned(),
        left: length.cast_unsigned(),
    };
    let control = &wasi.control;
    let listed = listed.list(cookie.cast_unsigned(), room.left, |entry, name| {
        running(control)?;
        room.put(entry, name)
    });
    let left = room.left;
    let filled = listed.map(|()| (length.cast_unsigned() - left) as usize);
    counted(memory, used, filled)
}

/// What is left of the guest's buffer.
struct Room<'a, 'b> {
    memory: &'a mut GuestMemory<'b>,
    at: u32,
    left: u32,
}

impl Room<'_, '_> {
    /// Puts as much of an entry there as there is room for. Whether there is room for more.
    fn put(&mut self, entry: Dirent, name: &[u8]) -> Result<bool, Failure> {
        let mut bytes = vec![0; Dirent::guest_size() as usize];
        GuestMemory::Unshared(&mut bytes).write(GuestPtr::new(0), entry)?;
        bytes.extend_from_slice(name);
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

impl Listed {
    /// Calls `each` with the entries from `cookie` on, until it wants no more, which is after about so many bytes.
    fn list(
        &self,
        cookie: u64,
        bytes: u32,
        mut each: impl FnMut(Dirent, &[u8]) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        // At least what the longest name takes.
        let most = (bytes as usize).clamp(512, buffer.len());
        rustix::fs::seek(&self.directory, SeekFrom::Start(cookie))?;
        let mut entries = RawDir::new(&self.directory, &mut buffer[..most]);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let (inode, filetype) = match name {
                b"." | b".." => (self.inode, FileType::Directory),
                _ => {
                    let flags = AtFlags::SYMLINK_NOFOLLOW;
                    match rustix::fs::statat(&self.directory, entry.file_name(), flags) {
                        Ok(stat) => (number(&stat), FileType::from_raw_mode(stat.st_mode)),
                        // It went meanwhile.
                        Err(_) => (entry.ino(), entry.file_type()),
                    }
                }
            };
            let entry = Dirent {
                d_next: entry.next_entry_cookie(),
                d_ino: inode,
                // No name is longer than a few hundred bytes.
                d_namlen: name.len() as u32,
                d_type: told(filetype),
            };
            if !each(entry, name)? {
                break;
            }
        }
        Ok(())
    }
}

fn told(filetype: FileType) -> Filetype {
    match filetype {
        FileType::RegularFile => Filetype::RegularFile,
        FileType::Directory => Filetype::Directory,
        FileType::Symlink => Filetype::SymbolicLink,
        FileType::CharacterDevice => Filetype::CharacterDevice,
        FileType::BlockDevice => Filetype::BlockDevice,
        _ => Filetype::Unknown,
    }
}

/// The number of a file, as wasmtime-wasi tells it.
fn number(stat: &Stat) -> Inode {
    let mut hasher = DefaultHasher::new();
    (stat.st_dev, stat.st_ino).hash(&mut hasher);
    hasher.finish()
}

/// The directory that a descriptor stands for. Which of wasmtime-wasi's it is, it does not tell, but what the number
/// of the directory is.
fn find(wasi: &mut Wasi, fd: i32) -> Result<Option<Listed>, Stop> {
    let mut stat = vec![0; Filestat::guest_size() as usize];
    let mut stat = GuestMemory::Unshared(&mut stat);
    let (context, control) = wasi.enter()?;
    let asked = fd_filestat_get(context, &mut stat, fd, 0);
    if block_on_ready(control, asked)?.map_err(Stop::trap)? != SUCCESS {
        return Ok(None);
    }
    let stat = stat
        .read(GuestPtr::<Filestat>::new(0))
        .map_err(Stop::trap)?;
    if stat.filetype != Filetype::Directory {
        return Ok(None);
    }
    let resources = context.ctx().table;
    // Besides files, there are the standard streams and what was shown.
    let most = 2 * most_open_files();
    let found = (0..most).find_map(|key| {
        let resource = resources.get_any_mut(key).ok()?;
        match resource.downcast_ref::<Descriptor>()? {
            Descriptor::Dir(directory) => opened(&directory.dir, stat.ino),
            Descriptor::File(_) => None,
        }
    });
    Ok(found.map(|directory| Listed {
        number: fd,
        directory,
        inode: stat.ino,
    }))
}

/// Opens a directory to read it, if it has this number.
fn opened(directory: &File, inode: Inode) -> Option<OwnedFd> {
    let is_it = |stat: io::Result<Stat>| stat.is_ok_and(|stat| number(&stat) == inode);
    if !is_it(rustix::fs::fstat(directory)) {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(directory, ".", flags, Mode::empty()).ok()
}
