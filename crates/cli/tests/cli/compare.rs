//! `wasmrun compare`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::common::{
    ARGS_AND_ENV, CAT, Guests, NOTHING, RANDOM, Seen, WRITE, engines, exit, run, wasmrun,
};

/// The engines of this build and, so that there always are two, the first of them again.
fn names() -> String {
    let mut names = engines();
    names.push(names[0]);
    names.join(",")
}

fn compare(args: &[&str], guest: &Path) -> Seen {
    let names = names();
    let all = ["compare", "--engines", &names].into_iter();
    run(all
        .chain(args.iter().copied())
        .map(AsRef::as_ref)
        .chain([guest.as_os_str()]))
}

fn compared(args: &[&str], guest: &Path) -> (Option<i32>, Value) {
    let seen = compare(&[&["--json"], args].concat(), guest);
    let json = serde_json::from_str(&seen.stdout).unwrap_or_else(|e| panic!("{e}: {seen:?}"));
    (seen.code, json)
}

/// `examples/wordcount.wat` and the directory it reads.
fn example() -> (PathBuf, PathBuf) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    (examples.join("wordcount.wat"), examples.join("data"))
}

#[test]
fn engines_that_agree_are_a_success_whatever_the_guests_exit_code() {
    let guests = Guests::new();
    for code in [0, 1, 42, 200, -1] {
        let guest = guests.file("app.wat", exit(code));
        let seen = compare(&[], &guest);
        assert_eq!(seen.code, Some(0), "{seen:?}");
        assert_eq!(seen.stderr, "");
        let ended = format!("\nexited with {code}, nothing on stdout, nothing on stderr\n");
        assert!(seen.stdout.ends_with(&ended), "{seen:?}");
    }
    let (wordcount, data) = example();
    let dir = format!("{}::/data", data.display());
    for mode in ["ro", "rw"] {
        let (code, json) = compared(&["--dir", &format!("{dir}:{mode}")], &wordcount);
        assert_eq!(code, Some(0), "{json:#}");
        assert_eq!(json["agree"], true);
        for engine in json["engines"].as_array().expect("a list") {
            assert!(engine["stdout_bytes"].as_u64() > Some(100), "{engine}");
        }
    }
}

#[test]
fn a_trap_is_the_same_on_all() {
    let guests = Guests::new();
    let guest = guests.file(
        "app.wat",
        r#"(module (func (export "_start") unreachable))"#,
    );
    let (code, json) = compared(&[], &guest);
    assert_eq!(code, Some(0), "{json:#}");
    assert_eq!(
        json["engines"][0]["outcome"]["detail"]["kind"],
        "unreachable"
    );
}

#[test]
fn what_comes_out_differently_is_shown_and_exits_with_1() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", RANDOM);
    let seen = compare(&[], &guest);
    assert_eq!(seen.code, Some(1), "{seen:?}");
    assert_eq!(seen.stderr, "");
    let first = engines()[0];
    let again = format!("\n{first}#2 differs from {first}:\n");
    assert!(seen.stdout.contains(&again), "{seen:?}");
    let header = format!("--- stdout ({first})\n+++ stdout ({first}#2)\n@@ -1 +1 @@\n-");
    assert!(seen.stdout.contains(&header), "{seen:?}");

    let (code, json) = compared(&[], &guest);
    assert_eq!((code, &json["agree"]), (Some(1), &Value::Bool(false)));
    let difference = &json["differences"][0];
    assert_eq!(
        (&difference["part"], &difference["kind"]),
        (&"stdout".into(), &"text".into())
    );

    // The same numbers for all: no difference.
    assert_eq!(compare(&["--seed", "7"], &guest).code, Some(0));
}

/// Writes 65 MiB of zeros and then eight random bytes.
const LONG: &str = r#"
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func $all (param $at i32) (param $length i32)
    (loop $more
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (local.get $length))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
      (br_if $more
        (local.tee $length (i32.sub (local.get $length) (i32.load (i32.const 8)))))))
  (func (export "_start") (local $i i32)
    (loop $next
      (call $all (i32.const 65536) (i32.const 1048576))
      (br_if $next (i32.lt_u
        (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 65))))
    (drop (call $random (i32.const 16) (i32.const 8)))
    (call $all (i32.const 16) (i32.const 8))))"#;

#[test]
fn output_that_is_too_long_to_keep_is_compared_whole() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", LONG);
    let (code, json) = compared(&["--seed", "7"], &guest);
    assert_eq!(code, Some(0), "{json:#}");
    assert_eq!(json["engines"][0]["stdout_bytes"], (65 << 20) + 8);
    let (code, json) = compared(&[], &guest);
    assert_eq!(code, Some(1), "{json:#}");
    let difference = &json["differences"][0];
    assert_eq!(difference["part"], "stdout");
    let told = difference["here"].as_str().expect("a text");
    assert!(
        told.starts_with("68157448 bytes, the last 1048584 with digest "),
        "{told}"
    );
}

#[test]
fn each_engine_writes_to_a_copy_and_the_original_stays() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", crate::common::CREATE);
    let out = guests.dir().join("out");
    std::fs::create_dir(&out).expect("a directory");
    let dir = format!("{}::/out", out.display());
    // It creates the file where there must be none, so each needs a directory of its own.
    let seen = compare(&["--dir", &dir], &guest);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert!(seen.stdout.contains("exited with 0"), "{seen:?}");
    assert_eq!(std::fs::read_dir(&out).expect("it is there").count(), 0);
}

