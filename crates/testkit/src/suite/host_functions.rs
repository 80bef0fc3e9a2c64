//! Functions of the host: the same definition on every engine.

use std::fmt;
use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use wasmrun_core::guest::{FuncSignature, ValueType};
use wasmrun_core::{
    Async, Attachments, Control, Dynamic, Error, ErrorKind, Guest, GuestSlice, GuestStr, HostCall,
    HostFunctions, Interrupt, MemoryError, NoState, Outcome, Program, Proposals, Report, Request,
    RunConfig, TrapKind, Value, check,
};

use crate::case::{Case, captured, stdout};
use crate::guests::{plain, wasi};
use crate::there_and_back::there_and_back;

crate::suite::rules![
    values_of_every_type_go_both_ways,
    twelve_vectors_are_taken,
    any_values_come_through_as_they_are,
    a_type_may_be_made_at_run_time,
    results_that_are_not_of_the_type_end_the_guest,
    memory_is_read_and_written,
    memory_that_was_grown_is_seen,
    a_64_bit_memory_is_read_and_written,
    what_is_beyond_memory_is_an_error,
    a_guest_without_memory_has_none,
    a_text_that_is_not_utf8_is_an_error,
    state_is_the_runs,
    state_of_another_type_is_an_error,
    events_reach_the_runs_listener,
    an_error_is_a_trap_and_kept,
    an_exit_is_an_exit,
    a_panic_is_an_error_and_does_no_harm,
    functions_are_called_from_everywhere,
    a_function_is_imported_twice,
    calls_of_wasi_go_on_beside,
    fuel_is_counted_around_calls,
    what_is_awaited_is_waited_for,
    what_is_awaited_is_dropped_when_the_guest_is_to_end,
    a_function_may_see_that_the_guest_is_to_end,
    the_time_that_is_left_is_told,
    a_function_of_wasi_is_replaced_where_that_is_meant,
    a_name_that_neither_has_is_refused_with_the_nearest,
    another_type_is_refused_with_both,
    a_name_that_is_defined_twice_is_refused,
    many_threads_share_functions,
];

/// How a guest ends for which all came as expected; another one ends with the number of the check.
const AS_EXPECTED: i32 = 77;

fn compile(
    case: &Case,
    host: &HostFunctions,
    guest: &Guest,
    config: &RunConfig,
) -> Option<Program> {
    let request = Request::new(config, host);
    let refusals = check::refusals_of(&**case.engine(), guest, request);
    let compiled = Program::compile(case.engine().clone(), guest, request);
    match compiled {
        Ok(program) => Some(program),
        // An engine without functions of the host has none of these guests' types of values either.
        Err(error) if !case.can("host_functions") || lacks_proposals(case, guest) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
            assert!(!refusals.is_empty(), "{error:?}");
            None
        }
        Err(error) => panic!("not compiled: {error:?}"),
    }
}

fn lacks_proposals(case: &Case, guest: &Guest) -> bool {
    !case.capability().proposals.contains(guest.proposals())
}

fn run_with(
    case: &Case,
    host: &HostFunctions,
    guest: &Guest,
    config: &RunConfig,
    attachments: Attachments,
) -> Option<Report> {
    let program = compile(case, host, guest, config)?;
    Some(case.ran(program.run_with(config, attachments)))
}

fn run(case: &Case, host: &HostFunctions, guest: &Guest) -> Option<Report> {
    run_with(case, host, guest, &captured(), Attachments::new())
}

fn ends_as_expected(case: &Case, host: &HostFunctions, guest: &Guest) {
    if let Some(report) = run(case, host, guest) {
        assert_eq!(report.outcome, Outcome::Exited(AS_EXPECTED));
    }
}

/// What the host has for guests that check something: `(call $is condition number)` ends one unless the condition
/// holds, and `$done` says that all did.
fn checks() -> HostFunctions {
    HostFunctions::new()
        .function(
            "check",
            "is",
            |call: &mut HostCall<'_>, holds: i32, number: i32| {
                if holds == 0 {
                    call.exit(number);
                }
            },
        )
        .function("check", "done", |call: &mut HostCall<'_>| {
            call.exit(AS_EXPECTED)
        })
}

const CHECKS: &str = r#"
    (import "check" "is" (func $is (param i32 i32)))
    (import "check" "done" (func $done))"#;

/// A guest that imports `imports` and the checks, and does `body` and then all is as expected.
fn checking(imports: &str, fields: &str, body: &str) -> Guest {
    plain(&format!(
        r#"{CHECKS} {imports} {fields} (func (export "_start") {body} (call $done) unreachable)"#
    ))
}

// ---- values ----------------------------------------------------------------------------------------

