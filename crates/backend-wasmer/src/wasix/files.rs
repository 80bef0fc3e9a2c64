//! What is mounted, as file systems of wasmer's: ours below theirs.
//!
//! All that is asked of files ends here in one of our directories, with what a path means, what is read-only and how much
//! there may be decided there. wasmer-wasix keeps more of directories in mind than it should where others may change them,
//! so directories of the host are not among them.

use std::fmt;
use std::future::Future;
use std::io::{self, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
use virtual_fs::{
    DirEntry, FileOpener, FileSystem, FileType, FsError, Metadata, MountFileSystem, OpenOptions,
    OpenOptionsConfig, ReadDir, RootFileSystemBuilder, VirtualFile,
};
use wasmrun_core::{Control, Error, ErrorKind, MountSource, Result, Task};
use wasmrun_fs::{
    Errno, File, FileType as Type, Name, OpenOptions as Options, Opened, Place, SetTime, SetTimes,
    Stat, World,
};

type FsResult<T> = std::result::Result<T, FsError>;

/// What a guest sees: what its task mounts, and else what wasmer gives it, which is in memory.
pub(super) fn mounted(task: &Task, control: &Control) -> Result<Option<MountFileSystem>> {
    let Some(world) = World::of(task, control)? else {
        return Ok(None);
    };
    let all = MountFileSystem::new();
    let mut has_root = false;
    for (path, place) in world.mounts() {
        let path = Path::new("/").join(path);
        has_root |= path == Path::new("/");
        let files = Arc::new(Files { root: place });
        all.mount(&path, files)
            .map_err(|source| not_mounted(&path, source))?;
    }
    if !has_root {
        let root = Arc::new(RootFileSystemBuilder::default().build_tmp());
        let path = Path::new("/");
        all.mount(path, root)
            .map_err(|source| not_mounted(path, source))?;
    }
    Ok(Some(all))
}

fn not_mounted(path: &Path, source: FsError) -> Error {
    let message = format!(
        "cannot mount {} for a guest that uses WASIX",
        path.display()
    );
    Error::new(ErrorKind::Preopen, message).with_source(source)
}

/// Whether something of what is mounted is a directory or file of the host.
pub(super) fn is_of_host(source: &MountSource) -> bool {
    match source {
        MountSource::Tar(_) | MountSource::Package(_) => false,
        MountSource::Memory(memory) => memory.from.as_deref().is_some_and(is_of_host),
        MountSource::Overlay(overlay) => {
            is_of_host(&overlay.upper) || overlay.lower.iter().any(is_of_host)
        }
        _ => true,
    }
}

/// One of the directories that are mounted.
#[derive(Clone)]
struct Files {
    root: Place,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

/// The path from the directory on, which theirs are all absolute to.
fn inside(path: &Path) -> &[u8] {
    let bytes = path.as_os_str().as_encoded_bytes();
    let begin = bytes.iter().position(|byte| *byte != b'/');
    begin.map_or(b".", |begin| &bytes[begin..])
}

/// Names are UTF-8 for such guests.
fn name(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

impl Files {
    fn remove(&self, path: &Path) -> FsResult<()> {
        self.root.remove_file_path(inside(path)).map_err(told)
    }
}

impl FileSystem for Files {
    fn readlink(&self, path: &Path) -> FsResult<PathBuf> {
        let target = self.root.read_link_path(inside(path)).map_err(told)?;
        Ok(name(&target))
    }

    fn read_dir(&self, path: &Path) -> FsResult<ReadDir> {
        let opened = self
            .root
            .open_path(inside(path), true, true, Options::default());
        let Opened::Directory(directory) = opened.map_err(told)? else {
            return Err(FsError::BaseNotDirectory);
        };
        let mut names = Vec::new();
        let listed = directory.list(0, usize::MAX, &mut |entry| {
            if Name::new(entry.name).is_ok() {
                names.push(entry.name.to_vec());
            }
            ControlFlow::Continue(())
        });
        listed.map_err(told)?;
        let entries = names.into_iter().map(|name| {
            let stat = directory.stat_path(&name, false);
            DirEntry {
                path: path.join(self::name(&name)),
                metadata: stat.map(metadata).map_err(told),
            }
        });
        Ok(ReadDir::new(entries.collect()))
    }

    fn create_dir(&self, path: &Path) -> FsResult<()> {
        self.root.create_directory_path(inside(path)).map_err(told)
    }

    fn create_symlink(&self, target: &Path, path: &Path) -> FsResult<()> {
        let target = target.as_os_str().as_encoded_bytes();
        self.root.symlink_path(target, inside(path)).map_err(told)
    }

    fn hard_link(&self, path: &Path, new: &Path) -> FsResult<()> {
        let linked = self
            .root
            .link_path(inside(path), false, &self.root, inside(new));
        linked.map_err(told)
    }

    fn remove_dir(&self, path: &Path) -> FsResult<()> {
        self.root.remove_directory_path(inside(path)).map_err(told)
    }

    fn rename<'a>(
        &'a self,
        from: &'a Path,
        to: &'a Path,
    ) -> Pin<Box<dyn Future<Output = FsResult<()>> + Send + 'a>> {
        let renamed = self.root.rename_path(inside(from), &self.root, inside(to));
        Box::pin(std::future::ready(renamed.map_err(told)))
    }

    fn metadata(&self, path: &Path) -> FsResult<Metadata> {
        self.root
            .stat_path(inside(path), true)
            .map(metadata)
            .map_err(told)
    }

    fn symlink_metadata(&self, path: &Path) -> FsResult<Metadata> {
        self.root
            .stat_path(inside(path), false)
            .map(metadata)
            .map_err(told)
    }

    fn remove_file(&self, path: &Path) -> FsResult<()> {
        self.remove(path)
    }

    fn new_open_options(&self) -> OpenOptions<'_> {
        OpenOptions::new(self)
    }
}

