//! Guests that can be read once: from standard input, or a pipe.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::common::{ARGS_AND_ENV, CAT, Guests, NOTHING, Seen, engines, wasmrun};

/// Runs the command with this guest, and more, on its standard input.
fn fed(command: &mut Command, input: impl AsRef<[u8]>) -> Seen {
    use std::io::Write;

    let mut child = piped(command);
    let mut pipe = child.stdin.take().expect("a pipe");
    // One that wants no more has said why.
    let _ = pipe.write_all(input.as_ref());
    drop(pipe);
    child.wait_with_output().expect("it ends").into()
}

fn piped(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("wasmrun starts")
}

const NAMES: [&str; 4] = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

#[test]
fn a_guest_comes_from_standard_input_by_each_of_its_names() {
    for engine in engines() {
        for name in NAMES {
            let seen = fed(
                wasmrun().args(["--engine", engine, name, "-", "--help"]),
                ARGS_AND_ENV,
            );
            assert_eq!(seen.code, Some(0), "{engine} {name}: {seen:?}");
            assert_eq!(seen.stdout, "stdin\0-\0--help\0", "{engine} {name}");
        }
    }
}

#[test]
fn a_guest_from_standard_input_finds_its_own_empty() {
    let guests = Guests::new();
    let file = guests.file("app.wat", CAT);
    let input = guests.file("input", "from a file");
    for engine in engines() {
        for name in NAMES {
            // As the file that it is, not only as a pipe.
            let mut command = wasmrun();
            command.stdin(File::open(&file).expect("it is there"));
            let seen: Seen = command
                .args(["--engine", engine, name])
                .output()
                .expect("wasmrun starts")
                .into();
            assert_eq!((seen.code, &*seen.stdout), (Some(0), ""), "{seen:?}");
        }
        let mut command = wasmrun();
        command.args(["--engine", engine, "--stdin"]).arg(&input);
        let seen = fed(command.arg("-"), CAT);
        assert_eq!(seen.stdout, "from a file", "{seen:?}");
    }
}

#[test]
fn a_guest_from_standard_input_is_bounded_and_named() {
    let seen = fed(wasmrun().args(["--max-guest-size", "64", "-"]), [b' '; 100]);
    assert_eq!(seen.code, Some(126), "{seen:?}");
    let message = "stdin has more than 64 bytes and the cap for a guest is 64";
    assert!(seen.message().starts_with(message), "{seen:?}");
    let seen = fed(wasmrun().arg("-"), "");
    assert_eq!(seen.code, Some(126), "{seen:?}");
    assert_eq!(seen.message(), "stdin is empty, not a WebAssembly program");
}

#[test]
fn every_command_takes_a_guest_from_standard_input() {
    let first = engines()[0];
    let twice = format!("--engines={first},{first}");
    for args in [
        &["inspect", "-"][..],
        &["compare", &twice, "-"],
        &["bench", &twice, "--runs=2", "-"],
    ] {
        let seen = fed(wasmrun().args(args), NOTHING);
        assert_eq!(seen.code, Some(0), "{args:?}: {seen:?}");
    }
    if first != "wasmi" {
        let seen = fed(wasmrun().args(["compile", "--engine", first, "-"]), NOTHING);
        assert_eq!(seen.code, Some(0), "{seen:?}");
    }
}

#[test]
fn a_guest_comes_through_a_named_pipe() {
    let guests = Guests::new();
    let fifo = guests.dir().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("mkfifo starts").success());
    for engine in engines() {
        let child = piped(wasmrun().args(["--engine", engine]).arg(&fifo).arg("x"));
        std::fs::write(&fifo, ARGS_AND_ENV).expect("it is read");
        let seen: Seen = child.wait_with_output().expect("it ends").into();
        assert_eq!(seen.stdout, "fifo\0x\0", "{seen:?}");
    }
}

#[test]
fn a_device_is_still_no_guest() {
    assert!(Path::new("/dev/zero").exists());
    let seen: Seen = wasmrun()
        .arg("/dev/zero")
        .output()
        .expect("wasmrun starts")
        .into();
    assert_eq!(seen.code, Some(126), "{seen:?}");
}