fn values_of_every_type_go_both_ways(case: &Case) {
    let host = checks()
        .function(
            "env",
            "numbers",
            |a: i32, b: u32, c: i64, d: u64, e: f32, f: f64| {
                (f * 2.0, e * 2.0, d - 1, c - 1, b - 1, a - 1)
            },
        )
        .function("env", "vector", |mut bytes: [u8; 16]| {
            bytes.reverse();
            bytes
        })
        .function("env", "vectors", |a: [u8; 16], b: i32, c: [u8; 16]| {
            (c, b, a)
        })
        .function("env", "nan", |value: f32, other: f64| (value, other))
        .function("env", "nothing", || ());
    let imports = r#"
        (import "env" "numbers" (func $numbers (param i32 i32 i64 i64 f32 f64)
            (result f64 f32 i64 i64 i32 i32)))
        (import "env" "vector" (func $vector (param v128) (result v128)))
        (import "env" "vectors" (func $vectors (param v128 i32 v128) (result v128 i32 v128)))
        (import "env" "nan" (func $nan (param f32 f64) (result f32 f64)))
        (import "env" "nothing" (func $nothing))"#;
    let body = r#"
        (local $f f64) (local $e f32) (local $v v128) (local $w v128)
        (call $numbers (i32.const -1) (i32.const -1) (i64.const -1) (i64.const -1)
            (f32.const -0.5) (f64.const 1e300))
        (call $is (i32.eq (i32.const -2)) (i32.const 1))
        (call $is (i32.eq (i32.const -2)) (i32.const 2))
        (call $is (i64.eq (i64.const -2)) (i32.const 3))
        (call $is (i64.eq (i64.const -2)) (i32.const 4))
        (call $is (f32.eq (f32.const -1)) (i32.const 5))
        (call $is (f64.eq (f64.const 2e300)) (i32.const 6))
        (call $nothing)
        (call $vector (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15))
        (v128.const i8x16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0)
        (call $is (i8x16.all_true (i8x16.eq)) (i32.const 7))
        (call $vectors (v128.const i64x2 1 2) (i32.const 9) (v128.const i64x2 -3 4))
        (local.set $v) (call $is (i32.eq (i32.const 9)) (i32.const 8)) (local.set $w)
        (call $is (i64x2.all_true (i64x2.eq (local.get $v) (v128.const i64x2 1 2))) (i32.const 9))
        (call $is (i64x2.all_true (i64x2.eq (local.get $w) (v128.const i64x2 -3 4))) (i32.const 10))
        (call $nan (f32.const -nan:0x600001) (f64.const nan:0x8000000000123))
        (call $is (i64.eq (i64.reinterpret_f64) (i64.const 0x7ff8000000000123)) (i32.const 11))
        (call $is (i32.eq (i32.reinterpret_f32) (i32.const 0xffe00001)) (i32.const 12))"#;
    ends_as_expected(case, &host, &checking(imports, "", body));
}

