//! `--report FILE`.

use std::path::Path;

use serde_json::{Value, json};

use crate::common::{Guests, LOOP, engines, exit, run};

fn reported(guests: &Guests, args: &[&str], guest: &Path) -> (Option<i32>, Value) {
    let file = guests.dir().join("report.json");
    let seen = run(["--report".as_ref(), file.as_os_str()]
        .into_iter()
        .chain(args.iter().map(AsRef::as_ref))
        .chain([guest.as_os_str()]));
    let report = std::fs::read(file).expect("a report");
    let report = serde_json::from_slice(&report).unwrap_or_else(|e| panic!("{e}: {seen:?}"));
    (seen.code, report)
}

#[test]
fn a_run_is_reported_whole() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", exit(42));
    for engine in engines() {
        let args = ["--engine", engine, "--max-memory", "1Mi", "--timeout", "1m"];
        let (code, report) = reported(&guests, &args, &guest);
        assert_eq!(code, Some(42));
        assert_eq!(report["outcome"], json!({"kind": "exited", "detail": 42}));
        assert_eq!(report["exit_code"], 42);
        assert_eq!(report["error"], Value::Null);
        assert_eq!(report["engine"]["name"], engine);
        assert_eq!(report["engine"]["place"], "in-process");
        assert_eq!(report["guest"]["kind"], "module");
        assert_eq!(report["guest"]["wasi"], "preview1");
        assert_eq!(report["limits"]["memory"], 1 << 20);
        assert_eq!(report["limits"]["timeout"], "1m");
        assert_eq!(report["engines"][0]["engine"], engine);
        assert_eq!(report["engines"][0]["verdict"], "taken");
        for time in ["inspect_ms", "select_ms", "compile_ms", "total_ms"] {
            assert!(report["times"][time].is_f64(), "{time}: {report}");
        }
    }
}

#[test]
fn a_limit_that_ended_the_guest_is_reported() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", LOOP);
    let (code, report) = reported(&guests, &["--timeout", "50ms"], &guest);
    assert_eq!(code, Some(124));
    assert_eq!(report["outcome"], json!({"kind": "timed-out"}));
    assert_eq!(report["exit_code"], 124);
}

#[test]
fn a_guest_that_could_not_start_is_reported_with_the_error() {
    let guests = Guests::new();
    let (code, report) = reported(&guests, &[], &guests.dir().join("missing.wasm"));
    assert_eq!(code, Some(127));
    assert_eq!(report["outcome"], Value::Null);
    assert_eq!(report["error"]["kind"], "guest-not-found");
    assert_eq!(report["exit_code"], 127);

    let library = guests.file("lib.wat", r#"(module (func (export "f")))"#);
    let (code, report) = reported(&guests, &[], &library);
    assert_eq!(code, Some(126));
    assert_eq!(report["error"]["kind"], "unsupported");
    // Where only one is built in, the others are told as absent.
    let engines = report["engines"].as_array().expect("a list");
    let passed_over = |engine: &&Value| engine["verdict"] == "passed-over";
    let engine = engines.iter().find(passed_over).expect("one that is here");
    assert_eq!(engine["reasons"][0]["what"], "entry");
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_the_guest_starts() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", exit(42));
    let seen = run([
        "--report".as_ref(),
        "no/such/report.json".as_ref(),
        guest.as_os_str(),
    ]);
    assert_eq!(seen.code, Some(125));
    assert!(
        seen.message()
            .starts_with("cannot write the report to no/such/report.json")
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_that_is_lost_on_a_full_disk_does_not_lose_the_guests_result() {
    let guests = Guests::new();
    let guest = guests.file("app.wat", exit(42));
    let seen = run(["--report".as_ref(), "/dev/full".as_ref(), guest.as_os_str()]);
    assert_eq!(seen.code, Some(125));
    assert!(seen.message().ends_with("would have been 42"), "{seen:?}");
}
