//! Ctrl-C, SIGTERM and closed pipes end the guest, and then us with 128+n.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{self, Guests, READY_AND_LOOP, YES, engines, wasmrun};

/// Has a command listen to signals that whoever started the tests has ignored, as shells do for what
/// runs in the background.
fn listening(command: &mut Command) -> &mut Command {
    let listen = || {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
            // SAFETY: the default action is always a valid one.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: `signal` may be called between fork and exec.
    unsafe { command.pre_exec(listen) }
}

/// Starts a guest that says when it runs and never ends.
fn started(command: &mut Command) -> Child {
    common::started(listening(command))
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

#[test]
fn a_signal_ends_a_guest_that_is_part_of_us() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", READY_AND_LOOP);
    for engine in engines() {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            let mut child = started(wasmrun().args(["--engine", engine]).arg(&guest));
            kill_process(pid(&child), signal).expect("it runs");
            assert_eq!(
                child.wait().expect("it ends").code(),
                Some(code),
                "{engine}"
            );
        }
    }
}

#[test]
fn a_run_that_a_signal_ended_is_reported() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", READY_AND_LOOP);
    let report = guests.dir().join("report.json");
    let mut child = started(wasmrun().arg("--report").arg(&report).arg(guest));
    kill_process(pid(&child), Signal::TERM).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    let report = std::fs::read(report).expect("a report");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["outcome"]["kind"], "killed");
    assert_eq!(report["signal"], 15);
    assert_eq!(report["exit_code"], 143);
}

#[test]
fn a_signal_before_the_guest_has_started_is_reported_too() {
    let guests = Guests::new();
    // Takes seconds to read and compile.
    let function = format!(
        "(func (param i32) (result i32) (local.get 0){})",
        "(i32.const 3) (i32.mul) (i32.popcnt)".repeat(300)
    );
    let fields = function.repeat(1500);
    let guest = guests.file(
        "app.wat",
        format!(r#"(module {fields} (func (export "_start") (loop (br 0))))"#),
    );
    let report = guests.dir().join("report.json");
    for engine in engines() {
        let mut command = wasmrun();
        listening(
            command
                .args(["--engine", engine, "--report"])
                .arg(&report)
                .arg(&guest),
        );
        let mut child = command.spawn().expect("wasmrun starts");
        while !report.exists() {
            assert_eq!(child.try_wait().expect("a child"), None, "{engine}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        kill_process(pid(&child), Signal::TERM).expect("it runs");
        assert_eq!(child.wait().expect("it ends").code(), Some(143), "{engine}");
        let written = std::fs::read(&report).expect("a report");
        let written: serde_json::Value = serde_json::from_slice(&written).expect("JSON");
        assert_eq!(written["outcome"]["kind"], "killed");
        assert_eq!(written["signal"], 15);
        std::fs::remove_file(&report).expect("it is there");
    }
}

#[cfg(all(target_os = "linux", feature = "subprocess"))]
#[test]
fn a_signal_leaves_no_process_of_a_runtime_behind() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", READY_AND_LOOP);
    let listed = wasmrun()
        .args(["engines", "--json"])
        .output()
        .expect("it runs");
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&listed.stdout).expect("JSON");
    let runtimes: Vec<&str> = listed
        .iter()
        .filter(|engine| engine["place"]["executable"].is_string())
        .filter_map(|engine| engine["name"].as_str())
        .collect();
    assert!(!runtimes.is_empty(), "no runtime is on PATH: install one");
    for engine in runtimes {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
            let mut child = started(wasmrun().args(["--engine", engine]).arg(&guest));
            let family = descendants(child.id());
            assert!(!family.is_empty(), "{engine} is no process");
            kill_process(pid(&child), signal).expect("it runs");
            assert_eq!(
                child.wait().expect("it ends").code(),
                Some(code),
                "{engine}"
            );
            for pid in family {
                let gone = Pid::from_raw(pid)
                    .is_none_or(|pid| rustix::process::test_kill_process(pid).is_err());
                assert!(gone, "{engine}: process {pid} is left");
            }
        }
    }
}

