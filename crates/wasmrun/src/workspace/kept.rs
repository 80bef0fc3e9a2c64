//! What a workspace has changed: told, made for good, and taken over.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wasmrun_core::{Error, ErrorKind, MountSource, Result, guest_path};
use wasmrun_fs::{Commit, Directory, Errno, Kept, Name, Overlay, Step};

use super::failed;
use super::layers::Layers;
use super::state::{self, Held};

/// A commit that has been begun.
const COMMIT: &str = "commit.json";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pending {
    /// The layer that has the changes.
    layer: String,
    commit: Commit,
}

/// So many layers of changes a workspace has before they become one.
const MOST_LAYERS: usize = 16;

/// What the workspace keeps apart from what it began with, and a layer made for that, which nobody has.
pub(super) fn kept(held: &Held, layers: &Layers) -> Result<Kept> {
    let upper = match held.state.own.is_empty() {
        true => held.open(&held.state.upper)?,
        false => held.open(&merged(held, layers)?)?,
    };
    let lowers = held.lowers()?;
    let overlay = Overlay::new(lowers.clone(), upper);
    Ok(Kept::new(overlay, lowers, None))
}

/// Makes a layer that has all changes of the workspace.
fn merged(held: &Held, layers: &Layers) -> Result<String> {
    let merged = layers.create()?;
    let mut beneath = held.lowers()?;
    let to = Overlay::new(beneath.clone(), held.open(&merged)?).root();
    let own = held.state.own.iter().rev();
    for layer in own.chain([&held.state.upper]) {
        let layer = held.open(layer)?;
        let shown = Overlay::new(beneath.clone(), Arc::clone(&layer));
        let changes = shown.changes().map_err(unread(held))?;
        let made = Commit::new(changes).make(&*shown.root(), &*to, &mut |_| Ok(()));
        made.map_err(within(format!(
            "cannot put together what was changed in the workspace {}",
            held.name()
        )))?;
        beneath.insert(0, layer);
    }
    Ok(merged)
}

/// Has the uppermost layer have all changes of the workspace, which from then on has no layer that a fork could have been
/// made of.
fn merge(held: &mut Held, layers: &Layers) -> Result<()> {
    if held.state.own.is_empty() {
        return Ok(());
    }
    let merged = merged(held, layers)?;
    held.change(|state| {
        state.own.clear();
        state.upper = merged;
        Ok(())
    })
}

/// Has an empty layer take what is written from now on, and nothing written to the others any more.
pub(super) fn freeze(held: &mut Held, layers: &Layers) -> Result<()> {
    if held.is_unchanged()? {
        return Ok(());
    }
    if held.state.own.len() >= MOST_LAYERS {
        // Forks made before this workspace was changed could not be committed to it anyway.
        merge(held, layers)?;
    }
    held.change(|state| {
        let upper = std::mem::replace(&mut state.upper, layers.create()?);
        state.own.insert(0, upper);
        Ok(())
    })
}

