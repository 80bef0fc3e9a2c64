//! Workspaces: worlds of files that last over many runs, and are forked, compared, kept and undone.
//!
//! # What is kept where
//!
//! All workspaces are in one directory. In it are, for each of them, a directory of its name, and their layers, because
//! forks share them:
//!
//! - `NAME/state.json` says what it is: its settings, and the layers it consists of. It is replaced as a whole.
//! - `NAME/lock` is locked by who uses the workspace; the time it was changed is when that began last.
//! - `NAME/commit.json` is there while a commit is made. Who opens the workspace next goes on with it.
//! - `.layers/ID` is a layer, in the form that [`Overlay`] has. The uppermost of a workspace takes
//!   what its guests write; those below never change again, and may be of several workspaces.
//! - `.lock` is locked by who makes layers, and by who removes those that no workspace has.
//!
//! Each step leaves a workspace as it was before or as it is to be, whenever a process is killed; what was begun and came
//! to nothing is removed by the next that looks.

mod kept;
mod layers;
mod lock;
mod settings;
mod state;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use wasmrun_core::{
    Access, Attachments, Change, Changes, Control, Error, ErrorKind, Guest, Mount, MountSource,
    OverlayMount, Report, Result, RunConfig, is_kept_name,
};
use wasmrun_fs::Kept;

use crate::{Choice, Engines};
use layers::Layers;
pub use settings::WorkspaceSettings;
use state::{Held, State};

/// A directory of the host that has workspaces in it.
#[derive(Debug, Clone)]
pub struct Workspaces {
    root: PathBuf,
}

/// A world of files that lasts over many runs.
///
/// What guests write stays in the workspace; what it began with, a directory of the host perhaps, is left as it is until
/// the changes are [committed](Workspace::commit). A [fork](Workspace::fork) begins with all that the workspace has and
/// shares it, so that it takes no time, and what is tried there is kept by committing it or undone by removing the fork.
///
/// A workspace is used by one at a time, run or otherwise; who else wants it is told so
/// ([`InUse`](ErrorKind::InUse)).
///
/// ```
/// use wasmrun::{Guest, MountSource, Engines, RunConfig, WorkspaceSettings, Workspaces};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if !cfg!(any(feature = "wasmtime", feature = "wasmer", feature = "wasmi")) { return Ok(()); }
/// # let (home, project) = (tempfile::tempdir()?, tempfile::tempdir()?);
/// # let (home, project) = (home.path(), project.path());
/// let workspaces = Workspaces::at(home);
/// let settings = WorkspaceSettings::new().base(MountSource::Bind(project.into()));
/// let workspace = workspaces.create("work", settings)?;
///
/// let attempt = workspace.fork("attempt")?;
/// # let guest = Guest::from_bytes("touch.wat", r#"(module
/// #     (import "wasi_snapshot_preview1" "path_create_directory"
/// #         (func $mkdir (param i32 i32 i32) (result i32)))
/// #     (memory (export "memory") 1)
/// #     (data (i32.const 0) "made")
/// #     (func (export "_start") (drop (call $mkdir (i32.const 3) (i32.const 0) (i32.const 4)))))"#)?;
/// attempt.run(Engines::shared(), &guest, &RunConfig::new())?;
/// assert_eq!(attempt.changes()?[0].path, "made");
/// assert_eq!(workspace.changes()?, []);
///
/// attempt.commit()?; // into the workspace
/// workspace.commit()?; // into the project
/// assert!(project.join("made").is_dir());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Workspace {
    all: Workspaces,
    name: String,
}

/// What a workspace tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorkspaceInfo {
    /// Its name.
    pub name: String,
    /// What it was made with.
    #[serde(flatten)]
    pub settings: WorkspaceSettings,
    /// The workspace it was forked from, which is where it is committed to.
    pub parent: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it was used last, by a run or otherwise, in milliseconds since 1970.
    pub used_ms: u64,
}

/// A workspace that nobody else can use until this is dropped.
#[derive(Debug)]
pub struct LockedWorkspace {
    all: Workspaces,
    held: Held,
}

