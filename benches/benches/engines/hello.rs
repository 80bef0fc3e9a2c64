//! A whole run of a program that says something: streams, instance, guest, report. It is compiled before, by
//! engines that do; for a runtime on `PATH`, kept in a cache: ours, or its own where it is run by hand.

use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use wasmrun::{Engine, Guest, RunConfig, Stdout};
#[cfg(feature = "wasix")]
use wasmrun::{Engines, Program};
use wasmrun_testkit::compiler;
use wasmrun_testkit::guests::component;

use crate::group::Group;
use crate::{by_hand, engines, guest, in_process};

const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 1024) "\08\04\00\00\06\00\00\00hello\n")
    (func (export "_start")
        (drop (call $fd_write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 1040)))))"#;

/// The smallest such program, and one with all that a C library puts around it.
pub fn benches(criterion: &mut Criterion) {
    let smallest = guest("hello", HELLO);
    measure(criterion, "hello", &smallest);
    measure(criterion, "hello-c", &from_c());
}

/// The one with a C library.
pub fn from_c() -> Guest {
    let source = "#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }\n";
    compiler::c("hello-c", source)
}

fn measure(criterion: &mut Criterion, name: &str, guest: &Guest) {
    let config = RunConfig::new().stdout(Stdout::Null).stderr(Stdout::Null);
    let mut group = Group::new(criterion, name);
    group.by_hand(by_hand::all(guest, None));
    group.by_hand(by_hand::commands::all(guest));
    #[cfg(feature = "wasix")]
    if name == "hello" {
        // What imports one function of WASIX's is run by wasmer's own WASI.
        let guest = crate::guest(
            "hello",
            &HELLO.replace("wasi_snapshot_preview1", "wasix_32v1"),
        );
        let engine = Engines::shared().get("wasmer").expect("wasmer");
        let program = Program::compile(engine, &guest, &config).expect("compiles");
        group.bench("wasmer/by its own WASI", || {
            program.run(&config).expect("runs")
        });
    }
    for (name, engine) in engines() {
        let timed = config
            .clone()
            .limit(|limits| limits.timeout = Some(Duration::from_secs(60)));
        for (variant, config) in [
            (name.to_owned(), &config),
            (format!("{name}/timed"), &timed),
        ] {
            let program = group.program(engine.clone(), guest, config);
            group.bench(variant, || program.run(config).expect(name));
        }
    }
}

/// The same as a component, by what runs those in this process, and with data to begin with.
pub fn of_components(criterion: &mut Criterion) {
    let data = "wasmrun!".repeat(16 << 10);
    let with_data = HELLO.replace(
        r#""memory") 1)"#,
        &format!(r#""memory") 4) (data (i32.const 65536) "{data}")"#),
    );
    let config = RunConfig::new().stdout(Stdout::Null).stderr(Stdout::Null);
    for (name, module) in [("component", HELLO), ("component-data", &with_data)] {
        let component = component(&guest(name, module));
        let mut group = Group::new(criterion, name);
        group.by_hand(by_hand::component(&component));
        let runs_components =
            |(_, engine): &(_, Arc<dyn Engine>)| engine.capability().components.is_supported();
        group.runs(in_process().filter(runs_components), &component, &config);
    }
}
