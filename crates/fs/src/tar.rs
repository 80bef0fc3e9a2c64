//! A tar archive as a file system, without unpacking it.
//!
//! It is read once, header by header, into an index that stays in memory for other runs of the process. The content of
//! files stays where it is in the archive.

mod cache;
mod contents;
mod directory;
mod error;
mod extensions;
mod gzip;
mod index;
mod members;
mod source;
#[cfg(feature = "webc")]
mod volume;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

pub use error::TarError;
use rustix::fs::OFlags;
use wasmrun_core::Control;

use crate::{Directory, device};
use contents::{Contents, Format};
use directory::TarDirectory;
use error::Problem;
#[cfg(feature = "webc")]
pub(crate) use volume::volume;

/// A tar archive, shown as it is, read-only.
///
/// What is seen is what unpacking it into an empty directory would leave: later members replace earlier ones of the
/// same name, directories that are not in the archive are made where one is needed, and a member whose directory is a
/// symbolic link is where the link leads, which has to be in the archive. Owners and permissions are not kept, and
/// neither are extended attributes. What is not in the archive has the time 0.
///
/// The formats are those of V7, POSIX (ustar and pax) and GNU, without sparse files. The archive may be compressed by
/// gzip, which its first bytes tell. It is then decompressed into a file without a name in the directory for temporary
/// files ([`std::env::temp_dir`]), as gzip can only be read from the beginning, and what is in it may be too large for
/// the memory.
///
/// The archive stays open as long as a clone of this, or a directory or file of it, is there. It must not be changed
/// meanwhile: its files then read as what is there now, or fail with [`Errno::Io`](crate::Errno::Io) where it is cut
/// off. All clones are the same file system.
///
/// What was read of an archive is used again when it is next opened, as long as the file has the size and the times that
/// it had, which are of at least three seconds before; threads that open one at the same time read it once. Where nothing
/// uses it, it is kept of the 32 archives that were used last, in 256 MiB of memory and, decompressed, 1 GiB of the disk.
#[derive(Clone)]
pub struct Tar(Arc<Archive>);

/// How much a [`Tar`] may have in it. Beyond it, it is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TarLimits {
    /// Bytes of the content of all members, those that later ones replace and extension headers included. Of a compressed
    /// archive, all of what it decompresses to counts, as that is what takes room on the disk. 16 GiB by default.
    pub bytes: u64,
    /// Members, and directories that are only made because a member is in them. 4 million by default, and never more
    /// than 2^32 - 1. Each takes about 130 bytes of memory, besides its name.
    pub entries: u64,
    /// Bytes of the names of these, and of the targets of symbolic links. 512 MiB by default.
    pub names: u64,
}

impl Default for TarLimits {
    fn default() -> Self {
        TarLimits {
            bytes: 16 << 30,
            entries: 4_000_000,
            names: 512 << 20,
        }
    }
}

/// What all directories and files of one archive share.
struct Archive {
    /// The tar archive itself, not compressed.
    file: Arc<File>,
    contents: Arc<Contents>,
    device: u64,
}

impl Tar {
    /// The archive at a path of the host, whose symbolic links are followed.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being read, and whatever in it is no tar archive, not supported, or beyond the limits. An
    /// archive that ends without its end marker is taken to be cut off.
    pub fn open(path: &Path, limits: TarLimits) -> Result<Tar, TarError> {
        Tar::open_until(&Control::new(), path, limits)
    }

    /// As [`open`](Tar::open), of a run that `control` ends: it is read no further then.
    ///
    /// # Errors
    ///
    /// Those of [`Tar::open`], and one that says that the run is to end.
    pub fn open_until(control: &Control, path: &Path, limits: TarLimits) -> Result<Tar, TarError> {
        let format = Format::Tar(limits);
        let tar = open(path)
            .map_err(Problem::from)
            .and_then(|file| Archive::read(file, format, control));
        tar.map(Tar)
            .map_err(|problem| problem.in_archive(path.display()))
    }

    /// The archive that a file is, from its beginning on, whatever its cursor is at.
    ///
    /// # Errors
    ///
    /// Those of [`Tar::open`].
    pub fn from_file(file: File, limits: TarLimits) -> Result<Tar, TarError> {
        let tar = Archive::read(file, Format::Tar(limits), &Control::new());
        tar.map(Tar)
            .map_err(|problem| problem.in_archive("tar archive"))
    }

    /// Its root.
    pub fn root(&self) -> Arc<dyn Directory> {
        Arc::new(TarDirectory::root(&self.0))
    }
}

impl Archive {
    fn read(file: File, format: Format, control: &Control) -> Result<Arc<Self>, Problem> {
        if !file.metadata()?.is_file() {
            return Err(Problem::new("expected a regular file"));
        }
        let contents = cache::contents(&file, format, control)?;
        Ok(Arc::new(Archive {
            file: match &contents.decompressed {
                Some(decompressed) => Arc::clone(decompressed),
                None => Arc::new(file),
            },
            contents,
            device: device::next(),
        }))
    }
}

/// Opens a file to be read. A FIFO is refused later, and not waited for.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags).open(path)
}

impl fmt::Debug for Tar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tar")
            .field("device", &self.0.device)
            .finish_non_exhaustive()
    }
}