fn twelve_vectors_are_taken(case: &Case) {
    type V = [u8; 16];
    let host = checks().function(
        "env",
        "last",
        |_: V, _: V, _: V, _: V, _: V, _: V, _: V, _: V, _: V, _: V, k: V, l: V| (k, l),
    );
    let params = "v128 ".repeat(12);
    let imports =
        format!(r#"(import "env" "last" (func $last (param {params}) (result v128 v128)))"#);
    let arguments: String = (0..12)
        .map(|lane| format!("(v128.const i64x2 {lane} -1)"))
        .collect();
    let body = format!(
        "(call $last {arguments}) (i64x2.extract_lane 0) (i64.const 11) (i64.eq) (i32.const 1)
         (call $is) (v128.const i64x2 10 -1) (call $is (i8x16.all_true (i8x16.eq)) (i32.const 2))"
    );
    ends_as_expected(case, &host, &checking(&imports, "", &body));
}

/// Functions of random types, each called by an export of the same type, there and back.
fn any_values_come_through_as_they_are(case: &Case) {
    // Beyond, runtimes on `PATH` take no more.
    const MOST: usize = 24;
    let mut random = fastrand::Rng::with_seed(20_261_129);
    let mut list = || {
        let (mut values, mut room) = (Vec::new(), random.usize(..=MOST));
        loop {
            let bits = random.u64(..);
            let value = match random.u8(..5) {
                0 => Value::I32(bits as i32),
                1 => Value::I64(bits.cast_signed()),
                2 => Value::F32(bits as u32 as f32),
                3 => Value::F64(bits as f64),
                _ => Value::V128(random.u128(..).to_le_bytes()),
            };
            match room.checked_sub(value.ty().slots()) {
                Some(left) => room = left,
                None => return values,
            }
            values.push(value);
        }
    };
    for _ in 0..20 {
        let (params, results) = (list(), list());
        match there_and_back(case.engine().clone(), &params, &results) {
            Ok(()) => {}
            Err(error) if case.can("host_functions") && case.can("live") => {
                panic!("{error:?} with {params:?} and {results:?}")
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}"),
        }
    }
}

fn a_type_may_be_made_at_run_time(case: &Case) {
    let signature = FuncSignature {
        params: vec![ValueType::I32, ValueType::V128, ValueType::F64],
        results: vec![ValueType::F32, ValueType::V128],
    };
    let function = Dynamic::new(signature, |_, params| match params {
        [Value::I32(a), Value::V128(b), Value::F64(c)] => {
            Ok(vec![Value::F32(*a as f32 + *c as f32), Value::V128(*b)])
        }
        other => Err(format!("{other:?}").into()),
    });
    let host = checks().function("env", "dynamic", function);
    let imports =
        r#"(import "env" "dynamic" (func $dynamic (param i32 v128 f64) (result f32 v128)))"#;
    let body = "
        (call $dynamic (i32.const 1) (v128.const i64x2 5 6) (f64.const 0.5))
        (i64x2.extract_lane 1) (call $is (i64.eq (i64.const 6)) (i32.const 1))
        (call $is (f32.eq (f32.const 1.5)) (i32.const 2))";
    ends_as_expected(case, &host, &checking(imports, "", body));
}

fn results_that_are_not_of_the_type_end_the_guest(case: &Case) {
    for results in [vec![], vec![Value::I64(1)], vec![Value::I32(1); 2]] {
        let signature = FuncSignature {
            params: vec![],
            results: vec![ValueType::I32],
        };
        let function = Dynamic::new(signature, move |_, _| Ok(results.clone()));
        let host = HostFunctions::new().function("env", "wrong", function);
        let guest = plain(
            r#"(import "env" "wrong" (func $wrong (result i32)))
               (func (export "_start") (drop (call $wrong)))"#,
        );
        if let Some(report) = run(case, &host, &guest) {
            failed(&report, "env.wrong failed: it is of type () -> (i32)");
        }
    }
}

// ---- memory ----------------------------------------------------------------------------------------

/// Texts and copies of them, wherever they are.
fn memory_is_read_and_written(case: &Case) {
    let host = checks()
        .function(
            "env",
            "upper",
            |call: &mut HostCall<'_>, text: GuestStr, to: u32| {
                let upper = text.read(call)?.to_uppercase();
                call.write(to, upper.as_bytes())?;
                // What was written is read.
                assert_eq!(call.read_str(to, text.length)?, upper);
                Ok::<_, MemoryError>(upper.len() as u32)
            },
        )
        .function(
            "env",
            "add_one",
            |call: &mut HostCall<'_>, bytes: GuestSlice| {
                let before = bytes.read(call)?;
                bytes.with(call, |bytes| bytes.iter_mut().for_each(|byte| *byte += 1))?;
                let after = bytes.read(call)?;
                assert!(
                    before
                        .iter()
                        .zip(&after)
                        .all(|(before, after)| before + 1 == *after)
                );
                bytes.with(call, |bytes| bytes.len() as u32)
            },
        )
        .function("env", "size", |call: &mut HostCall<'_>| call.memory_size());
    let imports = r#"
        (import "env" "upper" (func $upper (param i32 i32 i32) (result i32)))
        (import "env" "add_one" (func $add_one (param i32 i32) (result i32)))
        (import "env" "size" (func $size (result i64)))"#;
    let fields = r#"
        (memory (export "memory") 3)
        (data (i32.const 0) "abcdefgh")
        (data (i32.const 60) "from one part to another, and on to a third part")
        (data (i32.const 196600) "the end")
        (func $at (param $at i32) (param $eight i64) (param $number i32)
            (call $is (i64.eq (i64.load (local.get $at)) (local.get $eight)) (local.get $number)))"#;
    // "ABCDEFGH", "FROM ONE", "THE END\0" and so on, the first letter lowest.
    let body = r#"
        (call $is (i64.eq (call $size) (i64.const 196608)) (i32.const 1))
        (call $is (i32.eq (call $upper (i32.const 0) (i32.const 8) (i32.const 0)) (i32.const 8))
            (i32.const 2))
        (call $at (i32.const 0) (i64.const 0x4847464544434241) (i32.const 3))
        (drop (call $upper (i32.const 60) (i32.const 48) (i32.const 4)))
        (call $at (i32.const 4) (i64.const 0x454e4f204d4f5246) (i32.const 4))
        (call $at (i32.const 44) (i64.const 0x5452415020445249) (i32.const 5))
        (call $at (i32.const 0) (i64.const 0x4d4f524644434241) (i32.const 6))
        (call $at (i32.const 60) (i64.const 0x656e6f206d6f7266) (i32.const 7))
        (drop (call $upper (i32.const 196600) (i32.const 8) (i32.const 196600)))
        (call $at (i32.const 196600) (i64.const 0x00444e4520454854) (i32.const 8))
        (call $is (i32.eq (call $add_one (i32.const 0) (i32.const 196608)) (i32.const 196608))
            (i32.const 9))
        (call $at (i32.const 0) (i64.const 0x4e50534745444342) (i32.const 10))
        (call $at (i32.const 1000) (i64.const 0x0101010101010101) (i32.const 11))
        (call $at (i32.const 196600) (i64.const 0x01454f4621464955) (i32.const 12))
        (call $is (i32.eqz (call $add_one (i32.const 196608) (i32.const 0))) (i32.const 13))"#;
    ends_as_expected(case, &host, &checking(imports, fields, body));
}

