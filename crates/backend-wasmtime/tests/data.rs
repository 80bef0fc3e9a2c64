//! Guests that begin with more data than are copied.

mod common;

use common::{compile, module, outcome};
use wasmrun_core::{Guest, Outcome, RunConfig, TrapKind};

/// Exits with 7 if its data are where they belong, and then spoils them. `fields` come before the data.
fn guest(memory: &str, fields: &str, address: &str) -> Guest {
    let data = "z".repeat(40_000);
    module(&format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            {fields}
            (memory {memory})
            (data ({address}.const 1000) "{data}")
            (func (export "_start")
                (if (i32.ne
                        (i32.load8_u ({address}.const 999))
                        (i32.load8_u ({address}.const 41000)))
                    (then unreachable))
                (if (i32.ne (i32.load8_u ({address}.const 40999)) (i32.const 0x7a))
                    (then unreachable))
                (i32.store8 ({address}.const 40999) (i32.const 1))
                (i32.store8 ({address}.const 999) (i32.const 1))
                (call $exit (i32.const 7))))"#
    ))
}

#[test]
fn data_are_there_at_each_run() {
    for (memory, address) in [("1", "i32"), ("1 1", "i32"), ("i64 1", "i64")] {
        for config in [
            RunConfig::new(),
            RunConfig::new().limit(|limits| limits.fuel = Some(1_000)),
        ] {
            let program = compile(&guest(memory, "", address), &config);
            for _ in 0..3 {
                let report = program.run(&config).expect("runs");
                assert_eq!(report.outcome, Outcome::Exited(7), "{memory}");
            }
        }
    }
}

#[test]
fn many_segments_take_no_fuel_and_come_in_their_order() {
    let segments: String = (0..1_000)
        .map(|number| format!("(data (i32.const {}) \"abcdef\")", number * 3))
        .collect();
    let guest = module(&format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory 1) {segments}
            (func (export "_start") (call $exit (i32.load (i32.const 3)))))"#
    ));
    let code = i32::from_le_bytes(*b"abca");
    for config in [
        RunConfig::new(),
        RunConfig::new().limit(|limits| limits.fuel = Some(20)),
    ] {
        assert_eq!(outcome(&guest, &config), Outcome::Exited(code));
    }
}

#[test]
fn objects_made_before_the_memory_have_none_of_its_data() {
    let objects = r#"(type $bytes (array (mut i8)))
        (global (ref $bytes) (array.new_default $bytes (i32.const 1000)))"#;
    let guest = guest("1", objects, "i32");
    for _ in 0..3 {
        assert_eq!(outcome(&guest, &RunConfig::new()), Outcome::Exited(7));
    }
}

#[test]
fn a_guest_that_may_not_have_its_memory_leaves_its_data_to_nobody() {
    let config = RunConfig::new();
    let large = compile(&guest("1", "", "i32"), &config);
    let little = config.clone().limit(|limits| limits.memory = Some(65_535));
    let empty = module(
        r#"(module (memory 1) (func (export "_start")
            (if (i32.load8_u (i32.const 2000)) (then unreachable))))"#,
    );
    let empty = compile(&empty, &config);
    for _ in 0..2 {
        let report = large.run(&little).expect("runs");
        assert_eq!(report.outcome, Outcome::OutOfMemory);
        let report = empty.run(&config).expect("runs");
        assert_eq!(report.outcome, Outcome::Exited(0));
        let report = large.run(&config).expect("runs");
        assert_eq!(report.outcome, Outcome::Exited(7));
    }
}

#[test]
fn code_is_where_the_guest_has_it() {
    let data = |bytes: usize| {
        let text = format!(
            r#"(module (memory 1) (data (i32.const 0) "{}")
                (func $f unreachable) (func (export "_start") (call $f)))"#,
            "z".repeat(bytes)
        );
        match outcome(&module(&text), &RunConfig::new()) {
            Outcome::Trapped(trap) if trap.kind == TrapKind::Unreachable => trap.message,
            other => panic!("{other}"),
        }
    };
    assert_eq!(data(40_000), data(4));
}
