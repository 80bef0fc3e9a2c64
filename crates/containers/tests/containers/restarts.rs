//! Restart policies.

use wasmrun_containers::{Happened, RestartPolicy, State};

use crate::common::{ENGINES, LONG, containers, lines, spec, started};

#[test]
fn what_fails_is_started_again_so_often() {
    let containers = containers();
    for engine in ENGINES {
        let mut spec = spec(engine, "fails");
        spec.restart = RestartPolicy::OnFailure(Some(2));
        started(&containers, "x", spec);
        let state = containers.wait("x").expect("it ends");
        assert_eq!(state, State::Exited { code: 3 });
        assert_eq!(containers.info("x").expect("there").restarts, 2);
        containers.remove("x").expect("it does not run");
    }
}

#[test]
fn a_trap_is_a_failure_and_success_is_none() {
    let containers = containers();
    let mut trap = spec("wasmi", "trap");
    trap.restart = RestartPolicy::OnFailure(Some(1));
    started(&containers, "trap", trap);
    let mut hello = spec("wasmi", "hello");
    hello.restart = RestartPolicy::OnFailure(None);
    started(&containers, "hello", hello);
    for (id, restarts) in [("trap", 1), ("hello", 0)] {
        containers.wait(id).expect("it ends");
        assert_eq!(containers.info(id).expect("there").restarts, restarts);
    }
}

#[test]
fn what_is_always_started_again_ends_when_it_is_stopped() {
    let containers = containers();
    for engine in ENGINES {
        let mut events = containers.events();
        let mut spec = spec(engine, "hello");
        spec.restart = RestartPolicy::Always;
        started(&containers, "x", spec);
        let pauses: Vec<_> = events
            .by_ref()
            .filter_map(|event| match event.what {
                Happened::Restarts { ended, pause } => Some((ended, pause)),
                _ => None,
            })
            .take(2)
            .collect();
        assert!(pauses.is_sorted_by_key(|(_, pause)| *pause));
        assert!(
            pauses
                .iter()
                .all(|(ended, _)| *ended == State::Exited { code: 0 })
        );
        // In the second pause, or in what comes after it.
        let state = containers.stop("x", LONG).expect("it ends");
        assert_eq!(state, State::Exited { code: 0 });
        assert!(lines(&containers, "x").len() >= 2);
        containers.remove("x").expect("it does not run");
    }
}

#[test]
fn what_cannot_be_started_is_not_tried_again() {
    let containers = containers();
    let mut spec = spec("wasmi", "there is none");
    spec.restart = RestartPolicy::Always;
    containers.create("x", spec).expect("a new one");
    containers.start("x").expect_err("no image");
    let state = containers.wait("x").expect("it is over");
    assert!(matches!(state, State::Failed { .. }), "{state}");
}
