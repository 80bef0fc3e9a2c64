//! Files that are nowhere: they go with the last process that has them, however that ends.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::fcntl_dupfd_cloexec;

/// A file of these bytes, which stay as they are, and where it is: here, and in runtimes that it is
/// [handed](crate::spawn::Launch::handed) to. `None` where there is no such thing.
pub(crate) fn memory_file(name: &str, bytes: &[u8]) -> Option<(PathBuf, File)> {
    /// Runtimes have standard streams of their own.
    const BEYOND_STREAMS: i32 = 3;
    const SEALED: SealFlags = SealFlags::SEAL
        .union(SealFlags::SHRINK)
        .union(SealFlags::GROW)
        .union(SealFlags::WRITE);
    let make = || {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let made = memfd_create(name, flags)?;
        let mut file = File::from(fcntl_dupfd_cloexec(&made, BEYOND_STREAMS)?);
        file.write_all(bytes)?;
        fcntl_add_seals(&file, SEALED)?;
        Ok::<_, io::Error>(file)
    };
    let file = make().ok()?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    path.exists().then_some((path, file))
}
