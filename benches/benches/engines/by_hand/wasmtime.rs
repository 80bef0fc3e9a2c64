//! wasmtime and wasmtime-wasi as their documentation shows them.

use std::path::Path;

use wasmrun::Guest;
use wasmtime::component::{self, Component, ResourceTable};
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::p1::add_to_linker_sync;
use wasmtime_wasi::p2;
use wasmtime_wasi::p2::bindings::sync::CommandPre;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::{ByHand, context};

/// With files read and written by the guest's own thread, which takes less time.
pub fn by_hand(guest: &Guest, directory: Option<&Path>) -> ByHand {
    with(guest, directory, true)
}

/// With its own settings: files are other threads' work.
pub fn as_it_comes(guest: &Guest, directory: Option<&Path>) -> ByHand {
    with(guest, directory, false)
}

/// A component, which has its streams to itself.
pub fn component(guest: &Guest) -> ByHand {
    let engine = Engine::default();
    let component = Component::new(&engine, guest.bytes()).expect("compiles");
    let mut linker = component::Linker::new(&engine);
    p2::add_to_linker_sync(&mut linker).expect("links");
    let command = linker.instantiate_pre(&component).and_then(CommandPre::new);
    let command = command.expect("links");
    let run = move || {
        let world = World {
            context: WasiCtxBuilder::new().build(),
            resources: ResourceTable::new(),
        };
        let mut store = Store::new(&engine, world);
        let command = command.instantiate(&mut store).expect("instantiates");
        let ended = command.wasi_cli_run().call_run(&mut store).expect("runs");
        ended.expect("succeeds");
    };
    ByHand {
        name: "wasmtime",
        run: Box::new(run),
    }
}

struct World {
    context: WasiCtx,
    resources: ResourceTable,
}

impl WasiView for World {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.context,
            table: &mut self.resources,
        }
    }
}

/// With its own settings.
pub fn compiling(guest: &Guest) -> ByHand {
    let (engine, guest) = (Engine::default(), guest.clone());
    let run = move || drop(Module::new(&engine, guest.bytes()).expect("compiles"));
    ByHand {
        name: "wasmtime",
        run: Box::new(run),
    }
}

/// From a file.
pub fn loading(guest: &Guest, directory: &Path) -> ByHand {
    let (engine, file) = (Engine::default(), directory.join("wasmtime"));
    let code = engine.precompile_module(guest.bytes()).expect("compiles");
    std::fs::write(&file, code).expect("a file");
    // SAFETY: it is what the engine made, and nobody changes it.
    let run = move || drop(unsafe { Module::deserialize_file(&engine, &file) }.expect("loads"));
    ByHand {
        name: "wasmtime",
        run: Box::new(run),
    }
}

fn with(guest: &Guest, directory: Option<&Path>, on_own_thread: bool) -> ByHand {
    let engine = Engine::default();
    let module = Module::new(&engine, guest.bytes()).expect("compiles");
    let mut linker = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |context| context).expect("links");
    let instance = linker.instantiate_pre(&module).expect("links");
    let directory = directory.map(Path::to_owned);
    let run = move || {
        let context = context(directory.as_deref(), on_own_thread);
        let mut store = Store::new(&engine, context);
        let instance = instance.instantiate(&mut store).expect("instantiates");
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start");
        start.expect("is there").call(&mut store, ()).expect("runs");
    };
    ByHand {
        name: "wasmtime",
        run: Box::new(run),
    }
}
