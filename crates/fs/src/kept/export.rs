//! Changes as a tar archive, as the layers of an image are.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::sync::Arc;

use tar::{Builder, EntryType, Header};
use wasmrun_core as core;
use wasmrun_core::{Error, ErrorKind};

use super::{failed, shown};
use crate::changes::{Change, ChangeKind};
use crate::overlay::join;
use crate::tree::{At, below, directory, names, split};
use crate::{Directory, File, FileType};

pub(super) fn archive(
    before: &dyn Directory,
    after: &dyn Directory,
    changes: &[Change],
    to: &mut dyn Write,
) -> core::Result<()> {
    let mut builder = Builder::new(to);
    // What is gone goes first, so that what takes its place stays.
    for change in changes {
        let gone = match &change.kind {
            ChangeKind::Removed => &change.path,
            ChangeKind::Renamed { from } => from,
            // It is not to be merged with the one that was there.
            ChangeKind::Created if is_directory(before, change) => &change.path,
            _ => continue,
        };
        whiteout(&mut builder, gone).map_err(unwritten(gone))?;
    }
    let mut paths = BTreeSet::new();
    for change in changes {
        let path = &change.path;
        match &change.kind {
            ChangeKind::Removed => {}
            // What is in it is nowhere else.
            ChangeKind::Renamed { .. } if change.file_type == FileType::Directory => {
                let below = below(after, path).map_err(failed(shown(path)))?;
                paths.extend(below.into_iter().map(|(path, _)| path));
            }
            _ => drop(paths.insert(path.clone())),
        }
    }
    for path in paths {
        let at = At::find(after, &path).map_err(failed(shown(&path)))?;
        entry(&mut builder, &at, &path).map_err(unwritten(&path))?;
    }
    builder.finish().map_err(unwritten(b"the archive's end"))
}

/// Writes all that is in a directory as a tar archive.
///
/// # Errors
///
/// [`Io`](ErrorKind::Io) for what cannot be read or written.
pub fn export(root: &dyn Directory, to: &mut dyn Write) -> core::Result<()> {
    let mut builder = Builder::new(to);
    let mut pending = names(root).map_err(failed("what is to be exported"))?;
    pending.reverse();
    while let Some((path, _)) = pending.pop() {
        let at = At::find(root, &path).map_err(failed(shown(&path)))?;
        entry(&mut builder, &at, &path).map_err(unwritten(&path))?;
        if let Ok(Some(directory)) = directory(root, &path) {
            let below = names(&*directory).map_err(failed(shown(&path)))?;
            let below = below.into_iter().rev();
            pending.extend(below.map(|(name, file_type)| (join(&path, &name), file_type)));
        }
    }
    builder.finish().map_err(unwritten(b"the archive's end"))
}

fn is_directory(before: &dyn Directory, change: &Change) -> bool {
    let there = At::find(before, &change.path).and_then(|at| at.stat());
    change.file_type == FileType::Directory
        && there.is_ok_and(|there| there.file_type == FileType::Directory)
}

fn unwritten(path: &[u8]) -> impl FnOnce(io::Error) -> Error {
    move |source| {
        let message = format!("cannot export {}", shown(path));
        Error::new(ErrorKind::Io, message).with_source(source)
    }
}

fn whiteout(builder: &mut Builder<&mut dyn Write>, path: &[u8]) -> io::Result<()> {
    let (directory, name) = split(path);
    let path = join(directory, &[b".wh.", name].concat());
    let mut header = header(EntryType::Regular, 0, 0);
    builder.append_data(&mut header, name_of(&path)?, io::empty())
}

fn entry(builder: &mut Builder<&mut dyn Write>, at: &At<'_>, path: &[u8]) -> io::Result<()> {
    let stat = at.stat().map_err(io::Error::other)?;
    let seconds = stat.modified / 1_000_000_000;
    match stat.file_type {
        FileType::Directory => {
            let mut header = header(EntryType::Directory, 0, seconds);
            builder.append_data(&mut header, name_of(path)?, io::empty())
        }
        FileType::Symlink => {
            let target = at.read_link().map_err(io::Error::other)?;
            let mut header = header(EntryType::Symlink, 0, seconds);
            builder.append_link(&mut header, name_of(path)?, name_of(&target)?)
        }
        FileType::Regular => {
            let file = at.open().map_err(io::Error::other)?;
            let mut header = header(EntryType::Regular, stat.size, seconds);
            let content = Content { file, offset: 0 };
            builder.append_data(&mut header, name_of(path)?, content.take(stat.size))
        }
        // A device is no guest's.
        _ => Ok(()),
    }
}

fn header(kind: EntryType, size: u64, modified: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory {
        0o755
    } else {
        0o644
    });
    header.set_size(size);
    header.set_mtime(modified);
    header
}

#[cfg(unix)]
fn name_of(path: &[u8]) -> io::Result<&std::path::Path> {
    use std::os::unix::ffi::OsStrExt;

    Ok(std::ffi::OsStr::from_bytes(path).as_ref())
}

/// The bytes of a file, one after the other.
struct Content {
    file: Arc<dyn File>,
    offset: u64,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self
            .file
            .read_at(buffer, self.offset)
            .map_err(io::Error::other)?;
        self.offset += read as u64;
        Ok(read)
    }
}
