//! A start of a program that is in the store of images, by its reference, beside one of the same program in a file. It was
//! compiled before, and is neither read nor compiled again.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use criterion::Criterion;
use tempfile::TempDir;
use wasmrun::oci::{Client, Images, Reference, Store};
use wasmrun::{Cache, Command, Engines, Guest};
use wasmrun_testkit::programs;

use crate::group::{Group, timed};
use crate::hello;

const ENGINE: &str = "wasmtime";

/// What is known of a file is kept once the file is so old.
const OLD_ENOUGH: Duration = Duration::from_secs(4);

pub fn benches(criterion: &mut Criterion) {
    let cpython = || programs::program("python.wasm");
    measure(criterion, "start by reference: hello-c", hello::from_c, &[]);
    measure(
        criterion,
        "start by reference: CPython",
        cpython,
        &["-c", "pass"],
    );
}

fn measure(criterion: &mut Criterion, name: &str, guest: fn() -> Guest, args: &[&str]) {
    let mut group = Group::new(criterion, name);
    group.sample_size(20);
    // Only where one of these benches is asked for: it takes seconds.
    let kept = LazyLock::new(|| Kept::of(&guest()));
    let by_file = || timed(|| kept.start(Command::new(&kept.file), args));
    let by_reference = || {
        timed(|| {
            let image = kept.images.get(&kept.reference).expect("it is kept");
            kept.start(Command::from_image(&image), args);
        })
    };
    group.told(&format!("{ENGINE}/file"), by_file);
    group.beside(ENGINE, by_file, by_reference);
}

/// A program in a file and in a store, and its code in a cache.
struct Kept {
    file: PathBuf,
    images: Images,
    reference: Reference,
    engines: Engines,
    _directory: TempDir,
}

impl Kept {
    fn of(guest: &Guest) -> Kept {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("app.wasm");
        fs::write(&file, guest.bytes()).expect("a file");
        let store = Store::open(directory.path().join("store")).expect("a store");
        let reference = "oci://127.0.0.1:1/app:1".parse().expect("a reference");
        store.add(guest, &reference).expect("it is kept");
        let cache = Cache::open(directory.path().join("cache")).expect("a cache");
        thread::sleep(OLD_ENOUGH);
        Kept {
            file,
            images: Images::new(store, Client::anonymous()),
            reference,
            engines: Engines::new().with_cache(cache),
            _directory: directory,
        }
    }

    fn start(&self, mut command: Command, args: &[&str]) {
        let command = command.engines(self.engines.clone()).engine(ENGINE);
        let report = command.args(args.iter().copied()).output().expect(ENGINE);
        assert!(report.outcome.success());
    }
}
