//! Instances that stay: the same calls on every engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use wasmrun_core::{
    Attachments, Called, ErrorKind, Guest, GuestEnded, HostCall, HostFunctions, Instance, Mount,
    NoState, Outcome, Program, Request, RunConfig, Stdout, TrapKind, Value, check,
};

use super::overlays::told;
use crate::case::{Case, captured};
use crate::guests::{plain, wasi};

crate::suite::rules![
    values_of_every_type_are_taken_and_returned,
    twelve_vectors_go_in_and_come_out,
    state_stays_between_calls,
    memory_is_read_and_written_between_calls,
    globals_are_read_and_set,
    functions_are_found_by_name_and_type,
    what_comes_first_is_called_first,
    a_command_is_called_like_any_function,
    a_trap_ends_the_instance_until_it_is_reset,
    an_exit_ends_the_instance,
    a_reset_gives_the_first_state,
    a_guest_that_cannot_begin_is_no_instance,
    functions_of_the_host_are_called,
    output_is_captured_call_by_call,
    what_an_instance_changed_is_told_between_calls,
    fuel_is_for_each_call,
    time_is_for_each_call,
    memory_is_limited_for_the_instance,
    a_killed_call_is_killed,
    an_instance_is_called_from_any_thread,
    instances_of_one_program_live_side_by_side,
    a_program_for_runs_makes_no_instance,
];

fn compile(
    case: &Case,
    host: &HostFunctions,
    guest: &Guest,
    config: &RunConfig,
) -> Option<Program> {
    let request = Request::new(config, host).live();
    let refusals = check::refusals_of(&**case.engine(), guest, request);
    let lacks = !case.can("live")
        || !refusals.iter().all(|refusal| case.can(refusal.what))
        || !case.capability().proposals.contains(guest.proposals());
    match Program::compile(case.engine().clone(), guest, request) {
        Ok(program) => Some(program),
        Err(error) if lacks => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
            None
        }
        Err(error) => panic!("not compiled: {error:?}"),
    }
}

fn instance_with(case: &Case, guest: &Guest, config: &RunConfig) -> Option<Instance> {
    let program = compile(case, &HostFunctions::new(), guest, config)?;
    Some(program.instantiate(config).expect("an instance"))
}

fn instance(case: &Case, guest: &Guest) -> Option<Instance> {
    instance_with(case, guest, &captured())
}

fn returned(instance: &mut Instance, name: &str, params: &[Value]) -> Vec<Value> {
    let called = instance.call(name, params).expect("a call");
    called.returned().expect("it returns")
}

fn ended(instance: &mut Instance, name: &str, params: &[Value]) -> Outcome {
    let called = instance.call(name, params).expect("a call");
    called.returned().expect_err("it does not return")
}

/// The number in the memory called `memory`, and functions to count.
const COUNTER: &str = r#"
    (memory (export "memory") 1 10)
    (global $count (mut i32) (i32.const 10))
    (func (export "next") (result i32)
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (i32.store (i32.const 0) (global.get $count))
        (global.get $count))
    (func (export "trap") unreachable)
    (func (export "spin") (loop (br 0)))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "read") (param i32) (result i32) (i32.load (local.get 0)))"#;

fn counter() -> Guest {
    plain(COUNTER)
}

