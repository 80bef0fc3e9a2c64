//! `wasmrun inspect`.

use serde_json::Value;

use crate::common::{ARGS_AND_ENV, Guests, run};

#[test]
fn a_guest_is_described_with_what_it_needs() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", ARGS_AND_ENV);
    let seen = run(["inspect".as_ref(), guest.as_os_str()]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let (guest, engines) = seen.stdout.split_once("\nEngines:\n").expect("two parts");
    insta::assert_snapshot!("inspect", guest);
    for engine in ["wasmtime", "wasmer", "wasmi", "wasmi-cli"] {
        assert!(engines.contains(&format!("  {engine} ")), "{engines}");
    }
}

#[test]
fn a_guest_that_nothing_can_run_is_described_too() {
    let guests = Guests::new();
    let guest = guests.file(
        "lib.wat",
        r#"(module (import "env" "x" (func)) (memory 1 2))"#,
    );
    let seen = run(["inspect".as_ref(), guest.as_os_str(), "--json".as_ref()]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    let found: Value = serde_json::from_str(&seen.stdout).expect("JSON");
    assert_eq!(found["kind"], "module");
    assert_eq!(found["command"], false);
    assert_eq!(found["unknown_imports"][0]["module"], "env");
    assert_eq!(found["memories"][0]["maximum_bytes"], 131_072);
    for engine in found["engines"].as_array().expect("a list") {
        assert_ne!(engine["verdict"], "taken");
        assert_ne!(engine["verdict"], "able");
    }
}