fn memory_that_was_grown_is_seen(case: &Case) {
    let host = checks().function("env", "mark", |call: &mut HostCall<'_>, at: u32| {
        call.write(at, &[42])?;
        Ok::<_, MemoryError>((call.memory_size() >> 16) as u32)
    });
    let imports = r#"(import "env" "mark" (func $mark (param i32) (result i32)))"#;
    let body = "
        (call $is (i32.eq (call $mark (i32.const 65535)) (i32.const 1)) (i32.const 1))
        (drop (memory.grow (i32.const 40)))
        (call $is (i32.eq (call $mark (i32.const 2686975)) (i32.const 41)) (i32.const 2))
        (call $is (i32.eq (i32.load8_u (i32.const 2686975)) (i32.const 42)) (i32.const 3))
        (call $is (i32.eq (i32.load8_u (i32.const 65535)) (i32.const 42)) (i32.const 4))";
    ends_as_expected(
        case,
        &host,
        &checking(imports, r#"(memory (export "memory") 1)"#, body),
    );
}

fn a_64_bit_memory_is_read_and_written(case: &Case) {
    let host = checks().function(
        "env",
        "upper",
        |call: &mut HostCall<'_>, text: GuestStr<u64>, to: u64| {
            let upper = text.read(call)?.to_uppercase();
            call.write(to, upper.as_bytes())?;
            let copy = GuestSlice::<u64> {
                address: to,
                length: text.length,
            };
            assert_eq!(copy.read(call)?, upper.as_bytes());
            assert!(call.write(u64::MAX - 1, b"beyond").is_err());
            Ok::<_, MemoryError>(call.memory_size())
        },
    );
    let imports = r#"(import "env" "upper" (func $upper (param i64 i64 i64) (result i64)))"#;
    let fields = r#"
        (memory (export "memory") i64 2)
        (data (i64.const 131064) "abcdefgh")"#;
    let body = "
        (call $is (i64.eq (call $upper (i64.const 131064) (i64.const 8) (i64.const 100))
            (i64.const 131072)) (i32.const 1))
        (call $is (i64.eq (i64.load (i64.const 100)) (i64.const 0x4847464544434241))
            (i32.const 2))";
    let guest = checking(imports, fields, body);
    // Runtimes on `PATH` have calls of the host with 32-bit memories alone.
    let compiled = Program::compile(
        case.engine().clone(),
        &guest,
        Request::new(&captured(), &host),
    );
    if !case.refused_itself(&compiled) {
        ends_as_expected(case, &host, &guest);
    }
}

/// Each changes nothing, and comes back to the function, which may go on.
fn what_is_beyond_memory_is_an_error(case: &Case) {
    let host = HostFunctions::new().function(
        "env",
        "look",
        |call: &mut HostCall<'_>, at: u64, length: u64| {
            assert!(call.read_vec(at, length).is_err());
            assert!(
                call.with_bytes(at, length, |_| panic!("there is nothing"))
                    .is_err()
            );
            assert!(
                call.write(at, &vec![1; length.min(1 << 16) as usize])
                    .is_err()
            );
            call.read(at, &mut [0; 1]).map(|()| call.exit(1))
        },
    );
    for (at, length) in [
        (65536_i64, 1_i64),
        (-1, 1),
        (-1, -1),
        (65535, 2),
        (1 << 32, 65536),
    ] {
        let guest = plain(&format!(
            r#"(import "env" "look" (func $look (param i64 i64)))
               (memory (export "memory") 1)
               (func (export "_start") (call $look (i64.const {at}) (i64.const {length})))"#
        ));
        let Some(report) = run(case, &host, &guest) else {
            return;
        };
        if at == 65535 {
            // One byte is there.
            assert_eq!(report.outcome, Outcome::Exited(1));
            continue;
        }
        failed(&report, "not within the guest's memory of 65536 bytes");
        assert!(source::<MemoryError>(&report).is_some());
    }
}

