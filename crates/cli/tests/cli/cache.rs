//! Compiled code that is kept, seen from the command line.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{self, Guests, Seen, exit, wasmrun};

/// The engines of this build that have compiled code to keep.
fn engines() -> Vec<&'static str> {
    let mut engines = common::engines();
    engines.retain(|engine| *engine != "wasmi");
    engines
}

/// A directory with guests and an empty cache.
struct Here(Guests);

impl Here {
    fn new() -> Here {
        Here(Guests::new())
    }

    fn cache(&self) -> PathBuf {
        self.0.dir().join("cache")
    }

    fn wasmrun(&self) -> Command {
        let mut command = wasmrun();
        command.env("WASMRUN_CACHE_DIR", self.cache());
        command
    }

    fn run(&self, args: &[&str]) -> Seen {
        let output = self.wasmrun().args(args).output();
        output.expect("wasmrun starts").into()
    }

    /// The exit code of a run, and what its report says of the cache.
    fn reported(&self, args: &[&str]) -> (Option<i32>, Value) {
        let file = self.0.dir().join("report.json");
        let report = file.to_str().expect("UTF-8");
        let seen = self.run(&[&["--report", report], args].concat());
        let report = fs::read(&file).expect("a report");
        let report: Value = serde_json::from_slice(&report).expect("JSON");
        (seen.code, report["cache"].clone())
    }