fn values_of_every_type_are_taken_and_returned(case: &Case) {
    let guest = plain(
        r#"(func (export "turn") (param i32 i64 f32 f64 v128) (result v128 f64 f32 i64 i32)
             (local.get 4) (f64.neg (local.get 3)) (f32.neg (local.get 2))
             (i64.sub (local.get 1) (i64.const 1)) (i32.sub (local.get 0) (i32.const 1)))
           (func (export "nothing"))
           (func (export "pair") (param i64 i64) (result i64 i64) (local.get 1) (local.get 0))"#,
    );
    let Some(mut instance) = instance(case, &guest) else {
        return;
    };
    let vector: [u8; 16] = std::array::from_fn(|byte| byte as u8 * 3);
    let params = [
        Value::I32(i32::MIN),
        Value::I64(0),
        Value::F32(0.5),
        Value::F64(-1e300),
        Value::V128(vector),
    ];
    for _ in 0..3 {
        assert_eq!(
            returned(&mut instance, "turn", &params),
            [
                Value::V128(vector),
                Value::F64(1e300),
                Value::F32(-0.5),
                Value::I64(-1),
                Value::I32(i32::MAX)
            ]
        );
        assert_eq!(returned(&mut instance, "nothing", &[]), []);
    }
    let turn = instance
        .typed::<(i32, u64, f32, f64, [u8; 16]), ([u8; 16], f64, f32, i64, u32)>("turn")
        .expect("of that type");
    let called = turn.call(&mut instance, (0, u64::MAX, -2.0, 3.0, vector));
    let expected = (vector, -3.0, 2.0, -2, u32::MAX);
    assert_eq!(called.expect("a call"), Called::Returned(expected));
    let pair = instance
        .typed::<(i64, i64), (i64, i64)>("pair")
        .expect("of that type");
    let called = pair.call(&mut instance, (1, i64::MIN)).expect("a call");
    assert_eq!(called, Called::Returned((i64::MIN, 1)));
}

fn twelve_vectors_go_in_and_come_out(case: &Case) {
    let vectors = "v128 ".repeat(12);
    let get: String = (0..12)
        .rev()
        .map(|local| format!("(local.get {local})"))
        .collect();
    let guest = plain(&format!(
        r#"(func (export "turn") (param {vectors}) (result {vectors}) {get})"#
    ));
    let Some(mut instance) = instance(case, &guest) else {
        return;
    };
    let params: Vec<_> = (0..12).map(|number| Value::V128([number; 16])).collect();
    let mut results = returned(&mut instance, "turn", &params);
    results.reverse();
    assert_eq!(results, params);
}

fn state_stays_between_calls(case: &Case) {
    let Some(mut instance) = instance(case, &counter()) else {
        return;
    };
    let next = instance.typed::<(), i32>("next").expect("of that type");
    for count in 11..111 {
        let called = next.call(&mut instance, ()).expect("a call");
        assert_eq!(called, Called::Returned(count));
    }
}

fn memory_is_read_and_written_between_calls(case: &Case) {
    let Some(mut instance) = instance(case, &counter()) else {
        return;
    };
    returned(&mut instance, "next", &[]);
    let mut memory = instance.memory("memory").expect("it has one");
    assert_eq!(memory.size(), 65536);
    assert_eq!(memory.read_vec(0u32, 4u32).expect("there"), [11, 0, 0, 0]);
    // The start of the memory, across what messages are prepared in, and the end.
    let text: Vec<u8> = (0..=255).collect();
    for at in [0_u32, 10, 60, 300, 65536 - 256] {
        memory.write(at, &text).expect("there");
        assert_eq!(memory.read_vec(at, 256_u32).expect("there"), text);
    }
    memory
        .with_bytes(20_u32, 4_u32, |bytes| bytes.fill(7))
        .expect("there");
    assert!(memory.write(65535_u32, &[1, 2]).is_err());
    assert!(memory.read_vec(u64::MAX, 1_u32).is_err());
    for (at, number) in [
        (20, 0x0707_0707),
        (60, 0x0302_0100),
        (65532, 0xfffe_fdfc_u32),
    ] {
        let read = returned(&mut instance, "read", &[Value::I32(at)]);
        assert_eq!(read, [Value::I32(number.cast_signed())], "{at}");
    }
    assert_eq!(
        returned(&mut instance, "grow", &[Value::I32(2)]),
        [Value::I32(1)]
    );
    let mut memory = instance.memory("memory").expect("it has one");
    assert_eq!(memory.size(), 3 * 65536);
    memory.write(131_072_u32, &[9]).expect("there");
    let read = returned(&mut instance, "read", &[Value::I32(131_072)]);
    assert_eq!(read, [Value::I32(9)]);
    let error = instance.memory("other").expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("it exports memory"), "{error}");
}

