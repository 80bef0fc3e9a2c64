//! Drives the real binary over guests written as text.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;

use tempfile::TempDir;

/// The in-process engines of this build.
pub fn engines() -> Vec<&'static str> {
    [
        ("wasmtime", cfg!(feature = "wasmtime")),
        ("wasmer", cfg!(feature = "wasmer")),
        ("wasmi", cfg!(feature = "wasmi")),
    ]
    .into_iter()
    .filter_map(|(name, built_in)| built_in.then_some(name))
    .collect()
}

/// `wasmrun`, with nothing on its standard input, and with a cache of this test binary's own.
pub fn wasmrun() -> Command {
    with_cache(&cache_dir())
}

/// The same, which finds the WasmEdge of `scripts/runtimes`.
#[cfg(feature = "wasmedge")]
pub fn wasmrun_with_wasmedge() -> Command {
    prepared(wasmrun_testkit::with_wasmedge(WASMRUN), &cache_dir())
}

const WASMRUN: &str = env!("CARGO_BIN_EXE_wasmrun");

/// The same with another cache.
pub fn with_cache(directory: &Path) -> Command {
    prepared(Command::new(WASMRUN), directory)
}

fn prepared(mut command: Command, directory: &Path) -> Command {
    command
        .stdin(Stdio::null())
        .env("WASMRUN_CACHE_DIR", directory);
    command
}

/// Starts a guest that says when it runs and never ends: [`READY_AND_LOOP`], or another of that habit.
pub fn started(command: &mut Command) -> Child {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("wasmrun starts");
    let mut line = [0; "ready\n".len()];
    let stdout = child.stdout.as_mut().expect("a pipe");
    stdout.read_exact(&mut line).expect("it writes");
    assert_eq!(&line, b"ready\n");
    child
}

/// Where what runs started by [`wasmrun`] compile is kept, until the next time the tests run.
fn cache_dir() -> PathBuf {
    static MADE: Once = Once::new();
    let name = std::env::current_exe().expect("a test binary");
    let name = name.file_name().expect("a name").to_owned();
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("cache")
        .join(name);
    MADE.call_once(|| drop(std::fs::remove_dir_all(&dir)));
    dir
}

/// A directory with guests in it.
pub struct Guests(TempDir);

impl Guests {
    pub fn new() -> Self {
        Guests(TempDir::new().expect("a directory"))
    }

    /// Writes a file into the directory.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    pub fn dir(&self) -> PathBuf {
        self.0.path().into()
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Seen {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Seen {
    fn from(output: Output) -> Self {
        Seen {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Seen {
    /// What is on standard error, which is to be one line under our name.
    pub fn message(&self) -> &str {
        let message = self
            .stderr
            .strip_prefix("wasmrun: ")
            .and_then(|line| line.strip_suffix('\n'));
        match message {
            Some(message) if !message.contains('\n') => message,
            _ => panic!("not one line of ours: {self:?}"),
        }
    }
}

/// Runs `wasmrun` with these arguments.
pub fn run(args: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Seen {
    wasmrun()
        .args(args)
        .output()
        .expect("wasmrun starts")
        .into()
}

/// Returns from its entry.
pub const NOTHING: &str = r#"(module (func (export "_start")))"#;

/// Never ends.
pub const LOOP: &str = r#"(module (func (export "_start") (loop (br 0))))"#;

/// Writes `ready` and never ends.
pub const READY_AND_LOOP: &str = r#"
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "ready\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 6))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (loop (br 0))))"#;

/// Writes `y` for ever, whatever comes of it.
pub const YES: &str = r#"
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "y\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 2))
    (loop
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br 0))))"#;

/// Writes its arguments and then its environment, each ended by NUL.
pub const ARGS_AND_ENV: &str = r#"
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (func $say (param $length i32)
    (i32.store (i32.const 8) (i32.const 65536))
    (i32.store (i32.const 12) (local.get $length))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16))))
  (func (export "_start")
    (drop (call $args_sizes (i32.const 0) (i32.const 4)))
    (drop (call $args (i32.const 1024) (i32.const 65536)))
    (call $say (i32.load (i32.const 4)))
    (drop (call $env_sizes (i32.const 0) (i32.const 4)))
    (drop (call $env (i32.const 1024) (i32.const 65536)))
    (call $say (i32.load (i32.const 4)))))"#;

