//! What containers use.

use std::time::Duration;

use crate::common::{ENGINES, containers, has_spoken, spec, started};

#[test]
fn what_a_container_uses_is_told_while_it_runs_and_afterwards() {
    let containers = containers();
    for engine in ENGINES {
        let mut spec = spec(engine, "loop");
        let limits = &mut spec.run.config.limits;
        (limits.memory, limits.fuel) = (Some(64 << 20), Some(u64::MAX >> 8));
        started(&containers, "x", spec);
        has_spoken(&containers, "x");
        let stats = || containers.stats("x").expect("there");
        let (mut cpu, mut fuel) = (None, None);
        while cpu.is_none() || fuel.is_none() {
            let now = stats();
            cpu = now.cpu.filter(|cpu| *cpu > Duration::from_millis(1));
            fuel = now.fuel_used.filter(|fuel| *fuel > 0);
        }
        let running = stats();
        assert_eq!(running.memory, Some(258 << 16));
        assert_eq!(running.peak_memory, running.memory);
        assert_eq!(running.memory_limit, Some(64 << 20));
        assert_eq!(running.fuel_limit, Some(u64::MAX >> 8));
        assert_eq!(running.stdout_bytes, "ready\n".len() as u64);
        assert_eq!(running.stderr_bytes, 0);
        containers.stop("x", Duration::ZERO).expect("it ends");
        let over = stats();
        assert_eq!(over.memory, Some(0));
        assert!(over.cpu >= running.cpu, "{over:?} after {running:?}");
        assert!(over.elapsed >= running.elapsed);
        assert_eq!(stats(), over);
        containers.remove("x").expect("it does not run");
    }
}

#[test]
fn what_did_not_run_has_used_nothing() {
    let containers = containers();
    containers
        .create("x", spec("wasmi", "hello"))
        .expect("a new one");
    let stats = containers.stats("x").expect("there");
    assert_eq!(stats.elapsed, Duration::ZERO);
    assert_eq!(stats.cpu, None);
    let json = serde_json::to_value(&stats).expect("plain data");
    assert_eq!(json["stdout_bytes"], 0);
}
