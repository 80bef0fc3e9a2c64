//! Starting a test again where WasmEdge's library can be loaded.
//!
//! The WasmEdge that `scripts/runtimes` installs may be made for a newer libc than this machine's. It has that libc
//! beside it, and the loader that goes with it, through which a whole process has to be started: what came from
//! another libc cannot be loaded into one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// Starts this process again, with the same arguments, through the loader of the WasmEdge in
/// `$WASMRUN_RUNTIMES`. Returns if that was done before, or if it has none. To be called first.
pub fn restart_with_wasmedge() {
    if let Some(loader) = loader()
        && env::current_exe().is_ok_and(|program| program != loader)
    {
        let error = restart();
        eprintln!("cannot start through {}: {error}", loader.display());
    }
}

/// A command that starts a program through that loader, if there is one.
pub fn with_wasmedge(program: impl AsRef<OsStr>) -> Command {
    let Some(loader) = loader() else {
        return Command::new(program);
    };
    let mut command = Command::new(&loader);
    command
        .arg("--library-path")
        .arg(loader.parent().unwrap_or(&loader))
        .arg(program.as_ref());
    command
}

/// The executable of this process, also where a loader was started to load it.
///
/// # Errors
///
/// As for [`env::current_exe`].
pub fn this_program() -> io::Result<PathBuf> {
    let program = env::current_exe()?;
    if loader().is_none_or(|loader| loader != program) {
        return Ok(program);
    }
    let named = env::args_os().next().map(PathBuf::from);
    named.ok_or_else(|| io::Error::other("the process was started without its name"))
}

/// The loader that is beside WasmEdge's library.
fn loader() -> Option<PathBuf> {
    let executable = Path::new(&env::var_os("WASMRUN_RUNTIMES")?).join("bin/wasmedge");
    let root = fs::canonicalize(executable).ok()?;
    let libraries = root.parent()?.parent()?.join("usr/lib");
    for folder in entries(&libraries) {
        if folder.join("libwasmedge.so.0").exists() {
            let is_loader = |file: &PathBuf| {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("ld-linux")
            };
            return entries(&folder).find(is_loader)?.canonicalize().ok();
        }
    }
    None
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.flatten().map(|entry| entry.path())
}

#[cfg(unix)]
fn restart() -> io::Error {
    use std::os::unix::process::CommandExt;
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    with_wasmedge(program).args(env::args_os().skip(1)).exec()
}

#[cfg(not(unix))]
fn restart() -> io::Error {
    io::ErrorKind::Unsupported.into()
}
