//! What becomes of a runtime when the process that started it dies.

#![cfg(target_os = "linux")]

mod common;

use std::process::Command;
use std::time::Duration;

use common::*;
use wasmrun_backend_subprocess::SubprocessEngine;
use wasmrun_core::{Engine, Guest};

/// The engine, and the guest's path.
const RUNS: [&str; 2] = ["WASMRUN_TEST_ENGINE", "WASMRUN_TEST_GUEST"];

/// Not a test: what the process does that the tests below kill.
#[test]
#[ignore = "started by the tests below"]
fn the_process_that_dies() {
    let [Some(engine), Some(path)] = RUNS.map(std::env::var_os) else {
        return;
    };
    let guest = Guest::open(path).expect("a guest");
    if let Some(engine) = runtime(engine.to_str().expect("a name")) {
        let _ = run(&engine, &guest, &captured());
    }
}

fn nothing_of_it_is_left_when_we_are_killed(engine: SubprocessEngine) {
    let directory = tempfile::tempdir().expect("a directory");
    let mark = format!("orphan-{}-{}.wasm", engine.info().name, std::process::id());
    let path = directory.path().join(&mark);
    std::fs::write(&path, guest(include_str!("guests/sleep.wat")).bytes()).expect("writes");
    let temporary = tempfile::tempdir().expect("a directory");

    let mut process = Command::new(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--exact", "the_process_that_dies"])
        .env(RUNS[0], &engine.info().name)
        .env(RUNS[1], &path)
        .env("TMPDIR", temporary.path())
        .spawn()
        .expect("starts");
    let pause = || std::thread::sleep(Duration::from_millis(5));
    while processes_with(&mark).is_empty() {
        assert_eq!(process.try_wait().expect("a child"), None, "it ended early");
        pause();
    }
    // wasmer is given a directory, which it leaves empty, and a file, which it needs until the guest begins.
    let files = || {
        let entries = walkdir::WalkDir::new(temporary.path())
            .into_iter()
            .flatten();
        let files = entries.filter(|entry| !entry.file_type().is_dir());
        files.map(|entry| entry.into_path()).collect::<Vec<_>>()
    };
    while !files().is_empty() {
        pause();
    }
    process.kill().expect("kills");
    process.wait().expect("ends");
    while !processes_with(&mark).is_empty() {
        pause();
    }
    let left = files();
    assert!(left.is_empty(), "{left:?}");
}

on_every_runtime! {
    nothing_of_it_is_left_when_we_are_killed
}
