//! What core does around every engine, shown on one that runs no guest.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use wasmrun_core::stdio::{Input, Output};
use wasmrun_core::{
    Access, Control, Error, ErrorKind, Event, Guest, NoEvent, Outcome, Program, Result, RunConfig,
    RunState, Stdin, Stdout, Support, Task, Trap, TrapKind,
};
use wasmrun_testkit::NullEngine;

type Run = dyn Fn(Task, &Control) -> Result<Outcome> + Send + Sync;

fn guest() -> Guest {
    Guest::from_bytes("app.wasm", "(module (memory 2) (func (export \"_start\")))")
        .expect("a small module")
}

fn program(
    config: &RunConfig,
    run: impl Fn(Task, &Control) -> Result<Outcome> + Send + Sync + 'static,
) -> Program {
    Program::compile(Arc::new(NullEngine::new(run)), &guest(), config).expect("it does everything")
}

/// A guest that writes its input to its output.
fn echo(task: Task, _: &Control) -> Result<Outcome> {
    let mut input = Vec::new();
    match task.stdin {
        Input::File(mut file) => drop(file.read_to_end(&mut input)),
        Input::Bytes(bytes) => input.extend_from_slice(&bytes),
        _ => {}
    }
    match task.stdout {
        Output::File(mut file) => drop(file.write_all(&input)),
        Output::Capture(capture) => capture.push(&input),
        _ => {}
    }
    Ok(Outcome::Exited(0))
}

/// A guest that never ends by itself.
fn sleep(_: Task, control: &Control) -> Result<Outcome> {
    control.sleep(Duration::MAX);
    Ok(Outcome::Exited(0))
}

// ---- what reaches an engine ------------------------------------------------------------------------

