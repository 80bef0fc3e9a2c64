//! The root file system of a container, which containerd says how to mount.

use std::path::{Path, PathBuf};

use containerd_shim::mount::{mount_rootfs, umount_recursive};
use containerd_shim::protos::types::mount::Mount;

use crate::steps::chain;

/// Where it is in a bundle.
fn of(bundle: &Path) -> PathBuf {
    bundle.join("rootfs")
}

/// Mounts it. If that fails, nothing of it is mounted.
///
/// # Errors
///
/// A line that says why.
pub fn mount(bundle: &Path, mounts: &[Mount]) -> Result<(), String> {
    let target = of(bundle);
    let mount = |mount: &Mount| {
        let kind = Some(mount.type_.as_str()).filter(|kind| !kind.is_empty());
        let source = Some(mount.source.as_str()).filter(|source| !source.is_empty());
        mount_rootfs(kind, source, &mount.options, &target)
            .map_err(|error| format!("cannot mount the root file system: {}", chain(&error)))
    };
    std::fs::create_dir_all(&target)
        .map_err(|error| format!("cannot make {}: {error}", target.display()))?;
    let mounted = mounts.iter().try_for_each(mount);
    if mounted.is_err() {
        // The error that matters is the first.
        let _ = unmount(bundle);
    }
    mounted
}

/// Takes away what is mounted for the container of a bundle.
///
/// # Errors
///
/// A line that says why that cannot be done.
pub fn unmount(bundle: &Path) -> Result<(), String> {
    let target = of(bundle);
    let name = target.to_str().ok_or("a path is not UTF-8")?;
    umount_recursive(Some(name), 0)
        .map_err(|error| format!("cannot unmount {name}: {}", chain(&error)))
}