fn a_guest_without_memory_has_none(case: &Case) {
    let host = checks().function("env", "look", |call: &mut HostCall<'_>| {
        let read = call.read_vec(0u32, 1u32).is_err() && call.read_vec(0u32, 0u32).is_ok();
        i32::from(read && call.memory_size() == 0)
    });
    let imports = r#"(import "env" "look" (func $look (result i32)))"#;
    for fields in ["", "(memory 1)", r#"(memory (export "other") 1)"#] {
        let guest = checking(imports, fields, "(call $is (call $look) (i32.const 1))");
        ends_as_expected(case, &host, &guest);
    }
}

fn a_text_that_is_not_utf8_is_an_error(case: &Case) {
    let host =
        HostFunctions::new().function("env", "say", |call: &mut HostCall<'_>, text: GuestStr| {
            text.read(call).map(drop)
        });
    let guest = plain(
        r#"(import "env" "say" (func $say (param i32 i32)))
           (memory (export "memory") 1) (data (i32.const 1000) "\ff\fe")
           (func (export "_start") (call $say (i32.const 1000) (i32.const 2)))"#,
    );
    if let Some(report) = run(case, &host, &guest) {
        failed(&report, "is not UTF-8");
    }
}

// ---- state -----------------------------------------------------------------------------------------

fn state_is_the_runs(case: &Case) {
    let host = HostFunctions::new().function("env", "count", |call: &mut HostCall<'_>, by: u32| {
        let (count, seen) = call.state::<(u64, Arc<Mutex<Vec<u64>>>)>()?;
        *count += u64::from(by);
        seen.lock().expect("nothing panics").push(*count);
        Ok::<_, NoState>(())
    });
    let guest = plain(
        r#"(import "env" "count" (func $count (param i32)))
           (func (export "_start") (call $count (i32.const 1)) (call $count (i32.const 2)))"#,
    );
    let config = captured();
    let Some(program) = compile(case, &host, &guest, &config) else {
        return;
    };
    for start in [0_u64, 10] {
        let seen = Arc::new(Mutex::new(Vec::<u64>::new()));
        let attachments = Attachments::new().state((start, seen.clone()));
        let report = case.ran(program.run_with(&config, attachments));
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(
            *seen.lock().expect("nothing panics"),
            [start + 1, start + 3]
        );
    }
}

fn state_of_another_type_is_an_error(case: &Case) {
    let host = HostFunctions::new().function("env", "count", |call: &mut HostCall<'_>| {
        call.state::<u64>().map(|_| ())
    });
    let guest =
        plain(r#"(import "env" "count" (func $count)) (func (export "_start") (call $count))"#);
    for attachments in [Attachments::new(), Attachments::new().state(1u32)] {
        if let Some(report) = run_with(case, &host, &guest, &captured(), attachments) {
            failed(&report, "no state of the type u64");
        }
    }
}

fn events_reach_the_runs_listener(case: &Case) {
    let host =
        HostFunctions::new().function("env", "tell", |call: &mut HostCall<'_>, what: u32| {
            assert!(!call.emit("nobody listens to texts"));
            i32::from(call.emit(what))
        });
    let guest = plain(
        r#"(import "env" "tell" (func $tell (param i32) (result i32)))
           (func (export "_start")
             (if (i32.and (call $tell (i32.const 1)) (call $tell (i32.const 2)))
               (then (return)))
             unreachable)"#,
    );
    let heard = Arc::new(Mutex::new(Vec::new()));
    let attachments = Attachments::new().listener({
        let heard = heard.clone();
        move |what: u32| heard.lock().expect("nothing panics").push(what)
    });
    if let Some(report) = run_with(case, &host, &guest, &captured(), attachments) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(*heard.lock().expect("nothing panics"), [1, 2]);
    }
}

// ---- how they end a guest --------------------------------------------------------------------------

#[derive(Debug, PartialEq)]
struct OutOfPaper(u32);

impl fmt::Display for OutOfPaper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no paper for {} pages", self.0)
    }
}

impl std::error::Error for OutOfPaper {}

fn failed(report: &Report, why: &str) {
    match &report.outcome {
        Outcome::Trapped(trap) if trap.kind == TrapKind::HostFunction => {
            assert!(trap.message.contains(why), "{}", trap.message);
        }
        outcome => panic!("{outcome:?}"),
    }
}

fn source<E: std::error::Error + 'static>(report: &Report) -> Option<&E> {
    match &report.outcome {
        Outcome::Trapped(trap) => trap.source()?.downcast_ref(),
        _ => None,
    }
}

