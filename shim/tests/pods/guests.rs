//! The programs in the containers.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What a test's images are made of.
pub struct Guests {
    /// `guest.c`, for WASI.
    pub guest: Vec<u8>,
    /// `pause.c`, for Linux.
    pub pause: Vec<u8>,
    /// Says hello, and little else: the least that a program can be.
    pub hello: Vec<u8>,
    /// A component that connects to port 9 of its loopback, and tells by a byte what came of it.
    pub connects: Vec<u8>,
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
        let mut cc = Command::new("cc");
        cc.arg("-static");
        Guests {
            guest: Guests::guest(),
            pause: compile(cc, "pause", include_str!("pause.c")),
            hello: wat::parse_str(include_str!("hello.wat")).expect("a module"),
            connects: connects(),
            python: fs::read(programs().join("python.wasm")).expect("scripts/programs installs it"),
        }
    }

    /// `guest.c` alone.
    pub fn guest() -> Vec<u8> {
        let cache = programs().join("zig-cache");
        let mut zig = Command::new(programs().join("zig"));
        zig.args(["cc", "--target=wasm32-wasi"])
            .env("ZIG_GLOBAL_CACHE_DIR", &cache)
            .env("ZIG_LOCAL_CACHE_DIR", &cache);
        compile(zig, "guest", include_str!("guest.c"))
    }
}

fn compile(mut compiler: Command, name: &str, source: &str) -> Vec<u8> {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let scratch = scratch.path();
    let (input, output) = (scratch.join(format!("{name}.c")), scratch.join(name));
    fs::write(&input, source).expect("a file");
    let compiled = compiler
        .args(["-O2", "-s", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([&output, &input])
        .output()
        .unwrap_or_else(|error| {
            panic!("{name}.c needs {compiler:?}: {error}; scripts/programs installs zig")
        });
    let words = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{name}.c: {words}");
    fs::read(output).expect("what was compiled")
}

fn programs() -> PathBuf {
    PathBuf::from(env::var_os("WASMRUN_PROGRAMS").expect("scripts/env sets it"))
}

/// What `connects` tells: the number of an error code of `wasi:sockets`, and one.
pub const ACCESS_DENIED: u8 = 2;
pub const CONNECTION_REFUSED: u8 = 15;

fn connects() -> Vec<u8> {
    // Whether it is IPv6, the port, the address.
    let address = [0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let address = address
        .map(|number| format!("(i32.const {number})"))
        .join(" ");
    let text = format!(
        "(module {} (func (export \"wasi:cli/run@0.2.0#run\") (result i32) (call $connect {address}) (i32.const 0)))",
        include_str!("../../../crates/testkit/guests/sockets.wat")
    );
    let mut module = wat::parse_str(text).expect("a module");
    let mut resolve = Resolve::default();
    let world = include_str!("../../../crates/testkit/guests/sockets.wit");
    let package = resolve.push_str("sockets.wit", world).expect("a package");
    let world = resolve
        .select_world(&[package], None)
        .expect("the only one");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .and_then(|()| ComponentEncoder::default().module(&module))
        .and_then(|mut encoder| encoder.encode())
        .expect("a component")
}
