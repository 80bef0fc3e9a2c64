//! Guests that only compute: in memory, in registers, in floating point, and by moving memory about.

use criterion::Criterion;
use wasmrun::{Guest, RunConfig};
use wasmrun_testkit::compiler;

use crate::group::Group;
use crate::{by_hand, engines, guest};

const TEXT: [(&str, &str); 3] = [
    ("primes", include_str!("../../guests/primes.wat")),
    ("mandelbrot", include_str!("../../guests/mandelbrot.wat")),
    ("memory", include_str!("../../guests/memory.wat")),
];

/// Compiled as the tests' guests are.
const C: [(&str, &str); 3] = [
    ("sort", include_str!("../../guests/sort.c")),
    ("sha256", include_str!("../../guests/sha256.c")),
    ("bodies", include_str!("../../guests/bodies.c")),
];

pub fn benches(criterion: &mut Criterion) {
    for (kernel, text) in TEXT {
        measure(criterion, kernel, &guest(kernel, text));
    }
    for (kernel, source) in C {
        measure(criterion, kernel, &compiler::c(kernel, source));
    }
}

fn measure(criterion: &mut Criterion, kernel: &str, guest: &Guest) {
    let mut group = Group::new(criterion, format!("compute {kernel}"));
    group.sample_size(10);
    group.by_hand(by_hand::all(guest, None));
    group.by_hand(by_hand::commands::all(guest));
    group.runs(engines(), guest, &RunConfig::new());
}