impl Workspaces {
    /// Those in a directory of the host, which need not be there yet.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Workspaces {
            root: directory.into(),
        }
    }

    /// Those of the user: `wasmrun/workspaces` in the user's data directory.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if the user has no home directory.
    pub fn of_user() -> Result<Self> {
        Ok(Workspaces::at(
            wasmrun_core::user_data_directory()?.join("workspaces"),
        ))
    }

    /// Makes a workspace.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) for what is no name, one that is taken, and settings that no workspace can have;
    /// [`Preopen`](ErrorKind::Preopen) if what it is to begin with is not there; [`Io`](ErrorKind::Io).
    pub fn create(&self, name: &str, settings: WorkspaceSettings) -> Result<Workspace> {
        self.is_free(name)?;
        let settings = settings.resolved(&self.root)?;
        self.with_new_layers(|layers| {
            State::new(settings, layers.create()?).make(&self.root, name)?;
            Ok(self.named(name))
        })
    }

    /// Whether a workspace may have that name, and none has.
    fn is_free(&self, name: &str) -> Result<()> {
        let message = match is_kept_name(name) {
            true if self.root.join(name).exists() => {
                format!("there is a workspace {name} already")
            }
            true => return Ok(()),
            false => format!(
                "{name:?} is no name of a workspace: it has letters, digits, `_`, `.` and `-`, and begins with a letter or \
                 a digit"
            ),
        };
        Err(Error::new(ErrorKind::Config, message))
    }

    /// The workspace of that name.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if there is none; [`Io`](ErrorKind::Io) for one that cannot be read.
    pub fn open(&self, name: &str) -> Result<Workspace> {
        if !is_kept_name(name) || !self.root.join(name).is_dir() {
            return Err(state::unknown(name));
        }
        State::read(&self.root.join(name))?;
        Ok(self.named(name))
    }

    /// All of them, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) for what cannot be read.
    pub fn list(&self) -> Result<Vec<WorkspaceInfo>> {
        let mut names = state::names(&self.root)?;
        names.sort();
        let info = |name: String| self.named(&name).info();
        // One may have been removed meanwhile.
        let found = names.into_iter().map(info).filter(|info| {
            let gone = |error: &Error| error.kind() == ErrorKind::Config;
            !info.as_ref().is_err_and(gone)
        });
        found.collect()
    }

    fn named(&self, name: &str) -> Workspace {
        Workspace {
            all: self.clone(),
            name: name.to_owned(),
        }
    }

    fn layers(&self) -> Result<Layers> {
        Layers::open(&self.root)
    }

    /// Does something that makes layers for workspaces to have. Those that it made are removed if it fails.
    fn with_new_layers<T>(&self, with: impl FnOnce(&Layers) -> Result<T>) -> Result<T> {
        let layers = self.layers()?;
        let done = with(&layers);
        if done.is_err() {
            layers.remove_unused(&self.root);
        }
        done
    }

    /// Does something that makes layers, or has workspaces do without some. Those are removed then that nobody has.
    fn with_layers<T>(&self, with: impl FnOnce(&Layers) -> Result<T>) -> Result<T> {
        let layers = self.layers()?;
        let done = with(&layers);
        layers.remove_unused(&self.root);
        done
    }

    /// Does something with what a workspace keeps apart from what it began with.
    fn kept<T>(&self, held: &Held, with: impl FnOnce(&Kept) -> Result<T>) -> Result<T> {
        self.with_layers(|layers| with(&kept::kept(held, layers)?))
    }
}

impl Workspace {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known of it.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if it is not there any more; [`Io`](ErrorKind::Io).
    pub fn info(&self) -> Result<WorkspaceInfo> {
        let directory = self.all.root.join(&self.name);
        let state = State::read(&directory)?;
        let lock = fs::metadata(directory.join(state::LOCK)).and_then(|lock| lock.modified());
        Ok(WorkspaceInfo {
            name: self.name.clone(),
            settings: state.settings,
            parent: state.parent,
            created_ms: state.created_ms,
            used_ms: lock.map_or(state.created_ms, milliseconds),
        })
    }

    /// Keeps it for a run, or several.
    ///
    /// # Errors
    ///
    /// [`InUse`](ErrorKind::InUse) if somebody else uses it; [`Config`](ErrorKind::Config) if it is not there any more;
    /// [`Preopen`](ErrorKind::Preopen) if what it began with is not; [`Io`](ErrorKind::Io).
    pub fn lock(&self) -> Result<LockedWorkspace> {
        Ok(LockedWorkspace {
            all: self.all.clone(),
            held: self.held(&self.all.layers()?)?,
        })
    }

    /// Runs a guest in it, as `config` asks, on the first engine of the workspace's choice that can. The config's limits go
    /// over those of the workspace.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Workspace::lock), and of [`Engines::compile`] and [`Program::run`](crate::Program::run).
    pub fn run(&self, engines: &Engines, guest: &Guest, config: &RunConfig) -> Result<Report> {
        let locked = self.lock()?;
        let config = locked.config(config);
        let control = Control::new();
        let mut report = engines
            .compile_for_run(guest, &config, &locked.choice(), &control)?
            .run_with(&config, Attachments::new().control(&control))?;
        locked.told(&mut report);
        Ok(report)
    }

    /// What was changed, in the order of paths: of what it began with or, in a fork, of what the other had then.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Workspace::lock).
    pub fn changes(&self) -> Result<Vec<Change>> {
        self.kept(|kept| kept.changes())
    }

    /// The changes as unified text: see [`Layer::diff`](crate::Layer::diff).
    ///
    /// # Errors
    ///
    /// As for [`lock`](Workspace::lock).
    pub fn diff(&self) -> Result<String> {
        self.kept(|kept| kept.diff())
    }

