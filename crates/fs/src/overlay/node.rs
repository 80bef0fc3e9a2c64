//! The directories of an overlay that are in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::layers::{Layer, Stack, UPPER};
use super::listing::Listing;
use super::origin::Origin;
use crate::{Directory, Errno, File, Result};

/// A directory of an overlay, which all that are in it and all handles of it share. It stays the same however it is
/// renamed and wherever its layers are.
pub(super) struct Node {
    pub(super) number: u64,
    /// Locked only while the tree is, and never two at once.
    state: Mutex<State>,
}

pub(super) struct State {
    /// The directory it is in, and its name there. The root has none.
    pub(super) place: Option<(Arc<Node>, Box<[u8]>)>,
    pub(super) removed: bool,
    /// Its directories in the layers; there is at least one.
    pub(super) stack: Stack,
    /// Where the lowers have it, if any of them is in the stack.
    pub(super) origin: Option<Arc<Origin>>,
    pub(super) listing: Listing,
    pub(super) children: Weaks<Node>,
    /// The files of lowers in it that are open to be read.
    pub(super) readers: Weaks<Replaced>,
}

/// The copy of a file of a lower, which all that have it open read instead once there is one.
pub(super) type Replaced = OnceLock<Arc<dyn File>>;

impl Node {
    pub(super) fn new(
        number: u64,
        place: Option<(Arc<Node>, Box<[u8]>)>,
        stack: Stack,
        origin: Option<Arc<Origin>>,
    ) -> Arc<Self> {
        Arc::new(Node {
            number,
            state: Mutex::new(State {
                place,
                removed: false,
                stack,
                origin,
                listing: Listing::default(),
                children: Weaks::default(),
                readers: Weaks::default(),
            }),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its directories in the layers: [`Errno::Noent`] if it is removed.
    pub(super) fn stack(&self) -> Result<Stack> {
        let state = self.state();
        match state.removed {
            true => Err(Errno::Noent),
            false => Ok(Arc::clone(&state.stack)),
        }
    }

    /// Its directory in the upper.
    pub(super) fn upper(&self) -> Option<Arc<dyn Directory>> {
        let state = self.state();
        let upper = state.stack.first().filter(|layer| layer.number == UPPER)?;
        Some(Arc::clone(&upper.directory))
    }

    /// It has a directory in the upper from now on.
    pub(super) fn set_upper(&self, directory: Arc<dyn Directory>) {
        let number = UPPER;
        let mut state = self.state();
        let upper = std::iter::once(Layer { number, directory });
        state.stack = upper.chain(lowers(&state.stack).iter().cloned()).collect();
    }

    /// Its directory in the upper hides the lowers from now on.
    pub(super) fn drop_lowers(&self) {
        let mut state = self.state();
        state.stack = state.stack.first().into_iter().cloned().collect();
        state.origin = None;
    }

    /// The path in the lowers of a name in it, if they have the directory.
    pub(super) fn origin_of(&self, name: &[u8]) -> Option<Vec<u8>> {
        let origin = self.state().origin.clone()?;
        Some(origin.path_of(name))
    }

    pub(super) fn has_lowers(&self) -> bool {
        !lowers(&self.state().stack).is_empty()
    }

    fn parent(&self) -> Option<Arc<Node>> {
        let state = self.state();
        state.place.as_ref().map(|(parent, _)| Arc::clone(parent))
    }

    /// Whether it is in more than so many directories.
    pub(super) fn is_deeper_than(&self, depth: usize) -> bool {
        let mut above = std::iter::successors(self.parent(), |node| node.parent());
        above.nth(depth).is_some()
    }

    /// Whether it is another, or below it.
    pub(super) fn is_within(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        let mut above = std::iter::successors(Some(Arc::clone(self)), |node| node.parent());
        above.any(|node| Arc::ptr_eq(&node, other))
    }
}

impl Drop for Node {
    /// Not one in the other, as there may be more of them than the stack has room for.
    fn drop(&mut self) {
        let mut place = take_place(self);
        while let Some((parent, _)) = place {
            place = Arc::into_inner(parent).and_then(|mut node| take_place(&mut node));
        }
    }
}

fn take_place(node: &mut Node) -> Option<(Arc<Node>, Box<[u8]>)> {
    let state = node.state.get_mut();
    state.unwrap_or_else(PoisonError::into_inner).place.take()
}

/// Those of merged directories that are not of the upper.
pub(super) fn lowers(stack: &[Layer]) -> &[Layer] {
    match stack {
        [first, lowers @ ..] if first.number == UPPER => lowers,
        _ => stack,
    }
}

/// What is in use, by name.
pub(super) struct Weaks<T> {
    map: HashMap<Box<[u8]>, Weak<T>>,
    /// When there are so many, those that are not in use any more go.
    most: usize,
}

/// So few are kept without a look at whether they are in use.
const FEW: usize = 16;

impl<T> Default for Weaks<T> {
    fn default() -> Self {
        Weaks {
            map: HashMap::new(),
            most: FEW,
        }
    }
}

impl<T> Weaks<T> {
    pub(super) fn get(&self, name: &[u8]) -> Option<Arc<T>> {
        self.map.get(name)?.upgrade()
    }

    pub(super) fn put(&mut self, name: &[u8], used: &Arc<T>) {
        if self.map.len() >= self.most {
            self.map.retain(|_, used| used.strong_count() > 0);
            self.most = FEW.max(2 * self.map.len());
        }
        self.map.insert(name.into(), Arc::downgrade(used));
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        self.map.remove(name);
    }
}
