//! What of the network a guest may reach, by options.

use crate::common::{Guests, run};

/// Looks up a name, and exits with 1 if that is denied.
const LOOKS_UP: &str = r#"(component
    (import "wasi:sockets/network@0.2.0" (instance $network
        (export "network" (type (sub resource)))
        (type $code (enum "unknown" "access-denied" "not-supported"
            "invalid-argument" "out-of-memory" "timeout" "concurrency-conflict"
            "not-in-progress" "would-block" "invalid-state" "new-socket-limit"
            "address-not-bindable" "address-in-use" "remote-unreachable"
            "connection-refused" "connection-reset" "connection-aborted"
            "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
            "permanent-resolver-failure"))
        (export "error-code" (type (eq $code)))))
    (alias export $network "network" (type $capability))
    (alias export $network "error-code" (type $error))
    (import "wasi:sockets/instance-network@0.2.0" (instance $instance
        (alias outer 1 $capability (type $outer))
        (export "network" (type $network (eq $outer)))
        (export "instance-network" (func (result (own $network))))))
    (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $look_up
        (alias outer 1 $capability (type $outer))
        (export "network" (type $network (eq $outer)))
        (alias outer 1 $error (type $outer_error))
        (export "error-code" (type $error (eq $outer_error)))
        (export "resolve-address-stream" (type $stream (sub resource)))
        (export "resolve-addresses" (func (param "network" (borrow $network)) (param "name" string)
            (result (result (own $stream) (error $error)))))))
    (core module $libc
        (memory (export "memory") 1)
        (data (i32.const 100) "db.internal.example"))
    (core instance $libc (instantiate $libc))
    (core func $network (canon lower (func $instance "instance-network")))
    (core func $resolve (canon lower (func $look_up "resolve-addresses") (memory $libc "memory")))
    (core module $main
        (import "host" "network" (func $network (result i32)))
        (import "host" "resolve" (func $resolve (param i32 i32 i32 i32)))
        (import "libc" "memory" (memory 1))
        (func (export "run") (result i32)
            (call $resolve (call $network) (i32.const 100) (i32.const 19) (i32.const 16))
            (i32.load8_u (i32.const 20))))
    (core instance $host (export "network" (func $network)) (export "resolve" (func $resolve)))
    (core instance $main (instantiate $main
        (with "host" (instance $host)) (with "libc" (instance $libc))))
    (func $run (result (result)) (canon lift (core func $main "run")))
    (instance $command (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $command)))"#;

#[test]
fn what_was_denied_is_in_the_report() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", LOOKS_UP);
    let (guest, file) = (
        guest.to_str().expect("UTF-8"),
        guests.dir().join("report.json"),
    );
    let report = file.to_str().expect("UTF-8");
    let options = [
        "--net",
        "tcp:*.example.com:443",
        "--net",
        "deny:10.0.0.0/8",
        "--report",
        report,
    ];
    let seen = run([&options[..], &[guest]].concat());
    assert_eq!(seen.code, Some(1), "{seen:?}");
    let report = std::fs::read(file).expect("a report");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
    let attempt = serde_json::json!({"what": "look-up", "name": "db.internal.example", "times": 1});
    let denied = serde_json::json!({"attempts": [attempt], "further": 0});
    assert_eq!(report["denied"], denied);
    let nothing = serde_json::json!({"connections": 0, "bytes_in": 0, "bytes_out": 0});
    assert_eq!(report["network"], nothing);
}

#[test]
fn a_rule_that_is_none_is_refused_with_what_is_wrong_and_an_example() {
    for (options, said) in [
        (
            ["--net", "10.0.0.1/8"],
            &[
                "\"10.0.0.1/8\"",
                "the block is 10.0.0.0/8",
                "tcp:api.example.com:443",
            ],
        ),
        (
            ["--net", "example.com:99999"],
            &["example.com:99999", "1 to 65535", "tcp:api.example.com:443"],
        ),
        (
            ["--listen", "8080"],
            &["\"8080\"", "nowhere to listen", "127.0.0.1:8080"],
        ),
    ] {
        let seen = run([&options[..], &["app.wasm"]].concat());
        assert_eq!(seen.code, Some(125), "{seen:?}");
        for said in said {
            assert!(seen.stderr.contains(said), "{said}: {seen:?}");
        }
    }
}

#[test]
fn all_of_the_network_and_rules_contradict_each_other() {
    for rule in [["--net", "example.com"], ["--listen", "127.0.0.1:0"]] {
        let seen = run(["--network", rule[0], rule[1], "app.wasm"]);
        assert_eq!(seen.code, Some(125), "{seen:?}");
        assert!(
            seen.message()
                .contains("--network lets the guest reach all"),
            "{seen:?}"
        );
    }
}
