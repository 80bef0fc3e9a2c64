//! Runs that are watched and steered.

use std::fs;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use wasmrun_core::{
    Called, ErrorKind, Event, LiveStats, LogStream, Outcome, Program, Request, Run, RunConfig,
    RunState, Stdin, Stdout,
};

use crate::case::{Case, captured};
use crate::guests::{Endless, cat, hello, wasi, with_memory};

crate::suite::rules![
    a_run_tells_its_state,
    a_run_that_is_asked_to_end_does,
    a_run_that_does_not_end_is_killed,
    what_a_guest_uses_is_told_while_it_runs,
    what_a_guest_has_used_is_told_when_it_has_ended,
    what_a_guest_wrote_last_is_kept,
    what_an_instance_wrote_last_is_kept,
    what_is_kept_is_bounded,
    nothing_is_kept_unasked,
    what_a_guest_writes_is_kept_while_it_runs,
];

/// Nothing here takes nearly as long.
const LONG: Duration = Duration::from_secs(300);

fn killable() -> RunConfig {
    captured().killable(true)
}

fn a_run_tells_its_state(case: &Case) {
    let Some(mut run) = case.start(&cat(), &captured().stdin(Stdin::Pipe)) else {
        return;
    };
    let waited = run.wait_timeout(Duration::from_millis(20)).expect("a run");
    assert!(waited.is_none() && !run.has_ended(), "{waited:?}");
    assert!(
        matches!(run.state(), RunState::Running(_)),
        "{:?}",
        run.state()
    );
    drop(run.stdin.take());
    let report = run.wait_timeout(LONG).expect("a run").expect("it ends");
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert!(matches!(run.state(), RunState::Ended(ended) if ended.outcome == report.outcome));
    assert_eq!(
        run.try_wait().expect("a run").map(|again| again.outcome),
        Some(report.outcome)
    );
}

fn a_run_that_is_asked_to_end_does(case: &Case) {
    let config = killable().stdin(Stdin::Pipe);
    if let Some(mut run) = case.start(&cat(), &config) {
        let input = run.stdin.as_mut().expect("it has a pipe");
        input.write_all(b"hello").expect("the guest reads it");
        let report = case.ran(run.stop(LONG));
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(report.stdout.bytes, b"hello");
    }
}

fn a_run_that_does_not_end_is_killed(case: &Case) {
    let config = killable().stdin(Stdin::Pipe);
    if let Some(run) = case.start(&Endless::Loop.guest(), &config) {
        let report = case.ran(run.stop(Duration::from_millis(10)));
        assert_eq!(report.outcome, Outcome::Killed);
    }
}

/// Waits until what a run has used is as expected.
fn awaited(run: &Run, expected: impl Fn(&LiveStats) -> bool) -> LiveStats {
    let until = Instant::now() + LONG;
    loop {
        let stats = run.stats();
        if expected(&stats) {
            return stats;
        }
        assert!(Instant::now() < until && !run.has_ended(), "{stats:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn what_a_guest_uses_is_told_while_it_runs(case: &Case) {
    // WasmEdge sees what there is of memory at calls of the host, wasmtime what is left of fuel at any calls.
    let guest = with_memory(
        r#"(memory (export "memory") 2)"#,
        r#"(func (export "_start")
            (drop (memory.grow (i32.const 8)))
            (call $check (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 16)))
            (loop $again (call $nothing) (br $again)))
        (func $nothing)"#,
    );
    let fuel = case.can("fuel");
    let config = killable().limit(|limits| limits.fuel = fuel.then_some(1 << 50));
    let Some(run) = case.start(&guest, &config) else {
        return;
    };
    let first = awaited(&run, |stats| stats.memory == Some(10 << 16));
    if case.name() != "wasmedge" {
        let cpu = first.cpu.expect("processor time");
        awaited(&run, |stats| {
            stats.cpu > Some(cpu + Duration::from_millis(5))
        });
    }
    if let "wasmtime" | "wasmi" = case.name() {
        let used = awaited(&run, |stats| stats.fuel_used > Some(1 << 17)).fuel_used;
        awaited(&run, |stats| stats.fuel_used > used);
    }
    assert!(run.stats().elapsed > first.elapsed);
    run.kill().expect("killable");
    assert_eq!(case.ran(run.wait()).outcome, Outcome::Killed);
}

