//! Files by their paths below a directory, which lead through no symbolic link.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::overlay::join;
use crate::{Directory, Errno, File, FileType, Name, OpenOptions, Result, Stat, Step};

/// The directory at a path, and nothing for the one it is below.
pub(crate) fn directory(root: &dyn Directory, path: &[u8]) -> Result<Option<Arc<dyn Directory>>> {
    let mut at: Option<Arc<dyn Directory>> = None;
    for name in path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
    {
        let below = at.as_deref().unwrap_or(root).enter(Name::new(name)?)?;
        match below {
            Step::Directory(directory) => at = Some(directory),
            Step::Symlink(_) => return Err(Errno::Notdir),
        }
    }
    Ok(at)
}

/// What has the last name of a path.
pub(crate) struct At<'a> {
    root: &'a dyn Directory,
    directory: Option<Arc<dyn Directory>>,
    pub(crate) name: Name<'a>,
}

impl<'a> At<'a> {
    pub(crate) fn find(root: &'a dyn Directory, path: &'a [u8]) -> Result<Self> {
        let (parent, name) = split(path);
        Ok(At {
            root,
            directory: directory(root, parent)?,
            name: Name::new(name)?,
        })
    }

    pub(crate) fn parent(&self) -> &dyn Directory {
        self.directory.as_deref().unwrap_or(self.root)
    }

    pub(crate) fn stat(&self) -> Result<Stat> {
        self.parent().stat_at(self.name)
    }

    pub(crate) fn read_link(&self) -> Result<Vec<u8>> {
        self.parent().read_link(self.name)
    }

    pub(crate) fn open(&self) -> Result<Arc<dyn File>> {
        self.parent().open_at(self.name, OpenOptions::READ)
    }
}

/// The path of the directory, and the last name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// What is in a directory, by name.
pub(crate) fn names(directory: &dyn Directory) -> Result<Vec<(Vec<u8>, FileType)>> {
    let mut names = Vec::new();
    directory.list(0, usize::MAX, &mut |entry| {
        if Name::new(entry.name).is_ok() {
            names.push((entry.name.to_vec(), entry.file_type));
        }
        ControlFlow::Continue(())
    })?;
    names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(names)
}

/// What is at a path and below it, in the order of paths.
pub(crate) fn below(root: &dyn Directory, path: &[u8]) -> Result<Vec<(Vec<u8>, FileType)>> {
    let mut found = Vec::new();
    let mut pending = vec![(path.to_vec(), At::find(root, path)?.stat()?.file_type)];
    while let Some((path, file_type)) = pending.pop() {
        if file_type == FileType::Directory
            && let Some(directory) = directory(root, &path)?
        {
            let names = names(&*directory)?.into_iter().rev();
            pending.extend(names.map(|(name, file_type)| (join(&path, &name), file_type)));
        }
        found.push((path, file_type));
    }
    Ok(found)
}
