//! Copying all that is in a directory.

use std::collections::HashMap;
use std::sync::Arc;

use crate::overlay::join;
use crate::tree::names;
use crate::{Directory, Errno, FileType, Name, OpenOptions, Result, SetTimes, Stat, Step, content};

/// Copies all that is in a directory into another, over what is there: files, directories and symbolic links, with their
/// times and further names, but nothing that no guest can open. `go_on` is asked before each.
///
/// # Errors
///
/// Whatever keeps it from being read or written, [`Errno::Isdir`] for what would take the place of a directory, and what
/// `go_on` says. What was copied by then stays.
pub fn copy_tree(
    from: Arc<dyn Directory>,
    to: Arc<dyn Directory>,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<()> {
    copy_and_tell(from, to, go_on, &mut |_, _| {})
}

/// The same, which tells of each copy where it is and what.
pub(crate) fn copy_and_tell(
    from: Arc<dyn Directory>,
    to: Arc<dyn Directory>,
    go_on: &dyn Fn() -> Result<()>,
    tell: &mut dyn FnMut(Vec<u8>, &Stat),
) -> Result<()> {
    let mut linked = Linked::new();
    let mut done = Vec::new();
    let mut pending = vec![Pair {
        path: Vec::new(),
        from,
        to,
    }];
    while let Some(pair) = pending.pop() {
        for (name, _) in names(&*pair.from)? {
            go_on()?;
            let name = Name::new(&name)?;
            let stat = match pair.from.stat_at(name) {
                // It is gone.
                Err(Errno::Noent) => continue,
                stat => stat?,
            };
            if pair.copy(name, &stat, &mut linked)? {
                tell(pair.below(name), &pair.to.stat_at(name)?);
            }
            if stat.file_type == FileType::Directory {
                pending.push(pair.enter(name)?);
            }
        }
        done.push(pair);
    }
    // What was made in a directory has changed its times.
    for pair in &done {
        pair.to.set_times(SetTimes::of(&pair.from.stat()?))?;
    }
    Ok(())
}

/// A directory, and the copy of it.
struct Pair {
    path: Vec<u8>,
    from: Arc<dyn Directory>,
    to: Arc<dyn Directory>,
}

/// Where a file of several names was copied to, by its device and number.
type Linked = HashMap<(u64, u64), (Arc<dyn Directory>, Vec<u8>)>;

impl Pair {
    fn below(&self, name: Name<'_>) -> Vec<u8> {
        join(&self.path, name.bytes())
    }

    fn enter(&self, name: Name<'_>) -> Result<Pair> {
        match (self.from.enter(name)?, self.to.enter(name)?) {
            (Step::Directory(from), Step::Directory(to)) => Ok(Pair {
                path: self.below(name),
                from,
                to,
            }),
            _ => Err(Errno::Stale),
        }
    }

    /// Copies what has a name, but nothing of what is in a directory. False for what is not copied.
    fn copy(&self, name: Name<'_>, stat: &Stat, linked: &mut Linked) -> Result<bool> {
        let (from, to) = (&self.from, &self.to);
        match stat.file_type {
            FileType::Directory => match to.create_directory(name) {
                Err(Errno::Exist) if to.stat_at(name)?.file_type == FileType::Directory => {}
                Err(Errno::Exist) => {
                    to.remove_file(name)?;
                    to.create_directory(name)?;
                }
                made => made?,
            },
            FileType::Symlink => {
                let target = from.read_link(name)?;
                self.instead(name, || to.symlink(name, &target))?;
                to.set_times_at(name, SetTimes::of(stat))?;
            }
            FileType::Regular => {
                let number = (stat.device, stat.inode);
                if let Some((directory, other)) = linked.get(&number) {
                    let other = Name::new(other)?;
                    self.instead(name, || directory.link(other, &**to, name))?;
                    return Ok(true);
                }
                let file = self.instead(name, || to.open_at(name, OpenOptions::NEW))?;
                content::copy(&*from.open_at(name, OpenOptions::READ)?, &*file)?;
                file.set_times(SetTimes::of(stat))?;
                if stat.links > 1 {
                    linked.insert(number, (Arc::clone(to), name.bytes().to_vec()));
                }
            }
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Other => {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes something at a name, in the place of a file perhaps.
    fn instead<T>(&self, name: Name<'_>, make: impl Fn() -> Result<T>) -> Result<T> {
        match make() {
            Err(Errno::Exist) => {
                self.to.remove_file(name)?;
                make()
            }
            made => made,
        }
    }
}
