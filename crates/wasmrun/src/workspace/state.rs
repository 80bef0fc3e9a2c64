//! What a workspace is, as it is kept, and who uses it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasmrun_core::{Error, ErrorKind, MountSource, Result, is_kept_name, volume_directory};
use wasmrun_fs::{Directory, Overlay, Tar, TarLimits};

use super::layers::{self, Layers};
use super::lock::Locked;
use super::{WorkspaceSettings, failed, kept, milliseconds};

/// The file of the lock.
pub(super) const LOCK: &str = "lock";

const STATE: &str = "state.json";

/// What the names of directories begin with that are made or removed just now.
const UNFINISHED: &str = ".unfinished-";

/// What a workspace is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// Of this form. A later one has another number.
    version: u32,
    pub(super) settings: WorkspaceSettings,
    pub(super) created_ms: u64,
    /// The workspace it was forked from.
    pub(super) parent: Option<String>,
    /// The layer that takes what is written.
    pub(super) upper: String,
    /// The layers below it, the uppermost first, that have changes of this workspace.
    pub(super) own: Vec<String>,
    /// The layers below these, which it was forked with.
    pub(super) below: Vec<String>,
}

impl State {
    const VERSION: u32 = 1;

    pub(super) fn new(settings: WorkspaceSettings, upper: String) -> Self {
        State {
            version: State::VERSION,
            settings,
            created_ms: milliseconds(SystemTime::now()),
            parent: None,
            upper,
            own: Vec::new(),
            below: Vec::new(),
        }
    }

    /// A workspace that begins with all layers of this one but the uppermost, which has nothing in it.
    pub(super) fn fork(&self, name: &str, upper: String) -> Self {
        State {
            parent: Some(name.to_owned()),
            below: self.beneath().cloned().collect(),
            ..State::new(self.settings.clone(), upper)
        }
    }

    /// The layers below the uppermost.
    pub(super) fn beneath(&self) -> impl Iterator<Item = &String> {
        self.own.iter().chain(&self.below)
    }

    /// Makes the directory of a workspace, all at once.
    pub(super) fn make(&self, root: &Path, name: &str) -> Result<()> {
        let failed = || failed(format!("make the workspace {name}"));
        let made = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempdir_in(root)
            .map_err(failed())?;
        File::create(made.path().join(LOCK)).map_err(failed())?;
        save(&made.path().join(STATE), self)?;
        // One that somebody else has just made is not empty, and stays.
        fs::rename(made.path(), root.join(name)).map_err(failed())?;
        let _ = made.keep();
        Ok(())
    }

    /// What is kept in the directory of a workspace.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        let state: State = load(&directory.join(STATE))?.ok_or_else(|| unknown(&name))?;
        if state.version != State::VERSION {
            let message = format!(
                "the workspace {name} was made by another version of wasmrun, in the form {} and not {}",
                state.version,
                State::VERSION
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(state)
    }
}

/// A workspace that is used by us alone.
#[derive(Debug)]
pub(super) struct Held {
    root: PathBuf,
    directory: PathBuf,
    pub(super) state: State,
    _lock: Locked,
}

impl Held {
    /// Keeps others from using it, and goes on with a commit that did not end.
    pub(super) fn lock(root: &Path, name: &str, layers: &Layers) -> Result<Self> {
        let directory = root.join(name);
        let lock = lock(&directory, name)?;
        // The time of its last use, which nobody needs to the point of failing.
        let _ = lock.touch();
        let mut held = Held {
            root: root.to_owned(),
            state: State::read(&directory)?,
            directory,
            _lock: lock,
        };
        kept::go_on(&mut held, layers)?;
        Ok(held)
    }

    pub(super) fn name(&self) -> String {
        let name = self.directory.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Changes what it is, all at once.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut State) -> Result<()>) -> Result<()> {
        let mut state = self.state.clone();
        change(&mut state)?;
        save(&self.directory.join(STATE), &state)?;
        self.state = state;
        Ok(())
    }

    /// Whether nothing is in the uppermost layer.
    pub(super) fn is_unchanged(&self) -> Result<bool> {
        let upper = self.layer(&self.state.upper);
        let read = fs::read_dir(upper).map(|mut entries| entries.next().is_none());
        read.map_err(failed(format!("read the workspace {}", self.name())))
    }

    /// A file beside the state.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Where a layer is.
    pub(super) fn layer(&self, name: &str) -> PathBuf {
        layers::path(&self.root, name)
    }

    /// What a run has below the uppermost layer, the uppermost first.
    pub(super) fn lower(&self) -> Vec<MountSource> {
        let layers = self.state.beneath().map(|name| self.layer(name));
        let layers = layers.map(MountSource::Bind);
        let empty = MountSource::Bind(layers::empty(&self.root));
        layers
            .chain(self.state.settings.base.clone())
            .chain([empty])
            .collect()
    }

