//! What cannot be written is a failure, whatever was asked for.

use std::fs::{File, OpenOptions};
use std::process::Stdio;

use crate::common::{Guests, NOTHING, Seen, engines, exit, wasmrun};

/// Takes nothing.
fn full() -> File {
    let file = OpenOptions::new().write(true).open("/dev/full");
    file.expect("the system has one")
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure_of_every_command() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", NOTHING);
    let guest = guest.to_str().expect("UTF-8");
    let first = engines()[0];
    let twice = format!("--engines={first},{first}");
    for args in [
        &["--help"][..],
        &["-h"],
        &["--version"],
        &["run", "--help"],
        &["compare", "--help"],
        &["bench", "--help"],
        &["cache", "--help"],
        &["cache", "prune", "--help"],
        &["engines"],
        &["engines", "--json"],
        &["inspect", guest],
        &["inspect", "--json", guest],
        &["compare", &twice, guest],
        &["compare", &twice, "--json", guest],
        &["bench", &twice, "--runs=2", "--ignore-differences", guest],
        &[
            "bench",
            &twice,
            "--runs=2",
            "--ignore-differences",
            "--csv",
            guest,
        ],
        &["compile", "--engine", first, guest],
        &["cache", "dir"],
        &["cache", "list", "--json"],
        &["cache", "verify"],
        &["cache", "prune"],
        &["completions", "bash"],
    ] {
        let seen: Seen = wasmrun()
            .args(args)
            .stdout(full())
            .stderr(Stdio::piped())
            .output()
            .expect("wasmrun starts")
            .into();
        // wasmi has no code to keep, and says so instead.
        let code = match (args[0], first) {
            ("compile", "wasmi") => 126,
            _ => 125,
        };
        assert_eq!(seen.code, Some(code), "{args:?}: {seen:?}");
        assert_ne!(seen.stderr, "", "{args:?}");
    }
}

#[test]
fn an_explanation_that_cannot_be_written_keeps_the_guest_from_running() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", exit(3));
    let ended = |args: &[&str]| {
        let mut command = wasmrun();
        command.args(args).arg(&guest).stderr(full());
        command.status().expect("wasmrun starts").code()
    };
    assert_eq!(ended(&[]), Some(3));
    assert_eq!(ended(&["--explain"]), Some(125));
}
