//! Arguments at the edge of what there is, in both modules that guests import preview1 from.

use std::collections::BTreeMap;

use wasmrun_core::{Access, Guest, Outcome};

use crate::case::{Case, captured};
use crate::guests::text;

crate::suite::rules![
    what_no_enumeration_or_flag_has_is_an_invalid_argument,
    rights_that_there_are_not_are_no_rights,
    a_clock_that_is_not_waited_for_is_told_as_its_event,
    a_buffer_may_end_with_the_memory,
];

const MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

const SUCCESS: u32 = 0;
const INVAL: u32 = 28;
const NOTSUP: u32 = 58;

/// A function, its arguments, of which those of 64 bits end in `L`, and the errno that comes of it.
type Call<'a> = (&'a str, &'a str, u32);

/// The descriptor 4 is the file `f` of the directory 3, whose name is at 1024. What is written goes to 2048.
const OPEN: Call<'static> = ("path_open", "3 0 1024 1 1 66L 0L 0 2048", SUCCESS);

/// How a guest ends for which all came as expected; another one ends with the number of the call.
const AS_EXPECTED: i32 = 77;

fn guest(module: &str, memory: &str, data: &str, calls: &[Call<'_>]) -> Guest {
    let mut imports = BTreeMap::from([("proc_exit", "(param i32)".to_owned())]);
    let mut body = String::new();
    for ((name, arguments, errno), number) in calls.iter().zip(1..) {
        let mut params = String::new();
        let mut constants = String::new();
        for argument in arguments.split(' ') {
            let (ty, value) = match argument.strip_suffix('L') {
                Some(value) => ("i64", value),
                None => ("i32", argument),
            };
            params += &format!(" {ty}");
            constants += &format!("({ty}.const {value})");
        }
        imports.insert(name, format!("(param{params}) (result i32)"));
        body += &format!(
            "(if (i32.ne (call ${name} {constants}) (i32.const {errno}))
                 (then (call $proc_exit (i32.const {number}))))"
        );
    }
    let imports: String = imports
        .iter()
        .map(|(name, ty)| format!("(import {module:?} {name:?} (func ${name} {ty}))"))
        .collect();
    let source = format!(
        r#"(module {imports} (memory (export "memory") {memory}) (data (i32.const 1024) "f") {data}
            (func (export "_start") {body} (call $proc_exit (i32.const {AS_EXPECTED}))))"#
    );
    text("arguments.wasm", &source)
}

