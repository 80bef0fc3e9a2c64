//! Components as modules, beside the same components on wasmtime as they are; and what it takes to make them modules.

use std::fs;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use tempfile::TempDir;
use wasmrun::flatten::flatten;
use wasmrun::{Access, Engine, Engines, Guest, RunConfig, Stdout};
use wasmrun_testkit::guests::component;
use wasmrun_testkit::{compiler, programs};
use wasmrun_wasi_preview2::Flattening;

use crate::group::{Group, timed};
use crate::{engines, files, hello};

pub fn benches(criterion: &mut Criterion) {
    let config = RunConfig::new().stdout(Stdout::Null).stderr(Stdout::Null);
    let nothing = component(&compiler::c("nothing", "int main(void) { return 0; }\n"));
    runs(criterion, "component instantiate", &nothing, &config);

    let hello_c = component(&hello::from_c());
    runs(criterion, "component hello-c", &hello_c, &config);

    let small = files::directory();
    let source = include_str!("../../guests/files.c").replace("OPERATION", "reads");
    let reads = component(&compiler::c("files-reads", &source));
    let shown = config.clone().map_dir(small.path(), "/", Access::ReadWrite);
    runs(
        criterion,
        "component 1000 reads of small files",
        &reads,
        &shown,
    );

    let named = hundred_names();
    let names = component(&compiler::c("names", include_str!("../../guests/names.c")));
    let shown = config.map_dir(named.path(), "/", Access::ReadWrite);
    runs(
        criterion,
        "component 2000 names",
        &names,
        &shown.env("NAME", "value"),
    );

    let mut group = criterion.benchmark_group("flatten");
    group.sample_size(10);
    for (name, guest) in [
        ("hello-c", hello_c),
        ("boolector", component(&programs::program("boolector.wasm"))),
        ("cpython", component(&programs::program("python.wasm"))),
    ] {
        guest.validate().expect("it is valid");
        group.throughput(Throughput::Bytes(guest.size()));
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(flatten(&guest).expect("one module")));
        });
    }
}

/// Whole runs, on wasmtime as components and in turn as modules, and as modules on the other engines.
fn runs(criterion: &mut Criterion, name: &str, guest: &Guest, config: &RunConfig) {
    let wasmtime = Engines::shared().get("wasmtime").expect("wasmtime");
    let flattening: Arc<dyn Engine> = Arc::new(Flattening::new("flattened", wasmtime.clone()));
    let mut group = Group::new(criterion, name);
    group.sample_size(20);
    let [native, flattened] = [wasmtime, flattening].map(|engine| {
        let program = group.program(engine, guest, config);
        move || {
            let report = program.run(config).expect("it runs");
            assert!(report.outcome.success(), "{report:?}");
        }
    });
    group.beside(
        "wasmtime/flattened",
        || timed(&native),
        || timed(&flattened),
    );
    group.runs(engines(), guest, config);
}

fn hundred_names() -> TempDir {
    let directory = files::directory();
    for number in 0..98 {
        let name = format!("a file of some name, {number}");
        fs::write(directory.path().join(name), "").expect("a file");
    }
    directory
}
