//! The mounts that a container's root file system is made of, as containerd's snapshotter tells them.

use std::env;
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

use containerd_shim::mount::umount_recursive;
use rustix::mount::{self, MountFlags, mount_remount};
use serde::{Deserialize, Serialize};

use crate::steps::chain;

/// A file system that is mounted for a container.
#[derive(Debug, Serialize, Deserialize)]
pub struct RootMount {
    pub kind: String,
    pub source: String,
    pub options: Vec<String>,
}

/// The most that Linux reads of what a file system is told.
const PAGE: usize = 4096;

impl RootMount {
    /// Mounts it.
    ///
    /// # Errors
    ///
    /// A line that says what was mounted, and why that cannot be.
    fn mount(&self, target: &Path) -> Result<(), String> {
        let (flags, mut data) = split(&self.options);
        let told = |error: &dyn std::fmt::Display| {
            format!(
                "cannot mount the root file system ({} of {}, {}): {error}",
                self.kind,
                self.source,
                self.options.join(",")
            )
        };
        // Many layers. Their paths are shorter from where they all are, and this process may go there.
        if data.len() >= PAGE
            && let Some((directory, shorter)) = shortened(&data)
        {
            env::set_current_dir(directory).map_err(|error| told(&error))?;
            data = shorter;
        }
        if data.len() >= PAGE {
            return Err(told(
                &"its options are longer than a page, which Linux does not read",
            ));
        }
        let data = CString::new(data).map_err(|error| told(&error))?;
        let data = Some(data.as_c_str()).filter(|data| !data.is_empty());
        let bind = flags & (MountFlags::BIND | MountFlags::REC);
        let mounted = match bind.contains(MountFlags::BIND) {
            false => mount::mount(&*self.source, target, &*self.kind, flags, data),
            // What else is to hold of a bind mount holds only when it is mounted anew.
            true => mount::mount(&*self.source, target, "", bind, None).and_then(|()| {
                match flags - bind {
                    none if none.is_empty() => Ok(()),
                    more => mount_remount(target, more | MountFlags::BIND, c""),
                }
            }),
        };
        mounted.map_err(|error| told(&error))
    }
}

/// Mounts the root file system of a container.
///
/// # Errors
///
/// A line that says why that cannot be done.
pub fn mount(bundle: &Path, mounts: &[RootMount]) -> Result<(), String> {
    let target = of(bundle);
    fs::create_dir_all(&target)
        .map_err(|error| format!("cannot make {}: {error}", target.display()))?;
    mounts.iter().try_for_each(|mount| mount.mount(&target))
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

/// Where the root file system is in a bundle.
fn of(bundle: &Path) -> PathBuf {
    bundle.join("rootfs")
}

/// Options of an overlay with the paths of its lower layers from the directory that they are all in, and which that is.
fn shortened(data: &str) -> Option<(PathBuf, String)> {
    let options: Vec<&str> = data.split(',').collect();
    let lower = options
        .iter()
        .find_map(|option| option.strip_prefix("lowerdir="))?;
    let mut layers = lower.split(':').map(Path::new);
    let mut common = layers.next()?.parent()?;
    for layer in layers {
        while !layer.starts_with(common) {
            common = common.parent()?;
        }
    }
    let relative = |layer: &str| -> Option<String> {
        let path = Path::new(layer).strip_prefix(common).ok()?;
        Some(path.to_str()?.to_owned())
    };
    let lower = lower.split(':').map(relative).collect::<Option<Vec<_>>>()?;
    let lower = format!("lowerdir={}", lower.join(":"));
    let all = options.iter().map(|option| match option {
        option if option.starts_with("lowerdir=") => lower.as_str(),
        option => option,
    });
    Some((common.to_owned(), all.collect::<Vec<_>>().join(",")))
}

/// What of a mount's options is for Linux, and what for the file system.
fn split(options: &[String]) -> (MountFlags, String) {
    let mut flags = MountFlags::empty();
    let mut data = Vec::new();
    for option in options {
        match option.as_str() {
            "bind" => flags |= MountFlags::BIND,
            "rbind" => flags |= MountFlags::BIND | MountFlags::REC,
            "ro" => flags |= MountFlags::RDONLY,
            "rw" => flags -= MountFlags::RDONLY,
            "nosuid" => flags |= MountFlags::NOSUID,
            "nodev" => flags |= MountFlags::NODEV,
            "noexec" => flags |= MountFlags::NOEXEC,
            "noatime" => flags |= MountFlags::NOATIME,
            "nodiratime" => flags |= MountFlags::NODIRATIME,
            "relatime" => flags |= MountFlags::RELATIME,
            "strictatime" => flags |= MountFlags::STRICTATIME,
            "sync" => flags |= MountFlags::SYNCHRONOUS,
            "dirsync" => flags |= MountFlags::DIRSYNC,
            other => data.push(other),
        }
    }
    (flags, data.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &[&str]) -> (MountFlags, String) {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        split(&options)
    }

    #[test]
    fn flags_are_for_linux_and_the_rest_for_the_file_system() {
        let overlay = ["index=off", "ro", "lowerdir=/a:/b"];
        let expected = (MountFlags::RDONLY, "index=off,lowerdir=/a:/b".to_owned());
        assert_eq!(of(&overlay), expected);
        let bind = MountFlags::BIND | MountFlags::REC;
        assert_eq!(of(&["rbind", "ro", "rw"]), (bind, String::new()));
    }

    #[test]
    fn paths_of_many_layers_are_shorter_from_where_they_are() {
        let data = "index=off,workdir=/c/s/3/work,upperdir=/c/s/3/fs,lowerdir=/c/s/2/fs:/c/s/1/fs";
        let (directory, shorter) = shortened(data).expect("an overlay");
        assert_eq!(directory, Path::new("/c/s"));
        let expected = "index=off,workdir=/c/s/3/work,upperdir=/c/s/3/fs,lowerdir=2/fs:1/fs";
        assert_eq!(shorter, expected);
        assert_eq!(shortened("size=1"), None);
    }
}
