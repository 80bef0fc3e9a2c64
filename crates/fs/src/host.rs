//! Directories of the host.
//!
//! A directory is a descriptor, and every call is about a name in it, with nothing followed: whatever somebody else
//! does to the names meanwhile, no call leaves what the guest was given.

use std::any::Any;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::{
    self, AtFlags, CWD, FallocateFlags, Mode, OFlags, RawDir, ResolveFlags, SeekFrom, Timespec,
    Timestamps,
};
use rustix::io::{self, Errno as Linux, ReadWriteFlags};

use crate::{
    Advice, Directory, Entry, Errno, File, FileType, Name, OpenOptions, Result, SetTime, SetTimes,
    Stat, Step, SyncWrites,
};

/// What a directory is held by: enough to find names in it.
const HELD: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A directory of the host.
#[derive(Debug)]
pub struct HostDirectory {
    directory: OwnedFd,
    listed: OnceLock<Mutex<Listed>>,
}

/// A directory that is open to be listed. Each call says where it goes on.
#[derive(Debug)]
struct Listed {
    directory: OwnedFd,
    cookies: Cookies,
}

impl HostDirectory {
    /// The directory at a path of the host, whose symbolic links are followed.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being opened.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        Ok(HostDirectory::held(fs::openat(
            CWD,
            path,
            HELD,
            Mode::empty(),
        )?))
    }

    fn held(directory: OwnedFd) -> Self {
        HostDirectory {
            directory,
            listed: OnceLock::new(),
        }
    }

    fn listed(&self) -> Result<MutexGuard<'_, Listed>> {
        let listed = match self.listed.get() {
            Some(listed) => listed,
            None => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let directory = fs::openat(&self.directory, ".", flags, Mode::empty())?;
                let cookies = Cookies::default();
                self.listed
                    .get_or_init(|| Mutex::new(Listed { directory, cookies }))
            }
        };
        Ok(listed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn look(&self, name: Name<'_>) -> Result<fs::Stat> {
        Ok(fs::statat(
            &self.directory,
            name.bytes(),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }
}

/// Cookies as a guest has them. `telldir` of a guest has 31 bits for one, and some file systems fill 63: these get a
/// number, in the order they come.
#[derive(Debug, Default)]
struct Cookies(Vec<u64>);

impl Cookies {
    /// Up to here, cookies of the host are the guest's. From here on there are numbers, and then cookies again.
    const NUMBERS: u64 = 1 << 30;
    /// As many are numbered for a directory that is listed. What comes then only `readdir` can go on from.
    const MOST: usize = 8192;

    fn of_the_host(&self, cookie: u64) -> Result<u64> {
        match cookie.checked_sub(Cookies::NUMBERS) {
            Some(number @ 0..Cookies::NUMBERS) => {
                let cookie = self.0.get(number as usize);
                cookie.copied().ok_or(Errno::Inval)
            }
            _ => Ok(cookie),
        }
    }

    /// The guest's for a cookie that came behind `previous`, one of the guest's.
    fn of_the_guest(&mut self, previous: u64, cookie: u64) -> u64 {
        if cookie < Cookies::NUMBERS {
            return cookie;
        }
        // It is most likely the one that came there before.
        let next = match previous.checked_sub(Cookies::NUMBERS) {
            Some(number @ 0..Cookies::NUMBERS) => number as usize + 1,
            _ => 0,
        };
        if self.0.get(next) == Some(&cookie) {
            return Cookies::NUMBERS + next as u64;
        }
        if self.0.len() == Cookies::MOST {
            return cookie;
        }
        self.0.push(cookie);
        Cookies::NUMBERS + self.0.len() as u64 - 1
    }
}

fn of_the_host(directory: &dyn Directory) -> Result<&HostDirectory> {
    (directory as &dyn Any).downcast_ref().ok_or(Errno::Xdev)
}

impl Directory for HostDirectory {
    fn stat(&self) -> Result<Stat> {
        Ok(told(&fs::fstat(&self.directory)?))
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        Ok(fs::utimensat(
            &self.directory,
            ".",
            &timestamps(times),
            AtFlags::empty(),
        )?)
    }

    fn open(&self) -> Result<()> {
        self.listed().map(drop)
    }

    fn sync(&self) -> Result<()> {
        Ok(fs::fsync(&self.listed()?.directory)?)
    }

    fn list(
        &self,
        cookie: u64,
        room: usize,
        each: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut listed = self.listed()?;
        let Listed { directory, cookies } = &mut *listed;
        let itself = fs::fstat(&*directory)?.st_ino;
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        // At least what the longest name takes.
        let most = room.clamp(1024, buffer.len());
        fs::seek(&*directory, SeekFrom::Start(cookies.of_the_host(cookie)?))?;
        let mut entries = RawDir::new(&*directory, &mut buffer[..most]);
        let mut cookie = cookie;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let (inode, file_type) = match name {
                // The parent's number would tell of what the guest was not given.
                b"." | b".." => (itself, fs::FileType::Directory),
                _ => (entry.ino(), entry.file_type()),
            };
            let file_type = match file_type {
                // Some file systems do not keep it in the directory.
                fs::FileType::Unknown => {
                    fs::statat(&*directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
                        .map_or(FileType::Other, |stat| told(&stat).file_type)
                }
                file_type => kind(file_type),
            };
            cookie = cookies.of_the_guest(cookie, entry.next_entry_cookie());
            if each(Entry {
                name,
                inode,
                file_type,
                next: cookie,
            })
            .is_break()
            {
                break;
            }
        }
        Ok(())
    }

    fn enter(&self, name: Name<'_>) -> Result<Step> {
        match fs::openat(
            &self.directory,
            name.bytes(),
            HELD | OFlags::NOFOLLOW,
            Mode::empty(),
        ) {
            Ok(directory) => Ok(Step::Directory(Arc::new(HostDirectory::held(directory)))),
            Err(Linux::NOTDIR | Linux::LOOP) => match self.read_link(name) {
                Ok(target) => Ok(Step::Symlink(target)),
                Err(Errno::Inval) => Err(Errno::Notdir),
                Err(error) => Err(error),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn shortcut(&self, path: &[u8]) -> Option<Arc<dyn Directory>> {
        static REFUSED: AtomicBool = AtomicBool::new(false);
        if REFUSED.load(Relaxed) {
            return None;
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match fs::openat2(&self.directory, path, HELD, Mode::empty(), resolve) {
            Ok(directory) => Some(Arc::new(HostDirectory::held(directory))),
            Err(error) => {
                // An old kernel does not know the call, and a filter of calls may not either.
                if matches!(error, Linux::NOSYS | Linux::PERM) {
                    REFUSED.store(true, Relaxed);
                }
                None
            }
        }
    }

    fn stat_at(&self, name: Name<'_>) -> Result<Stat> {
        Ok(told(&self.look(name)?))
    }

    fn set_times_at(&self, name: Name<'_>, times: SetTimes) -> Result<()> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(fs::utimensat(
            &self.directory,
            name.bytes(),
            &timestamps(times),
            flags,
        )?)
    }

    fn open_at(&self, name: Name<'_>, options: OpenOptions) -> Result<Arc<dyn File>> {
        // To open a FIFO is seen by its other end.
        let is_empty = match self.look(name) {
            Ok(_) if options.create && options.exclusive => return Err(Errno::Exist),
            Ok(stat) => {
                openable(kind(fs::FileType::from_raw_mode(stat.st_mode)))?;
                stat.st_size == 0
            }
            Err(Errno::Noent) if options.create => false,
            Err(error) => return Err(error),
        };
        // What a FIFO or a device may wait for when it is opened is not waited for; regular files do not wait.
        let flags =
            flags(options) | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let mode = Mode::from_raw_mode(0o666);
        let file = fs::openat(&self.directory, name.bytes(), flags, mode)?;
        // It may be another by now.
        let file_type = kind(fs::FileType::from_raw_mode(fs::fstat(&file)?.st_mode));
        openable(file_type)?;
        if is_empty && (options.writes() || name.bytes() == b"mem") && is_of_proc(&file)? {
            return Err(Errno::Acces);
        }
        if file_type != FileType::Regular {
            fs::fcntl_setfl(&file, fs::fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
        }
        Ok(Arc::new(HostFile { file, file_type }))
    }

    fn read_link(&self, name: Name<'_>) -> Result<Vec<u8>> {
        Ok(fs::readlinkat(&self.directory, name.bytes(), Vec::new())?.into_bytes())
    }

    fn create_directory(&self, name: Name<'_>) -> Result<()> {
        Ok(fs::mkdirat(
            &self.directory,
            name.bytes(),
            Mode::from_raw_mode(0o777),
        )?)
    }

    fn symlink(&self, name: Name<'_>, target: &[u8]) -> Result<()> {
        Ok(fs::symlinkat(target, &self.directory, name.bytes())?)
    }

    fn link(&self, name: Name<'_>, to: &dyn Directory, new: Name<'_>) -> Result<()> {
        let to = &of_the_host(to)?.directory;
        Ok(fs::linkat(
            &self.directory,
            name.bytes(),
            to,
            new.bytes(),
            AtFlags::empty(),
        )?)
    }

    fn rename(&self, name: Name<'_>, to: &dyn Directory, new: Name<'_>) -> Result<()> {
        let to = &of_the_host(to)?.directory;
        Ok(fs::renameat(
            &self.directory,
            name.bytes(),
            to,
            new.bytes(),
        )?)
    }

    fn permit_as(&self, name: Name<'_>, like: &dyn Directory, other: Name<'_>) -> Result<()> {
        let other = of_the_host(like)?.look(other)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(&self.directory, name.bytes(), flags, Mode::empty())?;
        if fs::FileType::from_raw_mode(other.st_mode) != fs::FileType::RegularFile {
            return Ok(());
        }
        let permissions = Mode::RWXU | Mode::RWXG | Mode::RWXO;
        Ok(fs::fchmod(
            &file,
            Mode::from_raw_mode(other.st_mode) & permissions,
        )?)
    }

    fn remove_file(&self, name: Name<'_>) -> Result<()> {
        Ok(fs::unlinkat(
            &self.directory,
            name.bytes(),
            AtFlags::empty(),
        )?)
    }

    fn remove_directory(&self, name: Name<'_>) -> Result<()> {
        Ok(fs::unlinkat(
            &self.directory,
            name.bytes(),
            AtFlags::REMOVEDIR,
        )?)
    }
}

/// Whether it is of `/proc`, whose files are empty by their size. Some of them are the memory of this process, and others
/// change what the system does.
fn is_of_proc(file: &OwnedFd) -> Result<bool> {
    Ok(fs::fstatfs(file)?.f_type == fs::PROC_SUPER_MAGIC)
}

/// Whether a guest can open what is of this type, as a file.
fn openable(file_type: FileType) -> Result<()> {
    match file_type {
        FileType::Regular | FileType::CharacterDevice | FileType::BlockDevice => Ok(()),
        FileType::Directory => Err(Errno::Isdir),
        FileType::Symlink => Err(Errno::Loop),
        FileType::Other => Err(Errno::Nxio),
    }
}

fn flags(options: OpenOptions) -> OFlags {
    let mut flags = match (options.read, options.write) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    flags.set(OFlags::CREATE, options.create);
    flags.set(OFlags::EXCL, options.create && options.exclusive);
    flags.set(OFlags::TRUNC, options.truncate);
    match options.sync {
        SyncWrites::No => {}
        SyncWrites::Data => flags |= OFlags::DSYNC,
        SyncWrites::All => flags |= OFlags::SYNC,
    }
    flags
}

/// An open file of the host.
#[derive(Debug)]
struct HostFile {
    file: OwnedFd,
    file_type: FileType,
}

impl File for HostFile {
    fn file_type(&self) -> FileType {
        self.file_type
    }

    fn stat(&self) -> Result<Stat> {
        Ok(told(&fs::fstat(&self.file)?))
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        Ok(fs::futimens(&self.file, &timestamps(times))?)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        Ok(io::pread(&self.file, buffer, offset)?)
    }

    fn read_next(&self, buffer: &mut [u8]) -> Result<usize> {
        Ok(io::read(&self.file, buffer)?)
    }

    fn write_next(&self, bytes: &[u8]) -> Result<usize> {
        Ok(io::write(&self.file, bytes)?)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        Ok(io::pwrite(&self.file, bytes, offset)?)
    }

    fn append(&self, bytes: &[u8]) -> Result<usize> {
        let slices = [std::io::IoSlice::new(bytes)];
        match io::pwritev2(&self.file, &slices, u64::MAX, ReadWriteFlags::APPEND) {
            Err(Linux::NOSYS | Linux::NOTSUP) => {}
            written => return Ok(written?),
        }
        // The descriptor is nobody else's.
        let flags = fs::fcntl_getfl(&self.file)?;
        fs::fcntl_setfl(&self.file, flags | OFlags::APPEND)?;
        let written = io::write(&self.file, bytes);
        fs::fcntl_setfl(&self.file, flags)?;
        Ok(written?)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        Ok(fs::ftruncate(&self.file, size)?)
    }

    fn allocate(&self, offset: u64, length: u64) -> Result<()> {
        Ok(fs::fallocate(
            &self.file,
            FallocateFlags::empty(),
            offset,
            length,
        )?)
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        let advice = match advice {
            Advice::Normal => fs::Advice::Normal,
            Advice::Sequential => fs::Advice::Sequential,
            Advice::Random => fs::Advice::Random,
            Advice::WillNeed => fs::Advice::WillNeed,
            Advice::DontNeed => fs::Advice::DontNeed,
            Advice::NoReuse => fs::Advice::NoReuse,
        };
        Ok(fs::fadvise(
            &self.file,
            offset,
            length.try_into().ok(),
            advice,
        )?)
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        match data_only {
            true => fs::fdatasync(&self.file)?,
            false => fs::fsync(&self.file)?,
        }
        Ok(())
    }
}

fn kind(file_type: fs::FileType) -> FileType {
    match file_type {
        fs::FileType::RegularFile => FileType::Regular,
        fs::FileType::Directory => FileType::Directory,
        fs::FileType::Symlink => FileType::Symlink,
        fs::FileType::CharacterDevice => FileType::CharacterDevice,
        fs::FileType::BlockDevice => FileType::BlockDevice,
        _ => FileType::Other,
    }
}

fn told(stat: &fs::Stat) -> Stat {
    Stat {
        file_type: kind(fs::FileType::from_raw_mode(stat.st_mode)),
        device: stat.st_dev,
        inode: stat.st_ino,
        // Of 32 bits on some processors.
        #[allow(clippy::useless_conversion)]
        links: stat.st_nlink.into(),
        size: stat.st_size.cast_unsigned(),
        accessed: nanoseconds(stat.st_atime, stat.st_atime_nsec),
        modified: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
        changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
    }
}

fn nanoseconds(seconds: i64, nanoseconds: u64) -> u64 {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

fn timestamps(times: SetTimes) -> Timestamps {
    let timespec = |time| match time {
        SetTime::Keep => Timespec {
            tv_sec: 0,
            tv_nsec: fs::UTIME_OMIT,
        },
        SetTime::Now => Timespec {
            tv_sec: 0,
            tv_nsec: fs::UTIME_NOW,
        },
        SetTime::To(time) => Timespec {
            tv_sec: (time / 1_000_000_000).cast_signed(),
            tv_nsec: (time % 1_000_000_000).cast_signed(),
        },
    };
    Timestamps {
        last_access: timespec(times.accessed),
        last_modification: timespec(times.modified),
    }
}
