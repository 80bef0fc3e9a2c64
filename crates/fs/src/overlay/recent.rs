//! The directories that were used last.

use std::collections::VecDeque;
use std::sync::Arc;

use super::node::Node;

/// So many stay in use: each holds its directories of all layers.
const MOST: usize = 4;

/// None that is further down does, as it would hold all that it is in as well.
const DEEPEST: usize = 4;

/// Directories that stay in use for a while, as most paths lead through one of the last: what the layers have at their
/// names is not looked for again.
#[derive(Default)]
pub(super) struct Recent(VecDeque<Arc<Node>>);

impl Recent {
    /// A directory is used.
    pub(super) fn used(&mut self, node: &Arc<Node>) {
        let known = self.0.iter().position(|other| Arc::ptr_eq(other, node));
        match known {
            Some(at) => drop(self.0.remove(at)),
            None if node.is_deeper_than(DEEPEST) => return,
            None if self.0.len() == MOST => drop(self.0.pop_front()),
            None => {}
        }
        self.0.push_back(Arc::clone(node));
    }

    /// A directory is not there any more.
    pub(super) fn forget(&mut self, node: &Node) {
        self.0.retain(|other| !std::ptr::eq(&**other, node));
    }
}
