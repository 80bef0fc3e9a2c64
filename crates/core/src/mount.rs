//! What a guest sees of files: directories of the host and others, each at a path of the guest's.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Sha256;
use crate::written::{Count, Maybe, Size};

/// Something that is shown to the guest at a path of its own.
///
/// Mounts may be in each other, and on `/`: the directory that one is in lists its name.
///
/// In a file it is a table with the path, the source by its name, and the access, as in
/// `{ path = "/data", bind = "data", access = "read-only" }`. Where the access is left out, a guest may write to memory
/// and to an overlay, and only read everything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "MountTable", into = "MountTable")]
pub struct Mount {
    /// Its path in the guest, normalised before use; `..` above the root is an error.
    pub path: String,
    /// What is shown.
    pub source: MountSource,
    /// What the guest may do in it.
    pub access: Access,
}

/// A mount as it is written: with one of the sources.
#[derive(Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Mount", transform = one_source))]
#[serde(default, deny_unknown_fields)]
struct MountTable {
    /// Its path in the guest.
    path: Option<String>,
    /// A directory of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    bind: Option<PathBuf>,
    /// A file of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    /// A directory that is kept by that name, and made when it is first used.
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<String>,
    /// What is in a tar archive of the host, which is read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    tar: Option<PathBuf>,
    /// A file system in memory, empty at first and gone with the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<MemoryMount>,
    /// A volume of a webc package of the host, which is read-only.
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<PackageMount>,
    /// Directories in one, none of which is changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    overlay: Option<OverlayMount>,
    /// What the guest may do in it: read-write where left out for memory and an overlay, otherwise read-only.
    access: Option<Access>,
}

/// What is shown at a path of the guest's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// A volume of a webc package of the host, which is read-only. Only builds that read packages show it.
    Package(PackageMount),
    /// A file system in memory, which is gone when the run has ended. It is empty at first, or a copy.
    Memory(MemoryMount),
    /// Directories in one, none of which is changed: what the guest writes goes elsewhere.
    Overlay(OverlayMount),
}

/// Directories in one, and where what the guest writes goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OverlayMount {
    /// What the guest finds, the uppermost first: directories of the host, volumes, archives and volumes of packages. What is a whiteout in the
    /// layers of an image is one here.
    pub lower: Vec<MountSource>,
    /// Where its changes go: memory, which it is where left out, or a directory of the host or a volume that is kept for
    /// them.
    #[serde(default = "in_memory")]
    pub upper: Box<MountSource>,
}

impl TryFrom<MountTable> for Mount {
    type Error = &'static str;

    fn try_from(table: MountTable) -> Result<Self, Self::Error> {
        let memory = table.memory.map(MountSource::Memory);
        let overlay = table.overlay.map(MountSource::Overlay);
        let is_own = memory.is_some() || overlay.is_some();
        let mut sources = [
            table.bind.map(MountSource::Bind),
            table.file.map(MountSource::File),
            table.volume.map(MountSource::Volume),
            table.tar.map(MountSource::Tar),
            table.package.map(MountSource::Package),
            memory,
            overlay,
        ]
        .into_iter()
        .flatten();
        let (Some(source), None) = (sources.next(), sources.next()) else {
            return Err("a mount has one of bind, file, volume, tar, package, memory and overlay");
        };
        let written = match is_own {
            true => Access::ReadWrite,
            false => Access::ReadOnly,
        };
        Ok(Mount {
            path: table
                .path
                .ok_or("a mount has a path, as in path = \"/data\"")?,
            source,
            access: table.access.unwrap_or(written),
        })
    }
}

impl From<Mount> for MountTable {
    fn from(mount: Mount) -> Self {
        let mut table = MountTable {
            path: Some(mount.path),
            access: Some(mount.access),
            ..MountTable::default()
        };
        match mount.source {
            MountSource::Bind(host) => table.bind = Some(host),
            MountSource::File(host) => table.file = Some(host),
            MountSource::Volume(name) => table.volume = Some(name),
            MountSource::Tar(archive) => table.tar = Some(archive),
            MountSource::Package(package) => table.package = Some(package),
            MountSource::Memory(memory) => table.memory = Some(memory),
            MountSource::Overlay(overlay) => table.overlay = Some(overlay),
        }
        table
    }
}