fn globals_are_read_and_set(case: &Case) {
    let guest = plain(
        r#"(global (export "a") (mut i32) (i32.const 1))
           (global (export "b") i64 (i64.const -1))
           (global (export "c") (mut f32) (f32.const 0.5))
           (global (export "d") (mut f64) (f64.const 1e300))
           (global (export "e") (mut v128) (v128.const i64x2 1 2))
           (global (export "f") funcref (ref.null func))
           (func (export "get") (result i32) (global.get 0))"#,
    );
    let Some(mut instance) = instance(case, &guest) else {
        return;
    };
    let mut vector = [0; 16];
    (vector[0], vector[8]) = (1, 2);
    for (name, holds, set) in [
        ("a", Value::I32(1), Value::I32(i32::MIN)),
        ("c", Value::F32(0.5), Value::F32(-7.0)),
        ("d", Value::F64(1e300), Value::F64(0.1)),
        ("e", Value::V128(vector), Value::V128([9; 16])),
    ] {
        assert_eq!(instance.global(name).expect("there"), holds);
        instance.set_global(name, set).expect("it can be set");
        assert_eq!(instance.global(name).expect("there"), set);
    }
    assert_eq!(instance.global("b").expect("there"), Value::I64(-1));
    assert_eq!(returned(&mut instance, "get", &[]), [Value::I32(i32::MIN)]);
    let mut refused = |name: &str, value, words: &str| {
        let error = instance.set_global(name, value).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.message().contains(words), "{error}");
    };
    refused("b", Value::I64(1), "cannot be set");
    refused("a", Value::I64(1), "holds i32, and is to be set to i64");
    refused("get", Value::I64(1), "exports no global get");
    let error = instance.global("f").expect_err("a reference");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

fn functions_are_found_by_name_and_type(case: &Case) {
    let Some(mut instance) = instance(case, &counter()) else {
        return;
    };
    let mut refused = |name: &str, params: &[Value], words: &str| {
        let error = instance.call(name, params).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.message().contains(words), "{error}");
        assert_eq!(error.engine(), Some(case.name()));
    };
    refused("nxt", &[], "was next meant?");
    refused("memory", &[], "exports no function memory");
    refused(
        "grow",
        &[],
        "is of type (i32) -> (i32), and is asked for as () -> (i32)",
    );
    refused("grow", &[Value::I64(1)], "asked for as (i64) -> (i32)");
    let error = instance
        .typed::<i32, ()>("grow")
        .expect_err("of another type");
    assert_eq!(error.kind(), ErrorKind::Config);
    // Nothing has happened.
    assert_eq!(returned(&mut instance, "next", &[]), [Value::I32(11)]);
}

fn what_comes_first_is_called_first(case: &Case) {
    let guest = plain(
        r#"(global $steps (mut i32) (i32.const 0))
           (start $start)
           (func $start (global.set $steps (i32.const 1)))
           (func (export "_initialize")
             (global.set $steps (i32.add (i32.mul (global.get $steps) (i32.const 10)) (i32.const 2))))
           (func (export "steps") (result i32) (global.get $steps))"#,
    );
    let Some(mut instance) = instance(case, &guest) else {
        return;
    };
    assert_eq!(returned(&mut instance, "steps", &[]), [Value::I32(12)]);
    instance.reset().expect("begins again");
    assert_eq!(returned(&mut instance, "steps", &[]), [Value::I32(12)]);
}

fn a_command_is_called_like_any_function(case: &Case) {
    let guest = wasi(
        r#"(data (i32.const 1024) "hello\n")
           (func (export "_start") (call $print (i32.const 1024) (i32.const 6)))"#,
    );
    let Some(mut instance) = instance(case, &guest) else {
        return;
    };
    assert_eq!(instance.take_stdout().bytes, b"");
    assert_eq!(returned(&mut instance, "_start", &[]), []);
    assert_eq!(instance.take_stdout().bytes, b"hello\n");
    // It can be run as well.
    let config = captured();
    let report = case.ran(instance.program().run(&config));
    assert_eq!(report.stdout.bytes, b"hello\n");
}

