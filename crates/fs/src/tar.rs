//! A tar archive as a file system, without unpacking it.
//!
//! It is read once when it is opened, header by header, into an index that is kept in memory. The content of files
//! stays where it is in the archive.

mod directory;
mod error;
mod extensions;
mod gzip;
mod index;
mod members;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

pub use error::TarError;
use rustix::fs::OFlags;

use crate::{Directory, device};
use directory::TarDirectory;
use error::Problem;
use index::{Builder, Index};
use members::Members;

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
#[derive(Clone)]
pub struct Tar(Arc<Archive>);

/// How much a [`Tar`] may have in it. Beyond it, it is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TarLimits {
    /// Bytes of the content of all members, those that later ones replace included. Of a compressed archive, all of what
    /// it decompresses to counts, as that is what takes room on the disk. 16 GiB by default.
    pub bytes: u64,
    /// Members, and directories that are only made because a member is in them. 4 million by default, and never more
    /// than 2^32 - 1.
    ///
    /// This is what bounds the memory for the index: about 130 bytes for each, and its name, which has at most 255, and
    /// for a symbolic link also its target, which has at most 4095.
    pub entries: u64,
}

impl Default for TarLimits {
    fn default() -> Self {
        TarLimits {
            bytes: 16 << 30,
            entries: 4_000_000,
        }
    }
}

/// What all directories and files of one archive share.
struct Archive {
    /// The tar archive itself, not compressed.
    file: File,
    index: Index,
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
        // A FIFO is refused, and not waited for.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let tar = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)
            .map_err(Problem::from)
            .and_then(|file| Tar::read(file, limits));
        tar.map_err(|problem| problem.in_archive(path.display()))
    }

    /// The archive that a file is, from its beginning on, whatever its cursor is at.
    ///
    /// # Errors
    ///
    /// Those of [`Tar::open`].
    pub fn from_file(file: File, limits: TarLimits) -> Result<Tar, TarError> {
        Tar::read(file, limits).map_err(|problem| problem.in_archive("tar archive"))
    }

    /// Its root.
    pub fn root(&self) -> Arc<dyn Directory> {
        Arc::new(TarDirectory::root(&self.0))
    }

    fn read(file: File, limits: TarLimits) -> Result<Tar, Problem> {
        if !file.metadata()?.is_file() {
            return Err(Problem::new("expected a regular file"));
        }
        let file = match is_gzip(&file)? {
            true => gzip::decompressed(&file, limits.bytes)?,
            false => file,
        };
        let index = read_index(&file, limits)?;
        let device = device::next();
        Ok(Tar(Arc::new(Archive {
            file,
            index,
            device,
        })))
    }
}

impl fmt::Debug for Tar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tar")
            .field("device", &self.0.device)
            .finish_non_exhaustive()
    }
}

fn is_gzip(file: &File) -> std::io::Result<bool> {
    let mut magic = [0; 2];
    match file.read_exact_at(&mut magic, 0) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| magic == gzip::MAGIC),
    }
}

fn read_index(file: &File, limits: TarLimits) -> Result<Index, Problem> {
    let mut members = Members::of(file)?;
    let mut builder = Builder::new(limits);
    while let Some(member) = members.next()? {
        let added = builder.add(&member);
        added.map_err(|problem| problem.of_member(&member.name))?;
    }
    Ok(builder.finish())
}
