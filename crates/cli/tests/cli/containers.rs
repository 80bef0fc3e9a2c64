//! Containers, by the command. Each test has a user's runtime directory of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Guests, LOOP, NOTHING, READY_AND_LOOP, Seen, exit, wasmrun};

/// Says a line to each stream, and fails.
const BOTH_STREAMS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "out\n") (data (i32.const 32) "err\n")
    (data (i32.const 64) "\10\00\00\00\04\00\00\00\20\00\00\00\04\00\00\00")
    (func (export "_start")
      (drop (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 0)))
      (drop (call $write (i32.const 2) (i32.const 72) (i32.const 1) (i32.const 0)))
      (call $exit (i32.const 3))))"#;

/// A user with containers, all of which go with it.
struct User {
    runtime: TempDir,
    guests: Guests,
}

impl User {
    fn new() -> Self {
        User {
            runtime: TempDir::new().expect("a directory"),
            guests: Guests::new(),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = wasmrun();
        command
            .env("XDG_RUNTIME_DIR", self.runtime.path())
            .current_dir(self.guests.dir())
            .args(words);
        command
    }

    fn run(&self, words: &[&str]) -> Seen {
        self.command(words).output().expect("wasmrun starts").into()
    }

    /// What it says, which is to succeed.
    fn says(&self, words: &[&str]) -> String {
        let seen = self.run(words);
        assert_eq!((seen.code, &*seen.stderr), (Some(0), ""), "{words:?}");
        seen.stdout
    }

    /// What it is refused.
    fn refused(&self, words: &[&str]) -> (i32, String) {
        let seen = self.run(words);
        assert_eq!(seen.stdout, "", "{words:?}");
        (seen.code.expect("a code"), seen.message().to_owned())
    }

    /// Runs a guest, written as text, as the container `web`, with these options.
    fn runs(&self, guest: &str, options: &[&str]) {
        self.guests.file("app.wat", guest);
        let words = [
            &["run", "--detach", "--name", "web", "--engine", "wasmi"],
            options,
            &["app.wat"],
        ];
        assert_eq!(self.says(&words.concat()), "web\n");
    }

    fn ps(&self) -> Vec<Value> {
        serde_json::from_str(&self.says(&["ps", "--json"])).expect("JSON")
    }

    /// What is known of the one container.
    fn web(&self) -> Value {
        let all = self.ps();
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(all[0]["name"], "web");
        all[0].clone()
    }

    fn pid(&self) -> u64 {
        self.web()["pid"].as_u64().expect("a number")
    }

    fn root(&self) -> PathBuf {
        self.runtime.path().join("wasmrun/containers")
    }
}

impl Drop for User {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.root()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let removed = self.command(&["rm", "--force"]).arg(name).output();
            drop(removed);
        }
    }
}

fn signal(signal: &str, pid: u64) {
    let killed = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status();
    assert!(killed.expect("it starts").success());
}

#[test]
fn a_container_goes_on_in_a_session_of_its_own_until_it_is_stopped() {
    let user = User::new();
    user.guests.file("app.wat", READY_AND_LOOP);
    let words = [
        "run", "--detach", "--name", "web", "--engine", "wasmi", "app.wat",
    ];
    // As a shell starts a job.
    let shell = user.command(&words).process_group(0).output();
    assert_eq!(Seen::from(shell.expect("it starts")).stdout, "web\n");
    let web = user.web();
    assert_eq!(web["state"], "running");
    assert_eq!(web["engine"], "wasmi");
    assert_eq!(web["exit_code"], Value::Null);
    let stat = fs::read_to_string(format!("/proc/{}/stat", user.pid())).expect("it is there");
    let (_, fields) = stat.rsplit_once(')').expect("as in proc(5)");
    let session = fields.split_whitespace().nth(3).expect("a session");
    assert_eq!(session, user.pid().to_string());
    assert!(user.says(&["ps"]).contains("app.wat  running\n"));
    for _ in 0..2 {
        user.says(&["stop", "--time", "10ms", "web"]);
        let web = user.web();
        assert_eq!(web["state"], "exited");
        assert_eq!(
            (&web["code"], &web["exit_code"]),
            (&137.into(), &137.into())
        );
    }
    assert_eq!(user.says(&["logs", "web"]), "ready\n");
    user.says(&["rm", "web"]);
    assert!(user.ps().is_empty());
    user.says(&["rm", "--force", "web"]);
    let (code, message) = user.refused(&["rm", "web"]);
    assert_eq!(code, 125);
    assert!(
        message.starts_with("container web is not there"),
        "{message}"
    );
}

