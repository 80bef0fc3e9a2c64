//! Every engine that is here, side by side: `cargo bench -p wasmrun-benches -- hello/wasmtime`.
//!
//! Names are `group/engine`, or `group/engine/variant`. What is measured by hand, without wasmrun, is
//! called `by hand`. docs/benchmarks.md tells how to read the summary at the end.

mod by_hand;
mod calls;
mod compile;
#[cfg(feature = "wasmtime")]
mod components;
mod compute;
#[cfg(feature = "wasmtime")]
mod cpython;
mod files;
mod group;
mod hello;
mod host_calls;
mod host_functions;
mod instances;
#[cfg(feature = "wasmtime")]
mod references;
mod summary;
mod threads;
mod timeout;
mod workspaces;

use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Instant;

use criterion::Criterion;
use wasmrun::{Engine, Engines, Guest, Place};

fn main() {
    if cfg!(feature = "wasmedge") {
        wasmrun_testkit::restart_with_wasmedge();
    }
    began();
    let mut criterion = Criterion::default()
        .output_directory(&summary::directory())
        .configure_from_args();
    compile::benches(&mut criterion);
    instances::benches(&mut criterion);
    hello::benches(&mut criterion);
    hello::of_components(&mut criterion);
    #[cfg(feature = "wasmtime")]
    components::benches(&mut criterion);
    compute::benches(&mut criterion);
    host_calls::benches(&mut criterion);
    files::benches(&mut criterion);
    #[cfg(feature = "wasmtime")]
    cpython::benches(&mut criterion);
    #[cfg(feature = "wasmtime")]
    references::benches(&mut criterion);
    host_functions::benches(&mut criterion);
    calls::benches(&mut criterion);
    threads::benches(&mut criterion);
    timeout::benches(&mut criterion);
    workspaces::benches(&mut criterion);
    criterion.final_summary();
    summary::print();
}

/// When this process began.
fn began() -> Instant {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    *BEGAN.get_or_init(Instant::now)
}

/// The engines that are here, by name.
fn engines() -> impl Iterator<Item = (&'static str, Arc<dyn Engine>)> {
    static PRESENT: LazyLock<Vec<(&str, Arc<dyn Engine>)>> = LazyLock::new(|| {
        let present = |(name, engine): (_, wasmrun::Result<_>)| match engine {
            Ok(engine) => Some((name, engine)),
            Err(error) => {
                eprintln!("left out: {error}");
                None
            }
        };
        let all = Engines::shared().all();
        all.into_iter().filter_map(present).collect()
    });
    PRESENT.iter().cloned()
}

/// Those of them that are in this process.
fn in_process() -> impl Iterator<Item = (&'static str, Arc<dyn Engine>)> {
    engines().filter(|(_, engine)| engine.info().place == Place::InProcess)
}

/// Does nothing, with a page of memory.
const NOTHING: &str = r#"(module (memory 1) (func (export "_start")))"#;

/// Sleeps for ten minutes.
const SLEEPER: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff"
        (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const 600000000000))
        (drop (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256)))))"#;

fn guest(name: &str, text: &str) -> Guest {
    Guest::from_bytes(format!("{name}.wasm"), text).expect("the guest is sound")
}