fn in_memory() -> Box<MountSource> {
    Box::new(MountSource::Memory(MemoryMount::default()))
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Mount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        MountTable::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        MountTable::json_schema(generator)
    }
}

/// Demands the path, and a single one of what is neither it nor the access.
#[cfg(feature = "schema")]
fn one_source(schema: &mut schemars::Schema) {
    let Some(keys) = schema.get("properties").and_then(|keys| keys.as_object()) else {
        return;
    };
    let sources = keys
        .keys()
        .filter(|key| !["path", "access"].contains(&key.as_str()));
    let sources: Vec<_> = sources
        .map(|key| serde_json::json!({ "required": [key] }))
        .collect();
    schema.insert("oneOf".into(), sources.into());
    schema.insert("required".into(), vec!["path"].into());
}

impl MountSource {
    /// The paths of the host in it.
    pub(crate) fn host_paths_mut(&mut self) -> Vec<&mut PathBuf> {
        match self {
            MountSource::Bind(path) | MountSource::File(path) | MountSource::Tar(path) => {
                vec![path]
            }
            MountSource::Package(package) => vec![&mut package.file],
            MountSource::Volume(_) => Vec::new(),
            MountSource::Memory(memory) => {
                let from = memory.from.as_deref_mut();
                from.map_or_else(Vec::new, MountSource::host_paths_mut)
            }
            MountSource::Overlay(overlay) => {
                let all = overlay.lower.iter_mut().chain([&mut *overlay.upper]);
                all.flat_map(MountSource::host_paths_mut).collect()
            }
        }
    }
}

impl fmt::Display for MountSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MountSource::Bind(host) | MountSource::File(host) => host.display().fmt(f),
            MountSource::Volume(name) => write!(f, "the volume {name}"),
            MountSource::Tar(archive) => write!(f, "the archive {}", archive.display()),
            MountSource::Package(package) => package.fmt(f),
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

/// A volume of a webc package, or a directory in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PackageMount {
    /// The package.
    pub file: PathBuf,
    /// The volume, by its name.
    pub volume: String,
    /// The directory of it that is shown; all of it where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The SHA-256 digest that the volume has to have. It has the one that the package says in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub sha256: Option<Sha256>,
}

impl fmt::Display for PackageMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (volume, file) = (&self.volume, self.file.display());
        write!(f, "the volume {volume:?} of the package {file}")
    }
}

/// What a file system in memory has at first, and how much may be in it. Beyond that, the guest is told that no space is
/// left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct MemoryMount {
    /// Bytes of files, each in pages of 4096; [`DEFAULT_BYTES`](MemoryMount::DEFAULT_BYTES) where `None`.
    #[serde(with = "Maybe::<Size>")]
    pub bytes: Option<u64>,
    /// Files, directories, links and further names of files; one for each 4096 of the bytes where `None`.
    #[serde(with = "Maybe::<Count>")]
    pub entries: Option<u64>,
    /// What it is a copy of when the run begins: a directory of the host, a volume, an archive or a volume of a package; nothing
    /// where `None`. What no guest can open, such as a FIFO or a device, is not copied. Only what the guest then changes is told as changed.
    #[serde(skip_serializing_if = "Option::is_none")]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SamePath {
    /// They are an error.
    #[default]
    Refuse,
    /// The later takes the place of the earlier.
    Replace,
    /// The earlier keeps its place, and nothing is seen of the later.
    Keep,
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Read, and nothing else: no creating, writing, truncating, renaming, removing, linking or
    /// setting of times.
    #[default]
    ReadOnly,
    /// Everything the host lets us do.
    ReadWrite,
}
