//! What the tests share: the runtimes of this machine, and small guests.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test file uses its part"
)]

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use wasmrun_backend_subprocess::{SubprocessEngine, find};
use wasmrun_core::{Engine, Guest, Outcome, Program, Report, Result, RunConfig, Stdout};
use wasmrun_testkit::may_be_missing;

/// The runtime `name`. One that is missing is a failure, unless it may be.
pub fn runtime(name: &str) -> Option<SubprocessEngine> {
    match find(name, None) {
        Ok(engine) => Some(engine),
        Err(error) if may_be_missing() => {
            eprintln!("NOT TESTED: {error}");
            None
        }
        Err(error) => panic!("{error} (scripts/runtimes installs all of them)"),
    }
}

/// An executable that is no runtime itself.
pub fn script(body: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("runtime");
    // By another process: what this one has open for writing, a child that another test starts at this
    // moment holds open as well, and what is open for writing cannot be executed.
    let written = Command::new("sh")
        .args([
            "-c",
            r#"printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod 755 "$1""#,
            "sh",
        ])
        .args([path.as_os_str(), body.as_ref()])
        .status();
    assert!(written.expect("a shell").success());
    (directory, path)
}

/// Makes one test of each rule for each runtime: `runtime_name::rule`.
macro_rules! on_every_runtime {
    ($($rule:ident)*) => {
        on_every_runtime!(@ wasmtime_cli "wasmtime-cli" $($rule)*);
        on_every_runtime!(@ wasmer_cli "wasmer-cli" $($rule)*);
        on_every_runtime!(@ wasmedge_cli "wasmedge-cli" $($rule)*);
        on_every_runtime!(@ wasmi_cli "wasmi-cli" $($rule)*);
        on_every_runtime!(@ wazero_cli "wazero-cli" $($rule)*);
        on_every_runtime!(@ node_cli "node-cli" $($rule)*);
    };
    (@ $module:ident $name:literal $($rule:ident)*) => {
        mod $module {
            $(#[test]
            fn $rule() {
                if let Some(engine) = crate::common::runtime($name) {
                    super::$rule(engine);
                }
            })*
        }
    };
}
pub(crate) use on_every_runtime;

/// Both outputs captured.
pub fn captured() -> RunConfig {
    RunConfig::new()
        .stdout(Stdout::Capture)
        .stderr(Stdout::Capture)
}

pub fn guest(wat: &str) -> Guest {
    Guest::from_bytes("guest.wasm", wat).unwrap_or_else(|error| panic!("{error:?}\n{wat}"))
}

pub fn run(engine: &SubprocessEngine, guest: &Guest, config: &RunConfig) -> Result<Report> {
    let engine: Arc<dyn Engine> = Arc::new(engine.clone());
    Program::compile(engine, guest, config)?.run(config)
}

/// Runs what must run.
pub fn ran(engine: &SubprocessEngine, guest: &Guest, config: &RunConfig) -> Report {
    run(engine, guest, config).unwrap_or_else(|error| panic!("{error:?}"))
}

pub fn outcome(engine: &SubprocessEngine, wat: &str, config: &RunConfig) -> Outcome {
    ran(engine, &guest(wat), config).outcome
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// A guest whose `_start` is `body`; it imports what guests need most.
pub fn program(body: &str) -> String {
    format!(
        r#"(module
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 2)
          {WRITE}
          (func (export "_start") {body}))"#
    )
}

/// `$write` writes a string to a descriptor.
const WRITE: &str = r"
  (func $write (param $fd i32) (param $at i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $len))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
";

/// One call into WASI, whose error code is printed as a line `label=code`.
pub struct Call {
    label: String,
    function: &'static str,
    arguments: Vec<Argument>,
}

pub enum Argument {
    I32(i32),
    I64(i64),
    /// Two parameters: where a string is, and how long it is.
    Text(&'static str),
    /// The descriptor that an earlier `path_open` with [`OPENED`] returned.
    Opened,
}

/// Where `path_open` is to put the new descriptor.
pub const OPENED: Argument = Argument::I32(64);

pub fn call(label: &str, function: &'static str, arguments: Vec<Argument>) -> Call {
    Call {
        label: label.to_owned(),
        function,
        arguments,
    }
}

/// A guest that makes `calls` one after the other and prints what each returned.
pub fn caller(calls: &[Call]) -> String {
    let mut data = String::new();
    let mut at = 4096;
    let mut place = |text: &str| {
        let start = at;
        at += text.len();
        data.push_str(&format!("(data (i32.const {start}) {text:?})\n"));
        (start, text.len())
    };
    let mut imports = std::collections::BTreeMap::new();
    let mut body = String::new();
    for Call {
        label,
        function,
        arguments,
    } in calls
    {
        let mut types = String::new();
        let mut values = String::new();
        for argument in arguments {
            match argument {
                Argument::I32(value) => {
                    types.push_str(" i32");
                    values.push_str(&format!("(i32.const {value})"));
                }
                Argument::I64(value) => {
                    types.push_str(" i64");
                    values.push_str(&format!("(i64.const {value})"));
                }
                Argument::Text(text) => {
                    let (start, len) = place(text);
                    types.push_str(" i32 i32");
                    values.push_str(&format!("(i32.const {start})(i32.const {len})"));
                }
                Argument::Opened => {
                    types.push_str(" i32");
                    values.push_str("(i32.load (i32.const 64))");
                }
            }
        }
        imports.insert(*function, types);
        let (start, len) = place(&format!("{label}="));
        body.push_str(&format!(
            "(call $print (i32.const {start})(i32.const {len}))\n(call $number (call ${function} {values}))\n"
        ));
    }
    imports.remove("fd_write");
    let imports: String = imports
        .iter()
        .map(|(name, types)| {
            format!(
                "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param{types}) (result i32)))\n"
            )
        })
        .collect();
    format!(
        r#"(module
          (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
          {imports}
          (memory (export "memory") 2)
          {data}
          {WRITE}
          (func $print (param i32 i32)
            (call $write (i32.const 1) (local.get 0) (local.get 1)))
          (func $number (param $n i32)
            (i32.store8 (i32.const 32)
              (i32.add (i32.const 48) (i32.div_u (local.get $n) (i32.const 10))))
            (i32.store8 (i32.const 33)
              (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
            (i32.store8 (i32.const 34) (i32.const 10))
            (call $print (i32.const 32) (i32.const 3)))
          (func (export "_start") {body}))"#
    )
}

/// The processes whose command line mentions `text`, or a file of that name which they were handed.
pub fn processes_with(text: &str) -> Vec<String> {
    let line = |process: PathBuf| {
        // Processes come and go.
        let line = std::fs::read_to_string(process.join("cmdline")).ok()?;
        let words = line.split('\0').map(|word| {
            let handed = word.strip_prefix("/proc/self/fd/");
            let name = handed.and_then(|fd| process.join("fd").join(fd).read_link().ok());
            name.map_or_else(|| word.to_owned(), |name| name.display().to_string())
        });
        Some(words.collect::<Vec<_>>().join(" "))
    };
    let processes = std::fs::read_dir("/proc").expect("reads");
    let lines = processes.filter_map(|entry| line(entry.ok()?.path()));
    lines.filter(|line| line.contains(text)).collect()
}
