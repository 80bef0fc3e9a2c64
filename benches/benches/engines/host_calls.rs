//! A thousand calls into the host: the clock, a byte written, a file's position set, 16 bytes and a
//! kibibyte of it read.

use criterion::Criterion;
use wasmrun::{Access, RunConfig, Stdout};

use crate::group::Group;
use crate::{by_hand, engines, guest};

pub fn benches(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("file"), [b'x'; 1024]).expect("a file");
    let config =
        RunConfig::new()
            .stdout(Stdout::Null)
            .map_dir(directory.path(), "/", Access::ReadWrite);
    for call in ["clock", "write", "seek", "read16", "read1024"] {
        let text = include_str!("../../guests/calls.wat").replace("CALL", call);
        let guest = guest(call, &text);
        let mut group = Group::new(criterion, format!("1000 calls of {call}"));
        group.sample_size(20);
        group.by_hand(by_hand::all(&guest, Some(directory.path())));
        #[cfg(feature = "wasmtime")]
        {
            let by_hand = by_hand::wasmtime::as_it_comes(&guest, Some(directory.path()));
            let name = format!("{}/by hand, as it comes", by_hand.name);
            group.bench_function(name, |bencher| bencher.iter(&by_hand.run));
        }
        group.runs(engines(), &guest, &config);
    }
}
