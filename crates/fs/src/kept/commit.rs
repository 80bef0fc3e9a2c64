//! Changes made for good in a directory.
//!
//! A file is made under another name and then renamed, so that whenever this ends, each is there as a whole or not at all. What
//! is renamed is first taken from where it was, the innermost first; then the changes are made in their order.

use std::sync::Arc;

use wasmrun_core as core;

use super::tree::{At, directory, names, split};
use super::{failed, shown};
use crate::content;
use crate::overlay::{Change, ChangeKind};
use crate::{Directory, Errno, FileType, Name, OpenOptions, Result, SetTime, SetTimes, Stat, Step};

pub(super) fn make(
    after: &dyn Directory,
    to: &dyn Directory,
    changes: &[Change],
) -> core::Result<()> {
    let mut names = Names::default();
    let mut aside = Vec::new();
    for change in changes {
        if let ChangeKind::Renamed { from } = &change.kind {
            aside.push((from, &change.path));
        }
    }
    // What is in another goes before it.
    aside.sort_by(|(one, _), (other, _)| other.cmp(one));
    let mut taken = Vec::new();
    for (from, path) in aside {
        let name = take(to, from, &mut names).map_err(failed(shown(from)))?;
        taken.push((path, name));
    }
    for change in changes {
        let path = &change.path;
        let done = match &change.kind {
            ChangeKind::Removed => remove(to, path),
            ChangeKind::Created | ChangeKind::Modified => put(after, to, path, &mut names),
            ChangeKind::Renamed { .. } => {
                let name = taken.iter().find(|(taken, _)| *taken == path);
                let name = name.map(|(_, name)| name.as_slice());
                give(after, to, path, name, &mut names)
            }
        };
        done.map_err(failed(shown(path)))?;
    }
    Ok(())
}

/// Names for what is not in its place yet.
#[derive(Default)]
struct Names(u32);

impl Names {
    /// One that nothing in the directory has.
    fn free(&mut self, directory: &dyn Directory) -> Result<Vec<u8>> {
        loop {
            self.0 += 1;
            let name = format!(".wasmrun-{}-{}", std::process::id(), self.0).into_bytes();
            match directory.stat_at(Name::new(&name)?) {
                Err(Errno::Noent) => return Ok(name),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
    }
}

/// Puts what is at a path aside, at the top.
fn take(to: &dyn Directory, path: &[u8], names: &mut Names) -> Result<Vec<u8>> {
    let at = At::find(to, path)?;
    let name = names.free(to)?;
    at.parent().rename(at.name, to, Name::new(&name)?)?;
    Ok(name)
}

/// Puts what was taken where it is to be. A file may have been changed as well.
fn give(
    after: &dyn Directory,
    to: &dyn Directory,
    path: &[u8],
    taken: Option<&[u8]>,
    names: &mut Names,
) -> Result<()> {
    let taken = Name::new(taken.ok_or(Errno::Noent)?)?;
    let at = At::find(to, path)?;
    let is_directory = to.stat_at(taken)?.file_type == FileType::Directory;
    if is_directory
        || at
            .stat()
            .is_ok_and(|stat| stat.file_type == FileType::Directory)
    {
        remove(to, path)?;
    }
    to.rename(taken, at.parent(), at.name)?;
    match is_directory {
        true => Ok(()),
        false => put(after, to, path, names),
    }
}

/// Makes at a path what is there after the run.
fn put(after: &dyn Directory, to: &dyn Directory, path: &[u8], names: &mut Names) -> Result<()> {
    let (source, target) = (At::find(after, path)?, At::find(to, path)?);
    let stat = source.stat()?;
    let there = target.stat().map(|stat| stat.file_type);
    if stat.file_type == FileType::Directory {
        if there.is_ok_and(|there| there != FileType::Directory) {
            target.parent().remove_file(target.name)?;
        }
        return match target.parent().create_directory(target.name) {
            Err(Errno::Exist) => Ok(()),
            made => made,
        };
    }
    if there == Ok(FileType::Directory) {
        remove(to, path)?;
    }
    let directory = target.parent();
    let name = names.free(directory)?;
    let name = Name::new(&name)?;
    let made = match stat.file_type {
        FileType::Symlink => {
            let link = source.parent().read_link(source.name)?;
            directory.symlink(name, &link)
        }
        FileType::Regular => copy(&source, &stat, directory, name),
        _ => return Ok(()),
    };
    let placed = made.and_then(|()| directory.rename(name, directory, target.name));
    if placed.is_err() {
        // What was not completed is nobody's.
        let _ = directory.remove_file(name);
    }
    placed
}

fn copy(source: &At<'_>, stat: &Stat, to: &dyn Directory, name: Name<'_>) -> Result<()> {
    let options = OpenOptions {
        write: true,
        create: true,
        exclusive: true,
        ..OpenOptions::default()
    };
    let to = to.open_at(name, options)?;
    content::copy(&*source.open()?, &*to)?;
    to.set_times(SetTimes {
        accessed: SetTime::Keep,
        modified: SetTime::To(stat.modified),
    })?;
    to.sync(false)
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
