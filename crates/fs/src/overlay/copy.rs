//! Copying what is changed from the lowers to the upper.

use std::sync::Arc;

use super::layers::Layer;
use super::marks;
use super::node::Node;
use super::tree::Tree;
use crate::numbered::Numbered;
use crate::{
    Directory, Errno, File, FileType, Name, OpenOptions, Result, SetTimes, Stat, Step, content,
};

impl Tree {
    /// The directory of the upper for a directory, which is made if it is not there, and so are those above it.
    pub(super) fn upper(&mut self, node: &Arc<Node>) -> Result<Arc<dyn Directory>> {
        let mut missing = Vec::new();
        let mut at = Arc::clone(node);
        let mut upper = loop {
            at.stack()?;
            if let Some(upper) = at.upper() {
                break upper;
            }
            let place = at.state().place.clone();
            let (parent, name) = place.ok_or(Errno::Stale)?;
            missing.push((at, name));
            at = parent;
        };
        while let Some((node, name)) = missing.pop() {
            upper = self.copy_directory(&node, &*upper, Name::new(&name)?)?;
        }
        Ok(upper)
    }

    /// Makes the directory of the upper for one that has none.
    fn copy_directory(
        &mut self,
        node: &Node,
        parent: &dyn Directory,
        name: Name<'_>,
    ) -> Result<Arc<dyn Directory>> {
        let stack = node.stack()?;
        let stat = stack.first().ok_or(Errno::Stale)?.directory.stat()?;
        keeping_times(parent, || {
            marks::complete(parent, name, |temporary| {
                parent.create_directory(temporary)?;
                parent.set_times_at(temporary, SetTimes::of(&stat))
            })
        })?;
        let Step::Directory(directory) = parent.enter(name)? else {
            return Err(Errno::Stale);
        };
        self.numbers.copied(&stat, &directory.stat()?);
        node.set_upper(Arc::clone(&directory));
        Ok(directory)
    }

    /// Copies what a lower has at a name, and is no directory.
    pub(super) fn copy(
        &mut self,
        directory: &Arc<Node>,
        name: Name<'_>,
        (layer, stat): (&Layer, &Stat),
    ) -> Result<()> {
        let lower = &*layer.directory;
        let make: &dyn Fn(&dyn Directory, Name<'_>) -> Result<()> = match stat.file_type {
            FileType::Regular => &|upper, temporary| {
                let file = upper.open_at(temporary, OpenOptions::NEW)?;
                content::copy(&*lower.open_at(name, OpenOptions::READ)?, &*file)?;
                file.set_times(SetTimes::of(stat))?;
                // Otherwise the name could get to the disk before the content.
                file.sync(true)
            },
            FileType::Symlink => &|upper, temporary| {
                upper.symlink(temporary, &lower.read_link(name)?)?;
                upper.set_times_at(temporary, SetTimes::of(stat))
            },
            _ => return Err(Errno::Perm),
        };
        let upper = self.upper(directory)?;
        keeping_times(&*upper, || {
            marks::complete(&*upper, name, |temporary| make(&*upper, temporary))
        })?;
        self.copied(directory, name, stat, &*upper)
    }

    /// Puts an empty file in the place of one that a lower has, which is opened to lose its content.
    pub(super) fn copy_truncated(
        &mut self,
        directory: &Arc<Node>,
        name: Name<'_>,
        stat: &Stat,
        options: OpenOptions,
    ) -> Result<Arc<dyn File>> {
        let upper = self.upper(directory)?;
        let options = OpenOptions {
            create: true,
            exclusive: true,
            truncate: false,
            ..options
        };
        let file = keeping_times(&*upper, || {
            marks::complete(&*upper, name, |temporary| upper.open_at(temporary, options))
        })?;
        self.copied(directory, name, stat, &*upper)?;
        self.numbered(file)
    }

    /// The upper has a copy of what a lower has at a name.
    fn copied(
        &mut self,
        directory: &Node,
        name: Name<'_>,
        stat: &Stat,
        upper: &dyn Directory,
    ) -> Result<()> {
        let copy = upper.stat_at(name)?;
        // Its other names stay with the lower, and then they are two files.
        if stat.links == 1 {
            self.numbers.copied(stat, &copy);
        }
        let mut state = directory.state();
        state.listing.touch(name.bytes());
        if let Some(readers) = state.readers.get(name.bytes())
            && let Ok(file) = upper.open_at(name, OpenOptions::READ)
        {
            let _ = readers.set(self.numbered(file)?);
        }
        Ok(())
    }

    /// A file of the upper as it is handed out.
    pub(super) fn numbered(&mut self, file: Arc<dyn File>) -> Result<Arc<dyn File>> {
        let stat = self.numbers.told(file.stat()?);
        Ok(Arc::new(Numbered::new(file, &stat)))
    }
}

/// Does what changes names in a directory, which does not concern the guest.
pub(super) fn keeping_times<T>(
    directory: &dyn Directory,
    change: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let stat = directory.stat()?;
    let changed = change();
    // The times are not worth to fail for.
    let _ = directory.set_times(SetTimes::of(&stat));
    changed
}
