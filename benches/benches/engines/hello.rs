//! A whole run of the smallest program that says something: streams, instance, guest, report. It is
//! compiled before, by engines that do.

use std::process::{Command, Stdio};

use criterion::Criterion;
use wasmrun::{Guest, Place, Program, RunConfig, Stdout};

use crate::{engines, guest};

const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "hello\n")
    (data (i32.const 0) "\08\00\00\00\06\00\00\00")
    (func (export "_start")
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))"#;

pub fn benches(criterion: &mut Criterion) {
    let guest = guest("hello", HELLO);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("hello.wasm");
    std::fs::write(&file, guest.bytes()).expect("a file");
    let config = RunConfig::new().stdout(Stdout::Null);
    let mut group = criterion.benchmark_group("hello");
    #[cfg(feature = "wasmtime")]
    {
        let by_hand = by_hand::Hello::new(&guest);
        group.bench_function("wasmtime/by hand", |bencher| bencher.iter(|| by_hand.run()));
    }
    for (name, engine) in engines() {
        if let Place::Executable(path) = &engine.info().place
            && let Some(args) = command_line(name)
        {
            group.bench_function(format!("{name}/by hand"), |bencher| {
                bencher.iter(|| {
                    let mut command = Command::new(path);
                    command.args(args).arg(&file);
                    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
                    assert!(status.expect(name).success());
                });
            });
        }
        let program = Program::compile(engine, &guest, &config).expect(name);
        group.bench_function(name, |bencher| {
            bencher.iter(|| program.run(&config).expect(name));
        });
    }
    group.finish();
}

/// What one would type to run a file with it, caches off.
fn command_line(engine: &str) -> Option<&'static [&'static str]> {
    Some(match engine {
        "wasmtime-cli" => &["run", "-C", "cache=n"],
        "wasmer-cli" => &["run", "--offline", "--disable-cache"],
        "wasmedge-cli" => &[],
        "wasmi-cli" | "wazero-cli" => &["run"],
        _ => return None,
    })
}

#[cfg(feature = "wasmtime")]
mod by_hand {
    //! wasmtime and wasmtime-wasi as their documentation shows them, made ready once.

    use wasmtime::{Engine, InstancePre, Linker, Module, Store};
    use wasmtime_wasi::WasiCtxBuilder;
    use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};

    use super::Guest;

    pub struct Hello {
        engine: Engine,
        instance: InstancePre<WasiP1Ctx>,
    }

    impl Hello {
        pub fn new(guest: &Guest) -> Self {
            let engine = Engine::default();
            let module = Module::new(&engine, guest.bytes()).expect("compiles");
            let mut linker = Linker::new(&engine);
            add_to_linker_sync(&mut linker, |context| context).expect("links");
            let instance = linker.instantiate_pre(&module).expect("links");
            Hello { engine, instance }
        }

        pub fn run(&self) {
            let context = WasiCtxBuilder::new().build_p1();
            let mut store = Store::new(&self.engine, context);
            let instance = self.instance.instantiate(&mut store).expect("instantiates");
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start");
            start.expect("is there").call(&mut store, ()).expect("runs");
        }
    }
}
