//! Compiled code, which is kept on the node and shared by all pods.
//!
//! What is in there is run, so only root on the node writes it: a program is compiled before it begins, by a process of ours
//! outside of the container but within its cgroups, so that its limits hold. The container's process is shown the directory
//! [read-only](crate::detached), by a descriptor that has no name in the container.

use std::env;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libcontainer::oci_spec::runtime::{LinuxIdMapping, Spec};
use rustix::io::{FdFlags, fcntl_setfd};
use wasmrun::RunFile;

use crate::detached;

/// The variable of the shim's that says where it is kept. Nowhere, if it is empty.
pub const VARIABLE: &str = "WASMRUN_SHIM_CACHE";

/// Where it is kept unless that is said.
const DEFAULT: &str = "/var/lib/wasmrun/cache";

/// Where it is kept.
pub struct Store(PathBuf);

impl Store {
    /// The directory, which is made if it is not there. Without it guests are run as well, and compiled each time.
    pub fn open() -> Option<Store> {
        let path = match env::var_os(VARIABLE) {
            None => DEFAULT.into(),
            Some(told) if told.is_empty() => return None,
            Some(told) => PathBuf::from(told),
        };
        match wasmrun::Cache::open(&path) {
            Ok(cache) => Some(Store(cache.dir().to_owned())),
            Err(error) => {
                eprintln!("{}: compiled code is not kept: {error}", crate::NAME);
                None
            }
        }
    }

    /// As the process of a container sees it, for which it is closed to all others, as it is for root.
    pub fn shown(&self, spec: &Spec) -> Option<OwnedFd> {
        let (user, group) = owner(spec);
        match detached::open_as(&self.0, user, group) {
            Ok(directory) => Some(directory),
            Err(error) => {
                eprintln!(
                    "{}: compiled code is not shown to guests: {error}",
                    crate::NAME
                );
                None
            }
        }
    }

    /// Compiles a program as the run will ask for it, unless that was done before. That it cannot be compiled is for the run to
    /// say.
    ///
    /// # Errors
    ///
    /// A line, if the limits of the container did not leave enough for it.
    pub fn compile(
        &self,
        wasmrun: &Path,
        run: &RunFile,
        program: &OwnedFd,
        cgroups: &[(Vec<String>, PathBuf)],
    ) -> Result<(), String> {
        let told = |error: std::io::Error| format!("cannot compile the guest: {error}");
        // The other process is to have it.
        fcntl_setfd(program, FdFlags::empty()).map_err(|error| told(error.into()))?;
        let limits = &run.config.limits;
        let mut command = Command::new(wasmrun);
        command
            .arg("compile")
            .args(["--engine", run.launch.engine.as_deref().unwrap_or("auto")])
            .args(limits.fuel.map(|_| "--fuel"))
            .args(limits.timeout.map(|_| "--timeout"))
            .args(limits.stack.map(|stack| format!("--max-stack={stack}")))
            .arg(detached::by_descriptor(program))
            .env_clear()
            .env("HOME", "/")
            .env("WASMRUN_CACHE_DIR", &self.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().map_err(told)?;
        for (_, directory) in cgroups {
            // It has hardly begun. Where it cannot be moved, the container's own process is not either.
            let _ = fs::write(directory.join("cgroup.procs"), child.id().to_string());
        }
        let status = child.wait().map_err(told)?;
        match status.signal() {
            None => Ok(()),
            Some(_) => Err(format!(
                "the guest cannot be compiled within the container's limits: the compiler was ended by the kernel ({status}); raise its \
                 memory limit, or let the annotation wasmrun.engine be wasmi, which compiles nothing"
            )),
        }
    }
}

/// Who a container's process is on the node.
fn owner(spec: &Spec) -> (u32, u32) {
    let user = spec.process().as_ref().map(|process| process.user());
    let (user, group) = user.map_or((0, 0), |user| (user.uid(), user.gid()));
    let linux = spec.linux().as_ref();
    let (users, groups) = linux.map_or((None, None), |linux| {
        (
            linux.uid_mappings().as_deref(),
            linux.gid_mappings().as_deref(),
        )
    });
    (on_the_node(users, user), on_the_node(groups, group))
}

/// What a number in a container's user namespace is outside of it.
fn on_the_node(mappings: Option<&[LinuxIdMapping]>, inside: u32) -> u32 {
    let mut mappings = mappings.unwrap_or_default().iter();
    let outside = mappings.find_map(|mapping| {
        let distance = inside.checked_sub(mapping.container_id())?;
        (distance < mapping.size()).then(|| mapping.host_id() + distance)
    });
    outside.unwrap_or(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_process_is_on_the_node_is_said_by_the_namespace_that_it_is_in() {
        let of = |mappings: serde_json::Value| {
            let spec = serde_json::json!({
                "ociVersion": "1.1.0", "root": {"path": "rootfs"},
                "process": {"cwd": "/", "user": {"uid": 1000, "gid": 5}},
                "linux": {"uidMappings": mappings, "gidMappings": mappings},
            });
            owner(&serde_json::from_value(spec).expect("a specification"))
        };
        assert_eq!(of(serde_json::json!([])), (1000, 5));
        let mapping = serde_json::json!([{"containerID": 0, "hostID": 100_000, "size": 1001}]);
        assert_eq!(of(mapping), (101_000, 100_005));
    }
}
