//! Changes made for good in a directory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use wasmrun_core as core;

use super::{failed, shown};
use crate::changes::{Change, ChangeKind};
use crate::content;
use crate::overlay::join;
use crate::tree::{At, directory, names, split};
use crate::{Directory, Errno, FileType, Name, OpenOptions, Result, SetTime, SetTimes, Stat, Step};

/// Changes that are made for good in a directory.
///
/// A file is made under another name and then takes its place, so that each is there as a whole or not at all. What is
/// renamed is first put aside, at the top of the directory, the innermost first; then the changes are made in their order.
///
/// Whenever that ends, it can be made again from what was last saved of it, and then goes on. Until it is done, nothing else
/// may change the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// What the names begin with of what is not in its place.
    aside: String,
    changes: Vec<Change>,
    /// All that is renamed has been put aside.
    taken: bool,
}

impl Commit {
    /// Of changes as [`Overlay::changes`](crate::Overlay::changes) tells them.
    pub fn new(changes: Vec<Change>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_nanos();
        Commit {
            aside: format!(".wasmrun-{}-{now:x}", std::process::id()),
            changes,
            taken: false,
        }
    }

    /// Makes the changes in `to`. `after` is what is shown: if that is an overlay, what it shows of its lowers is not asked
    /// for, so `to` may be one of them. `save` is called where it goes on from here if it is to be made again.
    ///
    /// # Errors
    ///
    /// [`Io`](core::ErrorKind::Io) for what cannot be read or written, and what `save` says.
    pub fn make(
        &mut self,
        after: &dyn Directory,
        to: &dyn Directory,
        save: &mut dyn FnMut(&Self) -> core::Result<()>,
    ) -> core::Result<()> {
        if !self.taken {
            self.take(to)?;
            self.taken = true;
            save(self)?;
        }
        let mut touched = BTreeSet::from([&b""[..]]);
        for (number, change) in self.changes.iter().enumerate() {
            let making = Making {
                after,
                to,
                path: &change.path,
                aside: self.name(number),
            };
            making.make(change).map_err(failed(shown(&change.path)))?;
            touched.insert(split(&change.path).0);
        }
        for path in touched {
            sync(to, path).map_err(failed(shown(path)))?;
        }
        Ok(())
    }

    /// Puts what is renamed aside.
    fn take(&self, to: &dyn Directory) -> core::Result<()> {
        let mut renamed = Vec::new();
        for (number, change) in self.changes.iter().enumerate() {
            if let ChangeKind::Renamed { from } = &change.kind {
                renamed.push((from, number));
            }
        }
        // What is in another goes before it.
        renamed.sort_by(|(one, _), (other, _)| other.cmp(one));
        for (from, number) in renamed {
            let take = || {
                let aside = self.name(number);
                let aside = Name::new(&aside)?;
                let at = At::find(to, from)?;
                match to.stat_at(aside) {
                    Ok(_) => Ok(()),
                    Err(Errno::Noent) => at.parent().rename(at.name, to, aside),
                    Err(error) => Err(error),
                }
            };
            match take() {
                // It was taken before, with what it was in perhaps.
                Ok(()) | Err(Errno::Noent) => {}
                Err(error) => return Err(failed(shown(from))(error)),
            }
        }
        Ok(())
    }

    /// The name of what is not in its place, by the number of its change.
    fn name(&self, number: usize) -> Vec<u8> {
        format!("{}-{number}", self.aside).into_bytes()
    }
}

/// A change that is made. What was done before, all of it or a part, is done again.
struct Making<'a> {
    after: &'a dyn Directory,
    to: &'a dyn Directory,
    path: &'a [u8],
    aside: Vec<u8>,
}

