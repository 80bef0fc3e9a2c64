//! Memories of odd sizes: none at all at first, and all that 32 bits address.

use wasmrun_core::{Outcome, TrapKind};

use crate::case::{Case, captured};
use crate::guests::{plain, with_memory};
use crate::suite::outcome::assert_trapped;

crate::suite::rules![
    a_memory_without_a_page_has_none_until_it_grows,
    a_memory_without_a_page_grows_no_further_than_it_may,
    a_memory_without_a_page_is_out_of_bounds,
    a_memory_without_a_page_takes_no_data,
    a_memory_without_a_page_serves_no_host_call,
    a_memory_of_all_32_bits_is_all_there,
];

const EMPTY: &str = r#"(memory (export "memory") 0)"#;

/// Exits with 7 unless one of its checks fails, which makes it exit with the check's number.
fn checks(memory: &str, checks: &[&str]) -> String {
    let checks = checks.iter().enumerate();
    let checks: String = checks
        .map(|(number, check)| {
            let number = 10 + number;
            format!("(if (i32.eqz {check}) (then (call $proc_exit (i32.const {number}))))\n")
        })
        .collect();
    format!(r#"{memory} (func (export "_start") {checks} (call $proc_exit (i32.const 7)))"#)
}

fn assert_checked(case: &Case, memory: &str, each: &[&str]) {
    if let Some(report) = case.run(&with_memory("", &checks(memory, each)), &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(7), "{memory}");
    }
}

fn a_memory_without_a_page_has_none_until_it_grows(case: &Case) {
    let nothing = "(block (result i32) {} (i32.const 1))";
    let does = |what: &str| nothing.replace("{}", what);
    assert_checked(
        case,
        &format!(r#"{EMPTY} (data $passive "abc")"#),
        &[
            "(i32.eqz (memory.size))",
            "(i32.eqz (memory.grow (i32.const 0)))",
            "(i32.eqz (memory.size))",
            &does("(memory.fill (i32.const 0) (i32.const 1) (i32.const 0))"),
            &does("(memory.copy (i32.const 0) (i32.const 0) (i32.const 0))"),
            &does("(memory.init $passive (i32.const 0) (i32.const 1) (i32.const 0))"),
            "(i32.eqz (memory.grow (i32.const 2)))",
            "(i32.eq (memory.size) (i32.const 2))",
            "(i64.eqz (i64.load (i32.const 0)))",
            &does("(memory.init $passive (i32.const 0x1fffd) (i32.const 0) (i32.const 3))"),
            "(i32.eq (i32.load8_u (i32.const 0x1ffff)) (i32.const 0x63))",
            &does("(i32.store (i32.const 0) (i32.const 9))"),
            "(i32.eq (i32.load (i32.const 0)) (i32.const 9))",
            "(i32.eq (memory.grow (i32.const 1)) (i32.const 2))",
            "(i32.eqz (call $fd_write (i32.const 1) (i32.const 64) (i32.const 0) (i32.const 72)))",
        ],
    );
}

fn a_memory_without_a_page_grows_no_further_than_it_may(case: &Case) {
    let refused = "(i32.eq (memory.grow (i32.const 1)) (i32.const -1))";
    let none = r#"(memory (export "memory") 0 0)"#;
    assert_checked(case, none, &[refused, "(i32.eqz (memory.size))"]);
    assert_checked(
        case,
        r#"(memory (export "memory") 0 2)"#,
        &[
            "(i32.eq (memory.grow (i32.const 3)) (i32.const -1))",
            "(i32.eq (memory.grow (i32.const 0x10000)) (i32.const -1))",
            "(i32.eqz (memory.grow (i32.const 1)))",
            "(i32.eq (memory.grow (i32.const 1)) (i32.const 1))",
            refused,
        ],
    );
}

fn a_memory_without_a_page_is_out_of_bounds(case: &Case) {
    for access in [
        "(drop (i32.load8_u (i32.const 0)))",
        "(drop (i64.load offset=16 (i32.const 1024)))",
        "(f32.store (i32.const 0) (f32.const 1))",
        "(drop (v128.load8_lane 0 (i32.const 0) (v128.const i64x2 0 0)))",
        "(memory.fill (i32.const 0) (i32.const 0) (i32.const 1))",
        "(memory.fill (i32.const 1) (i32.const 0) (i32.const 0))",
        "(memory.copy (i32.const 0) (i32.const 1) (i32.const 0))",
        "(memory.init $passive (i32.const 0) (i32.const 0) (i32.const 1))",
    ] {
        let body = format!(r#"(data $passive "abc") (func (export "_start") {access})"#);
        for guest in [
            with_memory(EMPTY, &body),
            plain(&format!("(memory 0) {body}")),
        ] {
            if let Some(report) = case.run(&guest, &captured()) {
                assert_trapped(case, &report.outcome, TrapKind::MemoryOutOfBounds, access);
            }
        }
    }
}

fn a_memory_without_a_page_takes_no_data(case: &Case) {
    for data in [r#"(data (i32.const 0) "a")"#, r#"(data (i32.const 1) "")"#] {
        let body = format!(r#"{data} (func (export "_start"))"#);
        if let Some(report) = case.run(&with_memory(EMPTY, &body), &captured()) {
            assert_trapped(case, &report.outcome, TrapKind::MemoryOutOfBounds, data);
        }
    }
    let nothing = format!(r#"{EMPTY} (data (i32.const 0) "")"#);
    assert_checked(case, &nothing, &["(i32.eqz (memory.size))"]);
}

fn a_memory_without_a_page_serves_no_host_call(case: &Case) {
    for call in [
        "$fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)",
        "$clock_time_get (i32.const 0) (i64.const 1) (i32.const 16)",
    ] {
        let body = format!(r#"(func (export "_start") (drop (call {call})))"#);
        if let Some(report) = case.run(&with_memory(EMPTY, &body), &captured()) {
            assert_trapped(case, &report.outcome, TrapKind::HostFunction, call);
        }
    }
}

fn a_memory_of_all_32_bits_is_all_there(case: &Case) {
    assert_checked(
        case,
        r#"(memory (export "memory") 65536)"#,
        &[
            "(i32.eq (memory.size) (i32.const 65536))",
            "(i32.eq (memory.grow (i32.const 1)) (i32.const -1))",
            "(i64.eqz (i64.load (i32.const -8)))",
            "(block (result i32) (i32.store8 (i32.const -1) (i32.const 3)) (i32.const 1))",
            "(i32.eq (i32.load8_u (i32.const -1)) (i32.const 3))",
        ],
    );
}