fn holds(case: &Case, guest: &Guest, calls: &[Call<'_>]) {
    let module = &guest.imports()[0].module;
    let config = captured().map_dir(case.mkdir(module), "/data", Access::ReadWrite);
    let Some(report) = case.run_or_refused(guest, &config) else {
        return;
    };
    match report.outcome {
        Outcome::Exited(AS_EXPECTED) => {}
        Outcome::Exited(number) => panic!(
            "{module}: {:?}",
            calls.get(usize::try_from(number).unwrap_or_default().wrapping_sub(1))
        ),
        outcome => panic!("{module}: {outcome:?}"),
    }
}

/// A subscription to a clock, as the module lays it out.
fn clock(module: &str, tag: u8, id: u8, flags: u8) -> String {
    let identifier = if module == MODULES[0] { 0 } else { 8 };
    let zeros = |count: usize| "\\00".repeat(count);
    format!(
        "{}\\{tag:02x}{}\\{id:02x}{}\\{flags:02x}{}",
        zeros(8),
        zeros(7 + identifier),
        zeros(23),
        zeros(7),
    )
}

fn what_no_enumeration_or_flag_has_is_an_invalid_argument(case: &Case) {
    for module in MODULES {
        let calls = [
            OPEN,
            ("fd_seek", "4 0L 3 2048", INVAL),
            ("fd_seek", "4 1L 99 2048", INVAL),
            ("fd_seek", "4 0L 256 2048", INVAL),
            ("fd_seek", "4 0L -1 2048", INVAL),
            ("fd_seek", "1 0L 3 2048", INVAL),
            ("fd_advise", "4 0L 5L 6", INVAL),
            ("fd_advise", "0 0L 0L 6", INVAL),
            ("clock_res_get", "4 2048", INVAL),
            ("clock_time_get", "99 0L 2048", INVAL),
            ("clock_time_get", "-1 0L 2048", INVAL),
            // There is no clock for the time of a processor.
            ("clock_res_get", "2 2048", INVAL),
            ("clock_time_get", "2 0L 2048", INVAL),
            ("clock_time_get", "3 0L 2048", INVAL),
            ("fd_fdstat_set_flags", "4 32", INVAL),
            ("fd_fdstat_set_flags", "1 32", INVAL),
            ("fd_fdstat_set_flags", "1 0x10000", INVAL),
            ("fd_filestat_set_times", "4 0L 0L 16", INVAL),
            ("fd_filestat_set_times", "1 0L 0L 16", INVAL),
            ("path_open", "3 2 1024 1 0 2L 0L 0 2048", INVAL),
            ("path_open", "3 -1 1024 1 0 2L 0L 0 2048", INVAL),
            ("path_open", "3 0 1024 1 16 2L 0L 0 2048", INVAL),
            ("path_open", "3 0 1024 1 0xfff0 2L 0L 0 2048", INVAL),
            ("path_open", "3 0 1024 1 0 2L 0L 32 2048", INVAL),
            ("path_filestat_get", "3 255 1024 1 2048", INVAL),
            ("path_filestat_set_times", "3 2 1024 1 0L 0L 0", INVAL),
            ("path_filestat_set_times", "3 0 1024 1 0L 0L 16", INVAL),
            ("path_link", "3 2 1024 1 3 1024 1", INVAL),
            ("proc_raise", "31", INVAL),
            ("proc_raise", "256", INVAL),
            ("sock_recv", "4 3072 0 4 2048 2052", INVAL),
            ("sock_send", "4 3072 0 0x10000 2048", INVAL),
            ("sock_shutdown", "4 4", INVAL),
            ("poll_oneoff", "3072 2048 1 2560", INVAL),
            ("poll_oneoff", "3200 2048 1 2560", INVAL),
            ("poll_oneoff", "3328 2048 1 2560", INVAL),
            ("poll_oneoff", "3072 2048 0 2560", INVAL),
        ];
        let data = [
            (3072, clock(module, 9, 0, 0)),
            (3200, clock(module, 0, 99, 0)),
            (3328, clock(module, 0, 1, 2)),
        ];
        let data: String = data
            .iter()
            .map(|(at, bytes)| format!(r#"(data (i32.const {at}) "{bytes}")"#))
            .collect();
        holds(case, &guest(module, "1", &data, &calls), &calls);
    }
}

fn rights_that_there_are_not_are_no_rights(case: &Case) {
    for module in MODULES {
        let calls = [
            OPEN,
            ("path_open", "3 0 1024 1 0 -1L -1L 0 2048", SUCCESS),
            // None can be taken away, but that is another matter.
            ("fd_fdstat_set_rights", "4 -1L -1L", NOTSUP),
            ("fd_fdstat_set_rights", "1 -1L -1L", NOTSUP),
        ];
        holds(case, &guest(module, "1", "", &calls), &calls);
    }
}

fn a_clock_that_is_not_waited_for_is_told_as_its_event(case: &Case) {
    const CLOCK_OF_THE_PROCESS: u8 = 2;
    for module in MODULES {
        // Alone, and beside one that is waited for.
        for more in ["", &clock(module, 0, 1, 0)] {
            let subscriptions = clock(module, 0, CLOCK_OF_THE_PROCESS, 0) + more;
            let count = if more.is_empty() { 1 } else { 2 };
            let poll = format!("3072 2048 {count} 2560");
            let calls = [("poll_oneoff", poll.as_str(), SUCCESS)];
            // The error number is behind the eight bytes that come back as they were.
            let data = format!(
                r#"(data (i32.const 3072) "{subscriptions}")
                (func $told (if (i32.ne (i32.load16_u (i32.const 2056)) (i32.const {INVAL}))
                    (then unreachable)))"#
            );
            let source = guest(module, "1", &data, &calls);
            holds(case, &source, &calls);
        }
    }
}

fn a_buffer_may_end_with_the_memory(case: &Case) {
    for module in MODULES {
        let calls = [
            OPEN,
            ("random_get", "-16 16", SUCCESS),
            ("random_get", "-0x20000 0x20000", SUCCESS),
            // The names are `/data`, and `f` behind `.` and `..`.
            ("fd_prestat_dir_name", "3 -5 5", SUCCESS),
            ("fd_readdir", "3 -30 30 0L 2048", SUCCESS),
            ("path_symlink", "1024 1 3 1025 1", SUCCESS),
            ("path_readlink", "3 1025 1 -1 1 2048", SUCCESS),
            ("clock_time_get", "0 0L -8", SUCCESS),
            ("args_get", "2048 -15", SUCCESS),
            ("args_get", "-4 2048", SUCCESS),
            ("fd_fdstat_get", "1 -24", SUCCESS),
        ];
        let data = r#"(data (i32.const 1025) "l")"#;
        holds(case, &guest(module, "65536", data, &calls), &calls);
    }
}
