//! How long after its deadline a guest that never ends is reported as out of time. What is shown is only
//! the lateness, not the time the guest had.

use std::time::{Duration, Instant};

use criterion::Criterion;
use wasmrun::{Outcome, Program, RunConfig, Stdin};

use crate::{engines, guest};

const TIME: Duration = Duration::from_millis(300);

const GUESTS: [(&str, &str); 2] = [
    ("loop", r#"(module (func (export "_start") (loop br 0)))"#),
    (
        "sleep",
        r#"(module
          (import "wasi_snapshot_preview1" "poll_oneoff"
            (func $poll (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1)
          (func (export "_start")
            (i32.store (i32.const 16) (i32.const 1))
            (i64.store (i32.const 24) (i64.const 600000000000))
            (drop (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256)))))"#,
    ),
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
