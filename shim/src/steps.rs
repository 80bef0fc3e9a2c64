//! The steps in a container's life, most of which need a process of their own.
//!
//! What they do, they do to the process that does them: they change its directory, its namespaces, its limits; or they run
//! hooks, whose ends only a process sees that waits for no other children.
//! Such a process is this executable, started anew: told what to do on its standard input, and telling what came of it on its
//! output. Where there are no hooks, a container is started and deleted [without one](take_here), which is faster.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;

use libcontainer::config::YoukiConfig;
use libcontainer::container::Container;
use libcontainer::notify_socket::{NOTIFY_FILE, NotifySocket};
use nix::sched::{CloneFlags, unshare};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, set_parent_process_death_signal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroups;
use crate::children::Children;
use crate::create::{self, Create};
use crate::{code, command, detached, rootfs};

/// The first argument of such a process; the second is the step.
pub const ACTION: &str = "container";

/// What the shim's own environment may say to a step. All else, such as containerd's variables, is of no use to a container.
const VARIABLES: [&str; 5] = [
    command::VARIABLE,
    code::VARIABLE,
    "PATH",
    "DBUS_SYSTEM_BUS_ADDRESS",
    "RUST_BACKTRACE",
];

/// The step that makes a container.
pub const CREATE: &str = "create";
/// The step that lets its program begin.
pub const START: &str = "start";
/// The step that removes what is left.
pub const DELETE: &str = "delete";

/// The process that makes a user namespace, which such a step has need of.
pub const NAMESPACE: &str = "namespace";

/// A container that is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct There {
    /// Its bundle.
    pub bundle: PathBuf,
    /// Its identifier.
    pub id: String,
}

impl There {
    /// Where libcontainer keeps what it knows of it: in the bundle, which containerd removes with all that is in it.
    pub fn state(&self) -> PathBuf {
        states(&self.bundle).join(&self.id)
    }
}

/// Where libcontainer keeps what it knows of the container of this bundle.
pub fn states(bundle: &Path) -> PathBuf {
    bundle.join("wasmrun")
}

/// Runs a step in a process of its own. What is told on standard error goes where the shim's goes. The process is shown to
/// `begun`, who may end it.
///
/// # Errors
///
/// The line that it said, or that it was ended.
pub fn take<A: Serialize, T: DeserializeOwned>(
    children: &Arc<Children>,
    step: &str,
    about: &A,
    begun: impl FnOnce(OwnedFd),
) -> Result<T, String> {
    let told = |error: &dyn std::fmt::Display| format!("the step {step}: {error}");
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(crate::NAME)
        .args([ACTION, step])
        .env_clear()
        .envs(
            VARIABLES
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let (ended, exit) = mpsc::channel();
    let expecting = children.expect();
    let mut child = command.spawn().map_err(|error| told(&error))?;
    let pid = i32::try_from(child.id()).map_err(|error| told(&error))?;
    children.on_exit(pid, move |exit| {
        let _ = ended.send(exit);
    });
    if let Some(pid) = Pid::from_raw(pid)
        && let Ok(process) = pidfd_open(pid, PidfdFlags::empty())
    {
        begun(process);
    }
    let answer = talk(&mut child, about);
    let exit = exit.recv().map_err(|error| told(&error))?;
    drop(expecting);
    let answer = answer.map_err(|error| told(&error))?;
    match serde_json::from_slice::<Result<T, String>>(&answer) {
        Ok(result) => result,
        Err(_) if exit.signal.is_some() => Err(told(&format!(
            "it was ended by signal {}",
            exit.signal.unwrap_or_default()
        ))),
        Err(error) => Err(told(&format!(
            "it exited with {} and said nothing: {error}",
            exit.code
        ))),
    }
}

fn talk(child: &mut Child, about: &impl Serialize) -> std::io::Result<Vec<u8>> {
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&serde_json::to_vec(about)?)?;
    }
    let mut answer = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut answer)?;
    }
    Ok(answer)
}

/// Takes a step in a thread of this process, which has a working directory of its own.
///
/// # Errors
///
/// What the step says.
pub fn take_here(there: &There, step: fn(&There) -> Result<(), String>) -> Result<(), String> {
    let there = there.clone();
    let taken = thread::Builder::new().name("step".into()).spawn(move || {
        unshare(CloneFlags::CLONE_FS).map_err(|error| error.to_string())?;
        step(&there)
    });
    let taken = taken.map_err(|error| format!("there is no thread for a step: {error}"))?;
    taken
        .join()
        .unwrap_or_else(|_| Err("the step panicked".into()))
}

/// Is such a process.
pub fn run(step: &OsStr) {
    // If the shim is killed, its steps are over.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let answer = match step.to_str() {
        Some(NAMESPACE) => {
            if let Err(error) = detached::enter_namespace() {
                eprintln!("{}: no user namespace: {error}", crate::NAME);
            }
            return;
        }
        Some(CREATE) => told(|create: Create| create::create(&create)),
        Some(START) => told(|there: There| start(&there)),
        Some(DELETE) => told(|there: There| delete(&there)),
        _ => Err(format!("there is no step {}", step.display())),
    };
    let answer = answer.unwrap_or_else(|error| serde_json::json!({ "Err": error }));
    if let Err(error) = std::io::stdout().write_all(answer.to_string().as_bytes()) {
        eprintln!("{}: cannot tell what came of it: {error}", crate::NAME);
    }
}

fn told<A: DeserializeOwned, T: Serialize>(
    step: impl FnOnce(A) -> Result<T, String>,
) -> Result<serde_json::Value, String> {
    let about = serde_json::from_reader(std::io::stdin()).map_err(|error| error.to_string())?;
    serde_json::to_value(step(about)).map_err(|error| error.to_string())
}

fn start(there: &There) -> Result<(), String> {
    let mut container = Container::load(there.state()).map_err(|error| chain(&error))?;
    container.start().map_err(|error| chain(&error))
}

/// Lets the program of a container without hooks begin.
pub fn start_without_hooks(there: &There) -> Result<(), String> {
    let started = NotifySocket::new(there.state().join(NOTIFY_FILE)).notify_container_start();
    started.map_err(|error| chain(&error))
}

/// Ends what may be left of a container, and removes its cgroups, its state and what is mounted for it.
pub fn delete(there: &There) -> Result<(), String> {
    let state = there.state();
    if state.exists() {
        let mut container = Container::load(state.clone()).map_err(|error| chain(&error))?;
        // It is not there yet if the container was given up early.
        if let Ok(config) = YoukiConfig::load(&state) {
            let cgroups = Cgroups {
                path: config.cgroup_path,
                systemd: container.systemd(),
                id: there.id.clone(),
                memory: None,
            };
            cgroups.end()?;
        }
        container.delete(true).map_err(|error| chain(&error))?;
    }
    rootfs::unmount(&there.bundle)
}

/// An error with all that it comes from.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_told = inner.to_string();
        if !told.contains(&inner_told) {
            told = format!("{told}: {inner_told}");
        }
        source = inner.source();
    }
    told
}
