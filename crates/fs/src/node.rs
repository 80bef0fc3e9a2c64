//! What a file system is made of: directories and files, and what can be done with them.
//!
//! A file system is its root, a [`Directory`]. All it is asked is about one name in one directory, as Linux asks
//! it: paths, symbolic links that are followed, read-only mounts and what else holds for all of them is above it,
//! in [`World`](crate::World). So a name is never `.` or `..`, and nothing is followed here.

use std::any::Any;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Errno;

/// What an operation on files gives.
pub type Result<T> = std::result::Result<T, Errno>;

/// The longest name of a file, in bytes: `NAME_MAX`.
pub const NAME_MAX: usize = 255;

/// A name in a directory: 1 to [`NAME_MAX`] bytes, without `/` and NUL, and neither `.` nor `..`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// A name of these bytes.
    ///
    /// # Errors
    ///
    /// [`Errno::Nametoolong`], and [`Errno::Inval`] for what else is no name.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        match bytes {
            b"" | b"." | b".." => Err(Errno::Inval),
            _ if bytes.iter().any(|byte| matches!(byte, b'/' | 0)) => Err(Errno::Inval),
            _ if bytes.len() > NAME_MAX => Err(Errno::Nametoolong),
            _ => Ok(Name(bytes)),
        }
    }

    /// Its bytes, which need not be UTF-8.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.0).fmt(f)
    }
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FileType {
    /// A file with bytes in it.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A terminal, or another device that is read and written byte by byte.
    CharacterDevice,
    /// A disk.
    BlockDevice,
    /// A FIFO or socket, which no guest can open.
    Other,
}

/// What is known of a file. Times are nanoseconds since 1970, and 0 for any before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub file_type: FileType,
    /// The number of the file system it is in.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// How many names it has.
    pub links: u64,
    /// Its size in bytes; that of a symbolic link is the length of its target.
    pub size: u64,
    /// When it was read last.
    pub accessed: u64,
    /// When its content was changed last.
    pub modified: u64,
    /// When anything of it was changed last, names included.
    pub changed: u64,
}

/// What becomes of a time of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// It stays.
    Keep,
    /// It becomes the present.
    Now,
    /// It becomes so many nanoseconds since 1970.
    To(u64),
}

/// The times of a file that are set together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetTimes {
    /// When it was read last.
    pub accessed: SetTime,
    /// When its content was changed last.
    pub modified: SetTime,
}

impl SetTimes {
    /// None is set.
    pub const KEEP: SetTimes = SetTimes {
        accessed: SetTime::Keep,
        modified: SetTime::Keep,
    };

    /// Both become those of another file.
    pub(crate) fn of(stat: &Stat) -> Self {
        SetTimes {
            accessed: SetTime::To(stat.accessed),
            modified: SetTime::To(stat.modified),
        }
    }
}

/// How far a write has to be on the disk when it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncWrites {
    /// Not at all.
    #[default]
    No,
    /// What was written: `O_DSYNC`.
    Data,
    /// That, and all that is known of the file: `O_SYNC`.
    All,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// To be read.
    pub read: bool,
    /// To be written.
    pub write: bool,
    /// It is made if it is not there.
    pub create: bool,
    /// With `create`: it must not be there.
    pub exclusive: bool,
    /// It loses its content.
    pub truncate: bool,
    /// What a write waits for.
    pub sync: SyncWrites,
}

impl OpenOptions {
    /// To be read, and nothing else.
    pub(crate) const READ: Self = OpenOptions {
        read: true,
        write: false,
        create: false,
        exclusive: false,
        truncate: false,
        sync: SyncWrites::No,
    };

    /// A file that has to be new, to be read and written.
    pub(crate) const NEW: Self = OpenOptions {
        write: true,
        create: true,
        exclusive: true,
        ..OpenOptions::READ
    };

    /// Whether to open an existing file so changes it, or lets the caller do so.
    pub fn writes(&self) -> bool {
        self.write || self.truncate
    }
}

/// How a file is going to be read: `posix_fadvise`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of POSIX")]
pub enum Advice {
    Normal,
    Sequential,
    Random,
    WillNeed,
    DontNeed,
    NoReuse,
}

/// An entry of a directory that is listed.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its name; `.` and `..` are among them.
    pub name: &'a [u8],
    /// Its number.
    pub inode: u64,
    /// What it is.
    pub file_type: FileType,
    /// Where the list goes on behind it. What was listed before stays listed, and nothing is listed twice, whatever
    /// is made or removed meanwhile.
    pub next: u64,
}

/// What is at a name that a path leads through.
pub enum Step {
    /// A directory, which the path goes on in.
    Directory(Arc<dyn Directory>),
    /// A symbolic link, and its target.
    Symlink(Vec<u8>),
}

/// A directory of a file system, whatever its names are and however it was reached. It stays usable when it is renamed
/// or removed.
pub trait Directory: Any + Send + Sync {
    /// What is known of it.
    fn stat(&self) -> Result<Stat>;

    /// Sets its times.
    fn set_times(&self, times: SetTimes) -> Result<()>;

