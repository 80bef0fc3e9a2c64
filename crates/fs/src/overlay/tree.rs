//! The names of an overlay.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::layers::{self, Found, Layer, Layers, Stack, UPPER};
use super::listing::Known;
use super::marks;
use super::node::{Node, lowers};
use super::numbers::Numbers;
use super::origin::Origin;
use super::recent::Recent;
use crate::{Directory, Errno, FileType, Name, Result, Stat};

/// How many entries are listed at most while the tree is locked.
const BATCH: usize = 256;

/// What the record of an entry takes besides its name, in bytes: that of WASI and about that of Linux.
const RECORD_SIZE: usize = 24;

/// The first entries of every list; their cookies are 0 and 1.
const DOTS: [&[u8]; 2] = [b".", b".."];

/// The names of an overlay: those in use, and what is needed to find all others.
pub(super) struct Tree {
    pub(super) layers: Layers,
    pub(super) numbers: Numbers,
    pub(super) recent: Recent,
    root: Arc<Node>,
}

/// What is at a name.
pub(super) enum Item {
    Directory(Arc<Node>),
    /// Anything else, in a directory of one layer.
    File(Layer, Stat),
}

/// An entry of a list that outlives the lock of the tree.
pub(super) struct Listed {
    pub(super) name: Arc<[u8]>,
    pub(super) inode: u64,
    pub(super) file_type: FileType,
    pub(super) next: u64,
}

impl Tree {
    pub(super) fn new(lowers: Vec<Arc<dyn Directory>>, upper: Arc<dyn Directory>) -> Self {
        let mut numbers = Numbers::new();
        let stat = upper.stat();
        let number = stat.map_or(0, |stat| numbers.of(stat.device, stat.inode));
        let layers = Layers::new(upper, lowers);
        let stack: Stack = layers.root(UPPER).into();
        let origin = (stack.len() > 1).then(|| Origin::at(b""));
        Tree {
            layers,
            numbers,
            recent: Recent::default(),
            root: Node::new(number, None, stack, origin),
        }
    }

    pub(super) fn root(&self) -> Arc<Node> {
        Arc::clone(&self.root)
    }

    /// What is at a name.
    pub(super) fn find(&mut self, directory: &Arc<Node>, name: Name<'_>) -> Result<Option<Item>> {
        let stack = directory.stack()?;
        if marks::is_mark(name.bytes()) {
            return Ok(None);
        }
        let used = directory.state().children.get(name.bytes());
        if let Some(node) = used {
            self.recent.used(&node);
            return Ok(Some(Item::Directory(node)));
        }
        Ok(match self.layers.find(&stack, name)? {
            Some(Found::Directory { stack, from }) => {
                Some(Item::Directory(self.use_at(directory, name, stack, from)?))
            }
            Some(Found::File(layer, stat)) => Some(Item::File(layer, stat)),
            None => None,
        })
    }

    fn use_at(
        &mut self,
        parent: &Arc<Node>,
        name: Name<'_>,
        stack: Stack,
        from: Option<Vec<u8>>,
    ) -> Result<Arc<Node>> {
        let top = stack.first().ok_or(Errno::Stale)?.directory.stat()?;
        let number = self.numbers.of(top.device, top.inode);
        let origin = match from {
            _ if lowers(&stack).is_empty() => None,
            Some(path) => Some(Origin::at(&path)),
            None => {
                let parent = parent.state().origin.clone();
                parent.map(|parent| parent.below(name.bytes()))
            }
        };
        let place = (Arc::clone(parent), name.bytes().into());
        let node = Node::new(number, Some(place), stack, origin);
        parent.state().children.put(name.bytes(), &node);
        self.recent.used(&node);
        Ok(node)
    }

    /// What the lowers would show at a name.
    pub(super) fn beneath(&self, directory: &Node, name: Name<'_>) -> Result<Option<Found>> {
        self.layers.find(lowers(&directory.stack()?), name)
    }

    /// What is known of a directory.
    pub(super) fn stat(&self, node: &Node) -> Result<Stat> {
        let (stack, removed) = {
            let state = node.state();
            (Arc::clone(&state.stack), state.removed)
        };
        let stat = stack.first().ok_or(Errno::Stale)?.directory.stat()?;
        let links = match stack.len() {
            _ if removed => 0,
            1 => stat.links,
            // How many directories are in it is not known.
            _ => 1,
        };
        Ok(Stat {
            device: self.numbers.device(),
            inode: node.number,
            links,
            ..stat
        })
    }

    pub(super) fn is_empty(&self, node: &Node) -> Result<bool> {
        let mut empty = true;
        layers::scan(&node.stack()?, |_, _| {
            empty = false;
            ControlFlow::Break(())
        })?;
        Ok(empty)
    }

    /// What is listed from a cookie on: as much as there is room for, and at least one entry if there is any.
    pub(super) fn batch(
        &mut self,
        node: &Arc<Node>,
        cookie: u64,
        room: usize,
    ) -> Result<Vec<Listed>> {
        let stack = node.stack()?;
        let listed = node.state().listing.is_set();
        if cookie == 0 || !listed {
            let names = self.names(&stack)?;
            node.state().listing.set(names);
        }
        let mut batch = Vec::new();
        let (mut at, mut taken) = (cookie, 0);
        while batch.len() < BATCH
            && taken < room.max(1)
            && let Some(listed) = self.listed(node, at)?
        {
            at = listed.next;
            taken += RECORD_SIZE + listed.name.len();
            batch.push(listed);
        }
        Ok(batch)
    }

    fn names(&mut self, stack: &[Layer]) -> Result<Vec<(Arc<[u8]>, Known)>> {
        let device = |layer: &Layer| Ok((layer.number, layer.directory.stat()?.device));
        let devices: Vec<(usize, u64)> = stack.iter().map(device).collect::<Result<_>>()?;
        let mut names = Vec::new();
        layers::scan(stack, |layer, entry| {
            let mut devices = devices.iter();
            if let Some((_, device)) = devices.find(|(number, _)| *number == layer.number) {
                let number = self.numbers.of(*device, entry.inode);
                names.push((entry.name.into(), (number, entry.file_type)));
            }
            ControlFlow::Continue(())
        })?;
        Ok(names)
    }

    /// The first entry from a cookie on. What is above a directory is not told, so `..` is itself.
    fn listed(&mut self, node: &Arc<Node>, cookie: u64) -> Result<Option<Listed>> {
        if cookie < DOTS.len() as u64 {
            return Ok(Some(Listed {
                name: Arc::from(DOTS[cookie as usize]),
                inode: node.number,
                file_type: FileType::Directory,
                next: cookie + 1,
            }));
        }
        loop {
            let first = node.state().listing.from(cookie);
            let Some((cookie, name, known)) = first else {
                return Ok(None);
            };
            let known = match known {
                Some(known) => Some(known),
                None => {
                    let known = self.known(node, Name::new(&name)?)?;
                    node.state().listing.learn(cookie, known);
                    known
                }
            };
            if let Some((inode, file_type)) = known {
                return Ok(Some(Listed {
                    name,
                    inode,
                    file_type,
                    next: cookie + 1,
                }));
            }
        }
    }

    fn known(&mut self, node: &Arc<Node>, name: Name<'_>) -> Result<Option<Known>> {
        Ok(match self.find(node, name)? {
            Some(Item::Directory(node)) => Some((node.number, FileType::Directory)),
            Some(Item::File(_, stat)) => {
                let number = self.numbers.of(stat.device, stat.inode);
                Some((number, stat.file_type))
            }
            None => None,
        })
    }
}
