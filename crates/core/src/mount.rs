//! What a guest sees of files: directories of the host and others, each at a path of the guest's.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Something that is shown to the guest at a path of its own.
///
/// Mounts may be in each other, and on `/`: the directory that one is in lists its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Its path in the guest, normalised before use; `..` above the root is an error.
    pub path: String,
    /// What is shown.
    pub source: MountSource,
    /// What the guest may do in it.
    #[serde(default)]
    pub access: Access,
}

/// What is shown at a path of the guest's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MountSource {
    /// A directory of the host.
    Bind(PathBuf),
    /// A file of the host.
    File(PathBuf),
    /// A directory of that name that is kept for guests on the host, and made when it is first used: see
    /// [`RunConfig::volumes`](crate::RunConfig::volumes). A name has letters, digits, `_`, `.` and `-`, and begins with
    /// a letter or a digit.
    Volume(String),
    /// What a tar archive of the host has in it, which is read-only. The archive may be compressed by gzip.
    Tar(PathBuf),
    /// A file system in memory, which is gone when the run has ended. It is empty at first, or a copy.
    Memory(MemoryMount),
    /// Directories in one, none of which is changed: what the guest writes goes elsewhere.
    Overlay(OverlayMount),
}

/// Directories in one, and where what the guest writes goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlayMount {
    /// What the guest finds, the uppermost first: directories of the host, volumes and archives. What is a whiteout in the
    /// layers of an image is one here.
    pub lower: Vec<MountSource>,
    /// Where its changes go: memory, or a directory of the host or a volume that is kept for them.
    pub upper: Box<MountSource>,
}

impl fmt::Display for MountSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MountSource::Bind(host) | MountSource::File(host) => host.display().fmt(f),
            MountSource::Volume(name) => write!(f, "the volume {name}"),
            MountSource::Tar(archive) => write!(f, "the archive {}", archive.display()),
            MountSource::Memory(MemoryMount { from: None, .. }) => {
                f.write_str("a file system in memory")
            }
            MountSource::Memory(MemoryMount {
                from: Some(from), ..
            }) => write!(f, "a copy of {from} in memory"),
            MountSource::Overlay(_) => f.write_str("an overlay"),
        }
    }
}

/// What a file system in memory has at first, and how much may be in it. Beyond that, the guest is told that no space is
/// left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryMount {
    /// Bytes of files, each in pages of 4096; [`DEFAULT_BYTES`](MemoryMount::DEFAULT_BYTES) where `None`.
    pub bytes: Option<u64>,
    /// Files, directories, links and further names of files; one for each 4096 of the bytes where `None`.
    pub entries: Option<u64>,
    /// What it is a copy of when the run begins: a directory of the host, a volume or an archive; nothing where `None`. What
    /// no guest can open, such as a FIFO or a device, is not copied. Only what the guest then changes is told as changed.
    pub from: Option<Box<MountSource>>,
}

impl MemoryMount {
    /// 256 MiB. There is always a bound, as what a guest writes there is memory of the host.
    pub const DEFAULT_BYTES: u64 = 256 << 20;
}

impl Mount {
    /// The directory `host` of the host at `path`.
    pub fn bind(host: impl Into<PathBuf>, path: impl Into<String>, access: Access) -> Self {
        Mount {
            path: path.into(),
            source: MountSource::Bind(host.into()),
            access,
        }
    }

    /// The file `host` of the host at `path`.
    pub fn file(host: impl Into<PathBuf>, path: impl Into<String>, access: Access) -> Self {
        Mount {
            path: path.into(),
            source: MountSource::File(host.into()),
            access,
        }
    }

    /// The volume `name` at `path`.
    pub fn volume(name: impl Into<String>, path: impl Into<String>, access: Access) -> Self {
        Mount {
            path: path.into(),
            source: MountSource::Volume(name.into()),
            access,
        }
    }

    /// What the archive `host` has in it, at `path`.
    pub fn tar(host: impl Into<PathBuf>, path: impl Into<String>) -> Self {
        Mount {
            path: path.into(),
            source: MountSource::Tar(host.into()),
            access: Access::ReadOnly,
        }
    }

    /// An empty file system in memory at `path`, with room for so many bytes.
    pub fn memory(path: impl Into<String>, bytes: u64) -> Self {
        let bytes = Some(bytes);
        Mount {
            path: path.into(),
            source: MountSource::Memory(MemoryMount {
                bytes,
                ..MemoryMount::default()
            }),
            access: Access::ReadWrite,
        }
    }

    /// The directory `host` of the host at `path`, which the guest may change as it sees it: its changes go to memory, up
    /// to so many bytes, and the [`Report`](crate::Report) has them.
    pub fn overlay(host: impl Into<PathBuf>, path: impl Into<String>, bytes: u64) -> Self {
        let upper = Mount::memory("", bytes).source;
        Mount {
            path: path.into(),
            source: MountSource::Overlay(OverlayMount {
                lower: vec![MountSource::Bind(host.into())],
                upper: Box::new(upper),
            }),
            access: Access::ReadWrite,
        }
    }

    /// The directory of the host, if it is one.
    pub fn host(&self) -> Option<&Path> {
        match &self.source {
            MountSource::Bind(host) => Some(host),
            _ => None,
        }
    }
}

/// What becomes of two mounts at one path of the guest's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SamePath {
    /// They are an error.
    #[default]
    Refuse,
    /// The later takes the place of the earlier.
    Replace,
    /// The later lies over the earlier, as in an [overlay](MountSource::Overlay): its names hide theirs, and directories
    /// of one name are merged. There may be more than two.
    ///
    /// The uppermost takes what the guest writes, if it is memory or an overlay; what is below stays as it is, and is nothing
    /// where that is memory, which is empty when the run begins. If the uppermost is read-only, so is all that the guest
    /// sees there. A directory of the host that may be written is an error over others, as marks for what the guest
    /// removes would be left in it, and so is a single file.
    Layer,
}

/// What a guest may do in what is mounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Read, and nothing else: no creating, writing, truncating, renaming, removing, linking or
    /// setting of times.
    #[default]
    ReadOnly,
    /// Everything the host lets us do.
    ReadWrite,
}