/// Calls it, and should it return, goes on to say so.
const GOES_ON: &str = r#"
    (import "env" "end" (func $end))
    (func (export "_start")
        (call $print (i32.const 1024) (i32.const 6)) (call $end)
        (call $print (i32.const 1024) (i32.const 6)))
    (data (i32.const 1024) "hello\n")"#;

fn goes_on() -> Guest {
    // Imports come first.
    let (import, rest) = GOES_ON.trim_start().split_once('\n').expect("lines");
    let text = crate::guests::source(r#"(memory (export "memory") 2)"#, rest);
    crate::guests::text(
        "guest.wasm",
        &text.replacen("(module", &format!("(module {import}"), 1),
    )
}

fn an_error_is_a_trap_and_kept(case: &Case) {
    let host = HostFunctions::new().function("env", "end", || Err::<(), _>(OutOfPaper(3)));
    if let Some(report) = run(case, &host, &goes_on()) {
        failed(&report, "env.end failed: no paper for 3 pages");
        assert_eq!(source(&report), Some(&OutOfPaper(3)));
        assert_eq!(stdout(&report), "hello\n");
    }
}

fn an_exit_is_an_exit(case: &Case) {
    for code in [0, 3, -1, i32::MIN] {
        let host = HostFunctions::new()
            .function("env", "end", move |call: &mut HostCall<'_>| call.exit(code));
        if let Some(report) = run(case, &host, &goes_on()) {
            assert_eq!(report.outcome, Outcome::Exited(code));
            assert_eq!(stdout(&report), "hello\n");
        }
    }
}

fn a_panic_is_an_error_and_does_no_harm(case: &Case) {
    let panics = Arc::new(AtomicBool::new(true));
    let host = HostFunctions::new().function("env", "end", {
        let panics = panics.clone();
        move || assert!(!panics.load(Ordering::SeqCst), "on purpose")
    });
    let (guest, config) = (goes_on(), captured());
    let Some(program) = compile(case, &host, &guest, &config) else {
        return;
    };
    let error = program.run(&config).expect_err("it panics");
    assert_eq!(error.kind(), ErrorKind::Host, "{error:?}");
    assert_eq!(error.message(), "env.end panicked: on purpose");
    assert_eq!(error.engine(), Some(case.name()));
    panics.store(false, Ordering::SeqCst);
    let report = case.ran(program.run(&config));
    assert_eq!(stdout(&report), "hello\nhello\n");
}

// ---- where they are called -------------------------------------------------------------------------

fn functions_are_called_from_everywhere(case: &Case) {
    let host = checks().function("env", "add", |a: i32, b: i32| a.wrapping_add(b));
    let imports = r#"(import "env" "add" (func $add (param i32 i32) (result i32)))"#;
    let fields = r#"
        (type $binary (func (param i32 i32) (result i32)))
        (table 1 funcref) (elem (i32.const 0) $add)
        (global $sum (mut i32) (i32.const 0))
        (start $start)
        (func $start (global.set $sum (call $add (i32.const 1) (i32.const 2))))
        (func $deep (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (call $add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
                (else (i32.const 0))))"#;
    let body = "
        (call $is (i32.eq (global.get $sum) (i32.const 3)) (i32.const 1))
        (call $is (i32.eq (call_indirect (type $binary) (i32.const 3) (i32.const 4) (i32.const 0))
            (i32.const 7)) (i32.const 2))
        (call $is (i32.eq (call $deep (i32.const 100)) (i32.const 100)) (i32.const 3))";
    ends_as_expected(case, &host, &checking(imports, fields, body));
    if !case.capability().proposals.contains(Proposals::TAIL_CALL) {
        return;
    }
    let fields = "
        (func $tail (param i32 i32) (result i32)
            (return_call $add (local.get 0) (local.get 1)))";
    let body =
        "(call $is (i32.eq (call $tail (i32.const 1) (i32.const 2)) (i32.const 3)) (i32.const 1))";
    ends_as_expected(case, &host, &checking(imports, fields, body));
}

fn a_function_is_imported_twice(case: &Case) {
    let host = checks().function("env", "add", |a: i32, b: i32| a.wrapping_add(b));
    let imports = r#"
        (import "env" "add" (func $one (param i32 i32) (result i32)))
        (import "env" "add" (func $two (param i32 i32) (result i32)))"#;
    let body = "
        (call $is (i32.eq (call $one (i32.const 1) (call $two (i32.const 1) (i32.const 1)))
            (i32.const 3)) (i32.const 1))";
    ends_as_expected(case, &host, &checking(imports, "", body));
}

fn calls_of_wasi_go_on_beside(case: &Case) {
    let host = HostFunctions::new().function("env", "end", || ());
    if let Some(report) = run(case, &host, &goes_on()) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "hello\nhello\n");
    }
}

fn fuel_is_counted_around_calls(case: &Case) {
    let host = HostFunctions::new().function("env", "end", |call: &mut HostCall<'_>| call.exit(5));
    let config = captured().limit(|limits| limits.fuel = Some(1_000_000));
    let Some(report) = run_with(case, &host, &goes_on(), &config, Attachments::new()) else {
        return;
    };
    assert_eq!(report.outcome, Outcome::Exited(5));
    if case.can("reports_fuel") {
        let used = report.stats.fuel_used.expect("it reports fuel");
        assert!((1..1000).contains(&used), "{used}");
    }
}

// ---- time ------------------------------------------------------------------------------------------

/// Ready once another thread has slept.
async fn slept(time: Duration) {
    let shared = Arc::new((AtomicBool::new(false), Mutex::new(None::<Waker>)));
    let mut begun = false;
    poll_fn(|context| {
        *shared.1.lock().expect("nothing panics") = Some(context.waker().clone());
        if !begun {
            begun = true;
            let shared = shared.clone();
            thread::spawn(move || {
                thread::sleep(time);
                shared.0.store(true, Ordering::SeqCst);
                if let Some(waker) = &*shared.1.lock().expect("nothing panics") {
                    waker.wake_by_ref();
                }
            });
        }
        match shared.0.load(Ordering::SeqCst) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

fn what_is_awaited_is_waited_for(case: &Case) {
    let host = checks()
        .function(
            "env",
            "double",
            Async(async |value: i32| {
                slept(Duration::from_millis(5)).await;
                value * 2
            }),
        )
        .function(
            "env",
            "store",
            Async(async |call: &mut HostCall<'_>, at: u32| {
                slept(Duration::from_millis(1)).await;
                call.write(at, &[42])
            }),
        );
    let imports = r#"
        (import "env" "double" (func $double (param i32) (result i32)))
        (import "env" "store" (func $store (param i32)))"#;
    let body = "
        (call $is (i32.eq (call $double (call $double (i32.const 3))) (i32.const 12)) (i32.const 1))
        (call $store (i32.const 5000))
        (call $is (i32.eq (i32.load8_u (i32.const 5000)) (i32.const 42)) (i32.const 2))";
    ends_as_expected(
        case,
        &host,
        &checking(imports, r#"(memory (export "memory") 1)"#, body),
    );
}

/// Says when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn what_is_awaited_is_dropped_when_the_guest_is_to_end(case: &Case) {
    let dropped = Arc::new(AtomicBool::new(false));
    let host = HostFunctions::new().function("env", "end", {
        let dropped = dropped.clone();
        Async(async move || {
            let _dropped = Dropped(dropped.clone());
            pending::<()>().await;
        })
    });
    let config = captured().limit(|limits| limits.timeout = Some(Duration::from_millis(300)));
    let Some(report) = run_with(case, &host, &goes_on(), &config, Attachments::new()) else {
        return;
    };
    assert_eq!(report.outcome, Outcome::TimedOut);
    assert!(dropped.swap(false, Ordering::SeqCst));

    let config = captured().killable(true);
    let control = Control::new();
    let program = compile(case, &host, &goes_on(), &config).expect("as before");
    let attachments = Attachments::new().control(&control);
    let run = program.start_with(&config, attachments).expect("starts");
    thread::sleep(Duration::from_millis(300));
    control.interrupt(Interrupt::Kill);
    assert_eq!(case.ran(run.wait()).outcome, Outcome::Killed);
    assert!(dropped.load(Ordering::SeqCst));
}

fn a_function_may_see_that_the_guest_is_to_end(case: &Case) {
    let host = HostFunctions::new().function("env", "end", |call: &mut HostCall<'_>| {
        while call.interrupted().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        Err::<(), _>("it was interrupted")
    });
    let config = captured().limit(|limits| limits.timeout = Some(Duration::from_millis(300)));
    if let Some(report) = run_with(case, &host, &goes_on(), &config, Attachments::new()) {
        assert_eq!(report.outcome, Outcome::TimedOut);
    }
}

fn the_time_that_is_left_is_told(case: &Case) {
    let limit = Duration::from_secs(3600);
    let host = HostFunctions::new().function("env", "end", move |call: &mut HostCall<'_>| {
        let left = call.time_left();
        assert!(left.is_none_or(|left| left > Duration::from_secs(1800) && left <= limit));
        call.exit(if left.is_some() { 1 } else { 2 });
    });
    let limited = captured().limit(|limits| limits.timeout = Some(limit));
    let began = Instant::now();
    for (config, code) in [(limited, 1), (captured(), 2)] {
        if let Some(report) = run_with(case, &host, &goes_on(), &config, Attachments::new()) {
            assert_eq!(
                report.outcome,
                Outcome::Exited(code),
                "after {:?}",
                began.elapsed()
            );
        }
    }
}

// ---- what is refused -------------------------------------------------------------------------------

fn refused(case: &Case, host: &HostFunctions, guest: &Guest) -> Error {
    let config = captured();
    match Program::compile(case.engine().clone(), guest, Request::new(&config, host)) {
        Ok(_) => panic!("not refused"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
            assert_eq!(error.engine(), Some(case.name()), "{error:?}");
            error
        }
    }
}

fn a_function_of_wasi_is_replaced_where_that_is_meant(case: &Case) {
    let exit = |call: &mut HostCall<'_>, code: i32| call.exit(code + 1);
    let guest = wasi(r#"(func (export "_start") (call $proc_exit (i32.const 4)))"#);
    let module = "wasi_snapshot_preview1";
    let host = HostFunctions::new().replace(module, "proc_exit", exit);
    if let Some(report) = run(case, &host, &guest) {
        assert_eq!(report.outcome, Outcome::Exited(5));
    }
    let host = HostFunctions::new().function(module, "proc_exit", exit);
    if case.can("host_functions") {
        let error = refused(case, &host, &guest);
        let expected = "the host defines wasi_snapshot_preview1.proc_exit, which WASI has";
        assert!(error.message().starts_with(expected), "{error}");
    }
}

fn a_name_that_neither_has_is_refused_with_the_nearest(case: &Case) {
    if !case.can("host_functions") {
        return;
    }
    let host = HostFunctions::new().function("env", "add", |a: i32, b: i32| a + b);
    for (module, name, words) in [
        ("env", "ad", "was env.add meant?"),
        ("enb", "add", "was env.add meant?"),
        ("env", "something", "of that module it has add"),
        ("other", "thing", "is not part of WASI"),
    ] {
        let guest = plain(&format!(
            r#"(import "{module}" "{name}" (func (param i32 i32) (result i32)))
               (func (export "_start"))"#
        ));
        let error = refused(case, &host, &guest);
        let begin = format!("the guest imports {module}.{name}, which ");
        assert!(error.message().starts_with(&begin), "{error}");
        assert!(error.message().ends_with(words), "{error}");
    }
}

fn another_type_is_refused_with_both(case: &Case) {
    if !case.can("host_functions") {
        return;
    }
    let host = HostFunctions::new().function("env", "add", |a: i32, b: i32| a + b);
    let guest = plain(
        r#"(import "env" "add" (func (param i32 i64) (result i32))) (func (export "_start"))"#,
    );
    assert_eq!(
        refused(case, &host, &guest).message(),
        "the guest imports env.add as (i32, i64) -> (i32), and the host has it as (i32, i32) -> (i32)"
    );
}

fn a_name_that_is_defined_twice_is_refused(case: &Case) {
    let guest = plain(r#"(import "env" "end" (func $end)) (func (export "_start") (call $end))"#);
    let one = HostFunctions::new().function("env", "end", |call: &mut HostCall<'_>| call.exit(1));
    let two = one
        .clone()
        .function("env", "end", |call: &mut HostCall<'_>| call.exit(2));
    if case.can("host_functions") {
        let error = refused(case, &two, &guest);
        assert!(
            error
                .message()
                .starts_with("the host defines env.end twice"),
            "{error}"
        );
    }
    let two = one
        .clone()
        .replace("env", "end", |call: &mut HostCall<'_>| call.exit(2));
    for (host, code) in [(one, 1), (two, 2)] {
        if let Some(report) = run(case, &host, &guest) {
            assert_eq!(report.outcome, Outcome::Exited(code));
        }
    }
}

fn many_threads_share_functions(case: &Case) {
    let host = HostFunctions::new().function("env", "next", |call: &mut HostCall<'_>| {
        let state = call.state::<u32>()?;
        *state += 1;
        Ok::<_, NoState>(*state)
    });
    let host = host.function("env", "exit", |call: &mut HostCall<'_>, code: i32| {
        call.exit(code)
    });
    let guest = plain(
        r#"(import "env" "next" (func $next (result i32)))
           (import "env" "exit" (func $exit (param i32)))
           (func (export "_start")
             (loop $again (br_if $again (i32.rem_u (call $next) (i32.const 100))))
             (call $exit (call $next)))"#,
    );
    let config = captured();
    let Some(program) = compile(case, &host, &guest, &config) else {
        return;
    };
    thread::scope(|scope| {
        for start in 0..4 {
            let (program, config) = (&program, &config);
            scope.spawn(move || {
                let attachments = Attachments::new().state(start * 100_u32);
                let report = case.ran(program.run_with(config, attachments));
                let code = start as i32 * 100 + 101;
                assert_eq!(report.outcome, Outcome::Exited(code));
            });
        }
    });
}