/// Makes the changes in the directory of the host that the workspace began with.
pub(super) fn commit(held: &mut Held, layers: &Layers) -> Result<()> {
    let base = match &held.state.settings.base {
        Some(MountSource::Bind(_) | MountSource::Volume(_)) => held.base()?,
        _ => None,
    };
    let Some(base) = base else {
        let message = format!(
            "the workspace {} did not begin with a directory that its changes could be made in; export them, or all of it",
            held.name()
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    merge(held, layers)?;
    let overlay = Overlay::new(vec![Arc::clone(&base)], held.open(&held.state.upper)?);
    let pending = Pending {
        layer: held.state.upper.clone(),
        commit: Commit::new(overlay.changes().map_err(unread(held))?),
    };
    state::save(&held.file(COMMIT), &pending)?;
    finish(held, layers, pending, &overlay, &*base)
}

/// Goes on with a commit that was begun and did not end.
pub(super) fn go_on(held: &mut Held, layers: &Layers) -> Result<()> {
    let Some(pending) = state::load::<Pending>(&held.file(COMMIT))? else {
        return Ok(());
    };
    match held.base()? {
        Some(base) if pending.layer == held.state.upper => {
            let overlay = Overlay::new(vec![Arc::clone(&base)], held.open(&pending.layer)?);
            finish(held, layers, pending, &overlay, &*base)
        }
        // All was done but this.
        _ => forget(held),
    }
}

fn finish(
    held: &mut Held,
    layers: &Layers,
    pending: Pending,
    overlay: &Overlay,
    to: &dyn Directory,
) -> Result<()> {
    let Pending { layer, mut commit } = pending;
    let file = held.file(COMMIT);
    let made = commit.make(&*overlay.root(), to, &mut |commit| {
        let pending = Pending {
            layer: layer.clone(),
            commit: commit.clone(),
        };
        state::save(&file, &pending)
    });
    let changed = made.and_then(|()| {
        held.change(|state| {
            state.upper = layers.create()?;
            Ok(())
        })
    });
    changed.map_err(within(format!(
        "the commit of the workspace {} has not come to its end, and goes on when that is used next",
        held.name()
    )))?;
    forget(held)
}

fn forget(held: &Held) -> Result<()> {
    fs::remove_file(held.file(COMMIT)).map_err(failed("end a commit"))
}

/// Has the workspace that this one was forked from have all that this one has.
pub(super) fn commit_to_workspace(
    held: &mut Held,
    parent: &mut Held,
    layers: &Layers,
) -> Result<()> {
    let as_it_was = parent.is_unchanged()? && parent.state.beneath().eq(&held.state.below);
    if !as_it_was {
        let message = format!(
            "the workspace {} has been changed since {} was forked from it; export the changes of one and import them into \
             the other",
            parent.name(),
            held.name()
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    // Before the other has the layer, nobody writes to it any more.
    freeze(held, layers)?;
    let own = held.state.own.clone();
    parent.change(|state| {
        state.own.splice(..0, own);
        Ok(())
    })?;
    if parent.state.own.len() >= MOST_LAYERS {
        // Other forks of it can no longer be committed to it anyway.
        merge(parent, layers)?;
        freeze(parent, layers)?;
    }
    let below = parent.state.beneath().cloned().collect();
    held.change(|state| {
        state.below = below;
        state.own.clear();
        Ok(())
    })
}

/// Copies a directory of the host or an archive into the workspace.
pub(super) fn import(held: &mut Held, layers: &Layers, from: &Path, to: &str) -> Result<()> {
    let source = match from.is_dir() {
        true => state::directory(from),
        false => state::archive_at(from),
    };
    let source = source.map_err(failed(format!("import {}", from.display())))?;
    let to = guest_path::normalise(to)?;
    let layer = layers.create()?;
    let mut lowers = held.beneath()?;
    lowers.insert(0, held.open(&held.state.upper)?);
    let overlay = Overlay::new(lowers, held.open(&layer)?);
    let copied = directory_at(overlay.root(), &to)
        .and_then(|to| wasmrun_fs::copy_tree(source, to, &|| Ok(())));
    copied.map_err(|error| {
        let message = format!("cannot import {} to {to}", from.display());
        Error::new(ErrorKind::Io, message).with_source(error)
    })?;
    held.change(|state| {
        let upper = std::mem::replace(&mut state.upper, layer);
        state.own.insert(0, upper);
        Ok(())
    })
}

/// The directory at a path of the guest's, which is made if it is not there.
fn directory_at(
    root: Arc<dyn Directory>,
    path: &str,
) -> std::result::Result<Arc<dyn Directory>, Errno> {
    let mut at = root;
    for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
        let name = Name::new(name.as_bytes())?;
        match at.create_directory(name) {
            Ok(()) | Err(Errno::Exist) => {}
            Err(error) => return Err(error),
        }
        at = match at.enter(name)? {
            Step::Directory(below) => below,
            Step::Symlink(_) => return Err(Errno::Notdir),
        };
    }
    Ok(at)
}

/// An error about something that was part of something else.
fn within(what: String) -> impl FnOnce(Error) -> Error {
    move |source| Error::new(source.kind(), what).with_source(source)
}

fn unread(held: &Held) -> impl FnOnce(Errno) -> Error {
    let message = format!(
        "cannot read what was changed in the workspace {}",
        held.name()
    );
    move |error| Error::new(ErrorKind::Io, message).with_source(error)
}
