//! Instances that stay: made, called, and given their first state again.

use std::sync::Mutex;

use criterion::Criterion;
use wasmrun::{Called, Guest, Place, Request, RunConfig};

use crate::by_hand::ByHand;
use crate::group::Group;
use crate::{engines, guest, in_process};

/// Adds, and has four mebibytes of memory of which some begin with data.
const ADDING: &str = r#"(module
    (memory (export "memory") 64)
    (data (i32.const 100000) "some data")
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#;

pub fn benches(criterion: &mut Criterion) {
    let guest = guest("adding", ADDING);
    let config = RunConfig::new();
    for (calls, outside) in [(10_000, false), (100, true)] {
        let mut group = Group::new(criterion, format!("{calls} calls of an instance"));
        group.sample_size(20);
        if !outside {
            group.by_hand(calling(&guest, calls));
        }
        for (name, engine) in engines() {
            if matches!(engine.info().place, Place::Executable(_)) != outside {
                continue;
            }
            let program = group.program(engine, &guest, Request::from(&config).live());
            let mut instance = program.instantiate(&config).expect(name);
            let add = instance.typed::<(i32, i32), i32>("add").expect(name);
            let instance = Mutex::new(instance);
            group.bench(name, || {
                let mut instance = instance.lock().expect("nothing panics");
                let mut sum = 0;
                for _ in 0..calls {
                    let Ok(Called::Returned(next)) = add.call(&mut instance, (sum, 1)) else {
                        panic!("{name} returns");
                    };
                    sum = next;
                }
                assert_eq!(sum, calls);
            });
        }
    }
    let mut group = Group::new(criterion, "instances made");
    group.by_hand(making(&guest));
    for (name, engine) in in_process() {
        let program = group.program(engine, &guest, Request::from(&config).live());
        group.bench(name, || program.instantiate(&config).expect(name));
        let instance = Mutex::new(program.instantiate(&config).expect(name));
        group.bench(format!("{name}/reset"), || {
            let mut instance = instance.lock().expect("nothing panics");
            instance.reset().expect(name);
        });
    }
}

fn calling(guest: &Guest, calls: i32) -> Vec<ByHand> {
    vec![
        #[cfg(feature = "wasmtime")]
        {
            let (mut store, instance) = by_hand::wasmtime(guest)();
            let add = instance.get_typed_func::<(i32, i32), i32>(&mut store, "add");
            let (add, store) = (add.expect("is there"), Mutex::new(store));
            let run = move || {
                let mut store = store.lock().expect("nothing panics");
                let add = |sum, _| add.call(&mut *store, (sum, 1)).expect("returns");
                assert_eq!((0..calls).fold(0, add), calls);
            };
            ByHand {
                name: "wasmtime",
                run: Box::new(run),
            }
        },
        #[cfg(feature = "wasmi")]
        {
            let (store, instance) = by_hand::wasmi(guest)();
            let add = instance.get_typed_func::<(i32, i32), i32>(&store, "add");
            let (add, store) = (add.expect("is there"), Mutex::new(store));
            let run = move || {
                let mut store = store.lock().expect("nothing panics");
                let add = |sum, _| add.call(&mut *store, (sum, 1)).expect("returns");
                assert_eq!((0..calls).fold(0, add), calls);
            };
            ByHand {
                name: "wasmi",
                run: Box::new(run),
            }
        },
    ]
}

fn making(guest: &Guest) -> Vec<ByHand> {
    vec![
        #[cfg(feature = "wasmtime")]
        {
            let make = by_hand::wasmtime(guest);
            ByHand {
                name: "wasmtime",
                run: Box::new(move || drop(make())),
            }
        },
        #[cfg(feature = "wasmi")]
        {
            let make = by_hand::wasmi(guest);
            ByHand {
                name: "wasmi",
                run: Box::new(move || drop(make())),
            }
        },
    ]
}

/// What makes an instance, without wasmrun. (wasmer's belong to one thread, and cannot be measured in turn.)
mod by_hand {
    use wasmrun::Guest;

    #[cfg(feature = "wasmtime")]
    pub fn wasmtime(
        guest: &Guest,
    ) -> impl Fn() -> (wasmtime::Store<()>, wasmtime::Instance) + use<> {
        use wasmtime::{Engine, Linker, Module, Store};
        let engine = Engine::default();
        let module = Module::new(&engine, guest.bytes()).expect("compiles");
        let instance = Linker::new(&engine)
            .instantiate_pre(&module)
            .expect("links");
        move || {
            let mut store = Store::new(&engine, ());
            let instance = instance.instantiate(&mut store).expect("instantiates");
            (store, instance)
        }
    }

    #[cfg(feature = "wasmi")]
    pub fn wasmi(guest: &Guest) -> impl Fn() -> (wasmi::Store<()>, wasmi::Instance) + use<> {
        use wasmi::{Engine, Linker, Module, Store};
        let engine = Engine::default();
        let module = Module::new(&engine, guest.bytes()).expect("compiles");
        let linker = Linker::new(&engine);
        move || {
            let mut store = Store::new(&engine, ());
            let instance = linker.instantiate_and_start(&mut store, &module);
            (store, instance.expect("instantiates"))
        }
    }
}