#[test]
fn what_is_refused_never_reaches_the_engine() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let engine = NullEngine::new(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(Outcome::Exited(0))
    })
    .with_capability(|capability| capability.fuel = Support::Unsupported);
    let engine = Arc::new(engine);
    let config = RunConfig::new().limit(|limits| limits.fuel = Some(1));

    let error = Program::compile(engine.clone(), &guest(), &config).expect_err("it has no fuel");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "null: cannot limit fuel");
    let program = Program::compile(engine, &guest(), &RunConfig::new()).expect("it runs this");
    for error in [program.run(&config).err(), program.start(&config).err()] {
        assert_eq!(error.expect("refused").kind(), ErrorKind::Unsupported);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[test]
fn emulated_is_as_good_as_native() {
    let engine =
        NullEngine::default().with_capability(|capability| capability.fuel = Support::Emulated);
    let config = RunConfig::new().limit(|limits| limits.fuel = Some(1));
    let program = Program::compile(Arc::new(engine), &guest(), &config).expect("it emulates");
    assert_eq!(
        program.run(&config).expect("a run").outcome,
        Outcome::Exited(0)
    );
}

#[test]
fn a_task_is_resolved() {
    let directory = tempfile::tempdir().expect("a directory");
    let host = directory.path().to_owned();
    let config = RunConfig::new()
        .args(["one", ""])
        .env("A", "1")
        .env("B", "2")
        .env("A", "3")
        .map_dir(&host, "data/../data/.", Access::ReadOnly);
    let program = program(&config, move |task, _| {
        assert_eq!(task.args, ["app.wasm", "one", ""]);
        let env: Vec<_> = task
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(env, ["A=3", "B=2"]);
        assert_eq!(task.mounts.len(), 1);
        assert_eq!(task.mounts[0].host(), Some(&*host));
        assert_eq!(task.mounts[0].path, "data");
        assert_eq!(task.mounts[0].access, Access::ReadOnly);
        assert!(matches!(task.stdin, Input::Null));
        Ok(Outcome::Exited(0))
    });
    assert!(program.run(&config).expect("a run").outcome.success());
}

#[test]
fn a_program_compiled_for_less_refuses_more() {
    let plain = program(&RunConfig::new(), |_, _| Ok(Outcome::Exited(0)));
    for config in [
        RunConfig::new().limit(|limits| limits.fuel = Some(1)),
        RunConfig::new().limit(|limits| limits.timeout = Some(Duration::MAX)),
        RunConfig::new().limit(|limits| limits.stack = Some(1 << 20)),
        RunConfig::new().killable(true),
    ] {
        let error = plain.run(&config).expect_err("it was not compiled for it");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(
            error.to_string().contains("compile it with the config"),
            "{error}"
        );
    }
    let killable = RunConfig::new().killable(true);
    let more = program(&killable, |_, _| Ok(Outcome::Exited(0)));
    assert!(more.run(&RunConfig::new()).is_ok(), "less is no problem");
}

#[test]
fn a_guest_that_starts_out_too_large_is_never_started() {
    for limit in [0, 65536, 131_071] {
        let config = RunConfig::new().limit(|limits| limits.memory = Some(limit));
        let program = program(&config, |_, _| panic!("it was started"));
        let report = program.run(&config).expect("a run");
        assert_eq!(report.outcome, Outcome::OutOfMemory);
    }
}

// ---- what comes back -------------------------------------------------------------------------------

#[test]
fn a_report_names_its_engine_and_the_time_to_compile() {
    let config = RunConfig::new();
    let program = program(&config, |_, _| {
        Ok(Outcome::Trapped(Trap::new(TrapKind::Unreachable, "x")))
    });
    let report = program.run(&config).expect("a run");
    assert_eq!(report.engine, "null");
    assert!(!report.engine_version.is_empty());
    assert!(report.stats.compile.is_some());
    assert_eq!(report.outcome.to_string(), "trapped: unreachable executed");
}

#[test]
fn an_error_of_the_engine_carries_its_name() {
    let config = RunConfig::new();
    let program = program(&config, |_, _| {
        Err(Error::new(ErrorKind::Engine, "out of order"))
    });
    let error = program.run(&config).expect_err("it is out of order");
    assert_eq!(error.to_string(), "null: out of order");
    assert_eq!(error.engine(), Some("null"));
    let error = program
        .start(&config)
        .expect("starts")
        .wait()
        .expect_err("out of order");
    assert_eq!(error.to_string(), "null: out of order");
}

#[test]
fn an_engine_that_panics_is_an_error_of_a_started_run() {
    let config = RunConfig::new();
    let program = program(&config, |_, _| panic!("on purpose"));
    let run = program.start(&config).expect("starts");
    let error = run.wait().expect_err("it panicked");
    assert_eq!(error.kind(), ErrorKind::Engine);
}

#[test]
fn captured_output_is_bounded() {
    let config = RunConfig::new()
        .stdin(Stdin::Bytes(b"0123456789".to_vec()))
        .stdout(Stdout::Capture)
        .limit(|limits| limits.output = Some(4));
    let report = program(&config, echo).run(&config).expect("a run");
    assert_eq!(report.stdout.bytes, b"0123");
    assert_eq!(report.stdout.dropped, 6);
    assert_eq!(report.stderr.bytes, b"");
}

#[test]
fn one_program_runs_many_times_at_once() {
    let config = RunConfig::new();
    let together = Arc::new(Barrier::new(4));
    let meeting = together.clone();
    let program = program(&config, move |_, _| {
        // Passes only if all of them are here at the same time.
        meeting.wait();
        Ok(Outcome::Exited(0))
    });
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(program.run(&config).expect("a run").outcome.success()));
        }
    });
}

// ---- pipes and events ------------------------------------------------------------------------------

#[test]
fn waiting_closes_the_input() {
    let config = RunConfig::new().stdin(Stdin::Pipe).stdout(Stdout::Capture);
    let mut run = program(&config, echo).start(&config).expect("starts");
    let stdin = run.stdin.as_mut().expect("the pipe that was asked for");
    stdin.write_all(b"hello").expect("the guest reads");
    assert_eq!(run.wait().expect("a run").stdout.bytes, b"hello");
}

#[test]
fn only_pipes_that_were_asked_for_are_there() {
    let config = RunConfig::new().stdout(Stdout::Null).stderr(Stdout::Pipe);
    let run = program(&config, echo).start(&config).expect("starts");
    assert!(run.stdin.is_none() && run.stdout.is_none() && run.stderr.is_some());
    run.wait().expect("a run");
}

