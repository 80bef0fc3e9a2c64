//! Directories.

use std::any::Any;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::file::RegularFile;
use super::inode::Inode;
use super::space::Space;
use super::tree::{Node, Symlink, Tree};
use crate::{
    Directory, Entry, Errno, File, FileType, Name, OpenOptions, Result, SetTimes, Stat, Step,
};

/// The longest target of a symbolic link, in bytes: `PATH_MAX` without its NUL.
const TARGET_MAX: usize = 4095;

/// How many entries are listed at most while the tree is locked.
const BATCH: usize = 256;

/// What the record of an entry takes besides its name, in bytes: that of WASI and about that of Linux.
const RECORD_SIZE: usize = 24;

/// What all directories of one file system share.
///
/// The lock of the tree is never held while a file is read or written, or while foreign code runs. It and the lock of a
/// file's content come before that of an inode's times.
pub(super) struct Shared {
    root: Arc<Inode>,
    tree: RwLock<Tree>,
}

impl Shared {
    pub(super) fn new(space: Arc<Space>) -> Self {
        let root = Inode::root(space);
        let tree = RwLock::new(Tree::new(&root));
        Shared {
            root: Arc::new(root),
            tree,
        }
    }

    pub(super) fn space(&self) -> &Space {
        &self.root.space
    }
}

/// A directory.
pub(super) struct MemoryDirectory {
    shared: Arc<Shared>,
    inode: Arc<Inode>,
}

/// An [`Entry`] that outlives the lock of the tree.
struct Listed {
    name: Arc<[u8]>,
    inode: u64,
    file_type: FileType,
    next: u64,
}

impl Listed {
    fn entry(&self) -> Entry<'_> {
        Entry {
            name: &self.name,
            inode: self.inode,
            file_type: self.file_type,
            next: self.next,
        }
    }
}

impl MemoryDirectory {
    pub(super) fn root(shared: &Arc<Shared>) -> Self {
        MemoryDirectory {
            shared: Arc::clone(shared),
            inode: Arc::clone(&shared.root),
        }
    }

    fn tree(&self) -> RwLockReadGuard<'_, Tree> {
        self.shared
            .tree
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn tree_mut(&self) -> RwLockWriteGuard<'_, Tree> {
        self.shared
            .tree
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.inode.space.now()
    }

    fn find(&self, name: Name<'_>) -> Result<Node> {
        self.tree().find(&self.inode, name).cloned()
    }

    /// Makes what `node` makes of an inode with so many links.
    fn create(
        &self,
        name: Name<'_>,
        links: u64,
        node: impl FnOnce(Inode) -> Result<Node>,
    ) -> Result<Node> {
        let now = self.now();
        let make = || Inode::new(&self.inode.space, links, now).and_then(node);
        self.tree_mut().create(&self.inode, name, now, make)
    }

    fn create_file(&self, name: Name<'_>) -> Result<Node> {
        self.create(name, 1, |inode| {
            Ok(Node::File(Arc::new(RegularFile::new(inode))))
        })
    }

    /// What is at a name, or else a new file.
    fn find_or_create(&self, name: Name<'_>) -> Result<Node> {
        loop {
            match self.find(name) {
                Err(Errno::Noent) => {}
                found => return found,
            }
            match self.create_file(name) {
                // Another thread made it meanwhile.
                Err(Errno::Exist) => {}
                created => return created,
            }
        }
    }

    /// What is listed from a cookie on: as much as there is room for, and at least one entry if there is any.
    fn batch(&self, cookie: u64, room: usize) -> Result<Vec<Listed>> {
        let tree = self.tree();
        let entries = tree.entries(&self.inode)?.from(cookie);
        let mut taken = 0;
        let fitting = entries.take(BATCH).take_while(|(_, name, _)| {
            let fits = taken < room.max(1);
            taken += RECORD_SIZE + name.len();
            fits
        });
        let listed = fitting.map(|(cookie, name, node)| Listed {
            name: Arc::clone(name),
            inode: node.inode().number,
            file_type: node.file_type(),
            next: cookie + 1,
        });
        Ok(self.dots(cookie).chain(listed).collect())
    }

    /// `.` and `..`, from a cookie on. What is above the directory is not known here, so both are itself.
    fn dots(&self, cookie: u64) -> impl Iterator<Item = Listed> {
        let dots = [(0, b".".as_slice()), (1, b"..")].into_iter();
        let inode = self.inode.number;
        dots.filter(move |(at, _)| *at >= cookie)
            .map(move |(at, name)| Listed {
                name: name.into(),
                inode,
                file_type: FileType::Directory,
                next: at + 1,
            })
    }

    /// A directory of this file system, or `None` if it is of another.
    fn sibling<'a>(&self, other: &'a dyn Directory) -> Option<&'a Self> {
        let other = (other as &dyn Any).downcast_ref::<Self>()?;
        Arc::ptr_eq(&self.shared, &other.shared).then_some(other)
    }
}

