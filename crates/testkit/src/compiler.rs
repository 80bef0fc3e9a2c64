//! Programs from C: compiled once, and kept outside the checkout by what went into them.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use wasmrun_core::Guest;

const FLAGS: &[&str] = &["cc", "-O2", "-s", "-Wall", "-Wextra", "-Werror"];
const WASI: &str = "--target=wasm32-wasi";

/// Where `scripts/programs` puts compiler and programs.
pub(crate) fn programs() -> PathBuf {
    match env::var_os("WASMRUN_PROGRAMS") {
        Some(given) => given.into(),
        None => cache().join("programs"),
    }
}

fn cache() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache");
    env::var_os("XDG_CACHE_HOME")
        .map_or_else(home, PathBuf::from)
        .join("wasmrun")
}

/// Where engines' code of programs is kept, for the next time that the tests run. As that of a user's programs, it is known by all
/// that it follows from.
pub fn kept() -> PathBuf {
    cache().join("compiled")
}

/// Compiles a C program for WASI, or finds it compiled.
///
/// # Panics
///
/// Without the compiler, or if the program does not compile: a rule whose guest is missing fails.
pub fn c(name: &str, source: &str) -> Guest {
    let compiled = compiled(name, source, &[WASI]);
    let bytes = fs::read(&compiled)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", compiled.display()));
    Guest::from_bytes(name, bytes).expect("the compiler writes WebAssembly")
}

/// Compiles a C program for this machine, or finds it compiled: the executable.
///
/// # Panics
///
/// As [`c`].
pub fn native(name: &str, source: &str) -> PathBuf {
    compiled(name, source, &[])
}

fn compiled(name: &str, source: &str, target: &[&str]) -> PathBuf {
    let compiler = programs().join("zig");
    // The link's end names the compiler's version.
    let Ok(version) = fs::canonicalize(&compiler) else {
        panic!(
            "{name} needs a C compiler, and there is none at {}: run scripts/programs",
            compiler.display()
        );
    };
    let flags = [FLAGS, target].concat();
    let mut hasher = DefaultHasher::new();
    (source, &flags, version).hash(&mut hasher);
    let folder = cache().join("guests");
    // One at a time: trials of several engines want the same.
    static COMPILING: Mutex<()> = Mutex::new(());
    let _alone = COMPILING.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = folder.join(format!("{:016x}-{name}", hasher.finish()));
    if !compiled.is_file() {
        fs::create_dir_all(&folder)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        compile(&compiler, &flags, source, &compiled);
    }
    compiled
}

fn compile(compiler: &Path, flags: &[&str], source: &str, compiled: &Path) {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let input = scratch.path().join("program.c");
    fs::write(&input, source).expect("a file in a directory just made");
    // Whole or not at all, whoever else compiles the same at this moment. And written by the compiler: what this
    // process had open to write to, another thread's child might hold when it is to be executed.
    let staged = compiled.with_extension(format!("{}.new", std::process::id()));
    let cache = programs().join("zig-cache");
    let done = Command::new(compiler)
        .args(flags)
        .arg("-o")
        .args([&staged, &input])
        .env("ZIG_GLOBAL_CACHE_DIR", &cache)
        .env("ZIG_LOCAL_CACHE_DIR", &cache)
        .output()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", compiler.display()));
    assert!(
        done.status.success(),
        "a program does not compile:\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    fs::rename(&staged, compiled).expect("a rename within a directory");
}
