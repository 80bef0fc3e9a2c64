//! Where a guest is read from: a file, standard input, or a pipe.

use std::fs::File;
use std::io;
use std::path::Path;

use wasmrun::{Engines, Error, ErrorKind, Guest, Result};

/// What a guest is called that comes from standard input, under whichever name.
const STDIN: &str = "stdin";

/// Whether `path` names our own standard input.
pub fn is_stdin(path: &Path) -> bool {
    ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"]
        .iter()
        .any(|name| path.as_os_str() == *name)
}

/// Whether what `path` names can be read only once.
pub fn is_read_once(path: &Path) -> bool {
    is_stdin(path) || is_pipe(path)
}

/// Reads the guest, or what these engines' cache knows of it.
pub fn open(engines: &Engines, path: &Path, max_bytes: u64) -> Result<Guest> {
    if is_stdin(path) {
        return Guest::from_reader(STDIN, io::stdin().lock(), max_bytes);
    }
    match engines.guest(path, max_bytes) {
        // Whoever names a pipe on the command line waits for what comes through it.
        Err(_) if is_pipe(path) => {
            let pipe = File::open(path).map_err(|source| {
                Error::new(ErrorKind::Io, format!("cannot read {}", path.display()))
                    .with_source(source)
            })?;
            let name = path.file_name().unwrap_or(path.as_os_str());
            Guest::from_reader(name.to_string_lossy(), pipe, max_bytes)
        }
        read => read,
    }
}

#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;

    path.metadata().is_ok_and(|it| it.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_pipe(_: &Path) -> bool {
    false
}
