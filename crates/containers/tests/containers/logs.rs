//! What containers write.

use std::time::{Duration, SystemTime};

use wasmrun::{LogLine, LogStream, NoEvent, Stdout};
use wasmrun_containers::{LogQuery, RestartPolicy, Spec};

use crate::common::{ENGINES, LONG, containers, lines, spec, started};

fn text(line: &LogLine) -> String {
    let mark = match line.stream {
        LogStream::Stdout => "",
        LogStream::Stderr => "! ",
    };
    format!("{mark}{}", String::from_utf8_lossy(&line.bytes))
}

#[test]
fn both_streams_are_in_one_log_in_order_and_each_run_begins_a_line() {
    let containers = containers();
    for engine in ENGINES {
        let before = SystemTime::now();
        let mut spec = spec(engine, "streams");
        spec.restart = RestartPolicy::Always;
        started(&containers, "x", spec);
        let query = LogQuery::new().follow();
        let mut followed = containers.logs("x", &query).expect("there");
        let mut told: Vec<_> = (0..6)
            .map(|_| text(&followed.recv_timeout(LONG).expect("a line")))
            .collect();
        containers.stop("x", LONG).expect("it ends");
        // The order of both depends on when they are looked at; each has its own.
        told.iter_mut().for_each(|line| line.insert(0, '|'));
        let (errors, output): (Vec<_>, Vec<_>) =
            told.into_iter().partition(|line| line.starts_with("|! "));
        assert_eq!(errors.concat(), "|! error|! error");
        assert_eq!(output.concat(), "|one|two|one|two");
        let all = containers.logs("x", &LogQuery::new()).expect("there");
        let all: Vec<_> = all.collect();
        let texts: Vec<_> = all.iter().map(text).collect();
        let begun = ["one", "! error", "two"];
        assert_eq!(texts[..6], [begun, begun].concat());
        assert!(all.is_sorted_by_key(|line| line.time));
        assert!(all.iter().all(|line| line.time >= before && line.ended));
        containers.remove("x").expect("it does not run");
    }
}

#[test]
fn of_a_log_the_end_is_asked_for_or_what_came_since() {
    let containers = containers();
    started(&containers, "x", spec("wasmi", "streams"));
    containers.wait("x").expect("it ends");
    let asked = |query: LogQuery| -> Vec<String> {
        let logs = containers.logs("x", &query).expect("there");
        logs.map(|line| text(&line)).collect()
    };
    assert_eq!(asked(LogQuery::new().tail(1)), ["two"]);
    assert_eq!(asked(LogQuery::new().tail(1).follow()), ["two"]);
    assert_eq!(
        asked(LogQuery::new().since(SystemTime::UNIX_EPOCH)).len(),
        3
    );
    let later = SystemTime::now() + Duration::from_secs(3600);
    assert!(asked(LogQuery::new().since(later)).is_empty());
    assert!(asked(LogQuery::new().tail(0)).is_empty());
}

#[test]
fn a_log_has_its_bound_however_much_is_written() {
    let containers = containers();
    for engine in ENGINES {
        let mut spec = spec(engine, "write");
        spec.run.config.logs = Some(100_000);
        started(&containers, "x", spec);
        while containers.stats("x").expect("there").stdout_bytes < 10_000_000 {
            std::thread::yield_now();
        }
        containers.stop("x", Duration::ZERO).expect("it ends");
        let kept: usize = lines(&containers, "x").iter().map(String::len).sum();
        assert!(kept <= 100_000, "{kept}");
        assert!(kept > 0);
        containers.remove("x").expect("it does not run");
    }
}

#[test]
fn who_follows_a_silent_container_waits_until_it_is_over() {
    let containers = containers();
    started(&containers, "x", spec("wasmi", "sleep"));
    let query = LogQuery::new().follow();
    let mut followed = containers.logs("x", &query).expect("there");
    followed.recv_timeout(LONG).expect("it says that it sleeps");
    let none = followed.recv_timeout(Duration::from_millis(1));
    assert_eq!(none, Err(NoEvent::TimedOut));
    containers.stop("x", Duration::ZERO).expect("it ends");
    assert_eq!(followed.recv_timeout(LONG), Err(NoEvent::Over));
    assert_eq!(followed.missed(), 0);
}

#[test]
fn a_stream_that_goes_to_a_file_is_in_the_log_as_well() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out");
    let containers = containers();
    let mut spec: Spec = spec("wasmi", "hello");
    spec.run.config.stdout = Stdout::File(path.clone());
    started(&containers, "x", spec);
    containers.wait("x").expect("it ends");
    assert_eq!(lines(&containers, "x"), ["hello"]);
    assert_eq!(std::fs::read(path).expect("written"), b"hello\n");
}
