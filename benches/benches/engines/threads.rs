//! One program, run by many threads at the same time.

use std::thread;
use std::time::Instant;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use wasmrun::{Place, Program, RunConfig};

use crate::by_hand::{self, ByHand};
use crate::{engines, guest};

/// Runs of each thread in a measured turn.
const RUNS: u64 = 200;

pub fn benches(criterion: &mut Criterion) {
    let guest = guest("nothing", r#"(module (memory 1) (func (export "_start")))"#);
    let most = thread::available_parallelism().map_or(1, usize::from);
    let mut group = criterion.benchmark_group("threads");
    group.sample_size(10);
    let counts = [1, most, 4 * most];
    for ByHand { name, run } in by_hand::simple(&guest) {
        for threads in counts {
            let name = format!("{name}/by hand, {threads}");
            measure(&mut group, &name, threads, &run);
        }
    }
    for (name, engine) in engines() {
        if engine.info().place != Place::InProcess {
            continue;
        }
        let program = Program::compile(engine, &guest, &RunConfig::new()).expect(name);
        let run = || drop(program.run(&RunConfig::new()).expect(name));
        for threads in counts {
            measure(&mut group, &format!("{name}/{threads}"), threads, &run);
        }
    }
    group.finish();
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    threads: usize,
    run: &(impl Fn() + Sync),
) {
    group.throughput(Throughput::Elements(RUNS * threads as u64));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|turns| {
            let began = Instant::now();
            thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| (0..turns * RUNS).for_each(|_| run()));
                }
            });
            began.elapsed()
        });
    });
}
