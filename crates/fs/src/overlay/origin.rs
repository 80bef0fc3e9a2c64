//! Where the lowers have a directory.

use std::sync::Arc;

/// The path of a directory in the lowers, which renaming it does not change.
///
/// It shares what it has in common with that of its parent, as the paths of deep trees are long.
pub(super) struct Origin {
    parent: Option<Arc<Origin>>,
    /// What the path has behind that of the parent: a name or several, or nothing for the root.
    rest: Box<[u8]>,
}

impl Origin {
    /// That of the directory at a path.
    pub(super) fn at(path: &[u8]) -> Arc<Self> {
        Arc::new(Origin {
            parent: None,
            rest: path.into(),
        })
    }

    /// That of a directory in this one.
    pub(super) fn below(self: &Arc<Self>, name: &[u8]) -> Arc<Self> {
        Arc::new(Origin {
            parent: Some(Arc::clone(self)),
            rest: name.into(),
        })
    }

    /// The path, without a leading slash.
    pub(super) fn path(&self) -> Vec<u8> {
        let origins = std::iter::successors(Some(self), |origin| origin.parent.as_deref());
        let mut parts: Vec<_> = origins.map(|origin| &*origin.rest).collect();
        parts.retain(|part| !part.is_empty());
        parts.reverse();
        parts.join(&b'/')
    }

    /// The path of a name in it.
    pub(super) fn path_of(&self, name: &[u8]) -> Vec<u8> {
        join(&self.path(), name)
    }
}

impl Drop for Origin {
    /// Not one in the other, as there may be more of them than the stack has room for.
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        while let Some(mut origin) = parent.and_then(Arc::into_inner) {
            parent = origin.parent.take();
        }
    }
}

/// The path of a name in a directory.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        b"" => name.to_vec(),
        _ => [directory, name].join(&b'/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_without_leading_slashes() {
        let root = Origin::at(b"");
        assert_eq!(root.path(), b"");
        assert_eq!(root.path_of(b"a"), b"a");
        assert_eq!(root.below(b"a").below(b"b").path_of(b"c"), b"a/b/c");
        assert_eq!(Origin::at(b"a/b").below(b"c").path(), b"a/b/c");
    }

    #[test]
    fn a_long_path_can_be_dropped() {
        let long = (0..1_000_000).fold(Origin::at(b""), |origin, _| origin.below(b"a"));
        assert_eq!(long.path().len(), 2 * 1_000_000 - 1);
    }
}
