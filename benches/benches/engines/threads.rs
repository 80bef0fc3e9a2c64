//! One program, run by many threads at the same time.

use std::thread;
use std::time::Instant;

use criterion::{Criterion, Throughput};
use wasmrun::{Place, Program, RunConfig};

use crate::{engines, guest};

/// Runs of each thread in a measured turn.
const RUNS: u64 = 200;

pub fn benches(criterion: &mut Criterion) {
    let guest = guest("nothing", r#"(module (memory 1) (func (export "_start")))"#);
    let most = thread::available_parallelism().map_or(1, usize::from);
    let mut group = criterion.benchmark_group("threads");
    group.sample_size(10);
    for (name, engine) in engines() {
        if engine.info().place != Place::InProcess {
            continue;
        }
        let program = Program::compile(engine, &guest, &RunConfig::new()).expect(name);
        for threads in [1, most, 4 * most] {
            group.throughput(Throughput::Elements(RUNS * threads as u64));
            group.bench_function(format!("{name}/{threads}"), |bencher| {
                bencher.iter_custom(|turns| {
                    let began = Instant::now();
                    thread::scope(|scope| {
                        for _ in 0..threads {
                            scope.spawn(|| {
                                for _ in 0..turns * RUNS {
                                    program.run(&RunConfig::new()).expect(name);
                                }
                            });
                        }
                    });
                    began.elapsed()
                });
            });
        }
    }
    group.finish();
}
