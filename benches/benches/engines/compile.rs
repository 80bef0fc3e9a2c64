//! Reading a guest, making it ready to run, and taking what was made ready before from a cache. What an
//! engine does later, at each run, is in none of them.

use criterion::Criterion;
use wasmrun::{Cache, CacheUse, Guest, Program, RunConfig};

use crate::group::Group;
use crate::{by_hand, engines, guest};

pub fn benches(criterion: &mut Criterion) {
    let guest = guest(
        "calls",
        &include_str!("../../guests/calls.wat").replace("CALL", "clock"),
    );
    let config = RunConfig::new();
    Group::new(criterion, "inspect").bench("wasmrun", || {
        Guest::from_bytes("calls.wasm", guest.bytes()).map(|read| read.inspect())
    });
    let mut group = Group::new(criterion, "compile");
    group.sample_size(20);
    group.by_hand(by_hand::compiling(&guest));
    for (name, engine) in engines() {
        group.bench(name, || {
            Program::compile(engine.clone(), &guest, &config).expect(name)
        });
    }
    drop(group);
    let directory = tempfile::tempdir().expect("a directory");
    let cache = Cache::open(directory.path().join("cache")).expect("a cache");
    let mut group = Group::new(criterion, "load");
    group.by_hand(by_hand::loading(&guest, directory.path()));
    for (name, engine) in engines() {
        let load = || Program::compile_cached(engine.clone(), &guest, &config, &cache).expect(name);
        load();
        // Not every engine has code that can be kept.
        if load().run(&config).expect(name).stats.cache == Some(CacheUse::Hit) {
            group.bench(name, load);
        }
    }
}
