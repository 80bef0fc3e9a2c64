//! What it costs to make an instance, run it and drop it.

use criterion::Criterion;
use wasmrun::{RunConfig, Stdout};

use crate::group::Group;
use crate::{NOTHING, by_hand, engines, guest, in_process};

pub fn benches(criterion: &mut Criterion) {
    // By hand there are no streams either.
    let config = RunConfig::new().stdout(Stdout::Null).stderr(Stdout::Null);
    let nothing = guest("nothing", NOTHING);
    let mut group = Group::new(criterion, "instantiate");
    group.by_hand(by_hand::all(&nothing, None));
    group.runs(engines(), &nothing, &config);
    drop(group);

    let data = guest("data", &changing_data());
    let mut group = Group::new(criterion, "data");
    group.by_hand(by_hand::all(&data, None));
    // The start of a process says nothing of it.
    group.runs(in_process(), &data, &config);
}

/// Begins with 128 KiB of data, and changes a byte in every sixteenth KiB of them.
fn changing_data() -> String {
    let data = "wasmrun!".repeat(16 << 10);
    format!(
        r#"(module (memory 4) (data (i32.const 65536) "{data}")
            (func (export "_start") (local $at i32)
                (local.set $at (i32.const 65536))
                (loop $next
                    (i32.store8 (local.get $at) (i32.load8_u offset=1 (local.get $at)))
                    (local.set $at (i32.add (local.get $at) (i32.const 16384)))
                    (br_if $next (i32.lt_u (local.get $at) (i32.const 196608))))))"#
    )
}
