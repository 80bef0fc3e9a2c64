//! Guests that only compute: in memory, in registers, and by moving memory about.

use criterion::Criterion;
use wasmrun::{Program, RunConfig};

use crate::{engines, guest};

const KERNELS: [(&str, &str); 3] = [
    ("primes", include_str!("../../guests/primes.wat")),
    ("mandelbrot", include_str!("../../guests/mandelbrot.wat")),
    ("memory", include_str!("../../guests/memory.wat")),
];

pub fn benches(criterion: &mut Criterion) {
    for (kernel, text) in KERNELS {
        let guest = guest(kernel, text);
        let mut group = criterion.benchmark_group(format!("compute {kernel}"));
        group.sample_size(10);
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
}
