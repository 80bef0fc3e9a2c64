//! A file into memory, never more of it than the caller accepts.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::shown::shown_path;
use crate::source;

/// Reads a regular file of at most `max_bytes`.
///
/// Anything that is not a regular file is refused *before* it is opened: a FIFO would block the
/// open itself until someone writes, and a device may never end.
///
/// The metadata is that of the file that was opened, from before it was read.
pub(crate) fn read(path: &Path, max_bytes: u64) -> Result<(Vec<u8>, Metadata)> {
    let name = shown_path(&path.to_string_lossy());
    let failed = |error| cannot_read(&name, error);

    let metadata = std::fs::metadata(path).map_err(failed)?;
    regular(&name, &metadata)?;
    let mut file = open(path).map_err(failed)?;
    // Once more, of what was really opened.
    let metadata = file.metadata().map_err(failed)?;
    regular(&name, &metadata)?;
    if metadata.len() > max_bytes {
        return Err(too_large(&name, &mut file, metadata.len(), max_bytes));
    }

    let mut bytes = Vec::new();
    usize::try_from(metadata.len())
        .ok()
        .and_then(|len| bytes.try_reserve_exact(len).ok())
        .ok_or_else(|| failed(io::ErrorKind::OutOfMemory.into()))?;
    to_end(&name, file, max_bytes, &mut bytes)?;
    Ok((bytes, metadata))
}

/// Opens without waiting: a FIFO may have taken the file's place since it was looked at. Regular files are
/// read as ever.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    options.open(path)
}

/// Reads at most `max_bytes` to the end.
pub(crate) fn stream(name: &str, from: impl Read, max_bytes: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    to_end(name, from, max_bytes, &mut bytes)?;
    Ok(bytes)
}

fn to_end(name: &str, from: impl Read, max_bytes: u64, bytes: &mut Vec<u8>) -> Result<()> {
    // One byte over the cap is enough to know that a file grew, or lied about its size.
    from.take(max_bytes.saturating_add(1))
        .read_to_end(bytes)
        .map_err(|error| cannot_read(name, error))?;
    if bytes.len() as u64 > max_bytes {
        let more = format!("more than {max_bytes}");
        return Err(over_the_cap(name, &more, max_bytes));
    }
    Ok(())
}

fn regular(name: &str, metadata: &Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let message = if metadata.is_dir() {
        format!("{name} is a directory, not a WebAssembly program: name the .wasm file inside it")
    } else {
        format!(
            "{name} is a pipe, socket or device, not a regular file: save the program to a file first"
        )
    };
    Err(Error::new(ErrorKind::NotWasm, message))
}

fn cannot_read(name: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Error::new(ErrorKind::GuestNotFound, format!("no such file: {name}"))
        }
        _ => Error::new(ErrorKind::Io, format!("cannot read {name}")).with_source(error),
    }
    .with_operation("open guest")
}

/// A large file that is no program at all should hear that, not how large it is.
fn too_large(name: &str, file: &mut File, len: u64, max_bytes: u64) -> Error {
    let mut head = Vec::new();
    if file.take(64).read_to_end(&mut head).is_ok()
        && let Some(foreign) = source::signature(&head)
    {
        return foreign.refusal(name);
    }
    over_the_cap(name, &len.to_string(), max_bytes)
}

fn over_the_cap(name: &str, len: &str, max_bytes: u64) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!(
            "{name} has {len} bytes and the cap for a guest is {max_bytes}: raise the cap to run it"
        ),
    )
}