    /// Writes the changes as a tar archive: see [`Layer::export`](crate::Layer::export).
    ///
    /// # Errors
    ///
    /// As for [`lock`](Workspace::lock), and what keeps it from being written.
    pub fn export_changes(&self, to: &mut dyn Write) -> Result<()> {
        self.kept(|kept| kept.export(to))
    }

    /// Writes all that a guest would see as a tar archive.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Workspace::lock), and what keeps it from being written.
    pub fn export(&self, to: &mut dyn Write) -> Result<()> {
        let held = self.held(&self.all.layers()?)?;
        wasmrun_fs::export(&*held.overlay()?.root(), to)
    }

    /// Copies a directory of the host, or what is in a tar archive, to a directory of the workspace, over what is there. All of
    /// it is there then, or nothing.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Workspace::lock), and what cannot be read or written.
    pub fn import(&self, from: &Path, to: &str) -> Result<()> {
        self.all
            .with_layers(|layers| kept::import(&mut self.held(layers)?, layers, from, to))
    }

    /// Makes the changes for good: in the directory of the host that the workspace began with or, of a fork, in the workspace
    /// it was forked from. Each file of a directory is there as a whole or not at all, whenever this ends; the next who uses
    /// the workspace goes on with it then. The workspace has no changes any more afterwards.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if it began with nothing that can be changed, or if the other workspace was
    /// changed since it was forked; otherwise as for [`lock`](Workspace::lock), of both.
    pub fn commit(&self) -> Result<()> {
        self.all.with_layers(|layers| {
            let mut held = self.held(layers)?;
            match held.state.parent.clone() {
                None => kept::commit(&mut held, layers),
                Some(parent) => {
                    let mut parent = Held::lock(&self.all.root, &parent, layers)?;
                    kept::commit_to_workspace(&mut held, &mut parent, layers)
                }
            }
        })
    }

    /// Undoes all changes: it has again what it began with.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Workspace::lock).
    pub fn reset(&self) -> Result<()> {
        self.all.with_layers(|layers| {
            self.held(layers)?.change(|state| {
                state.own.clear();
                state.upper = layers.create()?;
                Ok(())
            })
        })
    }

    /// Makes another workspace that has all that this one has now, and whose changes are its own.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Workspace::lock) and [`Workspaces::create`].
    pub fn fork(&self, name: &str) -> Result<Workspace> {
        self.all.is_free(name)?;
        self.all.with_new_layers(|layers| {
            let mut held = self.held(layers)?;
            kept::freeze(&mut held, layers)?;
            let fork = held.state.fork(&self.name, layers.create()?);
            fork.make(&self.all.root, name)?;
            Ok(self.all.named(name))
        })
    }

    /// Removes it with its changes. What it began with stays, and so do its forks.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Workspace::lock).
    pub fn remove(&self) -> Result<()> {
        self.all
            .with_layers(|layers| self.held(layers)?.remove(&self.all.root))
    }

    fn held(&self, layers: &Layers) -> Result<Held> {
        Held::lock(&self.all.root, &self.name, layers)
    }

    fn kept<T>(&self, with: impl FnOnce(&Kept) -> Result<T>) -> Result<T> {
        // Whoever has the layers keeps unused ones from being removed.
        let held = self.held(&self.all.layers()?)?;
        self.all.kept(&held, with)
    }
}

impl LockedWorkspace {
    /// The config of a run in it: what the workspace has is mounted first, and its limits hold where the config has none.
    ///
    /// What the guest changed is told by [`Workspace::changes`] and not by the report, which tells of other mounts.
    #[must_use]
    pub fn config(&self, config: &RunConfig) -> RunConfig {
        let mut config = config.clone();
        config.mounts.insert(0, self.mount());
        config.limits = config.limits.or(&self.held.state.settings.limits);
        config
    }

    /// The engines that the workspace is to be run on.
    pub fn choice(&self) -> Choice {
        match &self.held.state.settings.engines[..] {
            [] => Choice::Auto,
            engines => Choice::Of(engines.to_vec()),
        }
    }

    /// Where guests find it.
    pub fn path(&self) -> &str {
        &self.held.state.settings.path
    }

    /// What was changed: see [`Workspace::changes`].
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) for what cannot be read.
    pub fn changes(&self) -> Result<Vec<Change>> {
        self.all.kept(&self.held, |kept| kept.changes())
    }

    /// Leaves out of a report what the workspace tells itself.
    pub fn told(&self, report: &mut Report) {
        report.layers.retain(|layer| layer.path != self.path());
    }

    fn mount(&self) -> Mount {
        let state = &self.held.state;
        Mount {
            path: state.settings.path.clone(),
            source: MountSource::Overlay(OverlayMount {
                lower: self.held.lower(),
                upper: Box::new(MountSource::Bind(self.held.layer(&state.upper))),
            }),
            access: Access::ReadWrite,
        }
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since: Duration = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// An error about something of a workspace that cannot be read or written.
fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let what = what.into();
    move |source| Error::new(ErrorKind::Io, format!("cannot {what}")).with_source(source)
}
