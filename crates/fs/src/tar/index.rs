//! The tree of an archive: what it is made of while members are added, and what is left of that to look names up in.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::TarLimits;
use super::error::{Problem, told};
use super::members::{Member, What};
use crate::{Errno, Name, PATH_MAX};

/// The number of the root among directories.
pub(super) const ROOT: u32 = 0;

/// What a name stands for, by its number among directories or among all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Directory(u32),
    Leaf(u32),
}

/// What is no directory.
#[derive(Default)]
pub(super) struct Leaf {
    pub(super) content: Content,
    /// Nanoseconds since 1970.
    pub(super) modified: u64,
    /// How many names it has.
    pub(super) links: u32,
}

#[derive(Default)]
pub(super) enum Content {
    /// A file, by where its content is in the archive.
    File {
        offset: u64,
        size: u64,
    },
    Symlink(Box<[u8]>),
    /// A device or FIFO.
    #[default]
    Other,
}

/// A directory.
pub(super) struct Entries {
    /// By name, in the order of names.
    entries: Box<[(Box<[u8]>, Node)]>,
    /// Nanoseconds since 1970.
    pub(super) modified: u64,
    /// How many of the entries are directories.
    pub(super) directories: u32,
}

impl Entries {
    pub(super) fn get(&self, name: &[u8]) -> Option<Node> {
        let at = self
            .entries
            .binary_search_by(|(entry, _)| (**entry).cmp(name));
        at.ok().map(|at| self.entries[at].1)
    }

    /// The entries from a number on.
    pub(super) fn from(&self, number: usize) -> &[(Box<[u8]>, Node)] {
        self.entries.get(number..).unwrap_or_default()
    }
}

/// The tree of an archive.
pub(super) struct Index {
    directories: Box<[Entries]>,
    leaves: Box<[Leaf]>,
}

impl Index {
    pub(super) fn directory(&self, number: u32) -> &Entries {
        &self.directories[number as usize]
    }

    pub(super) fn leaf(&self, number: u32) -> &Leaf {
        &self.leaves[number as usize]
    }

    /// The inode of a node, from 1 on.
    pub(super) fn inode(&self, node: Node) -> u64 {
        match node {
            Node::Directory(number) => u64::from(number) + 1,
            Node::Leaf(number) => self.directories.len() as u64 + u64::from(number) + 1,
        }
    }

    /// The memory it takes, in bytes, without what the allocator adds to it.
    pub(super) fn memory(&self) -> u64 {
        let directories = self.directories.iter().map(|directory| {
            let names = directory.entries.iter().map(|(name, _)| name.len());
            size_of_val(&*directory.entries) + names.sum::<usize>()
        });
        let targets = self.leaves.iter().map(|leaf| match &leaf.content {
            Content::Symlink(target) => target.len(),
            Content::File { .. } | Content::Other => 0,
        });
        let tables = size_of_val(&*self.directories) + size_of_val(&*self.leaves);
        (tables + directories.sum::<usize>() + targets.sum::<usize>()) as u64
    }
}

/// A tree that members are added to.
pub(super) struct Builder {
    limits: TarLimits,
    /// How many [entries](TarLimits::entries) there have been, and bytes of their [names](TarLimits::names).
    entries: u64,
    names: u64,
    /// Those that were replaced included.
    directories: Vec<Draft>,
    leaves: Vec<Leaf>,
}

/// A directory that names are added to.
#[derive(Default)]
struct Draft {
    entries: BTreeMap<Box<[u8]>, Node>,
    modified: u64,
}

impl Builder {
    pub(super) fn new(limits: TarLimits) -> Self {
        Builder {
            // Nodes have numbers of 32 bits.
            limits: TarLimits {
                entries: limits.entries.min(u32::MAX.into()),
                ..limits
            },
            entries: 0,
            names: 0,
            directories: vec![Draft::default()],
            leaves: Vec::new(),
        }
    }

