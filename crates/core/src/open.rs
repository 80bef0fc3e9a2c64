//! Opening files without waiting: to open a FIFO takes as long as nobody has opened its other end.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens what is to be read. A FIFO that nobody writes to yet is open at once.
pub(crate) fn to_read(path: &Path) -> io::Result<File> {
    at_once(OpenOptions::new().read(true), path)
}

/// Creates or truncates what is to be written. A FIFO that nobody reads from is an error.
pub(crate) fn to_write(path: &Path) -> io::Result<File> {
    at_once(
        OpenOptions::new().write(true).create(true).truncate(true),
        path,
    )
}

#[cfg(unix)]
fn at_once(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    use rustix::io::Errno;

    let file = options
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NXIO) => io::Error::other("nobody reads from it; start the reader first"),
            _ => error,
        })?;
    // Whoever gets the file, a process perhaps, expects one that blocks.
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

#[cfg(not(unix))]
fn at_once(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.open(path)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_fifo_is_opened_at_once_or_not_at_all() {
        let dir = tempfile::tempdir().expect("a directory");
        let fifo = dir.path().join("fifo");
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0)
            .expect("a FIFO");
        let error = to_write(&fifo).expect_err("nobody reads");
        assert!(error.to_string().contains("nobody reads"), "{error}");
        let reader = to_read(&fifo).expect("nobody writes");
        to_write(&fifo).expect("somebody reads");
        let flags = rustix::fs::fcntl_getfl(reader).expect("flags");
        assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
    }
}
