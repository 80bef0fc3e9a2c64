//! Directories and files of an archive.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::Archive;
use super::index::{Content, Entries, Index, Node, ROOT};
use crate::{
    Advice, Directory, Entry, Errno, File, FileType, Name, OpenOptions, Result, SetTimes, Stat,
    Step,
};

/// The first cookie of an entry, behind those of `.` and `..`.
const FIRST_COOKIE: u64 = 2;

/// A directory.
pub(super) struct TarDirectory {
    archive: Arc<Archive>,
    number: u32,
}

impl TarDirectory {
    pub(super) fn root(archive: &Arc<Archive>) -> Self {
        TarDirectory {
            archive: Arc::clone(archive),
            number: ROOT,
        }
    }

    fn at(&self, number: u32) -> Arc<dyn Directory> {
        let archive = Arc::clone(&self.archive);
        Arc::new(TarDirectory { archive, number })
    }

    fn entries(&self) -> &Entries {
        self.archive.index().directory(self.number)
    }

    fn find(&self, name: Name<'_>) -> Result<Node> {
        self.entries().get(name.bytes()).ok_or(Errno::Noent)
    }
}

impl Archive {
    fn index(&self) -> &Index {
        &self.contents.index
    }

    fn file_type(&self, node: Node) -> FileType {
        match node {
            Node::Directory(_) => FileType::Directory,
            Node::Leaf(number) => match self.index().leaf(number).content {
                Content::File { .. } => FileType::Regular,
                Content::Symlink(_) => FileType::Symlink,
                Content::Other => FileType::Other,
            },
        }
    }

    fn stat(&self, node: Node) -> Stat {
        let (links, size, modified) = match node {
            Node::Directory(number) => {
                let entries = self.index().directory(number);
                (2 + u64::from(entries.directories), 0, entries.modified)
            }
            Node::Leaf(number) => {
                let leaf = self.index().leaf(number);
                let size = match &leaf.content {
                    Content::File { size, .. } => *size,
                    Content::Symlink(target) => target.len() as u64,
                    Content::Other => 0,
                };
                (leaf.links.into(), size, leaf.modified)
            }
        };
        Stat {
            file_type: self.file_type(node),
            device: self.device,
            inode: self.index().inode(node),
            links,
            size,
            accessed: modified,
            modified,
            changed: modified,
        }
    }
}

impl Directory for TarDirectory {
    fn stat(&self) -> Result<Stat> {
        Ok(self.archive.stat(Node::Directory(self.number)))
    }

    fn set_times(&self, _: SetTimes) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn open(&self) -> Result<()> {
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn list(
        &self,
        cookie: u64,
        _: usize,
        each: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let itself = Node::Directory(self.number);
        // What is above the directory is told only by the path to it, so both are itself.
        let dots = [(&b"."[..], itself), (b"..", itself)];
        let dots = dots
            .into_iter()
            .skip(usize::try_from(cookie).unwrap_or(usize::MAX));
        let number = usize::try_from(cookie.saturating_sub(FIRST_COOKIE)).unwrap_or(usize::MAX);
        let entries = self.entries().from(number).iter();
        let entries = entries.map(|(name, node)| (&**name, *node));
        for ((name, node), next) in dots.chain(entries).zip(cookie.saturating_add(1)..) {
            let entry = Entry {
                name,
                inode: self.archive.index().inode(node),
                file_type: self.archive.file_type(node),
                next,
            };
            if each(entry).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn enter(&self, name: Name<'_>) -> Result<Step> {
        match self.find(name)? {
            Node::Directory(number) => Ok(Step::Directory(self.at(number))),
            Node::Leaf(number) => match &self.archive.index().leaf(number).content {
                Content::Symlink(target) => Ok(Step::Symlink(target.to_vec())),
                _ => Err(Errno::Notdir),
            },
        }
    }

    fn shortcut(&self, path: &[u8]) -> Option<Arc<dyn Directory>> {
        let mut at = self.number;
        for name in path.split(|byte| *byte == b'/') {
            if matches!(name, b"" | b".") {
                continue;
            }
            // No entry is named `..`.
            match self.archive.index().directory(at).get(name)? {
                Node::Directory(below) => at = below,
                Node::Leaf(_) => return None,
            }
        }
        Some(self.at(at))
    }

    fn stat_at(&self, name: Name<'_>) -> Result<Stat> {
        Ok(self.archive.stat(self.find(name)?))
    }

    fn set_times_at(&self, _: Name<'_>, _: SetTimes) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn open_at(&self, name: Name<'_>, options: OpenOptions) -> Result<Arc<dyn File>> {
        let node = match self.find(name) {
            Ok(_) if options.create && options.exclusive => return Err(Errno::Exist),
            Err(Errno::Noent) if options.create => return Err(Errno::Rofs),
            found => found?,
        };
        let Node::Leaf(leaf) = node else {
            return Err(Errno::Isdir);
        };
        match self.archive.index().leaf(leaf).content {
            Content::File { .. } if options.writes() => Err(Errno::Rofs),
            Content::File { offset, size } => Ok(Arc::new(TarFile {
                archive: Arc::clone(&self.archive),
                node,
                offset,
                size,
            })),
            Content::Symlink(_) => Err(Errno::Loop),
            Content::Other => Err(Errno::Nxio),
        }
    }

    fn read_link(&self, name: Name<'_>) -> Result<Vec<u8>> {
        match self.enter(name) {
            Ok(Step::Symlink(target)) => Ok(target),
            Ok(Step::Directory(_)) | Err(Errno::Notdir) => Err(Errno::Inval),
            Err(error) => Err(error),
        }
    }

    fn create_directory(&self, _: Name<'_>) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn symlink(&self, _: Name<'_>, _: &[u8]) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn link(&self, _: Name<'_>, _: &dyn Directory, _: Name<'_>) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn rename(&self, _: Name<'_>, _: &dyn Directory, _: Name<'_>) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn remove_file(&self, _: Name<'_>) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn remove_directory(&self, _: Name<'_>) -> Result<()> {
        Err(Errno::Rofs)
    }
}

/// A regular file.
struct TarFile {
    archive: Arc<Archive>,
    node: Node,
    /// Where its content is in the archive.
    offset: u64,
    size: u64,
}

impl File for TarFile {
    fn stat(&self) -> Result<Stat> {
        Ok(self.archive.stat(self.node))
    }

    fn set_times(&self, _: SetTimes) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let left = self.size.saturating_sub(offset);
        let count = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if count == 0 {
            return Ok(0);
        }
        loop {
            // All of its content was in the archive when that was opened, so this does not overflow.
            return match (self.archive.file).read_at(&mut buffer[..count], self.offset + offset) {
                // The archive was cut off since.
                Ok(0) => Err(Errno::Io),
                Ok(count) => Ok(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => Err(Errno::Io),
            };
        }
    }

    fn write_at(&self, _: &[u8], _: u64) -> Result<usize> {
        Err(Errno::Rofs)
    }

    fn append(&self, _: &[u8]) -> Result<usize> {
        Err(Errno::Rofs)
    }

    fn set_size(&self, _: u64) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn allocate(&self, _: u64, _: u64) -> Result<()> {
        Err(Errno::Rofs)
    }

    fn advise(&self, _: u64, _: u64, _: Advice) -> Result<()> {
        // All files of the archive share its descriptor, and so would share the advice.
        Ok(())
    }

    fn sync(&self, _: bool) -> Result<()> {
        Ok(())
    }
}
