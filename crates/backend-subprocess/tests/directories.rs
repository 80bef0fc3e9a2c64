//! Directories: shown, mapped, walled in, read-only, or refused.

mod common;

use std::os::unix::fs::symlink;
use std::path::Path;

use Argument::{I32, I64, Opened, Text};
use common::*;
use wasmrun_backend_subprocess::SubprocessEngine;
use wasmrun_core::{Access, Engine, ErrorKind, Outcome, RunConfig, Support};

on_every_runtime! {
    a_mapped_directory_is_read_and_written
    a_directory_under_its_own_path_is_read_and_written
    a_relative_directory_is_found_from_where_we_are
    no_path_leads_out_of_a_directory
    a_read_only_directory_refuses_every_change
    a_path_the_command_line_cannot_express_is_refused
    a_directory_that_cannot_be_opened_is_an_error
}

/// Runs `wat` with `config` if `support` says that it can be, and checks the refusal if not.
fn runs_if(
    support: Support,
    engine: &SubprocessEngine,
    wat: &str,
    config: &RunConfig,
) -> Option<wasmrun_core::Report> {
    let result = run(engine, &guest(wat), config);
    if support == Support::Unsupported {
        let error = result.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        return None;
    }
    Some(result.unwrap_or_else(|error| panic!("{error:?}")))
}

fn with_input() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("in"), "input").expect("writes");
    directory
}

fn copies(report: &wasmrun_core::Report, directory: &Path) {
    assert_eq!(report.outcome, Outcome::Exited(0), "{report:?}");
    assert_eq!(report.stdout.bytes, b"input");
    let copy = std::fs::read(directory.join("out")).expect("a copy");
    assert_eq!(copy, b"input");
}