impl FileOpener for Files {
    fn open(
        &self,
        path: &Path,
        asked: &OpenOptionsConfig,
    ) -> FsResult<Box<dyn VirtualFile + Send + Sync + 'static>> {
        let options = Options {
            read: asked.read(),
            write: asked.write() || asked.append(),
            create: asked.create() || asked.create_new(),
            exclusive: asked.create_new(),
            truncate: asked.truncate(),
            ..Options::default()
        };
        let opened = self.root.open_path(inside(path), true, false, options);
        match opened.map_err(told)? {
            Opened::Directory(_) => Err(FsError::NotAFile),
            Opened::File(file, _) => Ok(Box::new(OpenFile {
                file,
                position: 0,
                appends: asked.append(),
                files: self.clone(),
                path: path.into(),
            })),
        }
    }
}

/// A file that is open.
struct OpenFile {
    file: Arc<dyn File>,
    position: u64,
    appends: bool,
    files: Files,
    path: PathBuf,
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl OpenFile {
    fn stat(&self) -> Option<Stat> {
        self.file.stat().ok()
    }
}

impl VirtualFile for OpenFile {
    fn last_accessed(&self) -> u64 {
        self.stat().map_or(0, |stat| stat.accessed)
    }

    fn last_modified(&self) -> u64 {
        self.stat().map_or(0, |stat| stat.modified)
    }

    fn created_time(&self) -> u64 {
        self.stat().map_or(0, |stat| stat.changed)
    }

    fn set_times(&mut self, accessed: Option<u64>, modified: Option<u64>) -> FsResult<()> {
        let set = |time: Option<u64>| time.map_or(SetTime::Keep, SetTime::To);
        let times = SetTimes {
            accessed: set(accessed),
            modified: set(modified),
        };
        self.file.set_times(times).map_err(told)
    }

    fn size(&self) -> u64 {
        self.stat().map_or(0, |stat| stat.size)
    }

    fn set_len(&mut self, size: u64) -> FsResult<()> {
        self.file.set_size(size).map_err(told)
    }

    fn unlink(&mut self) -> FsResult<()> {
        self.files.remove(&self.path)
    }

    fn poll_read_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let left = self.size().saturating_sub(self.position);
        Poll::Ready(Ok(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    fn poll_write_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(usize::MAX))
    }
}

impl AsyncRead for OpenFile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self
            .file
            .read_at(buffer.initialize_unfilled(), self.position);
        Poll::Ready(match read {
            Ok(count) => {
                buffer.advance(count);
                self.position += count as u64;
                Ok(())
            }
            Err(error) => Err(told(error).into()),
        })
    }
}

impl AsyncWrite for OpenFile {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match self.appends {
            true => self.file.append(bytes),
            false => self.file.write_at(bytes, self.position),
        };
        Poll::Ready(match written {
            Ok(count) => {
                self.position = match self.appends {
                    true => self.size(),
                    false => self.position.saturating_add(count as u64),
                };
                Ok(count)
            }
            Err(error) => Err(told(error).into()),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for OpenFile {
    fn start_seek(mut self: Pin<&mut Self>, to: SeekFrom) -> io::Result<()> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.size().checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Ok(self.position))
    }
}

fn metadata(stat: Stat) -> Metadata {
    let mut ft = FileType::default();
    match stat.file_type {
        Type::Regular => ft.file = true,
        Type::Directory => ft.dir = true,
        Type::Symlink => ft.symlink = true,
        Type::CharacterDevice => ft.char_device = true,
        Type::BlockDevice => ft.block_device = true,
        Type::Other => ft.fifo = true,
    }
    Metadata {
        ft,
        accessed: stat.accessed,
        created: stat.changed,
        modified: stat.modified,
        len: stat.size,
    }
}

/// The nearest that they have a word for.
fn told(error: Errno) -> FsError {
    match error {
        Errno::Noent => FsError::EntryNotFound,
        Errno::Exist => FsError::AlreadyExists,
        Errno::Notdir => FsError::BaseNotDirectory,
        Errno::Isdir => FsError::NotAFile,
        Errno::Notempty => FsError::DirectoryNotEmpty,
        Errno::Nospc | Errno::Dquot => FsError::StorageFull,
        Errno::Acces | Errno::Perm | Errno::Rofs => FsError::PermissionDenied,
        Errno::Inval | Errno::Nametoolong | Errno::Ilseq => FsError::InvalidInput,
        Errno::Intr => FsError::Interrupted,
        Errno::Nodev | Errno::Nxio => FsError::NoDevice,
        Errno::Notsup | Errno::Xdev => FsError::Unsupported,
        _ => FsError::IOError,
    }
}
