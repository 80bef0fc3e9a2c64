//! Many containers come and go in one process, and nothing of them stays. It has a process of its own, whose threads and
//! descriptors it counts.

#![cfg(all(target_os = "linux", feature = "wasmi"))]

use std::time::Duration;

use wasmrun::{Engines, RunConfig};
use wasmrun_containers::{Containers, RestartPolicy, Signal, Spec, State};
use wasmrun_testkit::guests;

/// Enough that one of anything for each would show.
const MANY: usize = 1000;

fn containers() -> Containers {
    let sleep =
        guests::wasi(r#"(func (export "_start") (call $sleep (i64.const 86400000000000)))"#);
    let (fails, hello) = (guests::exit(1), guests::hello());
    let images = move |reference: &str, _, config: &RunConfig| {
        let guest = match reference {
            "sleep" => &sleep,
            "fails" => &fails,
            _ => &hello,
        };
        Ok((guest.clone(), config.clone()))
    };
    Containers::with_images(Engines::new(), images)
}

fn spec(image: &str) -> Spec {
    let mut spec = Spec::of_image(image);
    spec.run.launch.engine = Some("wasmi".to_owned());
    spec
}

fn entries(directory: &str) -> usize {
    std::fs::read_dir(directory).expect("of Linux").count()
}

/// Bytes that are resident.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("of Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes
        .and_then(|text| text.parse::<u64>().ok())
        .expect("a size")
        << 10
}

/// One after the other, in several ways.
fn churn(containers: &Containers, times: usize) {
    for n in 0..times {
        let id = format!("c{n}");
        let image = ["hello", "sleep", "fails", "hello"][n % 4];
        let mut spec = spec(image);
        if image == "fails" {
            spec.restart = RestartPolicy::Always;
        }
        containers.create(&id, spec).expect("a new one");
        if n % 8 == 7 {
            // Was never started.
            containers.remove(&id).expect("it does not run");
            continue;
        }
        containers.start(&id).expect("it starts");
        let ended = match image {
            "hello" => containers.wait(&id),
            _ => containers.stop(&id, Duration::ZERO),
        };
        let State::Exited { .. } = ended.expect("it ends") else {
            panic!("{image}");
        };
        containers.remove(&id).expect("it does not run");
    }
}

#[test]
fn nothing_stays_of_a_thousand_containers() {
    let containers = containers();
    // Whatever the process starts once is there by then.
    churn(&containers, 200);
    let count = || (entries("/proc/self/task"), entries("/proc/self/fd"));
    let (before, resident_before) = (count(), resident());
    churn(&containers, 2 * MANY);
    assert_eq!(count(), before);
    let grown = resident().saturating_sub(resident_before);
    assert!(grown < 16 << 20, "{grown} bytes more");

    let ids: Vec<_> = (0..MANY).map(|n| format!("at-once-{n}")).collect();
    for id in &ids {
        containers.create(id, spec("sleep")).expect("a new one");
        containers.start(id).expect("it starts");
    }
    assert_eq!(containers.list().len(), MANY);
    // The guests' threads, and no others.
    assert_eq!(entries("/proc/self/task"), before.0 + MANY);
    for id in &ids {
        containers.kill(id, Signal::Term).expect("it runs");
    }
    for id in &ids {
        let state = containers.wait(id).expect("it ends");
        assert_eq!(state, State::Exited { code: 143 });
        containers.remove(id).expect("it does not run");
    }
    assert_eq!(count(), before);

    let (threads, _) = before;
    drop(containers);
    assert_eq!(entries("/proc/self/task"), threads - 1);
}