/// In the first directory it is given, copies `in` to its standard output and into the new file
/// `out`; it exits with the error of the first call that fails.
const COPIER: &str = r#"(module
          (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_read"
            (func $read (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1)
          (data (i32.const 1024) "in")
          (data (i32.const 2048) "out")
          (func $check (param i32)
            (if (local.get 0) (then (call $exit (local.get 0)))))
          (func (export "_start")
            (call $check (call $open (i32.const 3) (i32.const 0)
              (i32.const 1024) (i32.const 2)
              (i32.const 0) (i64.const 0x2) (i64.const 0) (i32.const 0) (i32.const 16)))
            (i32.store (i32.const 0) (i32.const 4096))
            (i32.store (i32.const 4) (i32.const 1024))
            (call $check
              (call $read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))
            (i32.store (i32.const 4) (i32.load (i32.const 8)))
            (call $check
              (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (call $check (call $open (i32.const 3) (i32.const 0)
              (i32.const 2048) (i32.const 3)
              (i32.const 1) (i64.const 0x40) (i64.const 0) (i32.const 0) (i32.const 16)))
            (call $check
              (call $write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

fn a_mapped_directory_is_read_and_written(engine: SubprocessEngine) {
    let directory = with_input();
    let name = "/ü data, x";
    let config = captured().map_dir(directory.path(), name, Access::ReadWrite);
    let support = engine.capability().mapped_preopens;
    if let Some(report) = runs_if(support, &engine, COPIER, &config) {
        copies(&report, directory.path());
    }
}

fn a_directory_under_its_own_path_is_read_and_written(engine: SubprocessEngine) {
    let directory = with_input();
    let path = directory.path().canonicalize().expect("a path");
    let name = path.to_str().expect("UTF-8");
    let config = captured().map_dir(&path, name, Access::ReadWrite);
    let support = engine.capability().preopens;
    if let Some(report) = runs_if(support, &engine, COPIER, &config) {
        copies(&report, &path);
    }
}

/// Tests run in the package's folder.
fn a_relative_directory_is_found_from_where_we_are(engine: SubprocessEngine) {
    let directory = tempfile::tempdir_in("tests").expect("a directory");
    std::fs::write(directory.path().join("in"), "input").expect("writes");
    let name = directory.path().file_name().expect("a name");
    let relative = format!("tests/{}", name.to_str().expect("UTF-8"));
    let config = captured().map_dir(&relative, &relative, Access::ReadWrite);
    let support = engine.capability().preopens;
    if let Some(report) = runs_if(support, &engine, COPIER, &config) {
        copies(&report, directory.path());
    }
}

fn open(label: &str, path: &'static str, flags: i32, rights: i64) -> Call {
    call(
        label,
        "path_open",
        vec![
            I32(3),
            I32(1),
            Text(path),
            I32(flags),
            I64(rights),
            I64(0),
            I32(0),
            OPENED,
        ],
    )
}

const CREATE: i32 = 1;
const DIRECTORY: i32 = 2;
const TRUNCATE: i32 = 8;
const READ: i64 = 0x2;
const WRITE: i64 = 0x40;
const ALL_BUT_WRITING: i64 = 0x1fff_ffff & !WRITE;

fn no_path_leads_out_of_a_directory(engine: SubprocessEngine) {
    let root = tempfile::tempdir().expect("a directory");
    let (inside, outside) = (root.path().join("in"), root.path().join("outside"));
    for directory in [&inside, &outside, &inside.join("sub")] {
        std::fs::create_dir(directory).expect("creates");
    }
    std::fs::write(outside.join("secret"), "secret").expect("writes");
    std::fs::write(inside.join("own"), "own").expect("writes");
    symlink("../outside", inside.join("link")).expect("links");
    symlink(&outside, inside.join("absolute")).expect("links");
    symlink("../outside/secret", inside.join("file")).expect("links");
    let calls = [
        open("through a link", "link/secret", 0, READ),
        open("through an absolute link", "absolute/secret", 0, READ),
        open("a link itself", "file", 0, READ),
        open("a link to a directory", "link", DIRECTORY, READ),
        open("dots", "../outside/secret", 0, READ),
        open(
            "dots behind a directory",
            "sub/../../outside/secret",
            0,
            READ,
        ),
        open("an absolute path", "/etc/hostname", 0, READ),
        open("creating through a link", "link/new", CREATE, WRITE),
        call(
            "stat",
            "path_filestat_get",
            vec![I32(3), I32(1), Text("file"), I32(128)],
        ),
        call(
            "mkdir",
            "path_create_directory",
            vec![I32(3), Text("link/new")],
        ),
        call(
            "unlink",
            "path_unlink_file",
            vec![I32(3), Text("link/secret")],
        ),
        call(
            "rename",
            "path_rename",
            vec![I32(3), Text("own"), I32(3), Text("link/own")],
        ),
        call(
            "times",
            "path_filestat_set_times",
            vec![I32(3), I32(1), Text("file"), I64(1), I64(1), I32(5)],
        ),
        // The guest may make such a link; it must be of no use.
        call(
            "symlink",
            "path_symlink",
            vec![Text("../outside"), I32(3), Text("made")],
        ),
        open("through a link it made", "made/secret", 0, READ),
    ];
    let name = inside.to_str().expect("UTF-8").to_owned();
    let wat = caller(&calls);
    let config = captured().map_dir(&inside, name, Access::ReadWrite);
    let Some(report) = runs_if(engine.capability().preopens, &engine, &wat, &config) else {
        return;
    };
    assert_eq!(report.outcome, Outcome::Exited(0));
    let succeeded: Vec<_> = text(&report.stdout.bytes)
        .lines()
        .filter(|line| line.ends_with("=00") && !line.starts_with("symlink"))
        .collect();
    assert_eq!(succeeded, [""; 0]);
    let left: Vec<_> = std::fs::read_dir(&outside)
        .expect("reads")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left, ["secret"]);
}

fn a_read_only_directory_refuses_every_change(engine: SubprocessEngine) {
    let root = tempfile::tempdir().expect("a directory");
    let (fixed, free) = (root.path().join("fixed"), root.path().join("free"));
    std::fs::create_dir_all(fixed.join("sub")).expect("creates");
    std::fs::create_dir(&free).expect("creates");
    for path in [
        &fixed.join("file"),
        &fixed.join("sub/file"),
        &free.join("mine"),
    ] {
        std::fs::write(path, "content").expect("writes");
    }
    let before = tree(root.path());
    let changes = [
        open("write", "file", 0, WRITE),
        open("read and write", "file", 0, READ | WRITE),
        open("truncate", "file", TRUNCATE, WRITE),
        open("truncate for reading", "file", TRUNCATE, READ),
        open("create", "new", CREATE, WRITE),
        open("create for reading", "new", CREATE, READ),
        call(
            "rename",
            "path_rename",
            vec![I32(3), Text("file"), I32(3), Text("new")],
        ),
        call(
            "rename a directory",
            "path_rename",
            vec![I32(3), Text("sub"), I32(3), Text("new")],
        ),
        call(
            "move out",
            "path_rename",
            vec![I32(3), Text("file"), I32(4), Text("new")],
        ),
        call(
            "move in",
            "path_rename",
            vec![I32(4), Text("mine"), I32(3), Text("new")],
        ),
        call("unlink", "path_unlink_file", vec![I32(3), Text("file")]),
        call(
            "link",
            "path_link",
            vec![I32(3), I32(0), Text("file"), I32(3), Text("new")],
        ),
        call(
            "link out",
            "path_link",
            vec![I32(3), I32(0), Text("file"), I32(4), Text("new")],
        ),
        call(
            "link in",
            "path_link",
            vec![I32(4), I32(0), Text("mine"), I32(3), Text("new")],
        ),
        call(
            "symlink",
            "path_symlink",
            vec![Text("file"), I32(3), Text("new")],
        ),
        call("mkdir", "path_create_directory", vec![I32(3), Text("new")]),
        call("rmdir", "path_remove_directory", vec![I32(3), Text("sub")]),
        call(
            "times",
            "path_filestat_set_times",
            vec![I32(3), I32(1), Text("file"), I64(1), I64(1), I32(5)],
        ),
        call(
            "times of the directory",
            "fd_filestat_set_times",
            vec![I32(3), I64(1), I64(1), I32(5)],
        ),
        open("open", "file", 0, READ),
        call(
            "fd times",
            "fd_filestat_set_times",
            vec![Opened, I64(1), I64(1), I32(5)],
        ),
        call("fd size", "fd_filestat_set_size", vec![Opened, I64(0)]),
        call("fd allocate", "fd_allocate", vec![Opened, I64(0), I64(100)]),
        open("open sub", "sub", DIRECTORY, ALL_BUT_WRITING),
        call(
            "unlink in sub",
            "path_unlink_file",
            vec![Opened, Text("file")],
        ),
        call(
            "mkdir in sub",
            "path_create_directory",
            vec![Opened, Text("new")],
        ),
    ];
    let config =
        captured()
            .map_dir(&fixed, "/a", Access::ReadOnly)
            .map_dir(&free, "/b", Access::ReadWrite);
    let wat = caller(&changes);
    let support = engine.capability().read_only_preopens;
    let Some(report) = runs_if(support, &engine, &wat, &config) else {
        return;
    };
    assert_eq!(report.outcome, Outcome::Exited(0));
    let succeeded: Vec<_> = text(&report.stdout.bytes)
        .lines()
        .filter(|line| line.ends_with("=00"))
        .collect();
    assert!(
        succeeded.iter().all(|line| line.starts_with("open")),
        "{succeeded:?}"
    );
    assert!(
        succeeded.contains(&"open=00"),
        "it is there to be read: {succeeded:?}"
    );
    assert_eq!(tree(root.path()), before);
}

/// Every path below `root`, with its time of change and content.
fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        let metadata = path.symlink_metadata().expect("metadata");
        let content = if metadata.is_dir() {
            for entry in std::fs::read_dir(&path).expect("reads") {
                ahead.push(entry.expect("an entry").path());
            }
            String::new()
        } else {
            std::fs::read_to_string(&path).expect("reads")
        };
        found.push(format!(
            "{} {:?} {content}",
            path.display(),
            metadata.modified()
        ));
    }
    found.sort();
    found
}

fn a_path_the_command_line_cannot_express_is_refused(engine: SubprocessEngine) {
    let root = tempfile::tempdir().expect("a directory");
    for name in [
        "a:b",
        "a::b",
        "a:",
        ":ro",
        "a:readonly",
        "a,b",
        "a=b",
        "-a",
        "a b",
    ] {
        let path = root.path().join(name);
        std::fs::create_dir(&path).expect("creates");
        std::fs::write(path.join("in"), "input").expect("writes");
        for guest_path in ["/data", "/a:b", "/a::b", "/:ro", "a,b", "-x"] {
            let config = captured().map_dir(&path, guest_path, Access::ReadWrite);
            match run(&engine, &guest(COPIER), &config) {
                Ok(report) => {
                    copies(&report, &path);
                    std::fs::remove_file(path.join("out")).expect("removes");
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}"),
            }
        }
    }
}

fn a_directory_that_cannot_be_opened_is_an_error(engine: SubprocessEngine) {
    if engine.capability().preopens == Support::Unsupported {
        return;
    }
    let gone = tempfile::tempdir().expect("a directory");
    let name = gone.path().to_str().expect("UTF-8").to_owned();
    let config = captured().map_dir(gone.path(), name, Access::ReadWrite);
    gone.close().expect("removes");
    let error = run(&engine, &guest(&program("")), &config).expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::Preopen, "{error:?}");
}
