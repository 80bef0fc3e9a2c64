//! What a command makes, in a file or on standard output.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use wasmrun::{Error, ErrorKind, Result};

use crate::say;

/// Writes to a file, or to standard output for `-`.
pub fn written(file: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<u8> {
    if file.as_os_str() == "-" {
        let mut stdout = io::stdout().lock();
        write(&mut stdout)?;
        return Ok(say::printed(stdout.flush()));
    }
    let failed = |source: io::Error| {
        let message = format!("cannot write {}", file.display());
        Error::new(ErrorKind::Io, message).with_source(source)
    };
    let mut to = File::create(file).map_err(failed)?;
    write(&mut to)?;
    to.sync_all().map_err(failed)?;
    Ok(0)
}
