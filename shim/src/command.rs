//! The executable `wasmrun`, which runs the guests.

use std::env;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::detached;

/// The variable of the shim's that says where it is.
pub const VARIABLE: &str = "WASMRUN_SHIM_COMMAND";

/// Where containerd's own programs are looked for, if `PATH` is not set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds and opens it: where [`VARIABLE`] says, else beside the shim, else in `PATH`. Nothing of a container is looked at.
pub fn open() -> Result<(PathBuf, OwnedFd), String> {
    let path = find()?;
    match detached::open(&path) {
        Ok(file) => Ok((path, file)),
        Err(error) => Err(format!(
            "cannot open {} for a container: {error} (Linux 5.12 or later is needed)",
            path.display()
        )),
    }
}

fn find() -> Result<PathBuf, String> {
    if let Some(told) = env::var_os(VARIABLE).map(PathBuf::from) {
        return match told.is_file() {
            true => Ok(told),
            false => Err(format!(
                "{VARIABLE} names {}, which is not there; it is to be the executable wasmrun",
                told.display()
            )),
        };
    }
    let own = env::current_exe().ok();
    let beside = own.and_then(|own| Some(own.parent()?.to_owned()));
    let path = env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let directories = beside.into_iter().chain(env::split_paths(&path));
    let mut candidates = directories.map(|directory| directory.join("wasmrun"));
    candidates
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            format!(
                "the executable wasmrun is neither beside the shim nor in PATH; put it there, or name it by {VARIABLE}"
            )
        })
}
