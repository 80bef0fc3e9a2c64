//! `wasmrun engines`, `--explain`, and what is chosen.

use std::process::Stdio;

use serde_json::Value;

use crate::common::{COLLECTED, COMPONENT, Guests, NOTHING, Seen, engines, run, wasmrun};

/// `wasmrun` where no runtime is on PATH, and no library that is not linked.
fn alone(args: &[&str]) -> Seen {
    wasmrun()
        .env("PATH", "/nowhere")
        .env("WASMEDGE_LIB_DIR", "/nowhere")
        .args(args)
        .output()
        .expect("wasmrun starts")
        .into()
}

/// Replaces versions, which change without us, and with them the widths of columns.
fn without_versions(text: &str) -> String {
    let engines = alone(&["engines", "--json"]).stdout;
    let engines: Vec<Value> = serde_json::from_str(&engines).expect("JSON");
    let versions = engines
        .iter()
        .filter_map(|engine| engine["version"].as_str())
        .chain([env!("CARGO_PKG_VERSION")]);
    let mut text = versions.fold(text.to_owned(), |text, version| {
        text.replace(version, "X.Y.Z")
    });
    while text.contains("   ") {
        text = text.replace("   ", "  ");
    }
    text
}

#[test]
fn every_engine_is_listed_with_what_it_can_do_or_why_it_is_not_here() {
    let seen = alone(&["engines", "--json"]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let engines: Vec<Value> = serde_json::from_str(&seen.stdout).expect("JSON");
    let names: Vec<_> = engines
        .iter()
        .filter_map(|engine| engine["name"].as_str())
        .collect();
    assert_eq!(names[..4], ["wasmtime", "wasmer", "wasmi", "wasmedge"]);
    assert_eq!(names.len(), engines.len());
    for engine in &engines {
        if engine["absent"].is_string() {
            continue;
        }
        assert_eq!(engine["place"], "in-process");
        assert!(engine["version"].is_string(), "{engine}");
        assert_eq!(engine["capability"]["modules"], "native");
        assert!(engine["capability"]["proposals"].is_array());
    }
    let text = alone(&["engines"]);
    for name in names {
        assert!(text.stdout.contains(name), "{text:?}");
    }
}

#[test]
fn auto_takes_the_first_engine_that_can_and_explains_it() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", NOTHING);
    let guest = guest.to_str().expect("UTF-8");
    let seen = alone(&["--explain", guest]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    assert_eq!(seen.stdout, "");
    // How to get a runtime is for its adapter to say.
    let table: Vec<_> = without_versions(&seen.stderr)
        .lines()
        // Why it is absent depends on whether it is built in.
        .filter(|line| !line.starts_with("wasmedge "))
        .map(|line| {
            line.split_once(';')
                .map_or(line, |(start, _)| start)
                .to_owned()
        })
        .collect();
    insta::assert_snapshot!("explain", table.join("\n"));
    let seen = alone(&["--explain", "--prefer", "wasmer", guest]);
    let first = seen.stderr.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("wasmer ") && first.ends_with(" taken"),
        "{seen:?}"
    );
}

/// A runtime that is on PATH but not needed is not even asked for its version.
#[cfg(all(unix, feature = "subprocess"))]
#[test]
fn auto_starts_no_runtime_where_an_engine_in_process_can() {
    use std::os::unix::fs::PermissionsExt;

    let guests = Guests::new();
    let guest = guests.file("app.wat", NOTHING);
    let started = guests.dir().join("started");
    let runtime = guests.file("wasmi", format!("#!/bin/sh\n: > '{}'\n", started.display()));
    std::fs::set_permissions(runtime, PermissionsExt::from_mode(0o755)).expect("executable");
    let seen = |args: &[&str]| -> Seen {
        let path = guests.dir();
        let mut command = wasmrun();
        let command = command.env("PATH", path).args(args).arg(&guest);
        command.output().expect("wasmrun starts").into()
    };
    assert_eq!(seen(&[]).code, Some(0));
    assert_eq!(seen(&["--engine", "wasmer"]).code, Some(0));
    assert!(!started.exists());
    seen(&["--explain"]);
    assert!(started.exists(), "the trap does not spring");
}

#[test]
fn a_guest_goes_to_an_engine_that_has_its_proposals() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", COLLECTED);
    let guest = guest.to_str().expect("UTF-8");
    let seen = alone(&["--prefer", "wasmer", guest]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let seen = alone(&["--engine", "wasmer", guest]);
    assert_eq!(seen.code, Some(126), "{seen:?}");
    assert_eq!(
        seen.message(),
        "wasmer: lacks WebAssembly proposals that the guest uses: gc; wasmtime can"
    );
}

#[test]
fn a_component_runs_on_any_engine() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", COMPONENT);
    for engine in engines() {
        let seen = run(["--engine".as_ref(), engine.as_ref(), guest.as_os_str()]);
        assert_eq!(seen.code, Some(0), "{engine}: {seen:?}");
    }
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure_to_report() {
    for args in [&["engines"][..], &["--help"], &["--version"]] {
        let mut child = wasmrun()
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("wasmrun starts");
        drop(child.stdout.take());
        let seen: Seen = child.wait_with_output().expect("it ends").into();
        assert_eq!(seen.stderr, "", "{args:?}");
    }
}

#[test]
fn the_version_names_the_engines_built_in() {
    let seen = alone(&["--version"]);
    assert_eq!(seen.code, Some(0));
    // Nobody has looked whether it is here.
    let text = seen.stdout.replace(" wasmedge by its library,", "");
    assert_eq!(text != seen.stdout, cfg!(feature = "wasmedge"));
    insta::assert_snapshot!("version", without_versions(&text));
}

/// Only wasmer has both of what it uses.
const ODD: &str = r#"(module (memory 1 1 shared)
    (func (export "_start")
        (drop (i32.atomic.load (i32.const 0)))
        (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)) drop drop))"#;

#[cfg(all(feature = "wasmtime", feature = "wasmer"))]
#[test]
fn the_nearest_engine_is_named_with_the_options_in_its_way() {
    let guests = Guests::new();
    let odd = guests.file("odd.wat", ODD);
    let seen = alone(&["--max-stack=1Mi", odd.to_str().expect("UTF-8")]);
    assert_eq!(seen.code, Some(126), "{seen:?}");
    assert!(seen.stderr.contains("nearest is wasmer"), "{seen:?}");
    assert!(
        seen.stderr.contains("it could without --max-stack"),
        "{seen:?}"
    );
}
