//! How long after its deadline a guest that never ends is reported as out of time. What is shown is only
//! the lateness, not the time the guest had.

use std::time::{Duration, Instant};

use criterion::Criterion;
use wasmrun::{Outcome, Program, RunConfig, Stdin};

use crate::{SLEEPER, engines, guest};

const TIME: Duration = Duration::from_millis(300);

const GUESTS: [(&str, &str); 2] = [
    ("loop", r#"(module (func (export "_start") (loop br 0)))"#),
    ("sleep", SLEEPER),
];

pub fn benches(criterion: &mut Criterion) {
    for (kind, text) in GUESTS {
        let guest = guest(kind, text);
        let config = RunConfig::new()
            .stdin(Stdin::Null)
            .limit(|limits| limits.timeout = Some(TIME));
        let mut group = criterion.benchmark_group(format!("lateness of a timeout, {kind}"));
        group
            .sample_size(10)
            .warm_up_time(TIME)
            .measurement_time(10 * TIME);
        for (name, engine) in engines() {
            let program = Program::compile(engine, &guest, &config).expect(name);
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|turns| {
                    (0..turns)
                        .map(|_| {
                            let began = Instant::now();
                            let report = program.run(&config).expect(name);
                            assert_eq!(report.outcome, Outcome::TimedOut);
                            began.elapsed().saturating_sub(TIME)
                        })
                        .sum()
                });
            });
        }
        group.finish();
    }
}
