//! wasmer with the same WASI as wasmrun's, which is not its own.

use std::path::Path;

use wasmer::{
    Engine, Function, FunctionEnv, FunctionEnvMut, Instance, Memory, Module, RuntimeError, Store,
};
use wasmrun::{Control, Guest};
use wasmrun_wasi_preview1::{GuestMemory, Wasi, preview1};
use wasmtime_wasi::WasiCtxBuilder;

use super::ByHand;

struct Host {
    wasi: Wasi,
    memory: Option<Memory>,
}

/// With its own settings, and an engine each time: one keeps the code of all its modules as long as it
/// lives.
pub fn compiling(guest: &Guest) -> ByHand {
    let guest = guest.clone();
    let run = move || drop(Module::new(&Engine::default(), guest.bytes()).expect("compiles"));
    ByHand {
        name: "wasmer",
        run: Box::new(run),
    }
}

/// From a file, likewise.
pub fn loading(guest: &Guest, directory: &Path) -> ByHand {
    let file = directory.join("wasmer");
    let module = Module::new(&Engine::default(), guest.bytes()).expect("compiles");
    module.serialize_to_file(&file).expect("a file");
    // SAFETY: it is what an engine made, and nobody changes it.
    let load = move || unsafe { Module::deserialize_from_file(&Engine::default(), &file) };
    ByHand {
        name: "wasmer",
        run: Box::new(move || drop(load().expect("loads"))),
    }
}

/// For a guest that imports `fd_write`, or nothing.
pub fn writing(guest: &Guest) -> ByHand {
    let engine = Engine::default();
    let module = Module::new(&engine, guest.bytes()).expect("compiles");
    let run = move || {
        let mut store = Store::new(engine.clone());
        let context = WasiCtxBuilder::new().build_p1();
        let wasi = Wasi::new(context, Control::new());
        let host = FunctionEnv::new(&mut store, Host { wasi, memory: None });
        let write = Function::new_typed_with_env(&mut store, &host, fd_write);
        let imports = [write.into()];
        let imports = &imports[..module.imports().len()];
        let instance = Instance::new_by_index(&mut store, &module, imports).expect("instantiates");
        host.as_mut(&mut store).memory = instance.exports.get_memory("memory").ok().cloned();
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

fn fd_write(
    mut host: FunctionEnvMut<'_, Host>,
    fd: i32,
    vectors: i32,
    count: i32,
    written: i32,
) -> Result<i32, RuntimeError> {
    let (Host { wasi, memory }, store) = host.data_and_store_mut();
    let view = memory.as_ref().expect("set before the start").view(&store);
    // SAFETY: the guest waits for this call, and nothing else has its memory.
    let bytes = unsafe { view.data_unchecked_mut() };
    preview1::fd_write(
        wasi,
        &mut GuestMemory::Unshared(bytes),
        fd,
        vectors,
        count,
        written,
    )
    .map_err(|stop| RuntimeError::user(Box::new(stop)))
}