    /// What was there before the changes of this workspace, the uppermost first.
    pub(super) fn lowers(&self) -> Result<Vec<Arc<dyn Directory>>> {
        self.layered(self.state.below.iter())
    }

    /// What is below the uppermost layer, the uppermost first.
    pub(super) fn beneath(&self) -> Result<Vec<Arc<dyn Directory>>> {
        self.layered(self.state.beneath())
    }

    /// Layers, and what is below them all.
    fn layered<'a>(
        &self,
        layers: impl Iterator<Item = &'a String>,
    ) -> Result<Vec<Arc<dyn Directory>>> {
        let layers = layers.map(|name| self.open(name));
        layers.chain(self.base()?.map(Ok)).collect()
    }

    /// What was in it at first.
    pub(super) fn base(&self) -> Result<Option<Arc<dyn Directory>>> {
        let opened = match &self.state.settings.base {
            None => return Ok(None),
            Some(MountSource::Volume(name)) => directory(&volume_directory(name, None)?),
            Some(MountSource::Tar(archive)) => archive_at(archive),
            Some(MountSource::Bind(host)) => directory(host),
            Some(other) => Err(io::Error::other(format!("{other} is none"))),
        };
        opened.map(Some).map_err(|source| {
            let message = format!("cannot open what the workspace {} began with", self.name());
            Error::new(ErrorKind::Preopen, message).with_source(source)
        })
    }

    /// A layer as a directory.
    pub(super) fn open(&self, layer: &str) -> Result<Arc<dyn Directory>> {
        directory(&self.layer(layer)).map_err(failed(format!(
            "open a layer of the workspace {}",
            self.name()
        )))
    }

    /// All that a guest would see.
    pub(super) fn overlay(&self) -> Result<Overlay> {
        Ok(Overlay::new(self.beneath()?, self.open(&self.state.upper)?))
    }

    /// Removes it, all at once. That takes no room.
    pub(super) fn remove(self, root: &Path) -> Result<()> {
        // No other has that layer for its uppermost, and so none has this name.
        let gone = root.join(format!("{UNFINISHED}{}", self.state.upper));
        let renamed = fs::rename(&self.directory, &gone);
        renamed.map_err(failed(format!("remove the workspace {}", self.name())))?;
        let _ = fs::remove_dir_all(gone);
        Ok(())
    }
}

/// Locks the workspace of a directory, which is there under this name then.
fn lock(directory: &Path, name: &str) -> Result<Locked> {
    let failed = || failed(format!("lock the workspace {name}"));
    let path = directory.join(LOCK);
    loop {
        let lock = match Locked::alone(&path) {
            Ok(lock) => lock,
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "the workspace {name} is in use; wait for that to end, or fork it beforehand to do two things at a time"
                );
                return Err(Error::new(ErrorKind::InUse, message));
            }
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(unknown(name));
            }
            Err(TryLockError::Error(error)) => return Err(failed()(error)),
        };
        // Another may have taken its place before it was locked.
        match lock.is_at(&path) {
            Ok(true) => return Ok(lock),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown(name)),
            Err(error) => return Err(failed()(error)),
        }
    }
}

/// The names of all workspaces.
pub(super) fn names(root: &Path) -> Result<Vec<String>> {
    let failed = || failed(format!("list the workspaces in {}", root.display()));
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed())?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed())?.file_name();
        names.extend(
            name.to_str()
                .filter(|name| is_kept_name(name))
                .map(str::to_owned),
        );
    }
    Ok(names)
}

/// Removes directories that were not made, or not removed, to the end.
pub(super) fn remove_unfinished(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

pub(super) fn unknown(name: &str) -> Error {
    let message = format!("there is no workspace {name:?}; `wasmrun workspace new` makes one");
    Error::new(ErrorKind::Config, message)
}

/// Writes a file, which has all of it or what it had before.
pub(super) fn save(path: &Path, value: &impl Serialize) -> Result<()> {
    let failed = || failed(format!("write {}", path.display()));
    let write = || -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer(&mut file, value)?;
        file.flush()?;
        file.as_file().sync_data()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(failed())
}

/// Reads such a file, if it is there.
pub(super) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let failed = || failed(format!("read {}", path.display()));
    match fs::read(path) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(failed()(error)),
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(failed()(error.into())),
        },
    }
}

/// A directory of the host.
pub(super) fn directory(path: &Path) -> io::Result<Arc<dyn Directory>> {
    wasmrun_fs::host(path)
}

/// What is in an archive.
pub(super) fn archive_at(path: &Path) -> io::Result<Arc<dyn Directory>> {
    let archive = Tar::open(path, TarLimits::default()).map_err(io::Error::other)?;
    Ok(archive.root())
}