#[test]
fn the_truth_is_told_of_a_container_whose_process_was_killed() {
    let user = User::new();
    user.runs(READY_AND_LOOP, &["--restart", "always"]);
    while user.says(&["logs", "web"]) != "ready\n" {
        thread::sleep(Duration::from_millis(5));
    }
    let pid = user.pid();
    signal("-KILL", pid);
    // Its end is waited for as any other.
    let seen = user.run(&["wait", "web"]);
    assert_eq!(seen.code, Some(137));
    let words = format!("the process {pid} that looked after it was killed");
    assert!(seen.message().contains(&words), "{seen:?}");
    let web = user.web();
    assert_eq!(web["state"], "failed");
    assert_eq!(web["kind"]["error"], "interrupted");
    assert_eq!(user.says(&["logs", "--follow", "web"]), "ready\n");
    // It may be started again, and goes on with its log.
    user.says(&["start", "web"]);
    assert_eq!(user.web()["state"], "running");
    assert_ne!(user.pid(), pid);
    user.says(&["kill", "--signal", "TERM", "web"]);
    assert_eq!(user.run(&["wait", "web"]).code, Some(143));
    assert!(user.says(&["logs", "web"]).starts_with("ready\n"));
}

#[test]
fn who_ends_the_process_ends_the_container() {
    let user = User::new();
    user.runs(LOOP, &[]);
    signal("-TERM", user.pid());
    assert_eq!(user.run(&["wait", "web"]).code, Some(143));
    assert_eq!(user.web()["state"], "exited");
}

#[test]
fn how_a_container_ended_is_the_exit_code_of_who_waits() {
    let trap = r#"(module (func (export "_start") unreachable))"#;
    let cases: [(&str, &[&str], i32, &str); 4] = [
        (NOTHING, &[], 0, "exited"),
        (&exit(42), &[], 42, "exited"),
        (trap, &[], 134, "failed"),
        (LOOP, &["--timeout", "50ms"], 124, "failed"),
    ];
    for (guest, options, code, state) in cases {
        let user = User::new();
        user.runs(guest, options);
        let seen = user.run(&["wait", "web"]);
        assert_eq!((seen.code, &*seen.stdout), (Some(code), ""), "{guest}");
        assert_eq!(state == "failed", !seen.stderr.is_empty(), "{seen:?}");
        let web = user.web();
        assert_eq!(web["state"], state);
        assert!(web["ended_ms"].as_u64() >= web["started_ms"].as_u64());
    }
}

#[test]
fn what_fails_is_started_again_as_the_policy_says() {
    let user = User::new();
    user.runs(BOTH_STREAMS, &["--restart", "on-failure:1"]);
    assert_eq!(user.run(&["wait", "web"]).code, Some(3));
    let web = user.web();
    assert_eq!(web["restarts"], 1);
    assert_eq!(web["restart"], "on-failure:1");
    let logs = user.run(&["logs", "web"]);
    assert_eq!((&*logs.stdout, &*logs.stderr), ("out\nout\n", "err\nerr\n"));
}

