//! Making a container: everything up to the moment before its program begins.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use libcontainer::config::YoukiConfig;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::oci_spec::runtime::{Mount, Process, Spec};
use libcontainer::syscall::syscall::SyscallType;
use rustix::fs::{
    MemfdFlags, Mode, OFlags, ResolveFlags, SealFlags, fcntl_add_seals, memfd_create, openat2,
};
use serde::{Deserialize, Serialize};
use wasmrun::RunFile;

use crate::annotations::Asked;
use crate::cgroup::{self, Cgroups};
use crate::executor::{Guests, Inner};
use crate::rootfs::RootMount;
use crate::steps::{There, chain, states};
use crate::{code, command, content, guest, rootfs, stdio};

/// What is asked of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Create {
    /// The container.
    pub there: There,
    /// containerd's namespace that it is in.
    pub namespace: String,
    /// Where containerd listens.
    pub containerd: PathBuf,
    /// Where the standard streams lead.
    pub streams: [String; 3],
    /// Whether the runtime's options say that systemd makes the cgroups.
    pub systemd: bool,
    /// What its root file system is made of, in order.
    pub rootfs: Vec<RootMount>,
}

/// A container whose program may begin.
#[derive(Debug, Serialize, Deserialize)]
pub struct Created {
    /// Its first process.
    pub pid: i32,
    /// Its cgroups.
    pub cgroups: Cgroups,
    /// Whether wasmrun runs it.
    pub is_guest: bool,
    /// Whether programs of the node are run when it begins or is deleted.
    pub has_hooks: bool,
}

/// Makes a container. If that fails, what was made of it is to be [removed](crate::steps::DELETE).
///
/// # Errors
///
/// A line that says what could not be done, or is refused.
pub fn create(create: &Create) -> Result<Created, String> {
    let Create { there, .. } = create;
    let mut spec = Spec::load(there.bundle.join("config.json")).map_err(|error| chain(&error))?;
    let asked = Asked::of(spec.annotations().as_ref())?;
    spec.canonicalize_rootfs(&there.bundle)
        .map_err(|error| chain(&error))?;
    let root = spec
        .root()
        .as_ref()
        .ok_or("the container's specification has no root")?;
    rootfs::mount(&there.bundle, &create.rootfs)?;
    let process = guest::process(&spec)?;
    let (path, command) = command::open()?;
    let run = memory("run", None)?;
    let layer = layer(create, root.path(), process)?;
    let store = code::Store::open();
    let guests = Guests::new(Inner {
        command,
        run: run.try_clone().map_err(|error| error.to_string())?,
        layer: clone(layer.as_ref())?,
        code: store.as_ref().and_then(|store| store.shown(&spec)),
        asked,
        is_linux: OnceCell::new(),
    });
    let linux = spec.linux().as_ref();
    let resources = linux.and_then(|linux| linux.resources().as_ref());
    resources.map_or(Ok(()), cgroup::check)?;
    check_mounts(spec.mounts().as_deref().unwrap_or_default())?;
    let systemd = cgroup::is_systemds(&spec, create.systemd)?;
    if !systemd {
        cgroup::make_parents(&spec).map_err(|error| format!("cannot make cgroups: {error}"))?;
    }
    let states = states(&there.bundle);
    let container = ContainerBuilder::new(there.id.clone(), SyscallType::Linux)
        .with_executor(guests)
        .with_root_path(states)
        .map_err(|error| chain(&error))?
        .with_stdin(stdio::input(&create.streams[0])?)
        .with_stdout(stdio::output(&create.streams[1])?)
        .with_stderr(stdio::output(&create.streams[2])?)
        .as_init(&there.bundle)
        // Its parent is ours, who is told when it ends.
        .as_sibling(true)
        .with_systemd(systemd)
        .build()
        .map_err(|error| chain(&error))?;
    let pid = container
        .pid()
        .ok_or("the container has no process")?
        .as_raw();
    let config = YoukiConfig::load(there.state()).map_err(|error| chain(&error))?;
    let cgroups = Cgroups {
        path: config.cgroup_path,
        systemd,
        id: there.id.clone(),
        memory: cgroup::memory_of(pid),
    };
    let devices = resources.and_then(|resources| resources.devices().as_deref());
    cgroups.confine(devices.unwrap_or_default())?;
    let run = read(&run)?;
    if let (Some(store), Some(run)) = (&store, &run) {
        let program = match &layer {
            Some(layer) => layer.try_clone().map_err(|error| error.to_string())?,
            None => program(pid, run)?,
        };
        store.compile(&path, run, &program, &cgroup::directories(pid))?;
    }
    Ok(Created {
        pid,
        cgroups,
        is_guest: run.is_some(),
        has_hooks: spec.hooks().is_some(),
    })
}

