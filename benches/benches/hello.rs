//! A whole run of the smallest program that says something, on every engine that is here.
//!
//! The programs are compiled before; what is measured is one run: streams, instance, guest, report.

use criterion::{Criterion, criterion_group, criterion_main};
use wasmrun::{Engines, Guest, Program, RunConfig, Stdout};

const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "hello\n")
    (data (i32.const 0) "\08\00\00\00\06\00\00\00")
    (func (export "_start")
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))"#;

fn hello(criterion: &mut Criterion) {
    let guest = Guest::from_bytes("hello.wasm", HELLO).expect("the guest is sound");
    let config = RunConfig::new().stdout(Stdout::Null);
    let mut group = criterion.benchmark_group("hello");
    for (name, engine) in Engines::shared().all() {
        let Ok(engine) = engine else {
            eprintln!("{name} is not here and is left out");
            continue;
        };
        let program = Program::compile(engine, &guest, &config).expect("every engine compiles it");
        group.bench_function(name, |bencher| {
            bencher.iter(|| program.run(&config).expect("every engine runs it"));
        });
    }
    group.finish();
}

criterion_group!(benches, hello);
criterion_main!(benches);
