//! A workspace with many files.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use criterion::Criterion;
use wasmrun::{Engines, RunConfig, Workspace, WorkspaceSettings, Workspaces};

use crate::group::{Group, timed};
use crate::{NOTHING, files, guest};

const FILES: usize = 10_000;

pub fn benches(criterion: &mut Criterion) {
    let mut group = Group::new(criterion, format!("workspace of {FILES} files"));
    group.sample_size(20);
    let home = files::directory();
    // Only where one of these benches is asked for: it takes a while.
    let work = LazyLock::new(|| filled(home.path()));
    group.told("fork", || {
        let mut fork = None;
        let time = timed(|| fork = Some(work.fork("fork").expect("a fork")));
        let fork = fork.expect("it was made");
        fork.remove().expect("nobody uses it");
        time
    });
    let (engines, guest) = (Engines::shared(), guest("nothing", NOTHING));
    group.bench("run", || {
        work.run(engines, &guest, &RunConfig::new())
            .expect("it runs")
    });
}

/// A workspace with that many files.
fn filled(home: &Path) -> Workspace {
    let from = files::directory();
    for number in 0..FILES {
        let directory = from.path().join(format!("{}", number / 100));
        fs::create_dir_all(&directory).expect("a directory");
        fs::write(directory.join(format!("{number}")), "content").expect("a file");
    }
    let work = Workspaces::at(home).create("work", WorkspaceSettings::new());
    let work = work.expect("a workspace");
    work.import(from.path(), "/").expect("all of it");
    work
}
