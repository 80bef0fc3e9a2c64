//! What a guest changed of overlays and of file systems in memory, as JSON.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use wasmrun::{Change, Error, ErrorKind, Layer, LockedWorkspace, Result};

/// Where changes are written to.
pub struct Changes(Box<dyn Write + Send>);

#[derive(Serialize)]
struct Told {
    mount: String,
    #[serde(flatten)]
    change: Change,
}

impl Changes {
    /// The file at that path, made anew, or standard output for `-`.
    pub fn to(path: &Path) -> Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Changes(Box::new(io::stdout())));
        }
        let file = File::create(path).map_err(|source| {
            let message = format!("cannot write changes to {}", path.display());
            Error::new(ErrorKind::Io, message).with_source(source)
        })?;
        Ok(Changes(Box::new(file)))
    }

    /// Writes those of a workspace and of other mounts.
    pub fn write(mut self, workspace: Option<&LockedWorkspace>, layers: &[Layer]) -> Result<()> {
        let mut all = Vec::new();
        let mut add = |mount: &str, changes: Vec<Change>| {
            all.extend(changes.into_iter().map(|change| Told {
                mount: mount.to_owned(),
                change,
            }));
        };
        if let Some(workspace) = workspace {
            add(workspace.path(), workspace.changes()?);
        }
        for layer in layers {
            add(&layer.path, layer.changes()?);
        }
        let failed = |source: io::Error| {
            Error::new(ErrorKind::Io, "cannot write changes").with_source(source)
        };
        serde_json::to_writer_pretty(&mut self.0, &all).map_err(|error| failed(error.into()))?;
        self.0
            .write_all(b"\n")
            .and_then(|()| self.0.flush())
            .map_err(failed)
    }
}
