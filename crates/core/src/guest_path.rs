//! Paths as a guest sees them: always `/`-separated, whatever the host is.

use std::collections::HashSet;

use crate::{Error, ErrorKind, Result};

/// Normalises a guest path: no empty or `.` parts, no trailing slash, `..` resolved.
///
/// A relative path stays relative (`.` is the usual name for a guest's working directory).
///
/// # Errors
///
/// [`ErrorKind::Config`] if the path is empty, holds a NUL byte, or leads above its start by `..`.
pub fn normalise(path: &str) -> Result<String> {
    let refuse = |why: &str| {
        Err(Error::new(
            ErrorKind::Config,
            format!("guest path {path:?} {why}"),
        ))
    };
    if path.is_empty() {
        return refuse("is empty; name the directory, for example /data");
    }
    if path.contains('\0') {
        return refuse("contains a NUL byte");
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return refuse("leads above the guest's root");
                }
            }
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    Ok(match (path.starts_with('/'), joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    })
}

/// Whether two paths name one place: a guest's working directory is its root, so `data` is `/data` and `.` is `/`. What
/// [cannot be normalised](normalise) names none.
pub fn same(a: &str, b: &str) -> bool {
    match (normalise(a), normalise(b)) {
        (Ok(a), Ok(b)) => from_root(&a) == from_root(&b),
        _ => false,
    }
}

fn from_root(path: &str) -> &str {
    path.strip_prefix('/')
        .unwrap_or(if path == "." { "" } else { path })
}

/// The first path that names the place of one before it, of those that can be normalised.
pub(crate) fn repeated<'a>(paths: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut before = HashSet::new();
    paths.into_iter().find(|path| match normalise(path) {
        Ok(path) => !before.insert(from_root(&path).to_owned()),
        Err(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised() {
        for (path, normal) in [
            ("/", "/"),
            ("//data//x/", "/data/x"),
            ("/data/./x/../y", "/data/y"),
            (".", "."),
            ("./", "."),
            ("a/..", "."),
            ("./data", "data"),
        ] {
            assert_eq!(normalise(path).expect(path), normal);
        }
    }

    #[test]
    fn a_path_is_repeated_however_it_is_written() {
        for (paths, expected) in [
            (vec!["/a", "/b", "/", "b/."], Some("b/.")),
            (vec!["..", "..", ".", "/a", "/"], Some("/")),
            (vec!["/a", "/a/b", "/b", ""], None),
        ] {
            assert_eq!(repeated(paths.into_iter()), expected);
        }
    }

    #[test]
    fn paths_above_the_root_are_refused() {
        for path in ["..", "/..", "/a/../..", "a/../../b", "", "/a\0b"] {
            let error = normalise(path).expect_err(path);
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn relative_and_absolute_names_of_one_place_are_the_same() {
        assert!(same(".", "/"));
        assert!(same("data", "/data"));
        assert!(!same("data", "/date"));
        assert!(same("/data/./x/..", "data/"));
        assert!(!same("..", ".."));
    }
}