fn what_a_guest_has_used_is_told_when_it_has_ended(case: &Case) {
    let guest = with_memory(
        r#"(memory (export "memory") 2)"#,
        r#"(func (export "_start") (local $left i32)
            (local.set $left (i32.const 20000000))
            (loop $again
                (br_if $again
                    (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))"#,
    );
    let config = captured();
    let Some(mut run) = case.start(&guest, &config) else {
        return;
    };
    let report = run.wait_timeout(LONG).expect("a run").expect("it ends");
    let stats = run.stats();
    let cpu = report.stats.cpu.expect("processor time");
    assert!(!cpu.is_zero());
    assert_eq!(
        (stats.cpu, stats.memory),
        (Some(cpu), report.stats.peak_memory)
    );
    assert!(stats.elapsed <= run.stats().elapsed);
}

/// Writes `one\n` to its standard output, `two\n` to its standard error, and `end` to its standard output.
const LINES: &str = r#"
    (data (i32.const 1024) "one\ntwo\nend")
    (func $say (param $to i32) (param $at i32) (param $length i32)
        (i32.store (i32.const 8) (local.get $at))
        (i32.store (i32.const 12) (local.get $length))
        (call $check (call $fd_write (local.get $to) (i32.const 8) (i32.const 1) (i32.const 16))))
    (func (export "_start")
        (call $say (i32.const 1) (i32.const 1024) (i32.const 4))
        (call $say (i32.const 2) (i32.const 1028) (i32.const 4))
        (call $say (i32.const 1) (i32.const 1032) (i32.const 3)))"#;

fn texts(run: &Run, tail: usize) -> Vec<(LogStream, String, bool)> {
    let lines = run.logs(tail).expect("asked for").into_iter();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let texts = lines.map(|line| (line.stream, text(line.bytes), line.ended));
    texts.collect()
}

fn what_a_guest_wrote_last_is_kept(case: &Case) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("output");
    for stdout in [
        Stdout::Null,
        Stdout::Capture,
        Stdout::Pipe,
        Stdout::File(file.clone()),
    ] {
        let config = captured()
            .stdout(stdout.clone())
            .stderr(Stdout::Null)
            .logs(1 << 20);
        let Some(mut run) = case.start(&wasi(LINES), &config) else {
            return;
        };
        let mut written = Vec::new();
        if let Some(mut pipe) = run.stdout.take() {
            pipe.read_to_end(&mut written).expect("readable");
        }
        let report = run.wait_timeout(LONG).expect("a run").expect("it ends");
        assert_eq!(report.outcome, Outcome::Exited(0));
        match stdout {
            Stdout::Capture => written = report.stdout.bytes,
            Stdout::File(file) => written = fs::read(file).expect("written"),
            _ => {}
        }
        if stdout_leads_somewhere(&config.stdout) {
            assert_eq!(String::from_utf8_lossy(&written), "one\nend");
        }
        let line = |stream, text: &str, ended| (stream, text.to_owned(), ended);
        let lines = [
            line(LogStream::Stdout, "one", true),
            line(LogStream::Stderr, "two", true),
            line(LogStream::Stdout, "end", false),
        ];
        assert_eq!(texts(&run, 9), lines, "{:?}", config.stdout);
        assert_eq!(report.logs, run.logs(9).expect("asked for"));
        assert_eq!(texts(&run, 1), lines[2..]);
    }
}

fn stdout_leads_somewhere(stdout: &Stdout) -> bool {
    *stdout != Stdout::Null
}

fn what_an_instance_wrote_last_is_kept(case: &Case) {
    let guest = wasi(LINES);
    let config = captured().logs(1 << 10);
    let request = Request::from(&config).live();
    let compiled = Program::compile(case.engine().clone(), &guest, request);
    if !case.can("live") {
        assert!(compiled.is_err());
        return;
    }
    let mut instance = compiled
        .and_then(|program| program.instantiate(&config))
        .expect("an instance");
    assert_eq!(instance.logs(9).expect("asked for"), []);
    let called = instance.call("_start", &[]).expect("a call");
    assert_eq!(called, Called::Returned(Vec::new()));
    assert_eq!(instance.logs(9).expect("asked for").len(), 3);
    assert_eq!(instance.take_stdout().bytes, b"one\nend");
}

fn what_is_kept_is_bounded(case: &Case) {
    let guest = wasi(
        r#"
        (data (i32.const 1024) "a line of the guest's\n")
        (func (export "_start") (local $left i32)
            (local.set $left (i32.const 1000))
            (loop $again
                (call $print (i32.const 1024) (i32.const 22))
                (br_if $again
                    (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))"#,
    );
    let config = captured().logs(1000);
    let Some(mut run) = case.start(&guest, &config) else {
        return;
    };
    let report = run.wait_timeout(LONG).expect("a run").expect("it ends");
    assert_eq!(report.stdout.bytes.len(), 22_000);
    let lines = run.logs(usize::MAX).expect("asked for");
    assert!((1..=1000 / 21).contains(&lines.len()), "{}", lines.len());
    assert!(
        lines
            .iter()
            .all(|line| line.ended && line.bytes == b"a line of the guest's")
    );
}

fn nothing_is_kept_unasked(case: &Case) {
    if let Some(run) = case.start(&hello(), &captured()) {
        let error = run.logs(1).expect_err("not asked for");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(case.ran(run.wait()).stdout.bytes, b"hello\n");
    }
}

fn what_a_guest_writes_is_kept_while_it_runs(case: &Case) {
    let config = killable().stdout(Stdout::Pipe).logs(1 << 10);
    let Some(run) = case.start(&Endless::Sleep.guest(), &config) else {
        return;
    };
    let mut events = run.events();
    let first = events.recv_timeout(LONG);
    assert!(
        matches!(&first, Ok(Event::Stdout(bytes)) if bytes == b"ready\n"),
        "{first:?}"
    );
    let run = events.run().expect("it runs");
    // It is read before it is kept.
    awaited(run, |_| !texts(run, 1).is_empty());
    assert_eq!(
        texts(run, 1),
        [(LogStream::Stdout, "ready".to_owned(), true)]
    );
    run.kill().expect("killable");
    let last = events.recv_timeout(LONG);
    assert!(
        matches!(&last, Ok(Event::Ended(Ok(report))) if report.outcome == Outcome::Killed),
        "{last:?}"
    );
    assert!(events.run().is_none());
}
