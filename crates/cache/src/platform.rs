//! What differs between platforms.

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

    use serde::{Deserialize, Serialize};
    use wasmrun_core::{Error, ErrorKind, Result};

    /// What a group and others may do, in a mode.
    const OTHERS: u32 = 0o077;

    /// Makes a directory that is ours alone, and those it is in.
    pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        DirBuilder::new().mode(0o700).create(path)
    }

    /// Fails if anybody else owns the directory or may do anything in it.
    pub(crate) fn is_ours_alone(directory: &Path, metadata: &Metadata) -> Result<()> {
        let refused = |why: String| {
            let directory = directory.display();
            let what = format!("the cache in {directory} is not used: {why}");
            Err(Error::new(ErrorKind::Config, what))
        };
        if !metadata.is_dir() {
            return refused("it is not a directory".into());
        }
        if !is_ours(metadata) {
            return refused(format!("it belongs to user {}", metadata.uid()));
        }
        if metadata.mode() & OTHERS != 0 {
            return refused(format!(
                "others may enter it, and code in it is run; close it with `chmod 700 {}`",
                directory.display()
            ));
        }
        Ok(())
    }

    /// Whether both are of one file.
    pub(crate) fn is_same(one: &Metadata, other: &Metadata) -> bool {
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    }

    /// Whether the file belongs to us, and nobody else may write to it.
    pub(crate) fn is_our_file(metadata: &Metadata) -> bool {
        metadata.is_file() && is_ours(metadata) && metadata.mode() & OTHERS == 0
    }

    fn is_ours(metadata: &Metadata) -> bool {
        metadata.uid() == rustix::process::geteuid().as_raw()
    }

    /// What the system knows of a file. It changes when the file's content does.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    pub(crate) struct Stamp {
        device: u64,
        inode: u64,
        size: u64,
        /// Seconds and nanoseconds since 1970.
        modified: (i64, i64),
        changed: (i64, i64),
    }

    impl Stamp {
        pub(crate) fn of(metadata: &Metadata) -> Option<Stamp> {
            Some(Stamp {
                device: metadata.dev(),
                inode: metadata.ino(),
                size: metadata.size(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            })
        }

        /// The name of the file's record.
        pub(crate) fn name(&self) -> String {
            format!("{:x}-{:x}", self.device, self.inode)
        }

        /// When the file last changed in any way, in seconds since 1970.
        pub(crate) fn last_change(&self) -> i64 {
            self.modified.0.max(self.changed.0)
        }
    }

    /// Differs from one start of the system to the next.
    pub(crate) fn boot() -> Option<String> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned())
    }
}

#[cfg(not(unix))]
mod other {
    use std::fs::Metadata;
    use std::io;
    use std::path::Path;

    use serde::{Deserialize, Serialize};
    use wasmrun_core::{Error, ErrorKind, Result};

    pub(crate) fn make_private_dir(_: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn is_ours_alone(_: &Path, _: &Metadata) -> Result<()> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "compiled code is not kept: wasmrun cannot tell on this platform who else could write \
             to a directory",
        ))
    }

    pub(crate) fn is_same(_: &Metadata, _: &Metadata) -> bool {
        true
    }

    pub(crate) fn is_our_file(_: &Metadata) -> bool {
        false
    }

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    pub(crate) struct Stamp(());

    impl Stamp {
        pub(crate) fn of(_: &Metadata) -> Option<Stamp> {
            None
        }

        pub(crate) fn name(&self) -> String {
            String::new()
        }

        pub(crate) fn last_change(&self) -> i64 {
            i64::MAX
        }
    }

    pub(crate) fn boot() -> Option<String> {
        None
    }
}
