//! What happens in a container that is ready, before its program begins.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ffi::{CString, NulError};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use libcontainer::oci_spec::runtime::{Process, Spec};
use libcontainer::workload::default::DefaultExecutor;
use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use nix::unistd::fexecve;
use rustix::io::{FdFlags, fcntl_setfd};

use crate::annotations::Asked;
use crate::detached::by_descriptor;
use crate::guest::{self, Found};

/// Runs a WebAssembly program by `wasmrun`, and all else as it is.
///
/// Everything of the node that is needed is open before the container is entered.
#[derive(Clone)]
pub struct Guests(Rc<Inner>);

/// What a container's process is given.
pub struct Inner {
    /// The executable `wasmrun`.
    pub command: OwnedFd,
    /// A file in memory, for the run as a file. Who makes the container reads it as well; it stays empty for a program of
    /// Linux.
    pub run: OwnedFd,
    /// A WebAssembly program that is a layer of its image, as a file in memory.
    pub layer: Option<OwnedFd>,
    /// Compiled code, as a directory.
    pub code: Option<OwnedFd>,
    /// What the annotations ask for.
    pub asked: Asked,
    /// Whether it is a program of Linux.
    pub is_linux: OnceCell<bool>,
}

impl Guests {
    pub fn new(inner: Inner) -> Self {
        Guests(Rc::new(inner))
    }

    /// Finds the program, and writes how it is run. This is inside of the container, as its user.
    fn prepare(&self, spec: &Spec) -> Result<(), String> {
        label(guest::process(spec)?)?;
        let Inner { layer, asked, .. } = &*self.0;
        let found = match layer {
            Some(layer) => guest::identify(&by_descriptor(layer))?,
            None => guest::identify(&guest::find(guest::process(spec)?)?)?,
        };
        let is_linux = found == Found::Linux;
        // Asked once: this process makes one container.
        let _ = self.0.is_linux.set(is_linux);
        if is_linux {
            return Ok(());
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| {
            format!("{error}: /proc has to be mounted in the container, as wasmrun reads there what it is to run")
        })?;
        let hidden = guest::of_processes(&mounts);
        let text = guest::run(spec, asked, &found, &hidden)?
            .to_toml()
            .map_err(|error| error.to_string())?;
        File::from(self.0.run.try_clone().map_err(told)?)
            .write_all(text.as_bytes())
            .map_err(told)?;
        Ok(())
    }

    fn is_linux(&self) -> bool {
        self.0.is_linux.get().copied().unwrap_or(false)
    }

    /// Becomes `wasmrun`.
    fn execute(&self) -> Result<(), String> {
        let Inner {
            command,
            run,
            layer,
            code,
            ..
        } = &*self.0;
        for kept in [Some(run), layer.as_ref(), code.as_ref()]
            .into_iter()
            .flatten()
        {
            fcntl_setfd(kept, FdFlags::empty()).map_err(told)?;
        }
        let run = by_descriptor(run).display().to_string();
        let mut env = vec![
            "HOME=/".to_owned(),
            // Nothing of the container's is loaded or run, not even by name.
            "PATH=/nonexistent".to_owned(),
        ];
        if let Some(code) = code {
            env.push(format!(
                "WASMRUN_CACHE_DIR={}",
                by_descriptor(code).display()
            ));
        }
        let strings = |all: &[String]| -> Result<Vec<CString>, NulError> {
            all.iter().map(|one| CString::new(one.as_str())).collect()
        };
        let args = ["wasmrun", "run", "--config", &run].map(str::to_owned);
        let (args, env) = (strings(&args).map_err(told)?, strings(&env).map_err(told)?);
        match fexecve(command.as_fd(), &args, &env) {
            Err(error) => Err(format!("wasmrun cannot be executed: {error}")),
        }
    }
}

impl Executor for Guests {
    /// What goes wrong here is an error of creating the container.
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        self.prepare(spec)
            .map_err(ExecutorValidationError::ArgValidationError)?;
        match self.is_linux() {
            // libcontainer wants a PATH of every container, and a pause container has none.
            true if is_named_by_path(spec) => Ok(()),
            true => DefaultExecutor {}.validate(spec),
            false => Ok(()),
        }
    }

    fn setup_envs(&self, envs: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        match self.is_linux() {
            true => DefaultExecutor {}.setup_envs(envs),
            // They are the guest's, and not wasmrun's.
            false => Ok(()),
        }
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        if self.is_linux() {
            return DefaultExecutor {}.exec(spec);
        }
        self.execute().map_err(|error| {
            // The container is started, and there is nobody else to tell.
            eprintln!("{}: {error}", crate::NAME);
            ExecutorError::Other(error)
        })
    }
}

/// Has the kernel run the container's program by the label of SELinux that the specification gives it, which libcontainer leaves
/// out.
fn label(process: &Process) -> Result<(), String> {
    match process.selinux_label().as_deref() {
        None | Some("") => Ok(()),
        Some(label) => fs::write("/proc/thread-self/attr/exec", label).map_err(|error| {
            format!("the container's label of SELinux, {label}, cannot be set: {error}")
        }),
    }
}

/// Whether a program is where its name says, and not looked for.
fn is_named_by_path(spec: &Spec) -> bool {
    let program = guest::process(spec).and_then(guest::first_argument);
    program.is_ok_and(|name| name.contains('/'))
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}
