//! What a guest changed of overlays and of file systems in memory, as JSON.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use wasmrun::{Change, Error, ErrorKind, Layer, Result};

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

    pub fn write(mut self, layers: &[Layer]) -> Result<()> {
        let mut all = Vec::new();
        for layer in layers {
            let changes = layer.changes()?.into_iter();
            all.extend(changes.map(|change| Told {
                mount: layer.path.clone(),
                change,
            }));
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