    /// The guest opens it, to list it perhaps: whether it may.
    fn open(&self) -> Result<()>;

    /// Writes to the disk what is not there yet: `fsync`.
    fn sync(&self) -> Result<()>;

    /// Lists it from a [cookie](Entry::next) on, 0 for all, until `each` breaks. `room` is about how many bytes of
    /// names and entries the caller takes.
    fn list(
        &self,
        cookie: u64,
        room: usize,
        each: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<()>;

    /// What is at `name` for a path that goes on behind it: [`Errno::Notdir`] if no path does.
    fn enter(&self, name: Name<'_>) -> Result<Step>;

    /// The directory that `path` leads to from here, if that can be told faster than name by name. It has no `..`, and must
    /// not lead out by symbolic links. `None` where it cannot be told, and for all errors.
    fn shortcut(&self, path: &[u8]) -> Option<Arc<dyn Directory>> {
        let _ = path;
        None
    }

    /// What is known of what is at `name`.
    fn stat_at(&self, name: Name<'_>) -> Result<Stat>;

    /// Sets the times of what is at `name`.
    fn set_times_at(&self, name: Name<'_>, times: SetTimes) -> Result<()>;

    /// Opens the file at `name`: [`Errno::Isdir`] for a directory, [`Errno::Loop`] for a symbolic link,
    /// [`Errno::Nxio`] for what cannot be opened.
    fn open_at(&self, name: Name<'_>, options: OpenOptions) -> Result<Arc<dyn File>>;

    /// The target of the symbolic link at `name`: [`Errno::Inval`] if it is none.
    fn read_link(&self, name: Name<'_>) -> Result<Vec<u8>>;

    /// Makes a directory.
    fn create_directory(&self, name: Name<'_>) -> Result<()>;

    /// Makes a symbolic link.
    fn symlink(&self, name: Name<'_>, target: &[u8]) -> Result<()>;

    /// Makes `new` in `to` another name of what is at `name`: [`Errno::Xdev`] if `to` is of another file system,
    /// [`Errno::Perm`] for a directory.
    fn link(&self, name: Name<'_>, to: &dyn Directory, new: Name<'_>) -> Result<()>;

    /// Moves what is at `name` to `new` in `to`, in place of what is there: [`Errno::Xdev`] if `to` is of another file
    /// system.
    fn rename(&self, name: Name<'_>, to: &dyn Directory, new: Name<'_>) -> Result<()>;

    /// Gives the file at `name` the permissions of the one at `other` in `like`, if that is of the same file system and files
    /// have permissions there.
    fn permit_as(&self, name: Name<'_>, like: &dyn Directory, other: Name<'_>) -> Result<()> {
        let _ = (name, like, other);
        Ok(())
    }

    /// Removes what is at `name`: [`Errno::Isdir`] for a directory.
    fn remove_file(&self, name: Name<'_>) -> Result<()>;

    /// Removes the directory at `name`: [`Errno::Notempty`] if there is something in it.
    fn remove_directory(&self, name: Name<'_>) -> Result<()>;
}

/// Fails if so many bytes from an offset on are more than `off_t` can say: no file has them.
///
/// # Errors
///
/// [`Errno::Inval`], as Linux has it.
pub fn within_files(offset: u64, length: usize) -> Result<()> {
    match offset.checked_add(length as u64) {
        Some(end) if i64::try_from(end).is_ok() => Ok(()),
        _ => Err(Errno::Inval),
    }
}

/// An open file.
///
/// It does not know what it was opened for: whether it may be read or written is above it.
pub trait File: Send + Sync {
    /// What it is, which never changes: a regular file, unless it says otherwise.
    fn file_type(&self) -> FileType {
        FileType::Regular
    }

    /// What is known of it.
    fn stat(&self) -> Result<Stat>;

    /// Sets its times.
    fn set_times(&self, times: SetTimes) -> Result<()>;

    /// Reads from an offset: how many bytes, 0 at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// Reads what comes next, of what has no offsets, such as a terminal: there, [`read_at`](File::read_at) is
    /// [`Errno::Spipe`].
    fn read_next(&self, buffer: &mut [u8]) -> Result<usize> {
        let _ = buffer;
        Err(Errno::Spipe)
    }

    /// Writes what comes next, likewise.
    fn write_next(&self, bytes: &[u8]) -> Result<usize> {
        let _ = bytes;
        Err(Errno::Spipe)
    }

    /// Writes at an offset, behind the end as well: how many bytes, at least one.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize>;

    /// Writes at the end, whoever else does: how many bytes.
    fn append(&self, bytes: &[u8]) -> Result<usize>;

    /// Cuts it off, or adds zeros.
    fn set_size(&self, size: u64) -> Result<()>;

    /// Takes room for `length` bytes from `offset` on, so that writing them does not fail for want of it:
    /// `posix_fallocate`.
    fn allocate(&self, offset: u64, length: u64) -> Result<()>;

    /// Tells how it is going to be read.
    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()>;

    /// Writes to the disk what is not there yet: `fsync`, or `fdatasync`.
    fn sync(&self, data_only: bool) -> Result<()>;
}