impl Making<'_> {
    fn make(&self, change: &Change) -> Result<()> {
        match (&change.kind, change.file_type) {
            (ChangeKind::Removed, _) => remove(self.to, self.path),
            (ChangeKind::Renamed { .. }, FileType::Directory) => self.give(),
            (_, FileType::Directory) => self.make_directory(),
            (ChangeKind::Renamed { .. }, _) => self.give_file(),
            (ChangeKind::Created | ChangeKind::Modified, _) => self.put(None),
        }
    }

    /// Puts what was taken in its place, unless it is there.
    fn give(&self) -> Result<()> {
        let taken = Name::new(&self.aside)?;
        if self.to.stat_at(taken) == Err(Errno::Noent) {
            return Ok(());
        }
        remove(self.to, self.path)?;
        let at = At::find(self.to, self.path)?;
        self.to.rename(taken, at.parent(), at.name)
    }

    /// Puts the file that was taken in its place, or another if it was changed as well.
    fn give_file(&self) -> Result<()> {
        let taken = Name::new(&self.aside)?;
        let source = At::find(self.after, self.path)?;
        match is_same(&source, self.to, taken) {
            Ok(true) => self.give(),
            Ok(false) => {
                self.put(Some((self.to, taken)))?;
                self.to.remove_file(taken)
            }
            Err(Errno::Noent) => self.put(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a directory, in which nothing is left of what may have been there.
    fn make_directory(&self) -> Result<()> {
        let at = At::find(self.to, self.path)?;
        if at
            .stat()
            .is_ok_and(|there| there.file_type != FileType::Directory)
        {
            at.parent().remove_file(at.name)?;
        }
        match at.parent().create_directory(at.name) {
            Ok(()) => return Ok(()),
            Err(Errno::Exist) => {}
            Err(error) => return Err(error),
        }
        let kept = match directory(self.after, self.path)? {
            Some(after) => names(&*after)?,
            None => Vec::new(),
        };
        let kept: BTreeSet<_> = kept.into_iter().map(|(name, _)| name).collect();
        if let Some(there) = directory(self.to, self.path)? {
            for (name, _) in names(&*there)? {
                if !kept.contains(&name) {
                    remove(self.to, &join(self.path, &name))?;
                }
            }
        }
        Ok(())
    }

    /// Makes a file or symbolic link as it is after the run, with the permissions of what was there, which is elsewhere if it
    /// was taken.
    fn put(&self, taken: Option<(&dyn Directory, Name<'_>)>) -> Result<()> {
        let (source, target) = (
            At::find(self.after, self.path)?,
            At::find(self.to, self.path)?,
        );
        let stat = source.stat()?;
        let there = target.stat().map(|stat| stat.file_type);
        if there == Ok(FileType::Directory) {
            remove(self.to, self.path)?;
        }
        let directory = target.parent();
        let new = [&self.aside[..], b".new"].concat();
        let name = Name::new(&new)?;
        // From when it was done before, and not to its end.
        removed(directory.remove_file(name))?;
        let made = match stat.file_type {
            FileType::Symlink => directory.symlink(name, &source.read_link()?),
            FileType::Regular => copy(&source, &stat, directory, name).and_then(|()| {
                let (like, at) = taken.unwrap_or((directory, target.name));
                match directory.permit_as(name, like, at) {
                    Err(Errno::Noent) => Ok(()),
                    permitted => permitted,
                }
            }),
            _ => return Ok(()),
        };
        let placed = made.and_then(|()| directory.rename(name, directory, target.name));
        if placed.is_err() {
            // What was not completed is nobody's.
            let _ = directory.remove_file(name);
        }
        placed
    }
}

/// Whether what is at a name is what is shown elsewhere.
fn is_same(shown: &At<'_>, to: &dyn Directory, name: Name<'_>) -> Result<bool> {
    let (one, other) = (shown.stat()?, to.stat_at(name)?);
    let kept = |stat: &Stat| (stat.file_type, stat.size, stat.modified);
    Ok(kept(&one) == kept(&other)
        && match one.file_type {
            FileType::Symlink => shown.read_link()? == to.read_link(name)?,
            FileType::Regular => {
                content::is_equal(&*shown.open()?, &*to.open_at(name, OpenOptions::READ)?)?
            }
            _ => false,
        })
}

fn copy(source: &At<'_>, stat: &Stat, to: &dyn Directory, name: Name<'_>) -> Result<()> {
    let to = to.open_at(name, OpenOptions::NEW)?;
    content::copy(&*source.open()?, &*to)?;
    to.set_times(SetTimes {
        accessed: SetTime::Keep,
        modified: SetTime::To(stat.modified),
    })?;
    to.sync(false)
}

fn sync(to: &dyn Directory, path: &[u8]) -> Result<()> {
    match directory(to, path) {
        Ok(Some(directory)) => directory.sync(),
        Ok(None) => to.sync(),
        // It was removed or replaced by a later change.
        Err(Errno::Noent | Errno::Notdir) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What is not there needs no removing.
fn removed(removed: Result<()>) -> Result<()> {
    match removed {
        Err(Errno::Noent) => Ok(()),
        removed => removed,
    }
}

/// Removes what is at a path, whatever it is, if anything.
fn remove(to: &dyn Directory, path: &[u8]) -> Result<()> {
    let at = match At::find(to, path) {
        Err(Errno::Noent | Errno::Notdir) => return Ok(()),
        found => found?,
    };
    let mut inside: Vec<(Arc<dyn Directory>, Vec<u8>)> = Vec::new();
    match at.stat() {
        Err(Errno::Noent) => return Ok(()),
        Ok(stat) if stat.file_type == FileType::Directory => {}
        _ => return at.parent().remove_file(at.name),
    }
    let Some(top) = directory(to, path)? else {
        return Ok(());
    };
    inside.push((top, split(path).1.to_vec()));
    while let Some((directory, _)) = inside.last() {
        let directory = Arc::clone(directory);
        let mut deeper = None;
        for (name, file_type) in names(&*directory)? {
            let each = Name::new(&name)?;
            match (file_type, directory.enter(each)) {
                (FileType::Directory, Ok(Step::Directory(below))) => deeper = Some((below, name)),
                _ => directory.remove_file(each)?,
            }
            if deeper.is_some() {
                break;
            }
        }
        match deeper {
            Some(deeper) => inside.push(deeper),
            None => {
                let Some((_, name)) = inside.pop() else { break };
                let parent = inside.last().map(|(directory, _)| &**directory);
                parent
                    .unwrap_or(at.parent())
                    .remove_directory(Name::new(&name)?)?;
            }
        }
    }
    Ok(())
}