    /// Adds a member as unpacking it would.
    pub(super) fn add(&mut self, member: &Member) -> Result<(), Problem> {
        self.charge()?;
        let path = names(&member.name)?;
        let Some((name, above)) = path.split_last() else {
            return self.add_root(member);
        };
        let directory = self.directory(above)?;
        let modified = member.modified;
        let node = match &member.what {
            What::Directory => match self.get(directory, name) {
                Some(Node::Directory(number)) => {
                    self.directories[number as usize].modified = modified;
                    return Ok(());
                }
                _ => self.new_directory(modified),
            },
            What::Link(target) => self.linked(target)?,
            &What::File { offset, size } => self.new_leaf(Content::File { offset, size }, modified),
            What::Symlink(target) => {
                self.charge_name(target)?;
                self.new_leaf(symlink(target)?, modified)
            }
            What::Other => self.new_leaf(Content::Other, modified),
        };
        self.put(directory, name, node)
    }

    fn add_root(&mut self, member: &Member) -> Result<(), Problem> {
        match member.what {
            What::Directory => self.directories[ROOT as usize].modified = member.modified,
            _ => return Err(Problem::new("expected a directory, as it is the root")),
        }
        Ok(())
    }

    /// Takes one of the entries that there may be.
    fn charge(&mut self) -> Result<(), Problem> {
        if self.entries == self.limits.entries {
            return Err(Problem::new(format!(
                "expected at most {} members and directories, found more",
                self.limits.entries
            )));
        }
        self.entries += 1;
        Ok(())
    }

    fn charge_name(&mut self, name: &[u8]) -> Result<(), Problem> {
        self.names = self.names.saturating_add(name.len() as u64);
        match self.names <= self.limits.names {
            true => Ok(()),
            false => Err(Problem::new(format!(
                "expected at most {} bytes of names and targets of symbolic links in all, found {} up to here",
                self.limits.names, self.names
            ))),
        }
    }

    fn get(&self, directory: u32, name: &[u8]) -> Option<Node> {
        let entries = &self.directories[directory as usize].entries;
        entries.get(name).copied()
    }

    fn put(&mut self, directory: u32, name: &[u8], node: Node) -> Result<(), Problem> {
        self.charge_name(name)?;
        let entries = &mut self.directories[directory as usize].entries;
        entries.insert(name.into(), node);
        Ok(())
    }

    // The limit of entries keeps these numbers within 32 bits.

    fn new_directory(&mut self, modified: u64) -> Node {
        self.directories.push(Draft {
            entries: BTreeMap::new(),
            modified,
        });
        Node::Directory(self.directories.len() as u32 - 1)
    }

    fn new_leaf(&mut self, content: Content, modified: u64) -> Node {
        self.leaves.push(Leaf {
            content,
            modified,
            links: 0,
        });
        Node::Leaf(self.leaves.len() as u32 - 1)
    }

    /// What a hard link is to.
    fn linked(&mut self, target: &[u8]) -> Result<Node, Problem> {
        let path = names(target)?;
        let found = match path.split_last() {
            Some((name, above)) => {
                let directory = self.directory(above)?;
                self.get(directory, name)
            }
            None => Some(Node::Directory(ROOT)),
        };
        match found {
            Some(leaf @ Node::Leaf(_)) => Ok(leaf),
            Some(Node::Directory(_)) => Err(Problem::new(format!(
                "expected a hard link to a file, but {} is a directory",
                told(target)
            ))),
            None => Err(Problem::new(format!(
                "expected a hard link to a member before it, but {} is none",
                told(target)
            ))),
        }
    }

    /// The directory that a path of the archive leads to. What is missing of it is made, and symbolic links are followed.
    fn directory(&mut self, path: &[&[u8]]) -> Result<u32, Problem> {
        let mut ahead: Vec<_> = path.iter().rev().map(|name| Cow::Borrowed(*name)).collect();
        let mut above = Vec::new();
        let mut at = ROOT;
        let mut followed = 0;
        while let Some(name) = ahead.pop() {
            match &*name {
                b"" | b"." => continue,
                b".." => {
                    at = above.pop().ok_or_else(leads_out)?;
                    continue;
                }
                _ => {}
            }
            let below = match self.get(at, &name) {
                Some(Node::Directory(below)) => below,
                Some(Node::Leaf(leaf)) => {
                    let target = self.target(leaf, &name)?;
                    if target.starts_with(b"/") {
                        return Err(leads_out());
                    }
                    // So there is an end of links that lead to each other, and of what following them costs.
                    followed += target.len();
                    if followed >= PATH_MAX {
                        return Err(Problem::new(
                            "expected fewer symbolic links on the way to it",
                        ));
                    }
                    let names = target.split(|byte| *byte == b'/').rev();
                    ahead.extend(names.map(|name| Cow::Owned(name.to_vec())));
                    continue;
                }
                None => self.make_directory(at, &name)?,
            };
            above.push(at);
            at = below;
        }
        Ok(at)
    }