fn has_ended(instance: &mut Instance) {
    let error = instance.call("next", &[]).expect_err("it has ended");
    assert_eq!(error.kind(), ErrorKind::Ended, "{error:?}");
    let source = std::error::Error::source(&error);
    let known = source.and_then(|source| source.downcast_ref::<GuestEnded>());
    assert_eq!(known.map(|known| &known.0), instance.ended());
    assert!(instance.memory("memory").is_err());
}

fn a_trap_ends_the_instance_until_it_is_reset(case: &Case) {
    let Some(mut instance) = instance(case, &counter()) else {
        return;
    };
    let next = instance.typed::<(), i32>("next").expect("of that type");
    for _ in 0..2 {
        let called = next.call(&mut instance, ()).expect("a call");
        assert_eq!(called, Called::Returned(11));
        match ended(&mut instance, "trap", &[]) {
            Outcome::Trapped(trap) if case.can("reports_trap_kinds") => {
                assert_eq!(trap.kind, TrapKind::Unreachable);
            }
            Outcome::Trapped(_) => {}
            outcome => panic!("{outcome:?}"),
        }
        has_ended(&mut instance);
        instance.reset().expect("begins again");
        assert_eq!(instance.ended(), None);
    }
}

fn an_exit_ends_the_instance(case: &Case) {
    let guest = wasi(
        r#"(func (export "exit") (param i32) (call $proc_exit (local.get 0)))
           (func (export "next"))"#,
    );
    for code in [0, 7, -1] {
        let Some(mut instance) = instance(case, &guest) else {
            return;
        };
        let outcome = ended(&mut instance, "exit", &[Value::I32(code)]);
        assert_eq!(outcome, Outcome::Exited(code));
        has_ended(&mut instance);
    }
}

fn a_reset_gives_the_first_state(case: &Case) {
    let Some(mut instance) = instance(case, &counter()) else {
        return;
    };
    for _ in 0..3 {
        assert_eq!(returned(&mut instance, "next", &[]), [Value::I32(11)]);
        returned(&mut instance, "grow", &[Value::I32(3)]);
        let mut memory = instance.memory("memory").expect("it has one");
        assert_eq!(memory.size(), 4 * 65536);
        memory.write(1000_u32, &[1; 100]).expect("there");
        instance.reset().expect("begins again");
        let mut memory = instance.memory("memory").expect("it has one");
        assert_eq!(memory.size(), 65536);
        assert_eq!(
            memory.read_vec(0_u32, 65536_u32).expect("there"),
            [0; 65536]
        );
    }
}

