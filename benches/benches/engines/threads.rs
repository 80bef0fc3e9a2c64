//! One program that many threads run, or make instances of, at the same time.

use std::thread;

use criterion::{Criterion, Throughput};
use wasmrun::{Program, Request, RunConfig, Stdout};

use crate::by_hand::{self, ByHand};
use crate::group::Group;
use crate::{NOTHING, guest, in_process};

/// Runs of each thread.
const RUNS: usize = 200;

pub fn benches(criterion: &mut Criterion) {
    let guest = guest("nothing", NOTHING);
    // By hand it has no streams either.
    let config = RunConfig::new().stdout(Stdout::Null).stderr(Stdout::Null);
    let most = thread::available_parallelism().map_or(1, usize::from);
    for threads in [1, most, 4 * most] {
        let mut group = Group::new(criterion, format!("threads {threads}"));
        group
            .sample_size(10)
            .throughput(Throughput::Elements((RUNS * threads) as u64));
        let by_hand = by_hand::all(&guest, None).into_iter();
        group.by_hand(by_hand.map(|one| by_many(threads, one)).collect());
        for (name, engine) in in_process() {
            let program = Program::compile(engine.clone(), &guest, &config).expect(name);
            group.bench(name, || {
                many(threads, || drop(program.run(&config).expect(name)));
            });
            let live = Request::from(&config).live();
            let program = Program::compile(engine, &guest, live).expect(name);
            group.bench(format!("{name}/instances"), || {
                many(threads, || drop(program.instantiate(&config).expect(name)));
            });
        }
    }
}

fn by_many(threads: usize, ByHand { name, run }: ByHand) -> ByHand {
    ByHand {
        name,
        run: Box::new(move || many(threads, &run)),
    }
}

fn many(threads: usize, run: impl Fn() + Sync) {
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..RUNS).for_each(|_| run()));
        }
    });
}
