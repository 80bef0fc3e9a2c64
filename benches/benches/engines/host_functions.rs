//! A function of the host, called: two integers and their sum.

use criterion::Criterion;
use wasmrun::{Guest, HostFunctions, Place, Request, RunConfig};

use crate::by_hand::ByHand;
use crate::group::Group;
use crate::{engines, guest};

/// So many calls, from a loop. A call between processes takes a thousand times as long.
fn adding(calls: u32) -> Guest {
    let text = format!(
        r#"(module
            (import "env" "add" (func $add (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start") (local $left i32) (local $sum i32)
                (local.set $left (i32.const {calls}))
                (loop $next
                    (local.set $sum (call $add (local.get $sum) (local.get $left)))
                    (br_if $next
                        (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#
    );
    guest("adding", &text)
}

pub fn benches(criterion: &mut Criterion) {
    let host = HostFunctions::new().function("env", "add", |a: i32, b: i32| a.wrapping_add(b));
    let config = RunConfig::new();
    for (calls, outside) in [(100_000, false), (100, true)] {
        let guest = adding(calls);
        let name = format!("{calls} calls of a function of the host");
        let mut group = Group::new(criterion, name);
        group.sample_size(20);
        if !outside {
            group.by_hand(by_hand(&guest));
        }
        for (name, engine) in engines() {
            if matches!(engine.info().place, Place::Executable(_)) != outside {
                continue;
            }
            let program = group.program(engine, &guest, Request::new(&config, &host));
            group.bench(name, || {
                let report = program.run(&config).expect(name);
                assert!(report.outcome.success());
            });
        }
    }
}

fn by_hand(guest: &Guest) -> Vec<ByHand> {
    vec![
        #[cfg(feature = "wasmtime")]
        wasmtime(guest),
        #[cfg(feature = "wasmer")]
        wasmer(guest),
        #[cfg(feature = "wasmi")]
        wasmi(guest),
    ]
}

#[cfg(feature = "wasmtime")]
fn wasmtime(guest: &Guest) -> ByHand {
    use wasmtime::{Engine, Linker, Module, Store};
    let engine = Engine::default();
    let module = Module::new(&engine, guest.bytes()).expect("compiles");
    let mut linker = Linker::new(&engine);
    let add = |a: i32, b: i32| a.wrapping_add(b);
    linker.func_wrap("env", "add", add).expect("is new");
    let instance = linker.instantiate_pre(&module).expect("links");
    let run = move || {
        let mut store = Store::new(&engine, ());
        let instance = instance.instantiate(&mut store).expect("instantiates");
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start");
        start.expect("is there").call(&mut store, ()).expect("runs");
    };
    ByHand {
        name: "wasmtime",
        run: Box::new(run),
    }
}

#[cfg(feature = "wasmer")]
fn wasmer(guest: &Guest) -> ByHand {
    use wasmer::{Engine, Function, Instance, Module, Store};
    let engine = Engine::default();
    let module = Module::new(&engine, guest.bytes()).expect("compiles");
    let run = move || {
        let mut store = Store::new(engine.clone());
        let add = Function::new_typed(&mut store, |a: i32, b: i32| a.wrapping_add(b));
        let imports = [add.into()];
        let instance = Instance::new_by_index(&mut store, &module, &imports).expect("instantiates");
        let start = instance
            .exports
            .get_typed_function::<(), ()>(&store, "_start");
        start.expect("is there").call(&mut store).expect("runs");
    };
    ByHand {
        name: "wasmer",
        run: Box::new(run),
    }
}

#[cfg(feature = "wasmi")]
fn wasmi(guest: &Guest) -> ByHand {
    use wasmi::{Engine, Linker, Module, Store};
    let engine = Engine::default();
    let module = Module::new(&engine, guest.bytes()).expect("compiles");
    let mut linker = Linker::new(&engine);
    let add = |a: i32, b: i32| a.wrapping_add(b);
    linker.func_wrap("env", "add", add).expect("is new");
    let run = move || {
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate_and_start(&mut store, &module);
        let start = instance
            .and_then(|instance| instance.get_typed_func::<(), ()>(&store, "_start"))
            .expect("instantiates");
        start.call(&mut store, ()).expect("runs");
    };
    ByHand {
        name: "wasmi",
        run: Box::new(run),
    }
}