impl Directory for MemoryDirectory {
    fn stat(&self) -> Result<Stat> {
        Ok(self.tree().stat_directory(&self.inode))
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        self.inode.set_times(times);
        Ok(())
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
        room: usize,
        each: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut batch = self.batch(cookie, room)?;
        self.inode.mark_accessed();
        while let Some(last) = batch.last() {
            let next = last.next;
            for listed in &batch {
                if each(listed.entry()).is_break() {
                    return Ok(());
                }
            }
            // If it was removed meanwhile, it has no more entries.
            batch = self.batch(next, room).unwrap_or_default();
        }
        Ok(())
    }

    fn enter(&self, name: Name<'_>) -> Result<Step> {
        match self.find(name)? {
            Node::File(_) => Err(Errno::Notdir),
            Node::Directory(inode) => {
                let shared = Arc::clone(&self.shared);
                Ok(Step::Directory(Arc::new(MemoryDirectory { shared, inode })))
            }
            Node::Symlink(link) => Ok(Step::Symlink(link.read())),
        }
    }

    fn stat_at(&self, name: Name<'_>) -> Result<Stat> {
        match self.find(name)? {
            Node::File(file) => file.stat(),
            Node::Directory(inode) => Ok(self.tree().stat_directory(&inode)),
            Node::Symlink(link) => Ok(link.stat()),
        }
    }

    fn set_times_at(&self, name: Name<'_>, times: SetTimes) -> Result<()> {
        self.find(name)?.inode().set_times(times);
        Ok(())
    }

    fn open_at(&self, name: Name<'_>, options: OpenOptions) -> Result<Arc<dyn File>> {
        let node = match (options.create, options.exclusive) {
            (false, _) => self.find(name),
            (true, false) => self.find_or_create(name),
            (true, true) => self.create_file(name),
        };
        match node? {
            Node::File(file) => {
                if options.truncate {
                    file.set_size(0)?;
                }
                Ok(file)
            }
            Node::Directory(_) => Err(Errno::Isdir),
            Node::Symlink(_) => Err(Errno::Loop),
        }
    }

    fn read_link(&self, name: Name<'_>) -> Result<Vec<u8>> {
        match self.find(name)? {
            Node::Symlink(link) => Ok(link.read()),
            _ => Err(Errno::Inval),
        }
    }

    fn create_directory(&self, name: Name<'_>) -> Result<()> {
        self.create(name, 2, |inode| Ok(Node::Directory(Arc::new(inode))))?;
        Ok(())
    }

    fn symlink(&self, name: Name<'_>, target: &[u8]) -> Result<()> {
        match target {
            [] => return Err(Errno::Noent),
            _ if target.len() > TARGET_MAX => return Err(Errno::Nametoolong),
            _ if target.contains(&0) => return Err(Errno::Inval),
            _ => {}
        }
        self.create(name, 1, |inode| {
            Ok(Node::Symlink(Arc::new(Symlink::new(inode, target)?)))
        })?;
        Ok(())
    }

    fn link(&self, name: Name<'_>, to: &dyn Directory, new: Name<'_>) -> Result<()> {
        let Some(sibling) = self.sibling(to) else {
            self.find(name)?;
            return Err(to.stat_at(new).map_or(Errno::Xdev, |_| Errno::Exist));
        };
        let now = self.now();
        self.tree_mut()
            .link((&self.inode, name), (&sibling.inode, new), now)
    }

    // What is removed is dropped only when the tree is no longer locked, as a large file takes its time.

    fn rename(&self, name: Name<'_>, to: &dyn Directory, new: Name<'_>) -> Result<()> {
        let to = self.sibling(to).ok_or(Errno::Xdev)?;
        let now = self.now();
        let replaced = self
            .tree_mut()
            .rename((&self.inode, name), (&to.inode, new), now)?;
        drop(replaced);
        Ok(())
    }

    fn remove_file(&self, name: Name<'_>) -> Result<()> {
        let now = self.now();
        let removed = self.tree_mut().remove_file(&self.inode, name, now)?;
        drop(removed);
        Ok(())
    }

    fn remove_directory(&self, name: Name<'_>) -> Result<()> {
        let now = self.now();
        let removed = self.tree_mut().remove_directory(&self.inode, name, now)?;
        drop(removed);
        Ok(())
    }
}
