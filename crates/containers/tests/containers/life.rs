//! From creation to removal.

use std::io::Write;
use std::time::Duration;

use wasmrun::{ErrorKind, Limits, Stdin};
use wasmrun_containers::{Failure, Signal, Spec, State};

use crate::common::{ENGINES, LONG, containers, has_spoken, lines, spec, started};

#[test]
fn a_container_goes_from_created_to_exited_and_can_be_started_again() {
    let containers = containers();
    for engine in ENGINES {
        containers
            .create("web", spec(engine, "hello"))
            .expect("a new one");
        assert_eq!(containers.state("web").expect("there"), State::Created);
        for times in 1..=2 {
            containers.start("web").expect("it starts");
            let state = containers.wait("web").expect("it ends");
            assert_eq!(state, State::Exited { code: 0 });
            assert_eq!(lines(&containers, "web"), vec!["hello"; times]);
        }
        let info = containers.info("web").expect("there");
        assert_eq!(info.engine.as_deref(), Some(*engine));
        assert!(info.created <= info.started.expect("started"));
        assert!(info.started <= info.ended);
        assert!(containers.remove("web").expect("it does not run"));
        assert!(!containers.remove("web").expect("twice is no error"));
        assert!(containers.list().is_empty());
    }
}

#[test]
fn a_program_in_a_file_is_found_when_the_container_is_started() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.wat");
    let containers = containers();
    containers
        .create("web", Spec::new(&path))
        .expect("not looked at yet");
    let error = containers.start("web").expect_err("no file");
    assert_eq!(error.kind(), ErrorKind::GuestNotFound);
    assert!(
        error
            .to_string()
            .starts_with("container web (failed) cannot be started: "),
        "{error}"
    );
    let State::Failed { kind, .. } = containers.state("web").expect("there") else {
        panic!("it failed");
    };
    assert_eq!(kind, Failure::Error(ErrorKind::GuestNotFound));
    std::fs::write(&path, r#"(module (func (export "_start")))"#).expect("written");
    containers.start("web").expect("it is there now");
    let state = containers.wait("web").expect("it ends");
    assert_eq!(state.exit_code(), Some(0));
}

#[test]
fn a_failure_says_of_which_kind_it_is() {
    type Change = fn(&mut Limits);
    let cases: [(&str, Change, Failure, u8); 4] = [
        ("trap", |_| (), Failure::Trapped, 134),
        (
            "loop",
            |limits| limits.timeout = Some(Duration::from_millis(50)),
            Failure::TimedOut,
            124,
        ),
        (
            "loop",
            |limits| limits.fuel = Some(100_000),
            Failure::OutOfFuel,
            124,
        ),
        (
            "hello",
            |limits| limits.memory = Some(1 << 16),
            Failure::OutOfMemory,
            137,
        ),
    ];
    let containers = containers();
    for engine in ENGINES {
        for (image, change, failure, code) in cases {
            let mut spec = spec(engine, image);
            change(&mut spec.run.config.limits);
            started(&containers, "x", spec);
            let state = containers.wait("x").expect("it ends");
            assert_eq!(state.exit_code(), Some(code), "{state}");
            let State::Failed { kind, reason } = state else {
                panic!("{engine} {image}: {state}");
            };
            assert_eq!(kind, failure);
            assert!(!reason.is_empty());
            containers.remove("x").expect("it does not run");
        }
    }
}

#[test]
fn what_is_stopped_has_its_grace_and_is_killed_then() {
    let containers = containers();
    for engine in ENGINES {
        for image in ["loop", "sleep"] {
            started(&containers, "x", spec(engine, image));
            has_spoken(&containers, "x");
            assert_eq!(containers.state("x").expect("there"), State::Running);
            for _ in 0..2 {
                let state = containers.stop("x", Duration::from_millis(1));
                assert_eq!(state.expect("it ends"), State::Exited { code: 137 });
            }
            containers.remove("x").expect("it does not run");
        }
    }
}

#[test]
fn what_reads_its_input_sees_its_end_when_it_is_to_stop() {
    let containers = containers();
    for engine in ENGINES {
        let mut spec = spec(engine, "cat");
        spec.run.config.stdin = Stdin::Pipe;
        started(&containers, "own", spec.clone());
        // Nobody took the pipe, so it is closed for the guest.
        let state = containers.stop("own", LONG).expect("it ends");
        assert_eq!(state, State::Exited { code: 0 });
        started(&containers, "taken", spec);
        let mut stdin = containers
            .take_stdin("taken")
            .expect("it runs")
            .expect("a pipe");
        assert!(containers.take_stdin("taken").expect("it runs").is_none());
        stdin.write_all(b"a line\n").expect("it reads");
        drop(stdin);
        let state = containers.wait("taken").expect("it ends");
        assert_eq!(state, State::Exited { code: 0 });
        assert_eq!(lines(&containers, "taken"), ["a line"]);
        for id in ["own", "taken"] {
            containers.remove(id).expect("it does not run");
        }
    }
}

#[test]
fn a_signal_ends_a_container_and_its_code_says_which() {
    let containers = containers();
    for engine in ENGINES {
        for (signal, code) in [(Signal::Term, 143), (Signal::Kill, 137), (Signal::Int, 130)] {
            started(&containers, "x", spec(engine, "loop"));
            containers.kill("x", signal).expect("it runs");
            assert_eq!(containers.wait("x").expect("ends"), State::Exited { code });
            let error = containers.kill("x", signal).expect_err("it is over");
            assert_eq!(error.kind(), ErrorKind::Ended);
            let words = format!("container x (exited with {code}) ");
            assert!(error.to_string().starts_with(&words), "{error}");
            containers.remove("x").expect("it does not run");
        }
    }
}

#[test]
fn what_was_not_started_can_be_stopped_and_waited_for() {
    let containers = containers();
    containers
        .create("x", spec("wasmi", "hello"))
        .expect("a new one");
    let stopped = containers.stop("x", LONG).expect("nothing to do");
    assert_eq!(stopped, State::Created);
    let none = containers.wait_timeout("x", Duration::from_millis(1));
    assert_eq!(none.expect("there"), None);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| containers.wait("x"));
        containers.start("x").expect("it starts");
        let state = waiter.join().expect("no panic").expect("it ends");
        assert_eq!(state, State::Exited { code: 0 });
    });
}

#[test]
fn who_waits_for_a_container_that_is_removed_is_told() {
    let containers = containers();
    containers
        .create("x", spec("wasmi", "hello"))
        .expect("a new one");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| containers.wait("x"));
        // Whether it waits by then or not, it is told one of two things.
        containers.remove("x").expect("it does not run");
        let error = waiter.join().expect("no panic").expect_err("removed");
        assert!(error.to_string().contains("container x"), "{error}");
    });
}

#[test]
fn what_runs_is_killed_with_its_keeper() {
    let kept = containers();
    started(&kept, "x", spec("wasmi", "loop"));
    let mut events = kept.events();
    let query = wasmrun_containers::LogQuery::new().follow();
    let logs = kept.logs("x", &query).expect("there");
    drop(kept);
    let ended = events.find_map(|event| match event.what {
        wasmrun_containers::Happened::Ended(state) => Some(state),
        _ => None,
    });
    assert_eq!(ended, Some(State::Exited { code: 137 }));
    assert!(logs.count() <= 1);
}