/// Copies its input to its output.
pub const CAT: &str = r#"
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 1024))
    (loop $again
      (i32.store (i32.const 4) (i32.const 4096))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.load (i32.const 8)) (then
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br $again))))))"#;

/// Creates `new.txt` in its first directory and exits with the error number of that.
pub const CREATE: &str = r#"
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "new.txt")
  (func (export "_start")
    (call $exit (call $open
      (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 7)
      (i32.const 1)                ;; create
      (i64.const 64) (i64.const 0) ;; to write
      (i32.const 0) (i32.const 0)))))"#;

/// Writes eight random letters and a line's end, of which two runs hardly ever write the same.
pub const RANDOM: &str = r#"
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $i i32)
    (drop (call $random (i32.const 16) (i32.const 8)))
    (loop $next
      (i32.store8 offset=16 (local.get $i)
        (i32.add (i32.const 97) (i32.and (i32.const 15) (i32.load8_u offset=16 (local.get $i)))))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8))))
    (i32.store8 (i32.const 24) (i32.const 10))
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 9))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// Writes eight random bytes to `new.txt` in its first directory.
pub const WRITE: &str = r#"
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "new.txt")
  (func (export "_start")
    (if (call $open
      (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 7)
      (i32.const 9)                ;; create, truncate
      (i64.const 64) (i64.const 0) ;; to write
      (i32.const 0) (i32.const 12))
      (then unreachable))
    (drop (call $random (i32.const 32) (i32.const 8)))
    (i32.store (i32.const 0) (i32.const 32))
    (i32.store (i32.const 4) (i32.const 8))
    (drop (call $write
      (i32.load (i32.const 12)) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// A guest that has objects of garbage collection, and does nothing.
#[cfg(all(feature = "wasmtime", feature = "wasmer"))]
pub const COLLECTED: &str =
    r#"(module (type $s (struct)) (func (export "_start") (drop (struct.new $s))))"#;

/// A component that does nothing.
#[cfg(all(feature = "wasmtime", feature = "wasmer"))]
pub const COMPONENT: &str = r#"
(component
  (core module $m (func (export "run") (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#;

/// Exits with `code`.
pub fn exit(code: i32) -> String {
    format!(
        r#"(module
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1)
          (func (export "_start") (call $exit (i32.const {code}))))"#
    )
}

/// What the command writes to a terminal that is its standard error.
#[cfg(all(
    target_os = "linux",
    any(
        feature = "wasmtime",
        feature = "wasmer",
        all(feature = "oci", feature = "wasmi")
    )
))]
pub fn on_a_terminal(command: &mut Command) -> String {
    use std::io::Read;
    use std::os::fd::{FromRawFd, OwnedFd};
    use std::ptr::null_mut;

    let (mut ours, mut its) = (-1, -1);
    // SAFETY: both point to where a descriptor is put, and the rest may be null.
    let opened = unsafe { libc::openpty(&mut ours, &mut its, null_mut(), null_mut(), null_mut()) };
    assert_eq!(opened, 0, "no terminal");
    // SAFETY: they were opened just now, and nobody else has them.
    let (ours, its) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(its)) };
    let status = command.stderr(its).env("TERM", "xterm").status();
    assert_eq!(status.expect("wasmrun starts").code(), Some(0));
    // The command holds the other end until it gets something else.
    command.stderr(Stdio::null());
    let mut written = Vec::new();
    // A terminal whose other end is closed ends in an error.
    let _ = std::fs::File::from(ours).read_to_end(&mut written);
    String::from_utf8_lossy(&written).into_owned()
}