#[test]
fn running_in_place_refuses_pipes() {
    for config in [
        RunConfig::new().stdin(Stdin::Pipe),
        RunConfig::new().stdout(Stdout::Pipe),
        RunConfig::new().stderr(Stdout::Pipe),
    ] {
        let error = program(&config, echo)
            .run(&config)
            .expect_err("nobody could use it");
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

#[test]
fn events_end_with_the_end() {
    let config = RunConfig::new()
        .stdin(Stdin::Bytes(vec![b'x'; 100_000]))
        .stdout(Stdout::Pipe);
    let run = program(&config, echo).start(&config).expect("starts");
    let (mut bytes, mut ended) = (0, false);
    for event in run.events() {
        assert!(!ended);
        match event {
            Event::Stdout(piece) => bytes += piece.len(),
            Event::Ended(report) => ended = report.expect("a run").outcome.success(),
            other => panic!("{other:?}"),
        }
    }
    assert!(ended);
    assert_eq!(bytes, 100_000);
}

#[test]
fn events_without_pipes_are_just_the_end() {
    let config = RunConfig::new();
    let run = program(&config, echo).start(&config).expect("starts");
    let events: Vec<_> = run.events().collect();
    assert!(matches!(&*events, [Event::Ended(Ok(_))]), "{events:?}");
}

// ---- deadlines and kills ---------------------------------------------------------------------------

#[test]
fn a_deadline_makes_the_outcome_whatever_the_engine_returns() {
    let config = RunConfig::new().limit(|limits| limits.timeout = Some(Duration::from_millis(20)));
    let endings: [Box<Run>; 3] = [
        Box::new(sleep),
        Box::new(|_, control| {
            control.sleep(Duration::MAX);
            Err(Error::new(ErrorKind::Engine, "interrupted"))
        }),
        Box::new(|_, control| {
            control.sleep(Duration::MAX);
            Ok(Outcome::Trapped(Trap::new(
                TrapKind::MemoryOutOfBounds,
                "by the interruption",
            )))
        }),
    ];
    for ending in endings {
        let program = program(&config, ending);
        assert_eq!(
            program.run(&config).expect("a run").outcome,
            Outcome::TimedOut
        );
        let run = program.start(&config).expect("starts");
        assert_eq!(run.wait().expect("a run").outcome, Outcome::TimedOut);
    }
}

#[test]
fn a_deadline_that_is_not_reached_changes_nothing() {
    for timeout in [Duration::from_secs(3600), Duration::MAX] {
        let config = RunConfig::new().limit(|limits| limits.timeout = Some(timeout));
        let program = program(&config, |_, control| {
            assert_eq!(control.sleep(Duration::from_millis(1)), None);
            Ok(Outcome::Exited(3))
        });
        assert_eq!(
            program.run(&config).expect("a run").outcome,
            Outcome::Exited(3)
        );
    }
}

#[test]
fn deadlines_of_many_runs_are_kept_apart() {
    let limited = |millis| {
        RunConfig::new().limit(|limits| limits.timeout = Some(Duration::from_millis(millis)))
    };
    let program = program(&limited(1), |task, control| {
        let time = task.args[1].parse().expect("a number of milliseconds");
        control.sleep(Duration::from_millis(time));
        Ok(Outcome::Exited(0))
    });
    thread::scope(|scope| {
        for number in 0..20u64 {
            let program = &program;
            scope.spawn(move || {
                let (timeout, sleep, outcome) = if number % 2 == 0 {
                    (10 + number, 3_600_000, Outcome::TimedOut)
                } else {
                    (3_600_000, 10 + number, Outcome::Exited(0))
                };
                let config = limited(timeout).arg(sleep.to_string());
                assert_eq!(program.run(&config).expect("a run").outcome, outcome);
            });
        }
    });
}

#[test]
fn a_kill_is_the_outcome() {
    let config = RunConfig::new().killable(true);
    let mut run = program(&config, sleep).start(&config).expect("starts");
    assert!(!run.has_ended());
    assert!(run.try_wait().expect("it sleeps for ever").is_none());
    assert!(matches!(run.state(), RunState::Running(_)));
    run.kill().expect("killable");
    run.kill().expect("a second time is no error");
    assert_eq!(run.wait().expect("a run").outcome, Outcome::Killed);
}

#[test]
fn dropping_a_killable_run_kills_it() {
    let config = RunConfig::new().killable(true);
    let (seen, sees) = std::sync::mpsc::channel();
    let program = program(&config, move |_, control| {
        seen.send(control.interrupted()).expect("the test listens");
        control.sleep(Duration::MAX);
        seen.send(control.interrupted()).expect("the test listens");
        Ok(Outcome::Exited(0))
    });
    let run = program.start(&config).expect("starts");
    // A run that is killed before its guest begins never reaches the engine.
    assert_eq!(sees.recv().expect("it begins"), None);
    drop(run);
    assert!(sees.recv().expect("it ends").is_some());
}

#[test]
fn what_has_ended_is_told_as_often_as_it_is_asked() {
    let config = RunConfig::new();
    let mut run = program(&config, |_, _| Ok(Outcome::Exited(3)))
        .start(&config)
        .expect("starts");
    for _ in 0..2 {
        let report = run.wait_timeout(Duration::from_secs(60)).expect("a run");
        assert_eq!(report.expect("it ends").outcome, Outcome::Exited(3));
        assert!(
            matches!(run.state(), RunState::Ended(report) if report.outcome == Outcome::Exited(3))
        );
    }
    assert!(run.has_ended());
    assert_eq!(run.wait().expect("a run").outcome, Outcome::Exited(3));

    let mut run = program(&config, |_, _| panic!("on purpose"))
        .start(&config)
        .expect("starts");
    for _ in 0..2 {
        let error = run.wait_timeout(Duration::from_secs(60));
        assert_eq!(error.expect_err("it panicked").kind(), ErrorKind::Engine);
        assert!(matches!(run.state(), RunState::Failed(_)));
    }
}

#[test]
fn a_stop_gives_the_guest_time_and_then_kills_it() {
    let config = RunConfig::new()
        .stdin(Stdin::Pipe)
        .stdout(Stdout::Capture)
        .killable(true);
    let reads = program(&config, echo).start(&config).expect("starts");
    // It ends with its input.
    let report = reads.stop(Duration::from_secs(60)).expect("a run");
    assert_eq!(report.outcome, Outcome::Exited(0));
    let sleeps = program(&config, sleep).start(&config).expect("starts");
    let report = sleeps.stop(Duration::from_millis(10)).expect("a run");
    assert_eq!(report.outcome, Outcome::Killed);
    let config = RunConfig::new();
    let other = program(&config, echo).start(&config).expect("starts");
    let error = other.stop(Duration::ZERO).expect_err("not killable");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn events_are_waited_for_no_longer_than_asked() {
    let config = RunConfig::new()
        .stdin(Stdin::Pipe)
        .stdout(Stdout::Pipe)
        .killable(true);
    let mut run = program(&config, sleep).start(&config).expect("starts");
    let _stdin = run.stdin.take();
    let mut events = run.events();
    let none = events.recv_timeout(Duration::from_millis(10));
    assert!(matches!(none, Err(NoEvent::TimedOut)), "{none:?}");
    events.killer().expect("killable").kill();
    let end = events.recv_timeout(Duration::from_secs(60));
    assert!(
        matches!(&end, Ok(Event::Ended(Ok(report))) if report.outcome == Outcome::Killed),
        "{end:?}"
    );
    let over = events.recv_timeout(Duration::from_secs(60));
    assert!(matches!(over, Err(NoEvent::Over)), "{over:?}");
    assert!(events.next().is_none());
}

#[test]
fn dropping_any_other_run_lets_it_end() {
    let config = RunConfig::new();
    let (ended, end) = std::sync::mpsc::channel();
    let program = program(&config, move |_, control| {
        control.sleep(Duration::from_millis(20));
        ended.send(control.interrupted()).expect("the test listens");
        Ok(Outcome::Exited(0))
    });
    drop(program.start(&config).expect("starts"));
    assert_eq!(end.recv().expect("it ends"), None);
}

#[test]
fn what_was_not_started_killable_refuses_a_kill() {
    let config = RunConfig::new();
    let run = program(&config, echo).start(&config).expect("starts");
    assert_eq!(
        run.kill().expect_err("not killable").kind(),
        ErrorKind::Unsupported
    );
    assert!(run.wait().expect("a run").outcome.success());
}

// ---- stack -----------------------------------------------------------------------------------------

#[test]
fn a_guest_has_the_stack_that_was_asked_for() {
    // More than the thread that calls has, used up frame by frame.
    fn deep(frames: usize) -> usize {
        let room = std::hint::black_box([1u8; 4096]);
        if frames == 0 {
            0
        } else {
            deep(frames - 1) + usize::from(room[0])
        }
    }
    let config = RunConfig::new().limit(|limits| limits.stack = Some(32 << 20));
    let program = program(&config, |_, _| {
        assert_eq!(deep(4000), 4000);
        Ok(Outcome::Exited(0))
    });
    assert!(program.run(&config).expect("a run").outcome.success());
    let run = program.start(&config).expect("starts");
    assert!(run.wait().expect("a run").outcome.success());
}
