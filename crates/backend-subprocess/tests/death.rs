//! What becomes of a runtime when the process that started it dies.

#![cfg(target_os = "linux")]

mod common;

use std::process::Command;
use std::time::Duration;

use common::*;
use wasmrun_core::Guest;

const NAME: &str = "WASMRUN_TEST_GUEST";

/// Not a test: what the process does that the test below kills.
#[test]
#[ignore = "started by the test below"]
fn the_process_that_dies() {
    let Some(path) = std::env::var_os(NAME) else {
        return;
    };
    let guest = Guest::open(path).expect("a guest");
    if let Some(engine) = runtime("wasmtime-cli") {
        let _ = run(&engine, &guest, &captured());
    }
}

#[test]
fn a_runtime_dies_with_the_process_that_started_it() {
    if runtime("wasmtime-cli").is_none() {
        return;
    }
    let directory = tempfile::Builder::new()
        .prefix("wasmrun-orphan-")
        .tempdir()
        .expect("a directory");
    let mark = format!("orphan-{}.wasm", std::process::id());
    let path = directory.path().join(&mark);
    std::fs::write(&path, guest(include_str!("guests/sleep.wat")).bytes()).expect("writes");

    let mut process = Command::new(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--exact", "the_process_that_dies"])
        .env(NAME, &path)
        // What it leaves behind goes with the directory.
        .env("TMPDIR", directory.path())
        .spawn()
        .expect("starts");
    let pause = || std::thread::sleep(Duration::from_millis(5));
    while processes_with(&mark).is_empty() {
        assert_eq!(process.try_wait().expect("a child"), None, "it ended early");
        pause();
    }
    process.kill().expect("kills");
    process.wait().expect("ends");
    while !processes_with(&mark).is_empty() {
        pause();
    }
}
