//! Guests that would go on for ever, ended from outside: by a timeout or a kill, as modules and as
//! components, wherever they are.

mod common;

use std::time::Duration;

use common::{both, command, compile, component, engine, module, outcome};
use wasmrun_core::{Guest, Outcome, Program, RunConfig, Stdin, Stdout};

fn soon() -> RunConfig {
    RunConfig::new().limit(|limits| limits.timeout = Some(Duration::from_millis(50)))
}

fn started(body: &str) -> String {
    command(&format!(r#"(func (export "_start") {body})"#))
}

const LOOP: &str = "(loop $again (br $again))";
const SLEEP: &str = "(call $sleep (i64.const 1000000000000))";
const READ: &str = "(drop (call $read (i32.const 100) (i32.const 8)))";
const WRITE: &str = "(loop $again (call $write (i32.const 100) (i32.const 4000)) (br $again))";

#[test]
fn a_loop_runs_out_of_time() {
    for guest in both(&started(LOOP)) {
        assert_eq!(outcome(&guest, &soon()), Outcome::TimedOut, "{guest:?}");
    }
}

#[test]
fn a_loop_of_calls_runs_out_of_time() {
    let calls = "(loop $again (call $write (i32.const 100) (i32.const 1)) (br $again))";
    for guest in both(&started(calls)) {
        let config = soon().stdout(Stdout::Null);
        assert_eq!(outcome(&guest, &config), Outcome::TimedOut, "{guest:?}");
    }
}

#[test]
fn a_start_section_runs_out_of_time() {
    let text = command(&format!(
        r#"(func $first {LOOP}) (start $first) (func (export "_start"))"#
    ));
    for guest in both(&text) {
        assert_eq!(outcome(&guest, &soon()), Outcome::TimedOut, "{guest:?}");
    }
}

#[test]
fn a_start_section_that_sleeps_runs_out_of_time() {
    let text = command(&format!(
        r#"(func $first {SLEEP}) (start $first) (func (export "_start"))"#
    ));
    assert_eq!(outcome(&module(&text), &soon()), Outcome::TimedOut);
}

#[test]
fn a_sleeper_runs_out_of_time() {
    for guest in both(&started(SLEEP)) {
        assert_eq!(outcome(&guest, &soon()), Outcome::TimedOut, "{guest:?}");
    }
}

#[test]
fn a_sleep_ends_by_itself_in_time() {
    for guest in both(&started("(call $sleep (i64.const 5000000))")) {
        let config =
            RunConfig::new().limit(|limits| limits.timeout = Some(Duration::from_secs(60)));
        assert_eq!(outcome(&guest, &config), Outcome::Exited(0), "{guest:?}");
    }
}

#[test]
fn a_reader_of_a_silent_pipe_runs_out_of_time() {
    for guest in both(&started(READ)) {
        let config = soon().stdin(Stdin::Pipe);
        let mut run = compile(&guest, &config).start(&config).expect("starts");
        let _silent = run.stdin.take();
        let report = run.wait().expect("runs");
        assert_eq!(report.outcome, Outcome::TimedOut, "{guest:?}");
    }
}

#[test]
fn a_writer_to_a_full_pipe_runs_out_of_time() {
    for guest in both(&started(WRITE)) {
        let config = soon().stdout(Stdout::Pipe);
        let mut run = compile(&guest, &config).start(&config).expect("starts");
        let _unread = run.stdout.take();
        let report = run.wait().expect("runs");
        assert_eq!(report.outcome, Outcome::TimedOut, "{guest:?}");
    }
}

#[test]
fn a_guest_that_was_killed_before_it_started_ends() {
    for body in [LOOP, SLEEP] {
        for guest in both(&started(body)) {
            let config = RunConfig::new().killable(true);
            let run = compile(&guest, &config).start(&config).expect("starts");
            run.kill().expect("killable");
            let report = run.wait().expect("runs");
            assert_eq!(report.outcome, Outcome::Killed, "{guest:?}");
        }
    }
}

/// On one engine: an interrupt of one guest is a moment that all others must live through, and none
/// may miss its own because of it.
fn one_of_many_at_a_time(guest: &Guest) {
    let config = RunConfig::new().killable(true);
    let program = Program::compile(engine(), guest, &config).expect("compiles");
    for _ in 0..20 {
        let mut runs: Vec<_> = (0..8)
            .map(|_| program.start(&config).expect("starts"))
            .collect();
        while let Some(run) = runs.pop() {
            run.kill().expect("killable");
            assert!(runs.iter().all(|run| !run.has_ended()));
            assert_eq!(run.wait().expect("runs").outcome, Outcome::Killed);
        }
    }
}

#[test]
fn a_kill_ends_one_looping_module_and_no_other() {
    one_of_many_at_a_time(&module(&started(LOOP)));
}

#[test]
fn a_kill_ends_one_looping_component_and_no_other() {
    one_of_many_at_a_time(&component(&started(LOOP)));
}

#[test]
fn all_killed_at_once_all_end() {
    for guest in both(&started(LOOP)) {
        let config = RunConfig::new().killable(true);
        let program = compile(&guest, &config);
        for _ in 0..50 {
            let runs: Vec<_> = (0..8)
                .map(|_| program.start(&config).expect("starts"))
                .collect();
            for run in &runs {
                run.kill().expect("killable");
            }
            for run in runs {
                assert_eq!(run.wait().expect("runs").outcome, Outcome::Killed);
            }
        }
    }
}

#[test]
fn a_component_that_computes_does_not_hold_up_one_that_sleeps() {
    let killable = RunConfig::new().killable(true);
    let computing = compile(&component(&started(LOOP)), &killable)
        .start(&killable)
        .expect("starts");
    let sleep = "(call $sleep (i64.const 20000000))";
    assert_eq!(
        outcome(&component(&started(sleep)), &RunConfig::new()),
        Outcome::Exited(0)
    );
    computing.kill().expect("killable");
    assert_eq!(computing.wait().expect("runs").outcome, Outcome::Killed);
}