fn a_guest_that_cannot_begin_is_no_instance(case: &Case) {
    for (fields, words) in [
        ("(start $start) (func $start unreachable)", "trapped"),
        (r#"(func (export "_initialize") unreachable)"#, "trapped"),
        (r#"(memory 1) (data (i32.const 65536) "x")"#, "trapped"),
    ] {
        let config = captured();
        let program = compile(case, &HostFunctions::new(), &plain(fields), &config);
        let Some(program) = program else {
            return;
        };
        let error = program.instantiate(&config).expect_err("it does not begin");
        assert_eq!(error.kind(), ErrorKind::Ended, "{error:?}");
        assert!(error.message().contains(words), "{error}");
    }
    let guest = wasi(r#"(func (export "_initialize") (call $proc_exit (i32.const 3)))"#);
    let config = captured();
    if let Some(program) = compile(case, &HostFunctions::new(), &guest, &config) {
        let error = program.instantiate(&config).expect_err("it exits");
        assert!(error.message().ends_with("exited with 3"), "{error}");
    }
}

fn functions_of_the_host_are_called(case: &Case) {
    let host = HostFunctions::new().function("env", "add", |call: &mut HostCall<'_>, by: u32| {
        let sum = call.state::<u32>()?;
        *sum += by;
        Ok::<_, NoState>(*sum)
    });
    let host = host.function("env", "fail", || Err::<(), _>("no more"));
    let guest = plain(
        r#"(import "env" "add" (func $add (param i32) (result i32)))
           (import "env" "fail" (func $fail))
           (func (export "next") (param i32) (result i32) (call $add (local.get 0)))
           (func (export "fail") (call $fail))"#,
    );
    let config = captured();
    let Some(program) = compile(case, &host, &guest, &config) else {
        return;
    };
    let state = || Attachments::new().state(100_u32);
    let mut instance = program
        .instantiate_with(&config, state())
        .expect("an instance");
    for sum in [101, 102] {
        assert_eq!(
            returned(&mut instance, "next", &[Value::I32(1)]),
            [Value::I32(sum)]
        );
    }
    match ended(&mut instance, "fail", &[]) {
        Outcome::Trapped(trap) => assert_eq!(trap.kind, TrapKind::HostFunction),
        outcome => panic!("{outcome:?}"),
    }
    instance.reset_with(state()).expect("begins again");
    assert_eq!(
        returned(&mut instance, "next", &[Value::I32(5)]),
        [Value::I32(105)]
    );
}

fn output_is_captured_call_by_call(case: &Case) {
    let guest = wasi(
        r#"(data (i32.const 1024) "hello\n")
           (func (export "say") (param i32) (call $print (i32.const 1024) (local.get 0)))"#,
    );
    let Some(mut instance) = instance(case, &guest) else {
        return;
    };
    for (length, said) in [(5, "hello"), (1, "h"), (6, "hello\n")] {
        returned(&mut instance, "say", &[Value::I32(length)]);
        assert_eq!(instance.take_stdout().bytes, said.as_bytes());
    }
}

fn what_an_instance_changed_is_told_between_calls(case: &Case) {
    let guest = wasi(
        r#"(data (i32.const 1024) "new")
           (func (export "create") (result i32)
             (call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 3) (i32.const 1)
               (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 1032)))
           (func (export "write")
             (call $write (i32.load (i32.const 1032)) (i32.const 1024) (i32.const 2)))"#,
    );
    let config = captured().mount(Mount::memory("/m", 1 << 20));
    let Some(mut instance) = instance_with(case, &guest, &config) else {
        return;
    };
    let told_now = |instance: &Instance| match &instance.layers()[..] {
        [layer] => told(layer),
        layers => panic!("one mount keeps changes: {layers:?}"),
    };
    assert_eq!(told_now(&instance), [""; 0]);
    assert_eq!(returned(&mut instance, "create", &[]), [Value::I32(0)]);
    assert_eq!(told_now(&instance), ["+ new 0"]);
    returned(&mut instance, "write", &[]);
    assert_eq!(told_now(&instance), ["+ new 2"]);
    instance.reset().expect("begins again");
    assert_eq!(told_now(&instance), [""; 0]);
}

fn fuel_is_for_each_call(case: &Case) {
    let config = captured().limit(|limits| limits.fuel = Some(100_000));
    let Some(mut instance) = instance_with(case, &counter(), &config) else {
        return;
    };
    let mut used = Vec::new();
    for _ in 0..3 {
        returned(&mut instance, "next", &[]);
        used.push(instance.stats().fuel_used);
    }
    if case.can("reports_fuel") {
        assert!(
            used[0].is_some_and(|used| (1..1000).contains(&used)),
            "{used:?}"
        );
        assert!(used.iter().all(|one| *one == used[0]), "{used:?}");
    }
    assert_eq!(ended(&mut instance, "spin", &[]), Outcome::OutOfFuel);
    instance.reset().expect("begins again");
    returned(&mut instance, "next", &[]);
}

fn time_is_for_each_call(case: &Case) {
    let config = captured().limit(|limits| limits.timeout = Some(Duration::from_millis(400)));
    let Some(mut instance) = instance_with(case, &counter(), &config) else {
        return;
    };
    for _ in 0..3 {
        returned(&mut instance, "next", &[]);
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(ended(&mut instance, "spin", &[]), Outcome::TimedOut);
    has_ended(&mut instance);
}

fn memory_is_limited_for_the_instance(case: &Case) {
    let config = captured().limit(|limits| limits.memory = Some(3 * 65536));
    let Some(mut instance) = instance_with(case, &counter(), &config) else {
        return;
    };
    for expected in [1, 2, -1] {
        let grown = returned(&mut instance, "grow", &[Value::I32(1)]);
        assert_eq!(grown, [Value::I32(expected)]);
    }
    if case.can("reports_peak_memory") {
        assert_eq!(instance.stats().peak_memory, Some(3 * 65536));
    }
}

fn a_killed_call_is_killed(case: &Case) {
    let config = captured().killable(true);
    let Some(mut instance) = instance_with(case, &counter(), &config) else {
        return;
    };
    returned(&mut instance, "next", &[]);
    let killer = instance.killer().expect("killable");
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(Duration::from_millis(300));
            killer.kill();
        });
        assert_eq!(ended(&mut instance, "spin", &[]), Outcome::Killed);
    });
    has_ended(&mut instance);
    // Between calls, it is the end of the next.
    instance.reset().expect("begins again");
    instance.killer().expect("killable").kill();
    assert_eq!(ended(&mut instance, "next", &[]), Outcome::Killed);
}

