//! What a guest sees: arguments, environment, directories, input.

use std::io::Write;
use std::process::Stdio;

use crate::common::{ARGS_AND_ENV, CAT, CREATE, Guests, Seen, engines, run, wasmrun};

fn told(seen: &Seen) -> Vec<&str> {
    assert_eq!(seen.code, Some(0), "{seen:?}");
    seen.stdout.split_terminator('\0').collect()
}

#[test]
fn everything_after_the_guest_belongs_to_it() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", ARGS_AND_ENV);
    let guest = guest.to_str().expect("UTF-8");
    for engine in engines() {
        for start in [&["--engine", engine][..], &["run", "--engine", engine]] {
            let after = ["--help", "--fuel", "1", "", "--", "ä b", "engines"];
            let seen = run(start.iter().chain(&[guest]).chain(&after));
            assert_eq!(told(&seen)[0], "app.wat");
            assert_eq!(told(&seen)[1..], after);
        }
    }
}

#[test]
fn the_guest_has_no_environment_but_what_it_is_given() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", ARGS_AND_ENV);
    for engine in engines() {
        let seen = |args: &[&str]| -> Seen {
            wasmrun()
                .env("HOSTS_OWN", "1")
                .args(["--engine", engine])
                .args(args)
                .arg(&guest)
                .output()
                .expect("wasmrun starts")
                .into()
        };
        assert_eq!(told(&seen(&[])), ["app.wat"]);
        assert_eq!(
            told(&seen(&["--env", "K=V=W", "--env", "HOSTS_OWN"]))[1..],
            ["K=V=W", "HOSTS_OWN=1"]
        );
        let all = seen(&["--inherit-env", "--env", "HOSTS_OWN=2", "--argv0", "me"]);
        assert_eq!(told(&all)[0], "me");
        assert!(told(&all).contains(&"HOSTS_OWN=2"), "{all:?}");
        assert!(!told(&all).contains(&"HOSTS_OWN=1"), "{all:?}");
        assert!(told(&all).iter().any(|var| var.starts_with("PATH=")));
    }
}

#[test]
fn a_directory_is_writable_unless_it_is_read_only() {
    for engine in engines() {
        for (mode, writable) in [("", true), (":rw", true), (":ro", false)] {
            let guests = Guests::new();
            let guest = guests.file("app.wat", CREATE);
            let seen: Seen = wasmrun()
                .current_dir(guests.dir())
                .args(["--engine", engine, "--dir", &format!(".::/out{mode}")])
                .arg(guest)
                .output()
                .expect("wasmrun starts")
                .into();
            assert_eq!(seen.code == Some(0), writable, "{engine} {mode}: {seen:?}");
            assert_eq!(guests.dir().join("new.txt").exists(), writable);
        }
    }
}

#[test]
fn input_is_ours_nothing_or_a_file() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", CAT);
    let file = guests.file("input", "from a file");
    let file = file.to_str().expect("UTF-8");
    for engine in engines() {
        for (stdin, expected) in [
            (None, "from a pipe"),
            (Some("inherit"), "from a pipe"),
            (Some("null"), ""),
            (Some(file), "from a file"),
        ] {
            let mut command = wasmrun();
            command.args(["--engine", engine]);
            command.args(stdin.iter().flat_map(|stdin| ["--stdin", stdin]));
            let mut child = command
                .arg(&guest)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("wasmrun starts");
            let mut pipe = child.stdin.take().expect("a pipe");
            // One that reads no pipe may be gone already.
            let _ = pipe.write_all(b"from a pipe");
            drop(pipe);
            let seen: Seen = child.wait_with_output().expect("it ends").into();
            assert_eq!(seen.stdout, expected, "{engine} {stdin:?}: {seen:?}");
            assert_eq!(seen.code, Some(0));
        }
    }
}

#[test]
fn an_export_can_be_called_instead_of_the_entry() {
    let guests = Guests::new();
    let guest = guests.file(
        "app.wat",
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "seven") (call $exit (i32.const 7))))"#,
    );
    let guest = guest.to_str().expect("UTF-8");
    for engine in engines() {
        let seen = run(["--engine", engine, "--invoke", "seven", guest]);
        assert_eq!(seen.code, Some(7), "{seen:?}");
        let seen = run(["--engine", engine, "--invoke", "eight", guest]);
        assert_eq!(seen.code, Some(126), "{seen:?}");
        assert!(seen.message().ends_with("it has seven"), "{seen:?}");
    }
}

#[test]
fn an_export_that_takes_values_is_given_the_arguments_and_its_results_are_printed() {
    let guests = Guests::new();
    let guest = guests.file(
        "app.wat",
        r#"(module
            (memory (export "memory") 1)
            (func (export "add") (param i32 i64) (result i64 i32)
                (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1)) (local.get 0))
            (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
            (func (export "answer") (result i32) (i32.const 42))
            (func (export "spin") (param i32) (loop (br 0)))
            (func (export "trap") (param i32) unreachable))"#,
    );
    let guest = guest.to_str().expect("UTF-8");
    for engine in engines() {
        let invoke = |args: &[&str]| {
            let mut line = vec![
                "--engine",
                engine,
                "--timeout",
                "20s",
                "--invoke",
                args[0],
                guest,
            ];
            line.extend(&args[1..]);
            run(line)
        };
        let returns = |args: &[&str], printed: &str| {
            let seen = invoke(args);
            assert_eq!((seen.code, &*seen.stdout), (Some(0), printed), "{seen:?}");
        };
        returns(&["add", "-1", "0x10"], "15\n-1\n");
        returns(&["half", "5"], "2.5\n");
        returns(&["answer"], "42\n");
        let refused = |args: &[&str], words: &str| {
            let seen = invoke(args);
            assert_eq!(seen.code, Some(125), "{seen:?}");
            assert!(seen.message().ends_with(words), "{seen:?}");
        };
        refused(
            &["add", "1"],
            "add is of type (i32, i64) -> (i64, i32): it takes 2 arguments, and 1 are given",
        );
        refused(
            &["add", "1", "one"],
            "add is of type (i32, i64) -> (i64, i32): one is no i64",
        );
        let seen = invoke(&["trap", "1"]);
        assert_eq!(seen.code, Some(134), "{seen:?}");
        let seen = run([
            "--engine",
            engine,
            "--timeout",
            "300ms",
            "--invoke",
            "spin",
            guest,
            "1",
        ]);
        assert_eq!(seen.code, Some(124), "{seen:?}");
    }
}

/// There may be none, and it would take a descriptor.
#[cfg(target_os = "linux")]
#[test]
fn no_device_is_needed_for_random_numbers() {
    use std::path::Path;

    use crate::common::{READY_AND_LOOP, started};

    let guests = Guests::new();
    let guest = guests.file("app.wat", READY_AND_LOOP);
    for engine in engines() {
        let mut child = started(wasmrun().args(["--engine", engine]).arg(&guest));
        let open: Vec<_> = std::fs::read_dir(format!("/proc/{}/fd", child.id()))
            .expect("it runs")
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .collect();
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let devices = ["/dev/random", "/dev/urandom"].map(Path::new);
        let held = open.iter().any(|file| devices.contains(&&**file));
        assert!(!held, "{engine}: {open:?}");
    }
}
