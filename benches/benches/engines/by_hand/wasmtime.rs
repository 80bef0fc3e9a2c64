//! wasmtime and wasmtime-wasi as their documentation shows them.

use std::path::Path;

use wasmrun::Guest;
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::p1::add_to_linker_sync;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::ByHand;

pub fn by_hand(guest: &Guest, directory: Option<&Path>) -> ByHand {
    let engine = Engine::default();
    let module = Module::new(&engine, guest.bytes()).expect("compiles");
    let mut linker = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |context| context).expect("links");
    let instance = linker.instantiate_pre(&module).expect("links");
    let directory = directory.map(Path::to_owned);
    let run = move || {
        let mut context = WasiCtxBuilder::new();
        // Otherwise each read of a file is another thread's work.
        context.allow_blocking_current_thread(true);
        if let Some(directory) = &directory {
            let shown = context.preopened_dir(directory, "/", FsPerms::ReadOnly);
            shown.expect("is there");
        }
        let mut store = Store::new(&engine, context.build_p1());
        let instance = instance.instantiate(&mut store).expect("instantiates");
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start");
        start.expect("is there").call(&mut store, ()).expect("runs");
    };
    ByHand {
        name: "wasmtime",
        run: Box::new(run),
    }
}
