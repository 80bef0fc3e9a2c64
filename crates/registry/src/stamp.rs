//! What the system knows of a file, by which it is seen that somebody wrote to it. What differs between platforms is here.

#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(not(unix))]
pub(crate) use other::*;

#[cfg(unix)]
mod unix {
    use std::fs::{DirBuilder, Metadata};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    use std::path::Path;
    use std::sync::LazyLock;

    /// Differs from one start of the system to the next, before which an interrupted write may have spoilt a file.
    static BOOT: LazyLock<Option<String>> = LazyLock::new(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned())
    });

    /// A text that changes when the file does; `None` where that cannot be told.
    pub(crate) fn of(metadata: &Metadata) -> Option<String> {
        let boot = BOOT.as_ref()?;
        Some(format!(
            "{boot} {:x} {:x} {} {}.{} {}.{}",
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ))
    }

    pub(crate) fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
        (a.dev(), a.ino()) == (b.dev(), b.ino())
    }

    /// Makes a directory that others cannot write to, and those it is in.
    pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }
}

#[cfg(not(unix))]
mod other {
    use std::fs::Metadata;
    use std::io;
    use std::path::Path;

    /// Each use compares a file with its digest.
    pub(crate) fn of(_: &Metadata) -> Option<String> {
        None
    }

    /// A file that is open cannot be replaced.
    pub(crate) fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
        true
    }

    pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }
}
