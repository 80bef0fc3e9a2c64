//! A thousand opens, reads, writes and stats of small files, in each kind of file system that may be written to.

use std::path::Path;

use criterion::Criterion;
use tempfile::TempDir;
use wasmrun::{Access, Mount, RunConfig, Stdout};
use wasmrun_testkit::compiler;

use crate::group::{Group, timed};
use crate::{by_hand, in_process};

/// A file system in memory, where this machine has one: what a disk takes is not what is measured.
const TMPFS: &str = "/dev/shm";

/// Bytes that may be written to memory.
const ROOM: u64 = 1 << 20;

pub fn benches(criterion: &mut Criterion) {
    let directory = directory();
    let config = || RunConfig::new().stdout(Stdout::Null).stderr(Stdout::Null);
    let host = config().map_dir(directory.path(), "/", Access::ReadWrite);
    let overlay = config().mount(Mount::overlay(directory.path(), "/", ROOM));
    let memory = config().mount(Mount::memory("/", ROOM));
    for operation in ["opens", "reads", "writes", "stats"] {
        let source = include_str!("../../guests/files.c").replace("OPERATION", operation);
        let guest = compiler::c(&format!("files-{operation}"), &source);
        let mut group = Group::new(criterion, format!("1000 {operation} of small files"));
        group.sample_size(20);
        group.by_hand(by_hand::all(&guest, Some(directory.path())));
        for (name, engine) in in_process() {
            let program = group.program(engine, &guest, &host);
            let run = |config| {
                let report = program.run(config).expect(name);
                assert!(report.outcome.success(), "{report:?}");
            };
            // It makes the files, if nobody has.
            run(&host);
            group.bench(name, || run(&host));
            group.bench(format!("{name}/memory"), || run(&memory));
            let [host, overlay] = [&host, &overlay].map(|config| move || timed(|| run(config)));
            group.beside(format!("{name}/overlay"), host, overlay);
        }
    }
}

/// A directory in memory, where this machine has that.
pub fn directory() -> TempDir {
    let directory = match Path::new(TMPFS).is_dir() {
        true => tempfile::tempdir_in(TMPFS),
        false => tempfile::tempdir(),
    };
    directory.expect("a directory")
}
