//! Reading a guest, making it ready to run, and taking what was made ready before from a cache. What an
//! engine does later, at each run, is in none of them.

use criterion::Criterion;
use wasmrun::{Cache, CacheUse, Guest, Program, RunConfig};

use crate::{by_hand, engines, guest};

pub fn benches(criterion: &mut Criterion) {
    let guest = guest(
        "calls",
        &include_str!("../../guests/calls.wat").replace("CALL", "clock"),
    );
    let config = RunConfig::new();
    let mut group = criterion.benchmark_group("inspect");
    group.bench_function("wasmrun", |bencher| {
        bencher.iter(|| Guest::from_bytes("calls.wasm", guest.bytes()).map(|read| read.inspect()));
    });
    group.finish();
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(20);
    by_hand::measure(&mut group, by_hand::compiling(&guest));
    for (name, engine) in engines() {
        group.bench_function(name, |bencher| {
            bencher.iter(|| Program::compile(engine.clone(), &guest, &config).expect(name));
        });
    }
    group.finish();
    let directory = tempfile::tempdir().expect("a directory");
    let cache = Cache::open(directory.path().join("cache")).expect("a cache");
    let mut group = criterion.benchmark_group("load");
    by_hand::measure(&mut group, by_hand::loading(&guest, directory.path()));
    for (name, engine) in engines() {
        let load = || Program::compile_cached(engine.clone(), &guest, &config, &cache).expect(name);
        load();
        // Not every engine has code that can be kept.
        if load().run(&config).expect(name).stats.cache == Some(CacheUse::Hit) {
            group.bench_function(name, |bencher| bencher.iter(load));
        }
    }
    group.finish();
}
