//! Reading a guest and making it ready to run. What an engine does later, at each run, is not in it.

use criterion::Criterion;
use wasmrun::{Guest, Program, RunConfig};

use crate::{engines, guest};

pub fn benches(criterion: &mut Criterion) {
    let guest = guest(
        "calls",
        &include_str!("../../guests/calls.wat").replace("CALL", "clock"),
    );
    let mut group = criterion.benchmark_group("inspect");
    group.bench_function("wasmrun", |bencher| {
        bencher.iter(|| Guest::from_bytes("calls.wasm", guest.bytes()).map(|read| read.inspect()));
    });
    group.finish();
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(20);
    for (name, engine) in engines() {
        group.bench_function(name, |bencher| {
            bencher
                .iter(|| Program::compile(engine.clone(), &guest, &RunConfig::new()).expect(name));
        });
    }
    group.finish();
}
