//! Which names there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::file::RegularFile;
use super::inode::Inode;
use crate::{Errno, FileType, Name, Result, Stat};

/// What an entry adds to the size of a directory in tmpfs, `.` and `..` included.
const ENTRY_SIZE: u64 = 20;

/// The first cookie of an entry, behind those of `.` and `..`.
const FIRST_COOKIE: u64 = 2;

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Node {
    File(Arc<RegularFile>),
    Directory(Arc<Inode>),
    Symlink(Arc<Symlink>),
}

/// A symbolic link.
pub(super) struct Symlink {
    inode: Inode,
    target: Box<[u8]>,
}

/// A target that is longer takes a page, as in tmpfs.
const TARGET_IN_INODE: usize = 127;

impl Symlink {
    pub(super) fn new(inode: Inode, target: &[u8]) -> Result<Self> {
        if target.len() > TARGET_IN_INODE {
            inode.space.pages.take(1)?;
        }
        Ok(Symlink {
            inode,
            target: target.into(),
        })
    }

    pub(super) fn stat(&self) -> Stat {
        self.inode.stat(FileType::Symlink, self.target.len() as u64)
    }

    /// Its target. To follow it is to read it.
    pub(super) fn read(&self) -> Vec<u8> {
        self.inode.mark_accessed();
        self.target.to_vec()
    }
}

impl Drop for Symlink {
    fn drop(&mut self) {
        if self.target.len() > TARGET_IN_INODE {
            self.inode.space.pages.give(1);
        }
    }
}

impl Node {
    pub(super) fn inode(&self) -> &Inode {
        match self {
            Node::File(file) => &file.inode,
            Node::Directory(inode) => inode,
            Node::Symlink(link) => &link.inode,
        }
    }

    pub(super) fn file_type(&self) -> FileType {
        match self {
            Node::File(_) => FileType::Regular,
            Node::Directory(_) => FileType::Directory,
            Node::Symlink(_) => FileType::Symlink,
        }
    }

    fn is_directory(&self) -> bool {
        matches!(self, Node::Directory(_))
    }
}

/// The names of a file system: the entries of each directory that is not removed, by its number.
///
/// The directories do not own each other, so they can be nested however deep, and there are no cycles. One that
/// is removed is not here, whoever still has it open.
pub(super) struct Tree(HashMap<u64, Entries>);

impl Tree {
    pub(super) fn new(root: &Inode) -> Self {
        Tree(HashMap::from([(root.number, Entries::new(root))]))
    }

    /// The entries of a directory: [`Errno::Noent`] if it is removed.
    pub(super) fn entries(&self, directory: &Inode) -> Result<&Entries> {
        self.0.get(&directory.number).ok_or(Errno::Noent)
    }

    fn entries_mut(&mut self, directory: &Inode) -> Result<&mut Entries> {
        self.0.get_mut(&directory.number).ok_or(Errno::Noent)
    }

    /// What is at a name: [`Errno::Noent`] if nothing is.
    pub(super) fn find(&self, directory: &Inode, name: Name<'_>) -> Result<&Node> {
        self.entries(directory)?.get(name).ok_or(Errno::Noent)
    }

    pub(super) fn stat_directory(&self, directory: &Inode) -> Stat {
        let entries = self.entries(directory).map_or(0, Entries::len);
        directory.stat(FileType::Directory, (2 + entries) * ENTRY_SIZE)
    }

    /// Puts at a name, where nothing may be yet, what `make` gives.
    pub(super) fn create(
        &mut self,
        directory: &Inode,
        name: Name<'_>,
        now: u64,
        make: impl FnOnce() -> Result<Node>,
    ) -> Result<Node> {
        let entries = self.entries_mut(directory)?;
        if entries.get(name).is_some() {
            return Err(Errno::Exist);
        }
        let node = make()?;
        entries.put(name, node.clone());
        if let Node::Directory(inode) = &node {
            self.0.insert(inode.number, Entries::new(directory));
            directory.links.fetch_add(1, Relaxed);
        }
        directory.mark_modified(now);
        Ok(node)
    }

