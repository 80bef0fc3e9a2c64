//! Guests from C: compiled once, and kept outside the checkout by what went into them.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use wasmrun_core::Guest;

const FLAGS: &[&str] = &[
    "cc",
    "--target=wasm32-wasi",
    "-O2",
    "-s",
    "-Wall",
    "-Wextra",
    "-Werror",
];

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

/// Compiles a C program, or finds it compiled.
///
/// # Panics
///
/// Without the compiler, or if the program does not compile: a rule whose guest is missing fails.
pub fn c(name: &str, source: &str) -> Guest {
    let compiler = programs().join("zig");
    // The link's end names the compiler's version.
    let Ok(version) = fs::canonicalize(&compiler) else {
        panic!(
            "{name} needs a C compiler for WASI, and there is none at {}: run scripts/programs",
            compiler.display()
        );
    };
    let mut hasher = DefaultHasher::new();
    (source, FLAGS, version).hash(&mut hasher);
    let folder = cache().join("guests");
    let compiled = folder.join(format!("{:016x}-{name}", hasher.finish()));
    if !compiled.is_file() {
        fs::create_dir_all(&folder)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        compile(&compiler, source, &compiled);
    }
    let bytes = fs::read(&compiled)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", compiled.display()));
    Guest::from_bytes(name, bytes).expect("the compiler writes WebAssembly")
}

fn compile(compiler: &Path, source: &str, compiled: &Path) {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let (input, output) = (
        scratch.path().join("guest.c"),
        scratch.path().join("guest.wasm"),
    );
    fs::write(&input, source).expect("a file in a directory just made");
    let cache = programs().join("zig-cache");
    let done = Command::new(compiler)
        .args(FLAGS)
        .arg("-o")
        .args([&output, &input])
        .env("ZIG_GLOBAL_CACHE_DIR", &cache)
        .env("ZIG_LOCAL_CACHE_DIR", &cache)
        .output()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", compiler.display()));
    assert!(
        done.status.success(),
        "a guest does not compile:\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    // Whole or not at all, whoever else compiles the same at this moment.
    let staged = compiled.with_extension(format!("{}.new", std::process::id()));
    fs::copy(&output, &staged).expect("room for a small file");
    fs::rename(&staged, compiled).expect("a rename within a directory");
}
