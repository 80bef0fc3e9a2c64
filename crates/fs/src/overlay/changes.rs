//! What the upper changes.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::layers::{Found, Layer, Layers, Stack, UPPER};
use super::marks;
use super::node::lowers;
use super::origin::join;
use super::tree::Tree;
use crate::changes::{Candidate, Change, Kind, told};
use crate::content::is_equal;
use crate::{FileType, Name, OpenOptions, Result, Stat};

/// A directory that is looked at.
struct Visited {
    path: Vec<u8>,
    /// Where the lowers have it.
    origin: Option<Vec<u8>>,
    stack: Stack,
}

impl Tree {
    pub(super) fn changes(&self) -> Result<Vec<Change>> {
        let root = Visited {
            path: Vec::new(),
            origin: Some(Vec::new()),
            stack: self.layers.root(UPPER).into(),
        };
        let mut pending = vec![root];
        let mut candidates = Vec::new();
        while let Some(visited) = pending.pop() {
            self.layers.visit(&visited, &mut candidates, &mut pending)?;
        }
        Ok(told(candidates))
    }
}

impl Layers {
    /// Looks at what the upper has in a directory.
    fn visit(
        &self,
        visited: &Visited,
        candidates: &mut Vec<Candidate>,
        pending: &mut Vec<Visited>,
    ) -> Result<()> {
        let Some(upper) = visited.stack.first() else {
            return Ok(());
        };
        let (names, whiteouts) = names(upper)?;
        for name in whiteouts.difference(&names) {
            candidates.extend(self.removed(visited, Name::new(name)?)?);
        }
        for name in &names {
            let name = Name::new(name)?;
            match self.find(&visited.stack, name)? {
                Some(Found::Directory { stack, from }) => {
                    let (candidate, below) = self.directory(visited, name, stack, from)?;
                    candidates.extend(candidate);
                    pending.push(below);
                }
                Some(Found::File(layer, stat)) => {
                    candidates.push(self.file(visited, name, &layer, &stat)?);
                }
                None => {}
            }
        }
        Ok(())
    }

    fn removed(&self, visited: &Visited, name: Name<'_>) -> Result<Option<Candidate>> {
        let found = self.find(lowers(&visited.stack), name)?;
        let (file_type, size) = match found {
            Some(Found::Directory { .. }) => (FileType::Directory, 0),
            Some(Found::File(_, stat)) => (stat.file_type, stat.size),
            None => return Ok(None),
        };
        Ok(Some(Candidate {
            path: join(&visited.path, name.bytes()),
            hides: visited.natural(name),
            file_type,
            size,
            kind: Kind::Removed,
        }))
    }

    /// A directory of the upper, which is no change if it is only merged with the lowers at its own name.
    fn directory(
        &self,
        visited: &Visited,
        name: Name<'_>,
        stack: Stack,
        from: Option<Vec<u8>>,
    ) -> Result<(Option<Candidate>, Visited)> {
        let natural = visited.natural(name);
        let path = join(&visited.path, name.bytes());
        let is_new = lowers(&stack).is_empty();
        let from = from.filter(|from| !is_new && natural.as_ref() != Some(from));
        let below = Visited {
            path: path.clone(),
            origin: from.clone().or(natural.clone()).filter(|_| !is_new),
            stack,
        };
        let candidate = (is_new || from.is_some()).then_some(Candidate {
            path,
            hides: natural,
            file_type: FileType::Directory,
            size: 0,
            kind: Kind::Directory(from),
        });
        Ok((candidate, below))
    }

    fn file(
        &self,
        visited: &Visited,
        name: Name<'_>,
        layer: &Layer,
        stat: &Stat,
    ) -> Result<Candidate> {
        let natural = visited.natural(name);
        let from = marks::read(&*layer.directory, &marks::origin_of(name))?;
        let from = from.filter(|from| natural.as_ref() != Some(from));
        let from = match from.as_deref().map(|path| self.find_path(UPPER + 1, path)) {
            Some(found) => match found? {
                Some(Found::File(_, origin)) if origin.file_type == stat.file_type => from,
                _ => None,
            },
            None => None,
        };
        let differs = match self.find(lowers(&visited.stack), name)? {
            Some(Found::File(lower, beneath)) if beneath.file_type == stat.file_type => {
                Some(differs((layer, stat), (&lower, &beneath), name)?)
            }
            _ => None,
        };
        Ok(Candidate {
            path: join(&visited.path, name.bytes()),
            hides: natural,
            file_type: stat.file_type,
            size: stat.size,
            kind: Kind::File { from, differs },
        })
    }
}

impl Visited {
    /// Where the lowers would have a name in it.
    fn natural(&self, name: Name<'_>) -> Option<Vec<u8>> {
        let origin = self.origin.as_ref()?;
        Some(join(origin, name.bytes()))
    }
}

type Names = HashSet<Vec<u8>>;

/// The names of a directory of the upper, and those it has whiteouts of.
fn names(upper: &Layer) -> Result<(Names, Names)> {
    let (mut names, mut whiteouts) = (HashSet::new(), HashSet::new());
    upper.directory.list(0, usize::MAX, &mut |entry| {
        match entry.name {
            b"." | b".." => {}
            mark if marks::is_mark(mark) => {
                whiteouts.extend(marks::hidden_by(mark).map(<[u8]>::to_vec));
            }
            name => drop(names.insert(name.to_vec())),
        }
        ControlFlow::Continue(())
    })?;
    whiteouts.retain(|name| Name::new(name).is_ok());
    Ok((names, whiteouts))
}

/// Whether a file or symbolic link of the upper is another than that of a lower.
fn differs(
    (layer, stat): (&Layer, &Stat),
    (lower, beneath): (&Layer, &Stat),
    name: Name<'_>,
) -> Result<bool> {
    let (layer, lower) = (&*layer.directory, &*lower.directory);
    match stat.file_type {
        FileType::Symlink => Ok(layer.read_link(name)? != lower.read_link(name)?),
        FileType::Regular if (stat.size, stat.modified) == (beneath.size, beneath.modified) => {
            Ok(!is_equal(
                &*layer.open_at(name, OpenOptions::READ)?,
                &*lower.open_at(name, OpenOptions::READ)?,
            )?)
        }
        _ => Ok(true),
    }
}