    pub(super) fn link(
        &mut self,
        (from, name): (&Inode, Name<'_>),
        (to, new): (&Inode, Name<'_>),
        now: u64,
    ) -> Result<()> {
        let node = self.find(from, name)?.clone();
        let entries = self.entries_mut(to)?;
        if entries.get(new).is_some() {
            return Err(Errno::Exist);
        }
        if node.is_directory() {
            return Err(Errno::Perm);
        }
        to.space.entries.take(1)?;
        node.inode().links.fetch_add(1, Relaxed);
        node.inode().mark_changed(now);
        entries.put(new, node);
        to.mark_modified(now);
        Ok(())
    }

    /// Moves a name: what was at the new one and had to go.
    pub(super) fn rename(
        &mut self,
        (from, name): (&Inode, Name<'_>),
        (to, new): (&Inode, Name<'_>),
        now: u64,
    ) -> Result<Option<Node>> {
        let source = self.find(from, name)?.clone();
        let target = self.entries(to)?.get(new);
        if self.is_within(to, &source) {
            return Err(Errno::Inval);
        }
        if let Some(target) = target {
            if self.is_within(from, target) {
                return Err(Errno::Notempty);
            }
            if target.inode().number == source.inode().number {
                return Ok(None);
            }
            self.may_replace(&source, target)?;
        }

        self.entries_mut(from)?.remove(name);
        let replaced = self.entries_mut(to)?.put(new, source.clone());
        if let Some(replaced) = &replaced {
            self.unlink(to, replaced, now);
        }
        if let Node::Directory(inode) = &source {
            self.entries_mut(inode)?.parent = to.number;
            from.links.fetch_sub(1, Relaxed);
            to.links.fetch_add(1, Relaxed);
        }
        source.inode().mark_changed(now);
        from.mark_modified(now);
        to.mark_modified(now);
        Ok(replaced)
    }

    /// Removes what is at a name and is no directory.
    pub(super) fn remove_file(
        &mut self,
        directory: &Inode,
        name: Name<'_>,
        now: u64,
    ) -> Result<Option<Node>> {
        if self.find(directory, name)?.is_directory() {
            return Err(Errno::Isdir);
        }
        self.remove(directory, name, now)
    }

    /// Removes the directory at a name.
    pub(super) fn remove_directory(
        &mut self,
        directory: &Inode,
        name: Name<'_>,
        now: u64,
    ) -> Result<Option<Node>> {
        let Node::Directory(inode) = self.find(directory, name)? else {
            return Err(Errno::Notdir);
        };
        if self.entries(inode)?.len() > 0 {
            return Err(Errno::Notempty);
        }
        self.remove(directory, name, now)
    }

    fn remove(&mut self, directory: &Inode, name: Name<'_>, now: u64) -> Result<Option<Node>> {
        let removed = self.entries_mut(directory)?.remove(name);
        if let Some(node) = &removed {
            self.unlink(directory, node, now);
        }
        directory.mark_modified(now);
        Ok(removed)
    }

    /// Takes note that `node`, which may be an empty directory, has lost a name in `directory`.
    fn unlink(&mut self, directory: &Inode, node: &Node, now: u64) {
        let inode = node.inode();
        if node.is_directory() {
            self.0.remove(&inode.number);
            inode.links.store(0, Relaxed);
            directory.links.fetch_sub(1, Relaxed);
        } else if inode.links.fetch_sub(1, Relaxed) > 1 {
            inode.space.entries.give(1);
        }
        inode.mark_changed(now);
    }

    fn may_replace(&self, source: &Node, target: &Node) -> Result<()> {
        match target {
            Node::Directory(_) if !source.is_directory() => Err(Errno::Isdir),
            Node::Directory(inode) if self.entries(inode)?.len() > 0 => Err(Errno::Notempty),
            Node::Directory(_) => Ok(()),
            _ if source.is_directory() => Err(Errno::Notdir),
            _ => Ok(()),
        }
    }

    /// Whether a directory is `node`, or below it.
    fn is_within(&self, directory: &Inode, node: &Node) -> bool {
        let Node::Directory(ancestor) = node else {
            return false;
        };
        let mut number = directory.number;
        while number != ancestor.number {
            match self.0.get(&number) {
                Some(entries) if entries.parent != number => number = entries.parent,
                _ => return false,
            }
        }
        true
    }
}

/// The entries of a directory. They are kept in trees, as a hash table would keep the memory of those removed.
pub(super) struct Entries {
    /// The number of the directory it is in; that of the root is its own.
    parent: u64,
    cookies: BTreeMap<Arc<[u8]>, u64>,
    nodes: BTreeMap<u64, (Arc<[u8]>, Node)>,
    next_cookie: u64,
}

impl Entries {
    fn new(parent: &Inode) -> Self {
        Entries {
            parent: parent.number,
            cookies: BTreeMap::new(),
            nodes: BTreeMap::new(),
            next_cookie: FIRST_COOKIE,
        }
    }

    fn len(&self) -> u64 {
        self.nodes.len() as u64
    }

    fn get(&self, name: Name<'_>) -> Option<&Node> {
        let cookie = self.cookies.get(name.bytes())?;
        self.nodes.get(cookie).map(|(_, node)| node)
    }

    /// The entries from a cookie on: their cookies, names, and what they stand for.
    pub(super) fn from(&self, cookie: u64) -> impl Iterator<Item = (u64, &Arc<[u8]>, &Node)> {
        let entries = self.nodes.range(cookie..);
        entries.map(|(&cookie, (name, node))| (cookie, name, node))
    }

    /// Puts a node at a name: what was there. The name keeps its cookie if it has one, so that a list that is made meanwhile
    /// has it once.
    fn put(&mut self, name: Name<'_>, node: Node) -> Option<Node> {
        let cookie = self.cookies.get(name.bytes());
        if let Some((_, old)) = cookie.and_then(|cookie| self.nodes.get_mut(cookie)) {
            return Some(std::mem::replace(old, node));
        }
        let name: Arc<[u8]> = name.bytes().into();
        self.cookies.insert(Arc::clone(&name), self.next_cookie);
        self.nodes.insert(self.next_cookie, (name, node));
        self.next_cookie += 1;
        None
    }

    fn remove(&mut self, name: Name<'_>) -> Option<Node> {
        let cookie = self.cookies.remove(name.bytes())?;
        self.nodes.remove(&cookie).map(|(_, node)| node)
    }
}
