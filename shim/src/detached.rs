//! Files and directories of the node in the hands of a container's process, which can only read them.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::steps::{ACTION, NAMESPACE};

/// Opens a file or directory through a mount of its own that is nowhere in the tree, and read-only.
///
/// A container's process may keep what it was started from, and open it again to write when it is not executed any more
/// (CVE-2019-5736), or reach what is around it. Through such a mount nobody writes, root neither, and there is nothing around.
///
/// Linux has it since 5.12.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    mount(path, None)
}

/// The same, where to a process of this user and group belongs what belongs to root, so that it may read what only root
/// may.
///
/// The file system has to support it, as all usual ones for disks do.
pub fn open_as(path: &Path, user: u32, group: u32) -> io::Result<OwnedFd> {
    match (user, group) {
        (0, 0) => open(path),
        _ => mount(path, Some(&namespace(user, group)?)),
    }
}

/// The name of an open file for a process that was given its descriptor.
pub fn by_descriptor(file: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn mount(path: &Path, owners: Option<&File>) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, path, flags)?;
    close_to_writers(&tree, owners)?;
    Ok(tree)
}

#[expect(unsafe_code, reason = "no library at hand has the call")]
fn close_to_writers(tree: &OwnedFd, owners: Option<&File>) -> io::Result<()> {
    const HERE: &CStr = c"";
    let mut attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    if let Some(owners) = owners {
        attributes.attr_set |= libc::MOUNT_ATTR_IDMAP;
        attributes.userns_fd = owners.as_raw_fd().unsigned_abs().into();
    }
    // SAFETY: the call reads a string that ends in NUL and a struct of the size that is told, and keeps neither.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            HERE.as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A user namespace in which root is this user. It is made by a process that enters it, and is kept by being open.
fn namespace(user: u32, group: u32) -> io::Result<File> {
    let mut child = Command::new("/proc/self/exe")
        .args([ACTION, NAMESPACE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let pid = child.id();
    let of = |name: &str| format!("/proc/{pid}/{name}");
    let mut word = [0];
    let entered = match &mut child.stdout {
        Some(stdout) => stdout.read_exact(&mut word),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    };
    let made = entered.and_then(|()| {
        fs::write(of("uid_map"), format!("0 {user} 1"))?;
        fs::write(of("gid_map"), format!("0 {group} 1"))?;
        File::open(of("ns/user"))
    });
    // It ends when its input does.
    drop(child.stdin.take());
    child.wait()?;
    made
}

/// Is such a process.
pub fn enter_namespace() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    io::stdout().write_all(b".")?;
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
