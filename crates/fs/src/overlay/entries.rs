//! Making and removing names.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::copy::keeping_times;
use super::layers::UPPER;
use super::marks;
use super::node::Node;
use super::tree::{Item, Tree};
use crate::{Directory, Errno, File, Name, OpenOptions, PATH_MAX, Result, Step};

impl Tree {
    /// Makes a file, where nothing is.
    pub(super) fn create_file(
        &mut self,
        directory: &Arc<Node>,
        name: Name<'_>,
        options: OpenOptions,
    ) -> Result<Arc<dyn File>> {
        let upper = self.upper(directory)?;
        let file = upper.open_at(name, options)?;
        appeared(directory, &*upper, name);
        self.numbered(file)
    }

    pub(super) fn create_directory(&mut self, directory: &Arc<Node>, name: Name<'_>) -> Result<()> {
        self.may_appear(directory, name)?;
        let upper = self.upper(directory)?;
        let hides = self.beneath(directory, name)?.is_some();
        upper.create_directory(name)?;
        // If it cannot be marked, the whiteout that there is does as well.
        if !hides || mark_opaque(&*upper, name).is_ok() {
            appeared(directory, &*upper, name);
        }
        Ok(())
    }

    pub(super) fn symlink(
        &mut self,
        directory: &Arc<Node>,
        name: Name<'_>,
        target: &[u8],
    ) -> Result<()> {
        match target {
            [] => return Err(Errno::Noent),
            _ if target.len() >= PATH_MAX => return Err(Errno::Nametoolong),
            _ if target.contains(&0) => return Err(Errno::Inval),
            _ => self.may_appear(directory, name)?,
        }
        let upper = self.upper(directory)?;
        upper.symlink(name, target)?;
        appeared(directory, &*upper, name);
        Ok(())
    }

    pub(super) fn link(
        &mut self,
        (from, name): (&Arc<Node>, Name<'_>),
        (to, new): (&Arc<Node>, Name<'_>),
    ) -> Result<()> {
        let source = self.find(from, name)?.ok_or(Errno::Noent)?;
        self.may_appear(to, new)?;
        let Item::File(layer, stat) = source else {
            return Err(Errno::Perm);
        };
        if layer.number != UPPER {
            self.copy(from, name, (&layer, &stat))?;
        }
        let (upper, to_upper) = (self.upper(from)?, self.upper(to)?);
        upper.link(name, &*to_upper, new)?;
        appeared(to, &*to_upper, new);
        Ok(())
    }

    pub(super) fn remove_file(&mut self, directory: &Arc<Node>, name: Name<'_>) -> Result<()> {
        let Item::File(layer, stat) = self.find(directory, name)?.ok_or(Errno::Noent)? else {
            return Err(Errno::Isdir);
        };
        let upper = self.upper(directory)?;
        if self.beneath(directory, name)?.is_some() {
            marks::put(&*upper, &marks::whiteout_of(name))?;
        }
        if layer.number == UPPER {
            upper.remove_file(name)?;
            marks::remove(&*upper, &marks::origin_of(name));
        }
        if stat.links <= 1 {
            self.numbers.forget(&stat);
        }
        directory.state().listing.touch(name.bytes());
        Ok(())
    }

    pub(super) fn remove_directory(&mut self, parent: &Arc<Node>, name: Name<'_>) -> Result<()> {
        let Item::Directory(node) = self.find(parent, name)?.ok_or(Errno::Noent)? else {
            return Err(Errno::Notdir);
        };
        if !self.is_empty(&node)? {
            return Err(Errno::Notempty);
        }
        let upper = self.upper(parent)?;
        self.vacate(parent, name, &node)?;
        match node.upper() {
            Some(_) => upper.remove_directory(name)?,
            None => marks::put(&*upper, &marks::whiteout_of(name))?,
        }
        self.removed(parent, name, &node);
        Ok(())
    }

    /// Prepares to remove the directory of the upper for one with nothing in it, or to put another in its place.
    pub(super) fn vacate(
        &mut self,
        parent: &Arc<Node>,
        name: Name<'_>,
        node: &Arc<Node>,
    ) -> Result<()> {
        let Some(own) = node.upper() else {
            return Ok(());
        };
        if node.has_lowers() {
            marks::put(&*own, marks::OPAQUE)?;
            node.drop_lowers();
        }
        if self.beneath(parent, name)?.is_some() {
            marks::put(&*self.upper(parent)?, &marks::whiteout_of(name))?;
        }
        remove_marks(&*own)
    }

    /// A directory is not there any more.
    pub(super) fn removed(&mut self, parent: &Node, name: Name<'_>, node: &Node) {
        self.recent.forget(node);
        let mut state = node.state();
        state.removed = true;
        let place = state.place.take();
        let top = state.stack.first().map(|layer| layer.directory.stat());
        drop(state);
        drop(place);
        if let Some(Ok(stat)) = top {
            self.numbers.forget(&stat);
        }
        let mut parent = parent.state();
        parent.children.remove(name.bytes());
        parent.listing.touch(name.bytes());
    }

    /// Whether something can be made at a name.
    fn may_appear(&mut self, directory: &Arc<Node>, name: Name<'_>) -> Result<()> {
        match self.find(directory, name)? {
            Some(_) => Err(Errno::Exist),
            None if marks::is_mark(name.bytes()) => Err(Errno::Inval),
            None => Ok(()),
        }
    }
}

/// The upper has something at a name where nothing was.
pub(super) fn appeared(directory: &Node, upper: &dyn Directory, name: Name<'_>) {
    if directory.has_lowers() {
        marks::remove(upper, &marks::whiteout_of(name));
    }
    marks::remove(upper, &marks::origin_of(name));
    directory.state().listing.touch(name.bytes());
}

fn mark_opaque(upper: &dyn Directory, name: Name<'_>) -> Result<()> {
    match upper.enter(name)? {
        Step::Directory(directory) => {
            keeping_times(&*directory, || marks::put(&*directory, marks::OPAQUE))
        }
        Step::Symlink(_) => Err(Errno::Stale),
    }
}

/// Removes all marks of a directory, last the one that makes the others say nothing.
fn remove_marks(directory: &dyn Directory) -> Result<()> {
    let mut found = Vec::new();
    directory.list(0, usize::MAX, &mut |entry| {
        if marks::is_mark(entry.name) && entry.name != marks::OPAQUE {
            found.push(entry.name.to_vec());
        }
        ControlFlow::Continue(())
    })?;
    for mark in found {
        marks::take(directory, &mark)?;
    }
    marks::take(directory, marks::OPAQUE)
}
