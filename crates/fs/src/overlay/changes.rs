//! What the upper changes.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::layers::{Found, Layer, Layers, Stack, UPPER};
use super::marks::{self, READ};
use super::node::lowers;
use super::origin::join;
use super::tree::Tree;
use super::{Change, ChangeKind};
use crate::content::read_all;
use crate::{Errno, File, FileType, Name, Result, Stat};

/// How much of two files is compared at once.
const CHUNK: usize = 128 << 10;

/// A directory that is looked at.
struct Visited {
    path: Vec<u8>,
    /// Where the lowers have it.
    origin: Option<Vec<u8>>,
    stack: Stack,
}

/// A name that may be a change, which depends on what becomes of the names in the lowers.
struct Candidate {
    path: Vec<u8>,
    /// Where the lowers have what this name hides.
    hides: Option<Vec<u8>>,
    file_type: FileType,
    size: u64,
    kind: Kind,
}

enum Kind {
    /// A whiteout.
    Removed,
    /// A directory, and where the lowers have it if it is renamed.
    Directory(Option<Vec<u8>>),
    File {
        /// Where the lowers have it, if it is renamed.
        from: Option<Vec<u8>>,
        /// Whether it differs from what it hides, if that is of its kind.
        differs: Option<bool>,
    },
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
        let names = |path: &[u8]| -> Vec<Box<[u8]>> {
            path.split(|byte| *byte == b'/').map(Box::from).collect()
        };
        candidates.sort_by_cached_key(|candidate| names(&candidate.path));
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
        FileType::Regular if (stat.size, stat.modified) == (beneath.size, beneath.modified) => Ok(
            !is_equal(&*layer.open_at(name, READ)?, &*lower.open_at(name, READ)?)?,
        ),
        _ => Ok(true),
    }
}

fn is_equal(one: &dyn File, other: &dyn File) -> Result<bool> {
    let (mut a, mut b) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut offset = 0;
    loop {
        let length = read_all(one, &mut a, offset)?;
        let other_length = read_all(other, &mut b, offset)?;
        if a[..length] != b[..other_length] {
            return Ok(false);
        }
        if length < CHUNK {
            return Ok(true);
        }
        offset = offset.checked_add(length as u64).ok_or(Errno::Overflow)?;
    }
}

/// The changes among the candidates, given in the order of their paths.
fn told(candidates: Vec<Candidate>) -> Vec<Change> {
    let mut taken: HashSet<Arc<[u8]>> = HashSet::new();
    let mut renamed = Vec::new();
    for candidate in &candidates {
        let from = match &candidate.kind {
            Kind::Directory(from) | Kind::File { from, .. } => from.as_deref(),
            Kind::Removed => None,
        };
        renamed.push(from.is_some_and(|from| taken.insert(from.into())));
    }
    let is_taken = |path: &Option<Vec<u8>>| match path {
        Some(path) => taken.contains(&path[..]),
        None => false,
    };
    let told = |(candidate, renamed): (Candidate, bool)| {
        let kind = match candidate.kind {
            Kind::Directory(Some(from))
            | Kind::File {
                from: Some(from), ..
            } if renamed => ChangeKind::Renamed { from },
            // What was there is told at its new name.
            Kind::Removed if is_taken(&candidate.hides) => return None,
            Kind::Removed => ChangeKind::Removed,
            Kind::File {
                differs: Some(differs),
                ..
            } if !is_taken(&candidate.hides) => match differs {
                true => ChangeKind::Modified,
                false => return None,
            },
            Kind::Directory(_) | Kind::File { .. } => ChangeKind::Created,
        };
        Some(Change {
            path: candidate.path,
            kind,
            file_type: candidate.file_type,
            size: candidate.size,
        })
    };
    candidates
        .into_iter()
        .zip(renamed)
        .filter_map(told)
        .collect()
}
