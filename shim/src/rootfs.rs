//! The mounts that a container's root file system is made of, as containerd's snapshotter tells them.

use std::ffi::CString;
use std::path::Path;

use rustix::mount::{MountFlags, mount, mount_remount};
use serde::{Deserialize, Serialize};

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
    pub fn mount(&self, target: &Path) -> Result<(), String> {
        let (flags, data) = split(&self.options);
        let told = |error: &dyn std::fmt::Display| {
            format!(
                "cannot mount the root file system ({} of {}, {}): {error}",
                self.kind,
                self.source,
                self.options.join(",")
            )
        };
        // A number of layers that nobody has met: a path of containerd's takes some 80 bytes.
        if data.len() >= PAGE {
            return Err(told(
                &"its options are longer than a page, which Linux does not read",
            ));
        }
        let data = CString::new(data).map_err(|error| told(&error))?;
        let data = Some(data.as_c_str()).filter(|data| !data.is_empty());
        let bind = flags & (MountFlags::BIND | MountFlags::REC);
        let mounted = match bind.contains(MountFlags::BIND) {
            false => mount(&*self.source, target, &*self.kind, flags, data),
            // What else is to hold of a bind mount holds only when it is mounted anew.
            true => {
                mount(&*self.source, target, "", bind, None).and_then(|()| match flags - bind {
                    none if none.is_empty() => Ok(()),
                    more => mount_remount(target, more | MountFlags::BIND, c""),
                })
            }
        };
        mounted.map_err(|error| told(&error))
    }
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
}
