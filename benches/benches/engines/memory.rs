//! A guest that grows, touches and moves memory.

use criterion::Criterion;
use wasmrun::{Program, RunConfig};

use crate::{engines, guest};

pub fn benches(criterion: &mut Criterion) {
    let guest = guest("memory", include_str!("../../guests/memory.wat"));
    let mut group = criterion.benchmark_group("memory");
    group.sample_size(20);
    for (name, engine) in engines() {
        let program = Program::compile(engine, &guest, &RunConfig::new()).expect(name);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                assert!(
                    program
                        .run(&RunConfig::new())
                        .expect(name)
                        .outcome
                        .success()
                )
            });
        });
    }
    group.finish();
}
