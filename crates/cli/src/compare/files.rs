//! Where two directories differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::difference::{self, How, MAX_TEXT};

/// What is in a directory, by its path there.
type Tree = BTreeMap<PathBuf, Node>;

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Directory,
    File { bytes: u64 },
    Symlink(PathBuf),
    Other,
}

/// Every path, as the guest knows it, at which the directories `first` and `here` differ.
pub fn differences(
    guest: &str,
    first: &Path,
    here: &Path,
    between: (&str, &str),
) -> io::Result<Vec<(String, How)>> {
    let (one, other) = (read(first)?, read(here)?);
    let paths: BTreeSet<&PathBuf> = one.keys().chain(other.keys()).collect();
    let mut found = Vec::new();
    for path in paths {
        let name = format!("{}/{}", guest.trim_end_matches('/'), path.display());
        let how = match (one.get(path), other.get(path)) {
            (Some(Node::File { .. }), Some(Node::File { .. })) => {
                contents(&name, &first.join(path), &here.join(path), between)?
            }
            (one, other) if one == other => None,
            (one, other) => Some(How::Value {
                first: described(one),
                here: described(other),
            }),
        };
        found.extend(how.map(|how| (name, how)));
    }
    Ok(found)
}

fn read(root: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new();
    for entry in WalkDir::new(root).min_depth(1) {
        let entry = entry?;
        let kind = entry.file_type();
        let node = if kind.is_dir() {
            Node::Directory
        } else if kind.is_file() {
            Node::File {
                bytes: entry.metadata()?.len(),
            }
        } else if kind.is_symlink() {
            Node::Symlink(fs::read_link(entry.path())?)
        } else {
            Node::Other
        };
        let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
        tree.insert(path.to_owned(), node);
    }
    Ok(tree)
}

fn described(node: Option<&Node>) -> String {
    match node {
        None => "is not there".into(),
        Some(Node::Directory) => "is a directory".into(),
        Some(Node::File { bytes }) => format!("is a file of {bytes} bytes"),
        Some(Node::Symlink(target)) => format!("is a link to {}", target.display()),
        Some(Node::Other) => "is neither file nor directory".into(),
    }
}

fn contents(
    name: &str,
    first: &Path,
    here: &Path,
    between: (&str, &str),
) -> io::Result<Option<How>> {
    let (mut one, mut other) = (File::open(first)?, File::open(here)?);
    let (first_bytes, here_bytes) = (one.metadata()?.len(), other.metadata()?.len());
    if first_bytes.max(here_bytes) <= MAX_TEXT as u64 {
        let (first, here) = (fs::read(first)?, fs::read(here)?);
        return Ok(difference::of_bytes(name, between, &first, &here));
    }
    // Too large for memory, perhaps.
    let mut at = 0;
    loop {
        let (one, other) = (chunk(&mut one)?, chunk(&mut other)?);
        let same = difference::common(&one, &other);
        at += same as u64;
        if same < one.len() || same < other.len() {
            return Ok(Some(How::Bytes {
                first_bytes,
                here_bytes,
                at,
            }));
        }
        if one.is_empty() {
            return Ok(None);
        }
    }
}

fn chunk(file: &mut File) -> io::Result<Vec<u8>> {
    let mut chunk = Vec::with_capacity(64 << 10);
    file.take(64 << 10).read_to_end(&mut chunk)?;
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_that_differs_is_named_as_the_guest_knows_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for (side, text) in [(&a, "one\n"), (&b, "two\n")] {
            fs::create_dir_all(side.join("deep")).expect("a directory");
            fs::write(side.join("deep/text"), text).expect("a file");
            fs::write(side.join("same"), "same").expect("a file");
            let mut large = vec![7; MAX_TEXT + 100_000];
            if side == &b {
                large[MAX_TEXT + 5] = 8;
            }
            fs::write(side.join("large"), large).expect("a file");
        }
        fs::write(a.join("kind"), "x").expect("a file");
        fs::create_dir(b.join("kind")).expect("a directory");
        fs::create_dir(b.join("new")).expect("a directory");
        let found = differences("/data", &a, &b, ("x", "y")).expect("it can be read");
        let (paths, hows): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        assert_eq!(
            paths,
            ["/data/deep/text", "/data/kind", "/data/large", "/data/new"]
        );
        assert!(matches!(&hows[0], How::Text { diff } if diff.contains("-one\n+two\n")));
        let value = |first: &str, here: &str| How::Value {
            first: first.into(),
            here: here.into(),
        };
        assert_eq!(hows[1], value("is a file of 1 bytes", "is a directory"));
        assert!(matches!(hows[2], How::Bytes { at, .. } if at == MAX_TEXT as u64 + 5));
        assert_eq!(hows[3], value("is not there", "is a directory"));
        assert!(
            differences("/", &a, &a, ("x", "y"))
                .expect("read")
                .is_empty()
        );
    }
}