/// Refuses mounts whose files are to have other owners than on the node, which libcontainer would leave as they are.
fn check_mounts(mounts: &[Mount]) -> Result<(), String> {
    let is_mapped = |mount: &&Mount| {
        let options = mount.options().as_deref().unwrap_or_default();
        mount.uid_mappings().is_some()
            || mount.gid_mappings().is_some()
            || options
                .iter()
                .any(|option| option == "idmap" || option == "ridmap")
    };
    match mounts.iter().find(is_mapped) {
        None => Ok(()),
        Some(mount) => Err(format!(
            "the mount {} is to map its owners (idmap), which cannot be had; mount it without, or let the pod have the node's users",
            mount.destination().display()
        )),
    }
}

/// The program of a container that is a layer of its image, if it is none of its files.
fn layer(create: &Create, root: &Path, process: &Process) -> Result<Option<OwnedFd>, String> {
    let program = guest::first_argument(process)?;
    let is_file = root_file(root, &process.cwd().join(program)).is_some();
    // A name without a slash is looked for in several places. It is rare, and so is asking for nothing.
    if is_file {
        return Ok(None);
    }
    let Create {
        there,
        namespace,
        containerd,
        ..
    } = create;
    match content::layer(containerd, namespace, &there.id, program)? {
        None => Ok(None),
        Some(layer) => {
            let title = layer.title.as_deref().unwrap_or("guest.wasm");
            memory(title, Some(&layer.bytes)).map(Some)
        }
    }
}

/// A file in a container's root file system, whatever its symbolic links say of the way.
fn root_file(root: &Path, path: &Path) -> Option<OwnedFd> {
    let root = File::open(root).ok()?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()
}

/// The program that the run names, as the process in the container sees it.
fn program(pid: i32, run: &RunFile) -> Result<OwnedFd, String> {
    let path = run.launch.program().map_err(|error| error.to_string())?;
    root_file(&PathBuf::from(format!("/proc/{pid}/root")), path)
        .ok_or_else(|| format!("{} is not there any more", path.display()))
}

/// A file in memory, which is closed to writers if its content is given.
fn memory(name: &str, content: Option<&[u8]>) -> Result<OwnedFd, String> {
    let told = |error: &dyn std::fmt::Display| format!("cannot make a file in memory: {error}");
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create(name, flags).map_err(|error| told(&error))?;
    let Some(content) = content else {
        return Ok(file);
    };
    let mut file = File::from(file);
    file.write_all(content).map_err(|error| told(&error))?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, seals).map_err(|error| told(&error))?;
    Ok(file.into())
}

/// What the container's process wrote of what it runs; nothing if that is a program of Linux.
fn read(run: &OwnedFd) -> Result<Option<RunFile>, String> {
    let mut text = String::new();
    let read = run.try_clone().and_then(|file| {
        let mut file = File::from(file);
        file.rewind()?;
        file.read_to_string(&mut text)
    });
    read.map_err(|error| error.to_string())?;
    if text.is_empty() {
        return Ok(None);
    }
    let run = RunFile::from_toml(&text).map_err(|error| error.to_string())?;
    Ok(Some(run))
}

fn clone(file: Option<&OwnedFd>) -> Result<Option<OwnedFd>, String> {
    let cloned = file.map(OwnedFd::try_clone).transpose();
    cloned.map_err(|error| error.to_string())
}
