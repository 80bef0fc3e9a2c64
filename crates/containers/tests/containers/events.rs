//! What is told of containers.

use wasmrun::NoEvent;
use wasmrun_containers::{Happened, State};

use crate::common::{LONG, containers, spec, started};

#[test]
fn whoever_listens_is_told_of_a_whole_life() {
    let containers = containers();
    let mut events = containers.events();
    started(&containers, "web", spec("wasmi", "fails"));
    containers.wait("web").expect("it ends");
    containers.remove("web").expect("it does not run");
    let told: Vec<_> = (0..4)
        .map(|_| events.recv_timeout(LONG).expect("an event"))
        .collect();
    assert!(told.iter().all(|event| event.id == "web"));
    assert!(told.is_sorted_by_key(|event| event.time));
    let what: Vec<_> = told.into_iter().map(|event| event.what).collect();
    let ended = Happened::Ended(State::Exited { code: 3 });
    let life = [
        Happened::Created,
        Happened::Started,
        ended,
        Happened::Removed,
    ];
    assert_eq!(what, life);
    drop(containers);
    assert_eq!(events.recv_timeout(LONG), Err(NoEvent::Over));
    assert_eq!(events.missed(), 0);
}