    fn make_directory(&mut self, directory: u32, name: &[u8]) -> Result<u32, Problem> {
        // It may be of the target of a symbolic link.
        check(name)?;
        self.charge()?;
        let number = self.directories.len() as u32;
        let node = self.new_directory(0);
        self.put(directory, name, node)?;
        Ok(number)
    }

    /// The target of what has to be a symbolic link to a directory.
    fn target(&self, leaf: u32, name: &[u8]) -> Result<&[u8], Problem> {
        match &self.leaves[leaf as usize].content {
            Content::Symlink(target) => Ok(target),
            _ => Err(Problem::new(format!(
                "expected {}, which is on the way to it, to be a directory",
                told(name)
            ))),
        }
    }

    /// The tree without what was replaced.
    pub(super) fn finish(mut self) -> Index {
        let mut leaves = Leaves {
            numbers: vec![None; self.leaves.len()],
            old: self.leaves,
            new: Vec::new(),
        };
        let mut directories = Vec::new();
        // The old numbers of directories in the order of the new ones.
        let mut order = vec![ROOT];
        while let Some(old) = order.get(directories.len()) {
            let draft = std::mem::take(&mut self.directories[*old as usize]);
            let before = order.len();
            let entries = draft.entries.into_iter().map(|(name, node)| {
                let node = match node {
                    Node::Directory(old) => {
                        order.push(old);
                        Node::Directory(order.len() as u32 - 1)
                    }
                    Node::Leaf(old) => Node::Leaf(leaves.name(old)),
                };
                (name, node)
            });
            directories.push(Entries {
                entries: entries.collect(),
                modified: draft.modified,
                directories: (order.len() - before) as u32,
            });
        }
        Index {
            directories: directories.into(),
            leaves: leaves.new.into(),
        }
    }
}

/// Leaves that get new numbers, if they have names.
struct Leaves {
    old: Vec<Leaf>,
    new: Vec<Leaf>,
    /// The new numbers of the old ones.
    numbers: Vec<Option<u32>>,
}

impl Leaves {
    /// Takes note of a name of a leaf: its new number.
    fn name(&mut self, old: u32) -> u32 {
        let old = old as usize;
        let number = *self.numbers[old].get_or_insert_with(|| {
            self.new.push(std::mem::take(&mut self.old[old]));
            self.new.len() as u32 - 1
        });
        self.new[number as usize].links += 1;
        number
    }
}

/// The names that a path of the archive is made of, from the root.
fn names(path: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    if path.len() >= PATH_MAX {
        return Err(Problem::new(format!(
            "expected a path of less than {PATH_MAX} bytes, found {}",
            path.len()
        )));
    }
    let names = path.split(|byte| *byte == b'/');
    let names = names.filter(|name| !matches!(*name, b"" | b"."));
    names.map(|name| check(name).map(|()| name)).collect()
}

fn check(name: &[u8]) -> Result<(), Problem> {
    match Name::new(name) {
        Ok(_) => Ok(()),
        Err(_) if name == b".." => Err(Problem::new("expected a path without \"..\"")),
        Err(Errno::Nametoolong) => Err(Problem::new("expected names of at most 255 bytes")),
        Err(_) => Err(Problem::new("expected names without NUL")),
    }
}

fn symlink(target: &[u8]) -> Result<Content, Problem> {
    if target.is_empty() || target.len() >= PATH_MAX || target.contains(&0) {
        return Err(Problem::new(format!(
            "expected a target of 1 to {} bytes without NUL, found {}",
            PATH_MAX - 1,
            told(target)
        )));
    }
    Ok(Content::Symlink(target.into()))
}

fn leads_out() -> Problem {
    Problem::new("expected symbolic links on the way to it that stay in the archive")
}