#[test]
fn files_that_differ_are_shown() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", WRITE);
    let out = guests.dir().join("out");
    std::fs::create_dir(&out).expect("a directory");
    std::fs::write(out.join("new.txt"), "old\n").expect("a file");
    let dir = format!("{}::/out", out.display());
    let (code, json) = compared(&["--dir", &dir], &guest);
    assert_eq!(code, Some(1), "{json:#}");
    let differences = json["differences"].as_array().expect("a list");
    for difference in differences {
        assert_eq!(difference["part"], "/out/new.txt", "{difference}");
    }
    assert_eq!(differences.len(), engines().len());
    let kept = std::fs::read(out.join("new.txt")).expect("the original");
    assert_eq!(kept, b"old\n");
    let (code, json) = compared(&["--dir", &dir, "--seed", "1"], &guest);
    assert_eq!(code, Some(0), "{json:#}");
}

#[test]
fn standard_input_is_read_once_and_given_to_each() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", CAT);
    let mut child = wasmrun()
        .args(["compare", "--json", "--engines", &names()])
        .arg(&guest)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("wasmrun starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(b"eleven byte").expect("room in the pipe");
    drop(pipe);
    let seen: Seen = child.wait_with_output().expect("it ends").into();
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let json: Value = serde_json::from_str(&seen.stdout).expect("JSON");
    for engine in json["engines"].as_array().expect("a list") {
        assert_eq!(engine["stdout_bytes"], 11, "{engine}");
    }
}

#[test]
fn the_options_of_a_run_arrive() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", ARGS_AND_ENV);
    let (code, json) = compared(&["--argv0", "me", "--env", "A=12345"], &guest);
    assert_eq!(code, Some(0), "{json:#}");
    assert_eq!(json["engines"][0]["stdout_bytes"], "me\0A=12345\0".len());
    let looping = guests.file("loop.wat", crate::common::LOOP);
    let (code, json) = compared(&["--timeout", "50ms"], &looping);
    assert_eq!(code, Some(0), "{json:#}");
    assert_eq!(json["engines"][0]["outcome"]["kind"], "timed-out");
}

#[cfg(all(feature = "wasmtime", feature = "wasmer"))]
#[test]
fn an_engine_that_refuses_is_listed_and_no_difference() {
    let guests = Guests::new();
    let collected = guests.file("collected.wat", crate::common::COLLECTED);
    let seen = run([
        "compare".as_ref(),
        "--engines=wasmtime,wasmtime,wasmer".as_ref(),
        collected.as_os_str(),
    ]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let refused =
        "\nNot compared:\n  wasmer: lacks WebAssembly proposals that the guest uses: gc\n";
    assert!(seen.stdout.ends_with(refused), "{seen:?}");
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", NOTHING);
    let first = engines()[0];
    for (engines, code, message) in [
        (
            first,
            125,
            format!("name another engine to compare {first} with"),
        ),
        (
            "no-such-engine",
            127,
            "no engine is called no-such-engine".into(),
        ),
        (
            "all,wasmi",
            125,
            "--engines all has every other engine".into(),
        ),
    ] {
        let seen = run([
            "compare".as_ref(),
            "--engines".as_ref(),
            engines.as_ref(),
            guest.as_os_str(),
        ]);
        assert_eq!(seen.code, Some(code), "{seen:?}");
        assert!(seen.message().starts_with(&message), "{seen:?}");
        assert_eq!(seen.stdout, "");
    }
    let missing = compare(&[], &guests.dir().join("missing.wasm"));
    assert_eq!(missing.code, Some(127), "{missing:?}");
    let seen = compare(&["--dir", "no/such/directory"], &guest);
    assert_eq!(seen.code, Some(125), "{seen:?}");
    assert!(seen.message().contains("no/such/directory"), "{seen:?}");
}

#[test]
fn nothing_is_left_behind() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", crate::common::CREATE);
    let (out, tmp) = (guests.dir().join("out"), guests.dir().join("tmp"));
    for dir in [&out, &tmp] {
        std::fs::create_dir(dir).expect("a directory");
    }
    let seen: Seen = wasmrun()
        .env("TMPDIR", &tmp)
        .args(["compare", "--engines", &names()])
        .args(["--dir", &format!("{}::/out", out.display())])
        .arg(guest)
        .output()
        .expect("wasmrun starts")
        .into();
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert_eq!(std::fs::read_dir(&tmp).expect("it is there").count(), 0);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_guest_and_removes_the_copies() {
    use std::time::{Duration, Instant};

    let guests = Guests::new();
    let guest = guests.file("app.wat", crate::common::LOOP);
    let (out, tmp) = (guests.dir().join("out"), guests.dir().join("tmp"));
    for dir in [&out, &tmp] {
        std::fs::create_dir(dir).expect("a directory");
    }
    let copies = || std::fs::read_dir(&tmp).expect("it is there").count();
    let mut lists = vec![names()];
    if cfg!(feature = "subprocess") {
        lists.push("wasmi-cli,wasmi-cli".into());
    }
    for engines in lists {
        let mut child = wasmrun()
            .env("TMPDIR", &tmp)
            .args(["compare", "--engines", &engines])
            .args(["--dir", &format!("{}::/out", out.display())])
            .arg(&guest)
            .stderr(Stdio::null())
            .spawn()
            .expect("wasmrun starts");
        let began = Instant::now();
        while copies() == 0 && child.try_wait().expect("it can be asked").is_none() {
            assert!(began.elapsed() < Duration::from_secs(60), "no copy is made");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(200));
        let ended = child.try_wait().expect("it can be asked");
        assert!(
            ended.is_none(),
            "on {engines} it ended by itself: {ended:?}"
        );
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
        assert_eq!(
            child.wait().expect("it ends").code(),
            Some(143),
            "{engines}"
        );
        assert_eq!(copies(), 0, "{engines}");
    }
}