fn an_instance_is_called_from_any_thread(case: &Case) {
    let Some(program) = compile(case, &HostFunctions::new(), &counter(), &captured()) else {
        return;
    };
    // Made by a thread that is gone when it is called.
    let made = thread::spawn(move || program.instantiate(&captured()).expect("an instance"));
    let mut instance = made.join().expect("no panic");
    for count in 11..14 {
        let called = thread::spawn(move || {
            let next = returned(&mut instance, "next", &[]);
            (instance, next)
        });
        let (again, next) = called.join().expect("no panic");
        assert_eq!(next, [Value::I32(count)]);
        instance = again;
    }
}

fn instances_of_one_program_live_side_by_side(case: &Case) {
    let Some(program) = compile(case, &HostFunctions::new(), &counter(), &captured()) else {
        return;
    };
    let calls = Arc::new(AtomicU32::new(0));
    thread::scope(|scope| {
        for number in 0..4 {
            let (program, calls) = (&program, calls.clone());
            scope.spawn(move || {
                let mut instance = program.instantiate(&captured()).expect("an instance");
                for count in 11..11 + 10 * (number + 1) {
                    assert_eq!(returned(&mut instance, "next", &[]), [Value::I32(count)]);
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(calls.load(Ordering::SeqCst), 100);
    // And in turn, on one thread.
    let mut instances: Vec<_> = (0..3)
        .map(|_| program.instantiate(&captured()).expect("an instance"))
        .collect();
    for count in 11..14 {
        for instance in &mut instances {
            assert_eq!(returned(instance, "next", &[]), [Value::I32(count)]);
        }
    }
}

fn a_program_for_runs_makes_no_instance(case: &Case) {
    let guest = wasi(r#"(func (export "_start"))"#);
    let config = captured();
    let Some(program) = case.compile(&guest, &config) else {
        return;
    };
    let error = program.instantiate(&config).expect_err("compiled for runs");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    if !case.can("live") {
        return;
    }
    assert!(error.message().contains("Request::live"), "{error}");
    let piped = config.stdout(Stdout::Pipe);
    let request = Request::from(&piped).live();
    let program = Program::compile(case.engine().clone(), &guest, request).expect("compiles");
    let error = program.instantiate(&piped).expect_err("it has a pipe");
    assert_eq!(error.kind(), ErrorKind::Config);
}