#[test]
fn of_a_log_is_shown_what_is_asked_for() {
    let user = User::new();
    user.runs(BOTH_STREAMS, &[]);
    assert_eq!(user.run(&["wait", "web"]).code, Some(3));
    let logs = |words: &[&str]| {
        let seen = user.run(&[&["logs"], words, &["web"]].concat());
        assert_eq!(seen.code, Some(0), "{seen:?}");
        (seen.stdout, seen.stderr)
    };
    let text = |out: &str, err: &str| (out.to_owned(), err.to_owned());
    assert_eq!(logs(&[]), text("out\n", "err\n"));
    assert_eq!(logs(&["--follow"]), text("out\n", "err\n"));
    assert_eq!(logs(&["--tail", "1"]), text("", "err\n"));
    assert_eq!(logs(&["-n", "0"]), text("", ""));
    assert_eq!(logs(&["--since", "1h"]), text("out\n", "err\n"));
    assert_eq!(logs(&["--since", "2100-01-01T00:00:00Z"]), text("", ""));
    let (out, _) = logs(&["--timestamps"]);
    let (time, rest) = out.split_once(' ').expect("a time");
    assert!(humantime_like(time), "{time}");
    assert_eq!(rest, "out\n");
    let (code, _) = {
        let seen = user.run(&["logs", "--since", "yesterday", "web"]);
        (seen.code, seen.stderr)
    };
    assert_eq!(code, Some(125));
}

/// Whether it is as in RFC 3339, with nanoseconds.
fn humantime_like(time: &str) -> bool {
    time.len() == "2026-01-31T12:00:00.000000000Z".len() && time.ends_with('Z')
}

#[test]
fn who_follows_a_log_sees_its_lines_until_the_container_ends() {
    let user = User::new();
    user.runs(READY_AND_LOOP, &[]);
    thread::scope(|scope| {
        let follower = scope.spawn(|| user.says(&["logs", "-f", "web"]));
        while user.says(&["logs", "web"]) != "ready\n" {
            thread::sleep(Duration::from_millis(5));
        }
        user.says(&["kill", "web"]);
        assert_eq!(follower.join().expect("no panic"), "ready\n");
    });
    let (code, message) = user.refused(&["kill", "web"]);
    assert_eq!(code, 125);
    assert!(
        message.starts_with("container web (exited with 137)"),
        "{message}"
    );
}

#[test]
fn what_containers_use_is_told_while_they_run_and_afterwards() {
    let user = User::new();
    user.runs(
        READY_AND_LOOP,
        &["--max-memory", "1Mi", "--fuel", "9000000000000000000"],
    );
    let stats = || {
        let json = user.says(&["stats", "--json", "web"]);
        let all: Value = serde_json::from_str(&json).expect("JSON");
        all[0].clone()
    };
    while stats()["cpu_ms"].as_f64().unwrap_or(0.0) == 0.0 || stats()["stdout_bytes"] != 6 {
        thread::sleep(Duration::from_millis(5));
    }
    let running = stats();
    assert_eq!(running["name"], "web");
    assert_eq!(running["memory"], 1 << 16);
    assert_eq!(running["memory_limit"], 1 << 20);
    assert_eq!(running["fuel_limit"], 9_000_000_000_000_000_000_u64);
    assert!(user.says(&["stats"]).contains("64.0 KiB of 1.0 MiB"));
    user.says(&["stop", "--time", "1ms", "web"]);
    let over = stats();
    assert_eq!(
        (&over["memory"], &over["peak_memory"]),
        (&0.into(), &(1 << 16).into())
    );
    assert!(over["cpu_ms"].as_f64() >= running["cpu_ms"].as_f64());
}

#[test]
fn names_are_checked_and_nothing_that_runs_is_removed() {
    let user = User::new();
    user.runs(LOOP, &[]);
    let detach = |name: &str| user.refused(&["run", "--detach", "--name", name, "app.wat"]);
    for name in ["", ".", "..", "../web", "a/b", ".web", "a b"] {
        let (code, message) = detach(name);
        assert_eq!(code, 125, "{name}");
        assert!(message.contains("a name has letters"), "{message}");
    }
    assert!(
        detach("web")
            .1
            .starts_with("container web is there already")
    );
    assert_eq!(user.web()["state"], "running");
    let (code, message) = user.refused(&["rm", "web"]);
    assert_eq!(code, 125);
    assert!(message.starts_with("container web (running)"), "{message}");
    for words in [
        &["stop", "none"][..],
        &["logs", "none"],
        &["wait", "none"],
        &["stats", "none"],
    ] {
        let (code, message) = user.refused(words);
        assert_eq!(code, 125);
        assert!(
            message.starts_with("container none is not there"),
            "{message}"
        );
    }
    // All are looked for before anything is done to one.
    user.refused(&["stop", "web", "none"]);
    assert_eq!(user.web()["state"], "running");
    user.says(&["rm", "--force", "web"]);
    assert!(user.ps().is_empty());
}

