//! Which layers show what.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::marks;
use crate::{Directory, Entry, Errno, FileType, Name, Result, Stat, Step};

/// The number of the upper.
pub(super) const UPPER: usize = 0;

/// A directory of a layer.
#[derive(Clone)]
pub(super) struct Layer {
    /// That of the layer, counted from the upper.
    pub(super) number: usize,
    pub(super) directory: Arc<dyn Directory>,
}

/// Directories that are merged, from the uppermost.
pub(super) type Stack = Arc<[Layer]>;

/// What layers show at a name.
pub(super) enum Found {
    Directory {
        stack: Stack,
        /// Where the layers below the upper have it, if the upper says so.
        from: Option<Vec<u8>>,
    },
    /// Anything else, in a directory of one layer.
    File(Layer, Stat),
}

/// What a directory of a layer is merged with.
enum Below {
    /// The same name in the layers below.
    Same,
    Nothing,
    /// A path in the layers below.
    At(Vec<u8>),
}

/// The roots of all layers, from the upper on.
pub(super) struct Layers(Vec<Arc<dyn Directory>>);

impl Layers {
    pub(super) fn new(upper: Arc<dyn Directory>, lowers: Vec<Arc<dyn Directory>>) -> Self {
        Layers([vec![upper], lowers].concat())
    }

    /// The merged root of the layers from one on.
    pub(super) fn root(&self, from: usize) -> Vec<Layer> {
        let mut stack = Vec::new();
        for (number, root) in self.0.iter().enumerate().skip(from) {
            stack.push(Layer {
                number,
                directory: Arc::clone(root),
            });
            // A root that cannot be asked cannot be used either, as will turn out.
            if marks::exists(&**root, marks::OPAQUE) == Ok(true) {
                break;
            }
        }
        stack
    }

    /// What merged directories show at a name.
    pub(super) fn find(&self, stack: &[Layer], name: Name<'_>) -> Result<Option<Found>> {
        let mut merged = Vec::new();
        let mut from = None;
        for layer in stack {
            let stat = match layer.directory.stat_at(name) {
                Ok(stat) => stat,
                Err(Errno::Noent) if layer.hides(name)? => break,
                Err(Errno::Noent) => continue,
                Err(error) => return Err(error),
            };
            if stat.file_type != FileType::Directory {
                if merged.is_empty() {
                    return Ok(Some(Found::File(layer.clone(), stat)));
                }
                break;
            }
            let entered = layer.enter(name)?;
            let below = self.below(layer, &entered, name)?;
            merged.push(entered);
            match below {
                Below::Same => {}
                Below::Nothing => break,
                Below::At(path) => {
                    merged.extend(self.resolve(layer.number + 1, &path)?);
                    from = (layer.number == UPPER).then_some(path);
                    break;
                }
            }
        }
        Ok((!merged.is_empty()).then(|| Found::Directory {
            stack: merged.into(),
            from,
        }))
    }

    /// What the layers from one on show at a path by themselves.
    pub(super) fn find_path(&self, from: usize, path: &[u8]) -> Result<Option<Found>> {
        let mut stack: Stack = self.root(from).into();
        let mut found = None;
        for name in path.split(|byte| *byte == b'/') {
            match found {
                Some(Found::Directory { stack: below, .. }) => stack = below,
                Some(Found::File(..)) => return Ok(None),
                None => {}
            }
            found = match Name::new(name) {
                Ok(name) if !marks::is_mark(name.bytes()) => self.find(&stack, name)?,
                _ => None,
            };
            if found.is_none() {
                return Ok(None);
            }
        }
        Ok(found)
    }

    /// The directories that a path leads to in the layers from one on. As these are always lower ones, this ends.
    fn resolve(&self, from: usize, path: &[u8]) -> Result<Vec<Layer>> {
        match self.find_path(from, path)? {
            Some(Found::Directory { stack, .. }) => Ok(stack.to_vec()),
            _ => Ok(Vec::new()),
        }
    }

    fn below(&self, parent: &Layer, entered: &Layer, name: Name<'_>) -> Result<Below> {
        let directory = &*entered.directory;
        if entered.number + 1 == self.0.len() || marks::exists(directory, marks::OPAQUE)? {
            return Ok(Below::Nothing);
        }
        if let Some(path) = marks::read(directory, marks::FROM)? {
            return Ok(Below::At(path));
        }
        match parent.hides(name)? {
            true => Ok(Below::Nothing),
            false => Ok(Below::Same),
        }
    }
}

impl Layer {
    /// Whether it has a whiteout of a name.
    fn hides(&self, name: Name<'_>) -> Result<bool> {
        marks::exists(&*self.directory, &marks::whiteout_of(name))
    }

    fn enter(&self, name: Name<'_>) -> Result<Layer> {
        match self.directory.enter(name)? {
            Step::Directory(directory) => Ok(Layer {
                number: self.number,
                directory,
            }),
            // Somebody changes the layer.
            Step::Symlink(_) => Err(Errno::Stale),
        }
    }
}

/// Tells every name that merged directories show, once, and the layer that has it, until `each` breaks.
pub(super) fn scan(
    stack: &[Layer],
    mut each: impl FnMut(&Layer, Entry<'_>) -> ControlFlow<()>,
) -> Result<()> {
    let mut seen = HashSet::<Box<[u8]>>::new();
    for layer in stack {
        // They hold only for the layers below.
        let mut whiteouts: Vec<Box<[u8]>> = Vec::new();
        let mut left = Vec::new();
        let mut flow = ControlFlow::Continue(());
        layer.directory.list(0, usize::MAX, &mut |entry| {
            let name = entry.name;
            if marks::is_mark(name) {
                whiteouts.extend(marks::hidden_by(name).map(Box::from));
                if layer.number == UPPER && marks::is_temporary(name) {
                    left.push(name.to_vec());
                }
            } else if !matches!(name, b"." | b"..") && seen.insert(name.into()) {
                flow = each(layer, entry);
            }
            flow
        })?;
        for name in left {
            marks::remove(&*layer.directory, &name);
        }
        if flow.is_break() {
            break;
        }
        seen.extend(whiteouts);
    }
    Ok(())
}
