//! Directories as they are handed out.

use std::any::Any;
use std::ops::ControlFlow;
use std::sync::{Arc, MutexGuard};

use super::Shared;
use super::file::LowerFile;
use super::layers::{Layer, UPPER};
use super::marks;
use super::node::Node;
use super::tree::{Item, Listed, Tree};
use crate::numbered::Numbered;
use crate::{
    Directory, Entry, Errno, File, FileType, Name, OpenOptions, Result, SetTime, SetTimes, Stat,
    Step,
};

/// A directory of an overlay.
pub(super) struct OverlayDirectory {
    shared: Arc<Shared>,
    node: Arc<Node>,
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

impl OverlayDirectory {
    pub(super) fn new(shared: Arc<Shared>, node: Arc<Node>) -> Self {
        OverlayDirectory { shared, node }
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.shared.tree()
    }

    fn find(&self, tree: &mut Tree, name: Name<'_>) -> Result<Item> {
        tree.find(&self.node, name)?.ok_or(Errno::Noent)
    }

    /// A directory of this overlay, or `None` if it is of another file system.
    fn sibling<'a>(&self, other: &'a dyn Directory) -> Option<&'a Self> {
        let other = (other as &dyn Any).downcast_ref::<Self>()?;
        Arc::ptr_eq(&self.shared, &other.shared).then_some(other)
    }

    /// Opens what a lower has, without a change to it.
    fn open_lower(
        &self,
        tree: &mut Tree,
        (layer, stat): (&Layer, &Stat),
        name: Name<'_>,
        options: OpenOptions,
    ) -> Result<Arc<dyn File>> {
        let options = OpenOptions {
            create: false,
            exclusive: false,
            truncate: false,
            ..options
        };
        let file = layer.directory.open_at(name, options)?;
        let mut state = self.node.state();
        let copy = state.readers.get(name.bytes()).unwrap_or_default();
        state.readers.put(name.bytes(), &copy);
        Ok(Arc::new(LowerFile {
            shared: Arc::clone(&self.shared),
            directory: Arc::clone(&self.node),
            name: name.bytes().into(),
            lower: Numbered::new(file, &tree.numbers.told(*stat)),
            copy,
        }))
    }

    /// Opens a file of the upper.
    fn open_upper(
        &self,
        tree: &mut Tree,
        name: Name<'_>,
        options: OpenOptions,
    ) -> Result<Arc<dyn File>> {
        let options = OpenOptions {
            create: false,
            exclusive: false,
            ..options
        };
        let file = tree.upper(&self.node)?.open_at(name, options)?;
        tree.numbered(file)
    }
}

impl Directory for OverlayDirectory {
    fn stat(&self) -> Result<Stat> {
        self.tree().stat(&self.node)
    }

    fn set_times(&self, times: SetTimes) -> Result<()> {
        match keeps(times) {
            true => Ok(()),
            false => self.tree().upper(&self.node)?.set_times(times),
        }
    }

    fn open(&self) -> Result<()> {
        let stack = Arc::clone(&self.node.state().stack);
        stack.iter().try_for_each(|layer| layer.directory.open())
    }

    fn sync(&self) -> Result<()> {
        let upper = {
            let _tree = self.tree();
            self.node.upper()
        };
        upper.map_or(Ok(()), |upper| upper.sync())
    }

    fn list(
        &self,
        cookie: u64,
        room: usize,
        each: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut batch = self.tree().batch(&self.node, cookie, room)?;
        while let Some(last) = batch.last() {
            let next = last.next;
            for listed in &batch {
                if each(listed.entry()).is_break() {
                    return Ok(());
                }
            }
            batch = match self.tree().batch(&self.node, next, room) {
                // It was removed meanwhile, and has no more entries.
                Err(Errno::Noent) => break,
                batch => batch?,
            };
        }
        Ok(())
    }