/// The processes that `pid` started, and those they did.
#[cfg(all(target_os = "linux", feature = "subprocess"))]
fn descendants(pid: u32) -> Vec<i32> {
    let mut found = Vec::new();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    for task in tasks.flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let child: u32 = child.parse().expect("a process");
            found.push(i32::try_from(child).expect("a process"));
            found.extend(descendants(child));
        }
    }
    found
}

#[test]
fn a_closed_reader_ends_a_guest_that_writes_for_ever() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", YES);
    for engine in engines() {
        let mut child = wasmrun()
            .args(["--engine", engine])
            .arg(&guest)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("wasmrun starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it writes");
        assert_eq!(line, "y\n");
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(141), "{engine}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{engine}");
    }
}

#[test]
fn a_closed_reader_is_the_guests_error_first() {
    // Exits with the number of the error that a write returns.
    const TOLD: &str = r#"
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $errno i32)
    (i32.store (i32.const 4) (i32.const 0x8000))
    (loop $more
      (local.set $errno (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if $more (i32.eqz (local.get $errno))))
    (call $exit (local.get $errno))))"#;
    const PIPE: i32 = 64;
    let guests = Guests::new();
    let guest = guests.file("app.wat", TOLD);
    for engine in engines() {
        let mut child = wasmrun()
            .args(["--engine", engine])
            .arg(&guest)
            .stdout(Stdio::piped())
            .spawn()
            .expect("wasmrun starts");
        drop(child.stdout.take());
        let ended = child.wait().expect("it ends");
        assert_eq!(ended.code(), Some(PIPE), "{engine}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn how_much_is_written_to_a_file_that_may_not_grow_is_told_before_why_it_is_no_more() {
    // Writes 100,000 bytes, and again. If the first says that it wrote all the file may have, exits with the number
    // of the second's error.
    const MAY_HAVE: u64 = 60 << 10;
    let guest = format!(
        r#"
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (func $try (result i32) (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
  (func (export "_start")
    (i32.store (i32.const 4) (i32.const 100000))
    (if (i32.or (call $try) (i32.ne (i32.load (i32.const 8)) (i32.const {MAY_HAVE})))
      (then (call $exit (i32.const 1))))
    (call $exit (call $try))))"#
    );
    const FBIG: i32 = 22;
    let guests = Guests::new();
    let guest = guests.file("app.wat", guest);
    let output = guests.dir().join("output");
    let limit = || {
        let limit = libc::rlimit {
            rlim_cur: MAY_HAVE,
            rlim_max: MAY_HAVE,
        };
        // SAFETY: plain calls, with a valid pointer.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::setrlimit(libc::RLIMIT_FSIZE, &limit);
        }
        Ok(())
    };
    for engine in engines() {
        let mut command = wasmrun();
        command.args(["--no-cache", "--engine", engine]).arg(&guest);
        command.stdout(std::fs::File::create(&output).expect("a file"));
        // SAFETY: both may be called between fork and exec.
        let ended = unsafe { command.pre_exec(limit) }.status();
        assert_eq!(ended.expect("it ends").code(), Some(FBIG), "{engine}");
        let written = std::fs::metadata(&output).expect("a file").len();
        assert_eq!(written, MAY_HAVE, "{engine}");
    }
}

/// As `nohup` does for SIGHUP and shells do for jobs in the background.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_we_were_started_to_ignore_stays_ignored() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", READY_AND_LOOP);
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"trap "" INT; exec "$0" --no-cache "$@""#]);
    let mut child = started(shell.arg(env!("CARGO_BIN_EXE_wasmrun")).arg(guest));
    kill_process(pid(&child), Signal::INT).expect("it runs");
    kill_process(pid(&child), Signal::TERM).expect("it still runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
}
