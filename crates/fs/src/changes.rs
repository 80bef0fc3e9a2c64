//! How what is shown differs from what was there, path by path.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::FileType;

/// How what is shown at a path differs from what was there.
///
/// Changes are in the order of paths, compared name by name, so that a directory comes before what is in it. A directory
/// that only has other times is no change. They make of what was there what is shown, if everything that is renamed is first
/// taken from where it was, the innermost first, and then the changes are made in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The path from the root, without a leading slash.
    pub path: Vec<u8>,
    /// How it differs.
    pub kind: ChangeKind,
    /// What is there, or was there if it is removed.
    pub file_type: FileType,
    /// The size of that in bytes, 0 for a directory.
    pub size: u64,
}

/// How something differs from what was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// It is new, in place of whatever was at that path.
    Created,
    /// The file or symbolic link has another content or another time than before.
    Modified,
    /// It is not there any more.
    Removed,
    /// It is what was at the path `from`, which is not there any more or another one; in place of whatever was at the new
    /// path. A file may be modified as well; of a directory, everything that differs is told.
    Renamed {
        /// The path it had, whatever directories have been renamed.
        from: Vec<u8>,
    },
}

/// A path that may be a change, which depends on what becomes of what was there.
pub(crate) struct Candidate {
    pub(crate) path: Vec<u8>,
    /// Where that was what this path hides.
    pub(crate) hides: Option<Vec<u8>>,
    pub(crate) file_type: FileType,
    pub(crate) size: u64,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    /// Nothing is there any more.
    Removed,
    /// A directory, and where it was if it is renamed.
    Directory(Option<Vec<u8>>),
    File {
        /// Where it was, if it is renamed.
        from: Option<Vec<u8>>,
        /// Whether it differs from what it hides, if that is of its kind.
        differs: Option<bool>,
    },
}

/// The changes among the candidates.
pub(crate) fn told(mut candidates: Vec<Candidate>) -> Vec<Change> {
    let names = |path: &[u8]| -> Vec<Box<[u8]>> {
        path.split(|byte| *byte == b'/').map(Box::from).collect()
    };
    candidates.sort_by_cached_key(|candidate| names(&candidate.path));
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
