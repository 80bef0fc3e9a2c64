//! What a workspace is made with.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wasmrun_core::{Error, ErrorKind, Limits, MountSource, Result, guest_path};

use crate::Choice;

/// What a workspace is made with: what is in it at first and where guests find it, and what holds for each run.
///
/// ```
/// use wasmrun::{MountSource, WorkspaceSettings};
///
/// let settings = WorkspaceSettings::new()
///     .base(MountSource::Bind("/srv/project".into()))
///     .limit(|limits| limits.memory = Some(256 << 20));
/// assert_eq!(settings.path, "/");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WorkspaceSettings {
    /// Where guests find it. By default that is `/`, and then what is in it is found by relative paths, too.
    pub path: String,
    /// What is in it at first, and stays as it is until the changes are committed: a directory of the host, a volume or an
    /// archive; nothing where `None`.
    pub base: Option<MountSource>,
    /// What holds for each run, unless the run has limits of its own.
    pub limits: Limits,
    /// The engines that run guests in it, best first; any where there is none.
    pub engines: Vec<String>,
}

impl Default for WorkspaceSettings {
    fn default() -> Self {
        WorkspaceSettings {
            path: "/".into(),
            base: None,
            limits: Limits::default(),
            engines: Vec::new(),
        }
    }
}

impl WorkspaceSettings {
    /// An empty workspace, without limits, on any engine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what is in it at first.
    #[must_use]
    pub fn base(mut self, base: MountSource) -> Self {
        self.base = Some(base);
        self
    }

    /// Sets where guests find it.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Changes the limits of each run.
    #[must_use]
    pub fn limit(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Sets the engines.
    #[must_use]
    pub fn engines(mut self, choice: impl Into<Choice>) -> Self {
        self.engines = match choice.into() {
            Choice::Auto => Vec::new(),
            Choice::Of(engines) => engines,
        };
        self
    }

    /// With absolute paths, seen to be there.
    pub(super) fn resolved(mut self, root: &Path) -> Result<Self> {
        self.path = guest_path::normalise(&self.path)?;
        self.base = match self.base {
            None => None,
            Some(MountSource::Bind(host)) => Some(MountSource::Bind(directory(&host, root)?)),
            Some(MountSource::Tar(archive)) => Some(MountSource::Tar(absolute(&archive)?)),
            Some(volume @ MountSource::Volume(_)) => Some(volume),
            Some(other) => {
                let message = format!(
                    "a workspace cannot begin with {other}: it begins with a directory of the host, a volume or an archive"
                );
                return Err(Error::new(ErrorKind::Config, message));
            }
        };
        Ok(self)
    }
}

fn directory(host: &Path, root: &Path) -> Result<PathBuf> {
    let host = absolute(host)?;
    if !host.is_dir() {
        let message = format!(
            "a workspace cannot begin with {}: it is not a directory",
            host.display()
        );
        return Err(Error::new(ErrorKind::Preopen, message));
    }
    let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    let root = root.canonicalize().unwrap_or(root);
    if root.starts_with(&host) || host.starts_with(&root) {
        let message = format!(
            "a workspace cannot begin with {}: workspaces are kept in {}, so it would be in itself",
            host.display(),
            root.display()
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(host)
}

fn absolute(host: &Path) -> Result<PathBuf> {
    host.canonicalize().map_err(|source| {
        let message = format!("a workspace cannot begin with {}", host.display());
        Error::new(ErrorKind::Preopen, message).with_source(source)
    })
}
