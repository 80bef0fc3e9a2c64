//! A group of benches: what is done with wasmrun, beside the same by hand.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use tempfile::TempDir;
use wasmrun::{Cache, Engine, Guest, Place, Program, Request, RunConfig};

use crate::by_hand::ByHand;
use crate::summary;

/// criterion's group, which measures one thing after the other. A machine is not the same machine some
/// seconds later, so what has a counterpart by hand is measured in turn with it, run by run.
pub struct Group<'a> {
    group: BenchmarkGroup<'a, WallTime>,
    name: String,
    by_hand: Vec<ByHand>,
    /// Where runtimes on `PATH` keep what they compile, as they do of themselves where they are run by hand.
    cache: Cache,
    _directory: TempDir,
}

impl<'a> Group<'a> {
    pub fn new(criterion: &'a mut Criterion, name: impl Into<String>) -> Self {
        let name = name.into();
        let directory = tempfile::tempdir().expect("a directory");
        Self {
            group: criterion.benchmark_group(&name),
            name,
            by_hand: Vec::new(),
            cache: Cache::open(directory.path().join("cache")).expect("a cache"),
            _directory: directory,
        }
    }

    /// Measures each under its engine's name, and again beside each bench of that engine.
    pub fn by_hand(&mut self, all: Vec<ByHand>) {
        for ByHand { name, run } in &all {
            self.group
                .bench_function(format!("{name}/by hand"), |bencher| bencher.iter(run));
        }
        self.by_hand.extend(all);
    }

    /// Measures one run of `guest` by each of the engines, which have made it ready before and, where that is
    /// the start of a process, kept it.
    pub fn runs(
        &mut self,
        engines: impl Iterator<Item = (&'static str, Arc<dyn Engine>)>,
        guest: &Guest,
        config: &RunConfig,
    ) {
        for (name, engine) in engines {
            let program = self.program(engine, guest, config);
            self.bench(name, || {
                let report = program.run(config).expect(name);
                assert!(report.outcome.success());
            });
        }
    }

    /// `guest`, ready to run.
    pub fn program<'b>(
        &self,
        engine: Arc<dyn Engine>,
        guest: &Guest,
        request: impl Into<Request<'b>>,
    ) -> Program {
        let program = match engine.info().place {
            Place::Executable(_) => Program::compile_cached(engine, guest, request, &self.cache),
            _ => Program::compile(engine, guest, request),
        };
        program.expect("compiles")
    }

    /// Measures `run`, which is called `engine` or `engine/variant`.
    pub fn bench<Output>(&mut self, name: impl Into<String>, run: impl Fn() -> Output) {
        let name = name.into();
        let engine = summary::engine(&name);
        match self.by_hand.iter().find(|by_hand| by_hand.name == engine) {
            None => {
                self.group
                    .bench_function(&name, |bencher| bencher.iter(&run));
            }
            Some(ByHand { run: by_hand, .. }) => {
                let by_hand = || timed(by_hand);
                in_turn(&mut self.group, &self.name, &name, by_hand, || timed(&run));
            }
        }
    }

    /// Measures what takes as long as `run` says.
    pub fn told(&mut self, name: &str, run: impl Fn() -> Duration) {
        self.group.bench_function(name, |bencher| {
            bencher.iter_custom(|turns| (0..turns).map(|_| run()).sum());
        });
    }

    /// As [`told`](Group::told), in turn with another that it is compared with.
    pub fn beside(
        &mut self,
        name: impl Into<String>,
        other: impl Fn() -> Duration,
        run: impl Fn() -> Duration,
    ) {
        in_turn(&mut self.group, &self.name, &name.into(), other, run);
    }
}

fn in_turn(
    criterion: &mut BenchmarkGroup<'_, WallTime>,
    group: &str,
    name: &str,
    other: impl Fn() -> Duration,
    run: impl Fn() -> Duration,
) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|turns| {
            let first = ours.len();
            for _ in 0..turns {
                theirs.push(other());
                ours.push(run());
            }
            ours[first..].iter().sum()
        });
    });
    if let (Some(ours), Some(theirs)) = (median(ours), median(theirs)) {
        summary::beside(group, name, ours / theirs);
    }
}

impl<'a> Deref for Group<'a> {
    type Target = BenchmarkGroup<'a, WallTime>;

    fn deref(&self) -> &Self::Target {
        &self.group
    }
}

impl DerefMut for Group<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.group
    }
}

/// How long it takes.
pub fn timed<Output>(run: impl FnOnce() -> Output) -> Duration {
    let began = Instant::now();
    drop(run());
    began.elapsed()
}

/// In seconds; of nothing, where a filter leaves the bench out.
fn median(mut times: Vec<Duration>) -> Option<f64> {
    let middle = times.len() / 2;
    if times.is_empty() {
        return None;
    }
    let (_, median, _) = times.select_nth_unstable(middle);
    Some(median.as_secs_f64())
}