    fn enter(&self, name: Name<'_>) -> Result<Step> {
        match self.find(&mut self.tree(), name)? {
            Item::Directory(node) => Ok(Step::Directory(Arc::new(OverlayDirectory {
                shared: Arc::clone(&self.shared),
                node,
            }))),
            Item::File(layer, stat) if stat.file_type == FileType::Symlink => {
                Ok(Step::Symlink(layer.directory.read_link(name)?))
            }
            Item::File(..) => Err(Errno::Notdir),
        }
    }

    fn stat_at(&self, name: Name<'_>) -> Result<Stat> {
        let mut tree = self.tree();
        match self.find(&mut tree, name)? {
            Item::Directory(node) => tree.stat(&node),
            Item::File(_, stat) => Ok(tree.numbers.told(stat)),
        }
    }

    fn set_times_at(&self, name: Name<'_>, times: SetTimes) -> Result<()> {
        let mut tree = self.tree();
        let item = self.find(&mut tree, name)?;
        if keeps(times) {
            return Ok(());
        }
        match item {
            Item::Directory(node) => tree.upper(&node)?.set_times(times),
            Item::File(layer, stat) => {
                if layer.number != UPPER {
                    tree.copy(&self.node, name, (&layer, &stat))?;
                }
                tree.upper(&self.node)?.set_times_at(name, times)
            }
        }
    }

    fn open_at(&self, name: Name<'_>, options: OpenOptions) -> Result<Arc<dyn File>> {
        let mut tree = self.tree();
        let Some(item) = tree.find(&self.node, name)? else {
            return match options.create {
                true if marks::is_mark(name.bytes()) => Err(Errno::Inval),
                true => tree.create_file(&self.node, name, options),
                false => Err(Errno::Noent),
            };
        };
        let (layer, stat) = match item {
            _ if options.create && options.exclusive => return Err(Errno::Exist),
            Item::Directory(_) => return Err(Errno::Isdir),
            Item::File(layer, stat) => (layer, stat),
        };
        match stat.file_type {
            _ if layer.number == UPPER => self.open_upper(&mut tree, name, options),
            FileType::Regular if options.truncate => {
                tree.copy_truncated(&self.node, name, &stat, options)
            }
            FileType::Regular if options.write => {
                tree.copy(&self.node, name, (&layer, &stat))?;
                self.open_upper(&mut tree, name, options)
            }
            // It is nothing that could be copied to be written.
            FileType::CharacterDevice | FileType::BlockDevice if options.writes() => {
                Err(Errno::Rofs)
            }
            _ => self.open_lower(&mut tree, (&layer, &stat), name, options),
        }
    }

    fn read_link(&self, name: Name<'_>) -> Result<Vec<u8>> {
        match self.find(&mut self.tree(), name)? {
            Item::Directory(_) => Err(Errno::Inval),
            Item::File(layer, _) => layer.directory.read_link(name),
        }
    }

    fn create_directory(&self, name: Name<'_>) -> Result<()> {
        self.tree().create_directory(&self.node, name)
    }

    fn symlink(&self, name: Name<'_>, target: &[u8]) -> Result<()> {
        self.tree().symlink(&self.node, name, target)
    }

    fn link(&self, name: Name<'_>, to: &dyn Directory, new: Name<'_>) -> Result<()> {
        let Some(sibling) = self.sibling(to) else {
            self.find(&mut self.tree(), name)?;
            return Err(to.stat_at(new).map_or(Errno::Xdev, |_| Errno::Exist));
        };
        self.tree().link((&self.node, name), (&sibling.node, new))
    }

    fn rename(&self, name: Name<'_>, to: &dyn Directory, new: Name<'_>) -> Result<()> {
        let to = self.sibling(to).ok_or(Errno::Xdev)?;
        self.tree().rename((&self.node, name), (&to.node, new))
    }

    fn remove_file(&self, name: Name<'_>) -> Result<()> {
        self.tree().remove_file(&self.node, name)
    }

    fn remove_directory(&self, name: Name<'_>) -> Result<()> {
        self.tree().remove_directory(&self.node, name)
    }
}

fn keeps(times: SetTimes) -> bool {
    (times.accessed, times.modified) == (SetTime::Keep, SetTime::Keep)
}