#[test]
fn what_cannot_be_started_leaves_nothing() {
    let user = User::new();
    let (code, message) = user.refused(&["run", "--detach", "--name", "web", "none.wasm"]);
    assert_eq!(code, 127);
    assert!(message.contains("none.wasm"), "{message}");
    user.guests.file("text.wasm", "no program");
    let (code, _) = user.refused(&["run", "--detach", "--name", "web", "text.wasm"]);
    assert_eq!(code, 126);
    assert_eq!(fs::read_dir(user.root()).expect("there").count(), 0);
}

#[test]
fn what_ends_with_the_command_is_refused() {
    let user = User::new();
    user.guests.file("app.wat", NOTHING);
    for words in [
        &["run", "--detach", "-"][..],
        &["run", "--detach", "--stdin", "inherit", "app.wat"],
    ] {
        let (code, message) = user.refused(words);
        assert_eq!(code, 125);
        assert!(message.contains("ends with this command"), "{message}");
    }
    for words in [
        &["run", "--detach", "--report", "x", "app.wat"][..],
        &["run", "--detach", "--invoke", "x", "app.wat"],
        &["run", "--name", "x", "app.wat"],
        &["kill", "--signal", "STOP", "x"],
    ] {
        let seen = user.run(words);
        assert_eq!((seen.code, &*seen.stdout), (Some(125), ""), "{words:?}");
    }
    assert!(user.ps().is_empty());
}

#[test]
fn a_container_is_started_again_as_it_was_typed_wherever_that_is_done() {
    let user = User::new();
    let data = user.guests.dir().join("data");
    fs::create_dir(&data).expect("a directory");
    user.guests.file("app.wat", crate::common::ARGS_AND_ENV);
    let words = [
        "run",
        "--detach",
        "--engine",
        "wasmi",
        "--dir",
        "data::/data",
        "--env",
        "MODE",
        "app.wat",
        "x",
    ];
    let mut run = user.command(&words);
    let seen: Seen = run.env("MODE", "fast").output().expect("it starts").into();
    let name = seen.stdout.trim_end();
    assert!(name.starts_with("app-"), "{seen:?}");
    let elsewhere = user
        .command(&["start", name])
        .current_dir(Path::new("/"))
        .output();
    let elsewhere = Seen::from(elsewhere.expect("it starts"));
    assert_eq!(elsewhere.code, Some(0), "{elsewhere:?}");
    assert_eq!(user.run(&["wait", name]).code, Some(0));
    let logs = user.says(&["logs", name]);
    assert_eq!(logs.matches("MODE=fast").count(), 2, "{logs:?}");
}

#[test]
fn a_directory_that_others_may_write_to_is_not_obeyed() {
    let user = User::new();
    assert!(user.ps().is_empty());
    let mode = fs::metadata(user.root())
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    fs::set_permissions(user.root(), fs::Permissions::from_mode(0o770)).expect("ours");
    let (code, message) = user.refused(&["ps"]);
    assert_eq!(code, 125);
    assert!(message.contains("mode 0700"), "{message}");
    fs::set_permissions(user.root(), fs::Permissions::from_mode(0o700)).expect("ours");
}

#[test]
fn without_a_directory_for_the_login_containers_are_in_the_one_for_state() {
    let user = User::new();
    let mut ps = user.command(&["ps"]);
    ps.env_remove("XDG_RUNTIME_DIR")
        .env("XDG_STATE_HOME", user.runtime.path());
    let seen = Seen::from(ps.output().expect("it starts"));
    assert_eq!((seen.code, &*seen.stderr), (Some(0), ""));
    assert!(user.root().is_dir());
}
