//! Moving names.

use std::sync::Arc;

use super::copy::keeping_times;
use super::entries::appeared;
use super::layers::{Found, Layer, UPPER};
use super::marks;
use super::node::Node;
use super::tree::{Item, Tree};
use crate::{Errno, Name, Result, Stat};

/// A name in a directory.
type At<'a> = (&'a Arc<Node>, Name<'a>);

impl Tree {
    pub(super) fn rename(&mut self, from: At<'_>, to: At<'_>) -> Result<()> {
        let source = self.find(from.0, from.1)?.ok_or(Errno::Noent)?;
        let target = self.find(to.0, to.1)?;
        if marks::is_mark(to.1.bytes()) {
            return Err(Errno::Inval);
        }
        if let Item::Directory(source) = &source
            && to.0.is_within(source)
        {
            return Err(Errno::Inval);
        }
        if let Some(target) = &target {
            if let Item::Directory(target) = target
                && from.0.is_within(target)
            {
                return Err(Errno::Notempty);
            }
            if is_same(&source, target) {
                return Ok(());
            }
            self.may_replace(&source, target)?;
        }
        match source {
            Item::Directory(node) => self.move_directory(&node, from, to, target),
            Item::File(layer, stat) => self.move_file((&layer, &stat), from, to, target),
        }
    }

    fn may_replace(&self, source: &Item, target: &Item) -> Result<()> {
        match (source, target) {
            (Item::File(..), Item::File(..)) => Ok(()),
            (Item::File(..), Item::Directory(_)) => Err(Errno::Isdir),
            (Item::Directory(_), Item::File(..)) => Err(Errno::Notdir),
            (Item::Directory(_), Item::Directory(target)) => match self.is_empty(target)? {
                true => Ok(()),
                false => Err(Errno::Notempty),
            },
        }
    }

    fn move_file(
        &mut self,
        (layer, stat): (&Layer, &Stat),
        from: At<'_>,
        to: At<'_>,
        target: Option<Item>,
    ) -> Result<()> {
        let origin = self.origin_of_file((layer, stat), from)?;
        if layer.number != UPPER {
            self.copy(from.0, from.1, (layer, stat))?;
        }
        let (upper, to_upper) = (self.upper(from.0)?, self.upper(to.0)?);
        // While the name is in the upper, the whiteout says nothing.
        self.whiteout_before_move(from)?;
        upper.rename(from.1, &*to_upper, to.1)?;
        appeared(to.0, &*to_upper, to.1);
        if let Some(path) =
            origin.filter(|path| to.0.origin_of(to.1.bytes()).as_ref() != Some(path))
        {
            // Without it, the file is told as created.
            let _ = marks::write(&*to_upper, &marks::origin_of(to.1), &path);
        }
        marks::remove(&*upper, &marks::origin_of(from.1));
        if let Some(Item::File(_, replaced)) = target
            && replaced.links <= 1
        {
            self.numbers.forget(&replaced);
        }
        from.0.state().listing.touch(from.1.bytes());
        Ok(())
    }

    /// Where the lowers have a file, if it comes from there.
    fn origin_of_file(
        &self,
        (layer, stat): (&Layer, &Stat),
        at: At<'_>,
    ) -> Result<Option<Vec<u8>>> {
        if layer.number == UPPER {
            let kept = marks::read(&*layer.directory, &marks::origin_of(at.1))?;
            if kept.is_some() {
                return Ok(kept);
            }
            match self.beneath(at.0, at.1)? {
                Some(Found::File(_, beneath)) if beneath.file_type == stat.file_type => {}
                _ => return Ok(None),
            }
        }
        Ok(at.0.origin_of(at.1.bytes()))
    }

    fn move_directory(
        &mut self,
        node: &Arc<Node>,
        from: At<'_>,
        to: At<'_>,
        target: Option<Item>,
    ) -> Result<()> {
        let own = self.upper(node)?;
        let (upper, to_upper) = (self.upper(from.0)?, self.upper(to.0)?);
        let origin = node.state().origin.clone().map(|origin| origin.path());
        match &origin {
            Some(_) if marks::exists(&*own, marks::FROM)? => {}
            Some(path) => keeping_times(&*own, || marks::write(&*own, marks::FROM, path))?,
            None if self.beneath(to.0, to.1)?.is_none() => {}
            None => keeping_times(&*own, || marks::put(&*own, marks::OPAQUE))?,
        }
        self.whiteout_before_move(from)?;
        if let Some(Item::Directory(target)) = &target {
            self.vacate(to.0, to.1, target)?;
        }
        upper.rename(from.1, &*to_upper, to.1)?;
        if let Some(Item::Directory(target)) = &target {
            self.removed(to.0, to.1, target);
        }
        appeared(to.0, &*to_upper, to.1);
        // It is where it was. A whiteout that could not be removed would hide the lowers without the mark.
        if origin.is_some()
            && origin == to.0.origin_of(to.1.bytes())
            && marks::exists(&*to_upper, &marks::whiteout_of(to.1)) == Ok(false)
        {
            let _ = keeping_times(&*own, || marks::take(&*own, marks::FROM));
        }
        moved(node, from, to);
        Ok(())
    }

    /// Hides what the lowers have at a name that the upper has as well, and is going to lose.
    fn whiteout_before_move(&mut self, (directory, name): At<'_>) -> Result<()> {
        if self.beneath(directory, name)?.is_some() {
            marks::put(&*self.upper(directory)?, &marks::whiteout_of(name))?;
        }
        Ok(())
    }
}

/// A directory that is in use has another name.
fn moved(node: &Arc<Node>, from: At<'_>, to: At<'_>) {
    let place = (Arc::clone(to.0), to.1.bytes().into());
    let old = node.state().place.replace(place);
    drop(old);
    let mut parent = from.0.state();
    parent.children.remove(from.1.bytes());
    parent.listing.touch(from.1.bytes());
    drop(parent);
    to.0.state().children.put(to.1.bytes(), node);
}

/// Whether two names stand for one file or directory.
fn is_same(one: &Item, other: &Item) -> bool {
    match (one, other) {
        (Item::Directory(one), Item::Directory(other)) => Arc::ptr_eq(one, other),
        (Item::File(_, one), Item::File(_, other)) => {
            (one.device, one.inode) == (other.device, other.inode)
        }
        _ => false,
    }
}
