//! Trees of files as values, to make and to compare.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use wasmrun_fs::{
    Change, ChangeKind, Directory, FileType, Memory, MemoryLimits, Name, OpenOptions, Step,
    SyncWrites,
};

pub type Dir = Arc<dyn Directory>;

pub const READ: OpenOptions = OpenOptions {
    read: true,
    write: false,
    create: false,
    exclusive: false,
    truncate: false,
    sync: SyncWrites::No,
};
pub const WRITE: OpenOptions = OpenOptions {
    write: true,
    ..READ
};
pub const CREATE: OpenOptions = OpenOptions {
    create: true,
    ..WRITE
};

/// What is at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    Directory(BTreeMap<Vec<u8>, Tree>),
    File(Vec<u8>),
    Link(Vec<u8>),
}

pub fn name(name: &str) -> Name<'_> {
    Name::new(name.as_bytes()).unwrap()
}

pub fn memory() -> Dir {
    Memory::new(MemoryLimits::default()).root()
}

/// The directory at a path.
pub fn enter(root: &Dir, path: &str) -> Dir {
    let mut at = Arc::clone(root);
    for part in path.split('/').filter(|part| !part.is_empty()) {
        at = match at.enter(name(part)).unwrap() {
            Step::Directory(directory) => directory,
            Step::Symlink(_) => panic!("{path} is a link"),
        };
    }
    at
}

/// The directory a path leads to, and its last name.
pub fn parent<'a>(root: &Dir, path: &'a str) -> (Dir, Name<'a>) {
    let (before, last) = path.rsplit_once('/').unwrap_or(("", path));
    (enter(root, before), name(last))
}

/// Makes what is at each path: a directory if it ends with a slash, or else a file with its path as its content.
pub fn fill(root: &Dir, paths: &[&str]) {
    for path in paths {
        match path.strip_suffix('/') {
            Some(path) => {
                let (directory, last) = parent(root, path);
                directory.create_directory(last).unwrap();
            }
            None => write(root, path, path.as_bytes()),
        }
    }
}

pub fn filled(paths: &[&str]) -> Dir {
    let root = memory();
    fill(&root, paths);
    root
}

pub fn write(root: &Dir, path: &str, content: &[u8]) {
    let (directory, last) = parent(root, path);
    let file = directory
        .open_at(
            last,
            OpenOptions {
                truncate: true,
                ..CREATE
            },
        )
        .unwrap();
    if !content.is_empty() {
        assert_eq!(file.write_at(content, 0), Ok(content.len()));
    }
}

pub fn read(root: &Dir, path: &str) -> Vec<u8> {
    let (directory, last) = parent(root, path);
    content(&directory, last)
}

fn content(directory: &Dir, at: Name<'_>) -> Vec<u8> {
    let file = directory.open_at(at, READ).unwrap();
    let mut content = vec![0; file.stat().unwrap().size as usize];
    let mut length = 0;
    while length < content.len() {
        let count = file.read_at(&mut content[length..], length as u64).unwrap();
        assert!(count > 0);
        length += count;
    }
    content
}

/// The names that are listed, without `.` and `..`, which are the first.
pub fn list(directory: &Dir) -> Vec<(Vec<u8>, FileType)> {
    let mut names = Vec::new();
    directory
        .list(0, 4096, &mut |entry| {
            names.push((entry.name.to_vec(), entry.file_type));
            ControlFlow::Continue(())
        })
        .unwrap();
    names.retain(|(name, _)| !matches!(&name[..], b"." | b".."));
    names
}

pub fn names(directory: &Dir) -> Vec<String> {
    let mut names: Vec<_> = list(directory)
        .into_iter()
        .map(|(name, _)| String::from_utf8(name).unwrap())
        .collect();
    names.sort();
    names
}

/// All there is. Every name has to be listed once, with the type that it has.
pub fn tree(directory: &Dir) -> Tree {
    let mut entries = BTreeMap::new();
    for (bytes, file_type) in list(directory) {
        let at = Name::new(&bytes).unwrap();
        assert_eq!(directory.stat_at(at).unwrap().file_type, file_type);
        let below = match file_type {
            FileType::Directory => match directory.enter(at).unwrap() {
                Step::Directory(below) => tree(&below),
                Step::Symlink(_) => panic!("{at:?} is a link"),
            },
            FileType::Symlink => Tree::Link(directory.read_link(at).unwrap()),
            _ => Tree::File(content(directory, at)),
        };
        assert_eq!(entries.insert(bytes, below), None);
    }
    Tree::Directory(entries)
}

/// Makes what is in a tree.
pub fn make(root: &Dir, tree: &Tree) {
    let Tree::Directory(entries) = tree else {
        panic!("no directory");
    };
    for (bytes, below) in entries {
        let path = std::str::from_utf8(bytes).unwrap();
        match below {
            Tree::Directory(_) => {
                root.create_directory(name(path)).unwrap();
                make(&enter(root, path), below);
            }
            Tree::File(content) => write(root, path, content),
            Tree::Link(target) => root.symlink(name(path), target).unwrap(),
        }
    }
}

impl Tree {
    fn entries(&mut self) -> &mut BTreeMap<Vec<u8>, Tree> {
        match self {
            Tree::Directory(entries) => entries,
            _ => panic!("no directory"),
        }
    }

    fn parent<'a>(&mut self, path: &'a [u8]) -> (&mut BTreeMap<Vec<u8>, Tree>, &'a [u8]) {
        let mut parts: Vec<_> = path.split(|byte| *byte == b'/').collect();
        let last = parts.pop().unwrap();
        let mut at = self;
        for part in parts {
            at = at.entries().get_mut(part).unwrap();
        }
        (at.entries(), last)
    }

    fn take(&mut self, path: &[u8]) -> Tree {
        let (entries, last) = self.parent(path);
        entries.remove(last).unwrap()
    }

    fn put(&mut self, path: &[u8], tree: Tree) {
        let (entries, last) = self.parent(path);
        entries.insert(last.to_vec(), tree);
    }

    fn get(&mut self, path: &[u8]) -> Tree {
        let (entries, last) = self.parent(path);
        entries.get(last).unwrap().clone()
    }

    /// What changes make of it, if `end` is what there is in the end. Only the content of files is taken from there.
    pub fn changed(&self, changes: &[Change], end: &Tree) -> Tree {
        let (mut tree, mut end) = (self.clone(), end.clone());
        let mut sources: Vec<&[u8]> = changes.iter().filter_map(source).collect();
        sources.sort_by_key(|path| std::cmp::Reverse(path.split(|byte| *byte == b'/').count()));
        let mut taken: BTreeMap<&[u8], Tree> = BTreeMap::new();
        for source in sources {
            assert_eq!(taken.insert(source, tree.take(source)), None);
        }
        for change in changes {
            let is_directory = change.file_type == FileType::Directory;
            match &change.kind {
                ChangeKind::Removed => drop(tree.take(&change.path)),
                ChangeKind::Renamed { from } if is_directory => {
                    tree.put(&change.path, taken.remove(&from[..]).unwrap());
                }
                _ if is_directory => tree.put(&change.path, Tree::Directory(BTreeMap::new())),
                ChangeKind::Modified => {
                    drop(tree.take(&change.path));
                    tree.put(&change.path, end.get(&change.path));
                }
                _ => tree.put(&change.path, end.get(&change.path)),
            }
        }
        tree
    }
}

fn source(change: &Change) -> Option<&[u8]> {
    match &change.kind {
        ChangeKind::Renamed { from } => Some(from),
        _ => None,
    }
}
