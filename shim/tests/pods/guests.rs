//! The programs in the containers.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a test's images are made of.
pub struct Guests {
    /// `guest.c`, for WASI.
    pub guest: Vec<u8>,
    /// `pause.c`, for Linux.
    pub pause: Vec<u8>,
    /// Says hello, and little else: the least that a program can be.
    pub hello: Vec<u8>,
    /// CPython, a large real program.
    pub python: Vec<u8>,
}

impl Guests {
    /// Compiles them.
    ///
    /// # Panics
    ///
    /// Without a compiler, which `scripts/programs` installs.
    pub fn new() -> Guests {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let wasi = ["--target=wasm32-wasi"];
        let linux = [&format!("--target={}-linux-musl", env::consts::ARCH) as &str];
        Guests {
            guest: compiled(scratch.path(), "guest", include_str!("guest.c"), &wasi),
            pause: compiled(scratch.path(), "pause", include_str!("pause.c"), &linux),
            hello: wat::parse_str(include_str!("hello.wat")).expect("a module"),
            python: fs::read(programs().join("python.wasm")).expect("scripts/programs installs it"),
        }
    }
}

fn compiled(scratch: &Path, name: &str, source: &str, target: &[&str]) -> Vec<u8> {
    let (input, output) = (scratch.join(format!("{name}.c")), scratch.join(name));
    fs::write(&input, source).expect("a file");
    let cache = programs().join("zig-cache");
    let compiled = Command::new(programs().join("zig"))
        .args(["cc", "-O2", "-s", "-static", "-Wall", "-Wextra", "-Werror"])
        .args(target)
        .arg("-o")
        .arg(&output)
        .arg(&input)
        .env("ZIG_GLOBAL_CACHE_DIR", &cache)
        .env("ZIG_LOCAL_CACHE_DIR", &cache)
        .output()
        .expect("scripts/programs installs zig");
    let words = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{name}.c: {words}");
    fs::read(output).expect("what was compiled")
}

fn programs() -> PathBuf {
    PathBuf::from(env::var_os("WASMRUN_PROGRAMS").expect("scripts/env sets it"))
}
