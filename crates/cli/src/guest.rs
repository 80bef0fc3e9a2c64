//! Where a guest is read from: a file, standard input, or a pipe.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use wasmrun::{Engines, Error, ErrorKind, Guest, Result, Sha256};

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

/// Whether `path` is meant to be a reference to what is in a registry.
pub fn is_reference(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with("oci://"))
}

/// Reads the guest, which has to be the expected one if there is such, or what these engines' cache knows of it.
pub fn open(
    engines: &Engines,
    path: &Path,
    max_bytes: u64,
    expected: Option<&Sha256>,
) -> Result<Guest> {
    let stream = |name: String, from: &mut dyn Read| match expected {
        None => Guest::from_reader(name, from, max_bytes),
        Some(expected) => Guest::from_reader_expected(name, from, max_bytes, expected),
    };
    if is_stdin(path) {
        return stream(STDIN.into(), &mut io::stdin().lock());
    }
    #[cfg(feature = "oci")]
    if let Some(guest) = crate::images::open(engines, path, max_bytes)? {
        return Ok(guest);
    }
    #[cfg(not(feature = "oci"))]
    if is_reference(path) {
        let message = "this wasmrun knows no registries; build it with the feature `oci`";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let read = match expected {
        None => engines.guest(path, max_bytes),
        Some(expected) => Guest::open_expected(path, max_bytes, expected),
    };
    match read {
        // Whoever names a pipe on the command line waits for what comes through it.
        Err(_) if is_pipe(path) => {
            let mut pipe = File::open(path).map_err(|source| {
                Error::new(ErrorKind::Io, format!("cannot read {}", path.display()))
                    .with_source(source)
            })?;
            let name = path.file_name().unwrap_or(path.as_os_str());
            stream(name.to_string_lossy().into_owned(), &mut pipe)
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