    fn list(&self) -> Vec<Value> {
        let seen = self.run(&["cache", "list", "--json"]);
        serde_json::from_str(&seen.stdout).unwrap_or_else(|error| panic!("{error}: {seen:?}"))
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn hit() -> Value {
    json!({"result": "hit"})
}

fn miss(why: &str) -> Value {
    json!({"result": "miss", "why": why})
}

#[test]
fn the_second_run_is_a_hit_and_each_says_so() {
    let here = Here::new();
    let guest = here.0.file("app.wat", exit(42));
    for (engine, why) in engines().into_iter().zip(["unseen", "other-engine"]) {
        let args = ["--engine", engine, text(&guest)];
        assert_eq!(here.reported(&args), (Some(42), miss(why)));
        assert_eq!(here.reported(&args), (Some(42), hit()));
        let fuel = ["--engine", engine, "--fuel", "1000", text(&guest)];
        assert_eq!(here.reported(&fuel), (Some(42), miss("other-settings")));
        assert_eq!(here.reported(&fuel), (Some(42), hit()));
        let anew = ["--engine", engine, "--no-cache", text(&guest)];
        assert_eq!(here.reported(&anew), (Some(42), Value::Null));
    }
    assert_eq!(here.list().len(), 2 * engines().len());
}

#[test]
fn a_file_of_the_same_size_behind_the_same_link_is_another_guest() {
    let here = Here::new();
    let (one, two) = (
        here.0.file("one.wat", exit(11)),
        here.0.file("two.wat", exit(22)),
    );
    let link = here.0.dir().join("app.wat");
    std::thread::sleep(Duration::from_millis(3100));
    for (target, code) in [(&one, 11), (&two, 22), (&one, 11)] {
        let _ = fs::remove_file(&link);
        symlink(target, &link).expect("links");
        for _ in 0..3 {
            assert_eq!(here.run(&[text(&link)]).code, Some(code));
        }
    }
    // Written to in place.
    let time = fs::metadata(&one).expect("times").modified().expect("time");
    fs::write(&one, exit(33)).expect("writes");
    let file = fs::File::options().write(true).open(&one).expect("opens");
    file.set_modified(time).expect("sets the time");
    assert_eq!(here.run(&[text(&link)]).code, Some(33));
}

#[test]
fn a_cache_that_others_may_enter_is_left_alone_with_a_warning() {
    let here = Here::new();
    let guest = here.0.file("app.wat", exit(42));
    fs::create_dir(here.cache()).expect("makes");
    fs::set_permissions(here.cache(), PermissionsExt::from_mode(0o755)).expect("opens it up");
    let seen = here.run(&[text(&guest)]);
    assert_eq!((seen.code, &*seen.stdout), (Some(42), ""));
    let message = seen.message();
    assert!(
        message.contains("is not used: others may enter it"),
        "{message}"
    );
    assert!(message.contains("chmod 700"), "{message}");
    assert_eq!(here.cache().read_dir().expect("reads").count(), 0);
    let seen = here.run(&["--no-cache", text(&guest)]);
    assert_eq!((seen.code, &*seen.stderr), (Some(42), ""));
    let seen = here.run(&["cache", "clear"]);
    assert_eq!(seen.code, Some(125));
}

#[test]
fn a_cache_that_cannot_be_written_to_costs_nothing_but_time() {
    let here = Here::new();
    let guest = here.0.file("app.wat", exit(42));
    fs::create_dir(here.cache()).expect("makes");
    fs::set_permissions(here.cache(), PermissionsExt::from_mode(0o700)).expect("closes it");
    fs::write(here.cache().join("v1"), "in the way").expect("writes");
    for _ in 0..2 {
        let seen = here.run(&[text(&guest)]);
        assert_eq!((seen.code, &*seen.stderr), (Some(42), ""), "{seen:?}");
    }
    let seen = here.run(&["--verbose", text(&guest)]);
    assert_eq!(seen.code, Some(42));
    assert!(seen.message().starts_with("the compiled code is not kept"));
}

#[cfg(target_os = "linux")]
#[test]
fn compiling_something_large_shows_on_a_terminal_and_nowhere_else() {
    let here = Here::new();
    let module = |bytes: usize| {
        let data = "x".repeat(bytes);
        format!(r#"(module (memory 32) (data (i32.const 0) "{data}") (func (export "_start")))"#)
    };
    let large = here.0.file("large.wat", module(1 << 20));
    let small = here.0.file("small.wat", module(1 << 10));
    for engine in common::engines() {
        let command = |args: &[&str]| {
            let mut command = here.wasmrun();
            command.args(["--engine", engine]).args(args);
            command
        };
        let shown = common::on_a_terminal(&mut command(&[text(&large)]));
        assert!(shown.contains("compiling large.wat"), "{shown:?}");
        let shown = common::on_a_terminal(&mut command(&["--no-cache", text(&large)]));
        assert!(shown.contains("compiling large.wat"), "{shown:?}");
        // Done before anybody has looked, or found.
        let found = engines().contains(&engine).then_some(&large);
        for quick in [&small].into_iter().chain(found) {
            assert_eq!(common::on_a_terminal(&mut command(&[text(quick)])), "");
        }
        let seen: Seen = command(&["--no-cache", text(&large)])
            .output()
            .expect("wasmrun starts")
            .into();
        assert_eq!((seen.code, &*seen.stderr), (Some(0), ""));
    }
}

/// A limit on the size of files stands for a disk that is full: both fail in the middle of a write.
#[test]
fn a_disk_that_is_full_costs_nothing_but_time_and_nothing_half_written_stays() {
    let here = Here::new();
    let guest = here.0.file("app.wat", exit(42));
    let run = |args: &str| -> Seen {
        let script = format!(r#"trap "" XFSZ; ulimit -f 4; exec "$0" {args} "$1""#);
        let mut shell = Command::new("sh");
        let shell = shell
            .args(["-c", &script, env!("CARGO_BIN_EXE_wasmrun")])
            .arg(&guest)
            .env("WASMRUN_CACHE_DIR", here.cache());
        shell.output().expect("sh starts").into()
    };
    for _ in 0..2 {
        let seen = run("");
        assert_eq!((seen.code, &*seen.stderr), (Some(42), ""), "{seen:?}");
    }
    assert!(run("--verbose").message().contains("is not kept"));
    let code = here.cache().join("v1/code");
    assert_eq!(code.read_dir().expect("it was made").count(), 0);
    assert!(here.list().is_empty());
    assert_eq!(here.run(&[text(&guest)]).code, Some(42));
    assert_eq!(here.reported(&[text(&guest)]), (Some(42), hit()));
}

/// Kills the command at every stage of what it does, and looks each time whether all still works.
#[test]
fn a_cache_whose_writers_are_killed_at_any_point_still_works() {
    let here = Here::new();
    let functions: String = (0..200)
        .map(|i| format!("(func (param i32) (result i32) (i32.mul (local.get 0) (i32.const {i})))"))
        .collect();
    let guest = |code: i32| {
        let text = exit(code);
        let end = text.trim_end().len() - 1;
        here.0
            .file("app.wat", format!("{} {functions})", &text[..end]))
    };
    let cold = {
        let began = Instant::now();
        here.run(&[text(&guest(1))]);
        began.elapsed()
    };
    const KILLS: u32 = 60;
    for kill in 0..KILLS {
        let code = 2 + kill as i32 / 4;
        let file = guest(code);
        let mut child = here.wasmrun().arg(&file).spawn().expect("wasmrun starts");
        // Spread over all of a cold run and a little more.
        std::thread::sleep(cold * kill / KILLS * 5 / 4);
        child.kill().expect("kills");
        child.wait().expect("it ends");
        if kill % 4 == 3 {
            assert_eq!(here.run(&[text(&file)]).code, Some(code));
            assert_eq!(here.reported(&[text(&file)]), (Some(code), hit()));
        }
    }
    let seen = here.run(&["cache", "verify"]);
    assert_eq!((seen.code, &*seen.stderr), (Some(0), ""), "{seen:?}");
}

#[test]
fn compiling_ahead_makes_the_first_run_a_hit() {
    let here = Here::new();
    let guest = here.0.file("app.wat", exit(42));
    for engine in engines() {
        let args = ["compile", "--engine", engine, text(&guest)];
        let seen = here.run(&args);
        assert_eq!((seen.code, &*seen.stderr), (Some(0), ""));
        assert!(seen.stdout.starts_with("app.wat: compiled in "), "{seen:?}");
        let seen = here.run(&args);
        assert!(
            seen.stdout.starts_with("app.wat: compiled before ("),
            "{seen:?}"
        );
        let run = ["--engine", engine, text(&guest)];
        assert_eq!(here.reported(&run), (Some(42), hit()));

        let seen = here.run(&[&args[..], &["--timeout", "--fuel"]].concat());
        assert_eq!(seen.code, Some(0), "{seen:?}");
        let limits = ["--timeout", "1m", "--fuel", "1000"];
        let run = [&limits[..], &run].concat();
        assert_eq!(here.reported(&run), (Some(42), hit()));
    }
    #[cfg(feature = "wasmi")]
    {
        let seen = here.run(&["compile", "--engine", "wasmi", text(&guest)]);
        assert_eq!(seen.code, Some(126), "{seen:?}");
        assert_eq!(seen.message(), "wasmi: has no code that could be kept");
        let run = ["--engine", "wasmi", text(&guest)];
        assert_eq!(here.reported(&run), (Some(42), miss("no-artifacts")));
    }
    let missing = here.run(&["compile", "missing.wasm"]);
    assert_eq!(missing.code, Some(127));
}

#[test]
fn what_is_kept_can_be_listed_checked_and_removed() {
    let here = Here::new();
    let seen = here.run(&["cache", "dir"]);
    assert_eq!(seen.stdout, format!("{}\n", here.cache().display()));
    assert_eq!(here.run(&["cache", "list"]).stdout, "");

    let engine = engines()[0];
    let run = |name: &str, code| {
        let guest = here.0.file(name, exit(code));
        let args = ["--engine", engine, "--timeout", "1m", text(&guest)];
        assert_eq!(here.run(&args).code, Some(code));
    };
    run("one.wat", 1);
    run("two.wat", 2);
    let table = here.run(&["cache", "list"]).stdout;
    assert_eq!(table.lines().count(), 2);
    for line in table.lines() {
        assert!(
            line.contains(".wat  ") && line.contains("  timeout  "),
            "{line}"
        );
        assert!(
            line.contains(engine) && line.ends_with("  just now"),
            "{line}"
        );
    }

    let seen = here.run(&["cache", "verify"]);
    let told = "2 programs undamaged\n";
    assert_eq!((seen.code, &*seen.stdout), (Some(0), told));
    let entries = here.list();
    let code = entries[0]["path"].as_str().expect("a path");
    let mut content = fs::read(code).expect("reads");
    content[100] ^= 1;
    fs::write(code, content).expect("writes");
    let seen = here.run(&["cache", "verify"]);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert!(seen.message().ends_with("was damaged and is removed"));
    assert_eq!(here.list().len(), 1);

    run("three.wat", 3);
    let seen = here.run(&["cache", "prune", "--max-size", "0"]);
    assert!(seen.stdout.starts_with("removed 2 programs, "), "{seen:?}");
    run("one.wat", 1);
    let seen = here.run(&["cache", "clear"]);
    assert!(seen.stdout.starts_with("removed 1 program, "), "{seen:?}");
    assert!(here.list().is_empty());
}

#[test]
fn the_users_cache_is_where_the_platform_has_caches() {
    let mut command = wasmrun();
    command
        .env_remove("WASMRUN_CACHE_DIR")
        .args(["cache", "dir"]);
    let dir = |command: &mut Command| Seen::from(command.output().expect("starts")).stdout;
    command.env("XDG_CACHE_HOME", "/somewhere");
    assert_eq!(dir(&mut command), "/somewhere/wasmrun/code\n");
    command.env_remove("XDG_CACHE_HOME").env("HOME", "/home/me");
    assert_eq!(dir(&mut command), "/home/me/.cache/wasmrun/code\n");
}
