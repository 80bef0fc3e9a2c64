//! The file systems a guest sees: directories of the host, memory, archives, and mounts of them in each other.
//!
//! It is in two layers, as in Linux:
//!
//! - **Below** are file systems. One is its root, a [`Directory`]; all it is asked is about one name in one
//!   directory, or an open [`File`]. There are [`HostDirectory`] (Linux), [`Memory`] and
//!   [`Tar`] (Unix), and who needs another writes it.
//! - **Above** is what holds for all of them. A [`World`] is directories mounted at paths of the guest's, and a
//!   [`Place`] one that the guest has reached: from there, paths are followed name by name, into other mounts as well, and
//!   what is read-only stays as it is. The error of each call is the one that Linux has.
//!
//! A path goes on from a directory and never leads above it. A symbolic link that is absolute leads to a path of the
//! guest's, or, where nothing is mounted there, to a path of the mount it is in: never out.
//!
//! ```
//! use wasmrun_core::Access;
//! use wasmrun_fs::{Errno, Memory, MemoryLimits, Mounted, OpenOptions, Opened, World};
//!
//! let memory = Memory::new(MemoryLimits { bytes: Some(1 << 20), entries: None });
//! let world = World::new(vec![Mounted::new("/tmp", memory.root(), Access::ReadWrite)]);
//! let (_, tmp) = world.mounts().next().ok_or(Errno::Noent)?;
//!
//! tmp.create_directory_path(b"a")?;
//! let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
//! let Opened::File(file, _) = tmp.open_path(b"a/./b", true, false, options)? else {
//!     return Err(Errno::Isdir);
//! };
//! file.write_at(b"content", 0)?;
//! assert_eq!(tmp.stat_path(b"a/b", true)?.size, 7);
//! assert_eq!(tmp.stat_path(b"a/b/", true), Err(Errno::Notdir));
//! assert_eq!(tmp.stat_path(b"../b", true), Err(Errno::Perm));
//! # Ok::<(), Errno>(())
//! ```

mod changes;
mod content;
mod copied;
mod copy;
mod device;
mod errno;
mod given;
#[cfg(target_os = "linux")]
mod host;
mod kept;
#[cfg(target_os = "linux")]
mod kernel;
mod listing;
mod memory;
mod node;
mod nothing;
mod numbered;
mod open;
mod order;
mod overlay;
mod paths;
#[cfg(unix)]
mod tar;
mod tree;
mod walk;
mod world;

#[cfg(unix)]
pub use self::tar::{Tar, TarError, TarLimits};
pub use changes::{Change, ChangeKind};
pub use copy::copy_tree;
pub use errno::Errno;
#[cfg(target_os = "linux")]
pub use host::HostDirectory;
pub use kept::{Commit, Kept, export};
#[cfg(target_os = "linux")]
pub use kernel::CutShort;
pub use listing::Listing;
pub use memory::{Memory, MemoryLimits, MemoryUse};
pub use node::*;
pub use open::{OpenFiles, most_open_files};
pub use overlay::Overlay;
pub use paths::Opened;
pub use walk::PATH_MAX;
pub use world::{Mounted, Place, World};

/// The directory of the host at a path, whose symbolic links are followed.
///
/// # Errors
///
/// Whatever keeps it from being opened. Only Linux has what it takes.
#[cfg(target_os = "linux")]
pub fn host(path: &std::path::Path) -> std::io::Result<std::sync::Arc<dyn Directory>> {
    Ok(std::sync::Arc::new(HostDirectory::open(path)?))
}

/// The directory of the host at a path, which only Linux has what it takes to show.
///
/// # Errors
///
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn host(_: &std::path::Path) -> std::io::Result<std::sync::Arc<dyn Directory>> {
    Err(std::io::ErrorKind::Unsupported.into())
}
