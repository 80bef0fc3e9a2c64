//! `wasmrun engines`, `--explain`, and what is chosen.
#![cfg(all(feature = "wasmtime", feature = "wasmer"))]

#[allow(dead_code)]
mod common;

use std::process::Stdio;

use common::{Guests, NOTHING, Seen, run, wasmrun};
use serde_json::Value;

/// `wasmrun` where no runtime is on PATH.
fn alone(args: &[&str]) -> Seen {
    wasmrun()
        .env("PATH", "/nowhere")
        .args(args)
        .output()
        .expect("wasmrun starts")
        .into()
}

/// Replaces the versions of the built-in engines, which change without us.
fn without_versions(text: &str) -> String {
    let engines = alone(&["engines", "--json"]).stdout;
    let engines: Vec<Value> = serde_json::from_str(&engines).expect("JSON");
    let versions = engines
        .iter()
        .filter_map(|engine| engine["version"].as_str());
    versions.fold(text.to_owned(), |text, version| {
        text.replace(version, &format!("{:1$}", "X.Y.Z", version.len()))
    })
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
    assert_eq!(names[..2], ["wasmtime", "wasmer"]);
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
    insta::assert_snapshot!("explain", without_versions(&seen.stderr));
    let seen = alone(&["--explain", "--prefer", "wasmer", guest]);
    let first = seen.stderr.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("wasmer ") && first.ends_with(" taken"),
        "{seen:?}"
    );
}

#[test]
fn a_component_goes_to_an_engine_that_has_components() {
    let guests = Guests::new();
    let guest = guests.file(
        "app.wat",
        r#"(component
            (core module $m (func (export "run") (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#,
    );
    let guest = guest.to_str().expect("UTF-8");
    let seen = alone(&["--prefer", "wasmer", guest]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let seen = alone(&["--engine", "wasmer", guest]);
    assert_eq!(seen.code, Some(126), "{seen:?}");
    assert_eq!(
        seen.message(),
        "wasmer: cannot run components; wasmtime can"
    );
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
    let seen = run(["--version"]);
    assert_eq!(seen.code, Some(0));
    insta::assert_snapshot!("version", without_versions(&seen.stdout));
}
