//! Any text, in a report.
#![no_main]
// A report tells of more than this.
#![allow(dead_code)]

#[path = "../../crates/cli/src/report/held.rs"]
mod held;
#[path = "../../crates/cli/src/report.rs"]
mod report;

libfuzzer_sys::fuzz_target!(|input: (&[u8], &str, u64)| {
    let (path, text, number) = input;
    held::report(path, text, number);
});
