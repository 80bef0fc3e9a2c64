//! wasmer with the same WASI as wasmrun's, which is not its own.

use std::path::Path;

use wasmer::{
    Engine, Extern, Function, FunctionEnv, FunctionEnvMut, Instance, Memory, Module, RuntimeError,
    Store,
};
use wasmrun::{Access, Control, Guest};
use wasmrun_wasi_preview1::{
    GuestMemory, Mounted, Stop, Wasi, World, each_function, preview1, unstable,
};

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

/// With the WASI functions that it imports, bound by their types. It sees `directory` as `/`, if there is one, and
/// may change it.
pub fn by_hand(guest: &Guest, directory: Option<&Path>) -> ByHand {
    let engine = Engine::default();
    let module = Module::new(&engine, guest.bytes()).expect("compiles");
    let imports = module.imports();
    let bindings = imports.map(|import| binding(import.module(), import.name()).expect("WASI"));
    let bindings: Vec<Bind> = bindings.collect();
    let directory = directory.map(Path::to_owned);
    let run = move || {
        let mut store = Store::new(engine.clone());
        let shown = directory.iter();
        let shown =
            shown.map(|host| Mounted::bind(host, "/", Access::ReadWrite).expect("is there"));
        let wasi = Wasi::new(&[], &World::new(shown.collect()), Control::new());
        let host = FunctionEnv::new(&mut store, Host { wasi, memory: None });
        let bind = |bind: &Bind| bind(&mut store, &host).into();
        let imports: Vec<Extern> = bindings.iter().map(bind).collect();
        let instance = Instance::new_by_index(&mut store, &module, &imports).expect("instantiates");
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

/// Makes a function for a run.
type Bind = fn(&mut Store, &FunctionEnv<Host>) -> Function;

macro_rules! bindings {
    ($($module:ident::$name:ident($($param:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
        fn binding(module: &str, name: &str) -> Option<Bind> {
            $(
                if module == $module::MODULE && name == stringify!($name) {
                    return Some(|store, host| {
                        Function::new_typed_with_env(
                            store,
                            host,
                            |mut host: FunctionEnvMut<'_, Host> $(, $param: $type)*| {
                                call(&mut host, |wasi, memory| {
                                    $module::$name(wasi, memory $(, $param)*)
                                })
                            },
                        )
                    });
                }
            )*
            None
        }
    };
}

each_function!(bindings);

fn call<T>(
    host: &mut FunctionEnvMut<'_, Host>,
    function: impl FnOnce(&mut Wasi, &mut GuestMemory<'_>) -> Result<T, Stop>,
) -> Result<T, RuntimeError> {
    let (Host { wasi, memory }, store) = host.data_and_store_mut();
    let view = memory.as_ref().expect("set before the start").view(&store);
    // SAFETY: the guest waits for this call, and nothing else has its memory.
    let bytes = unsafe { view.data_unchecked_mut() };
    function(wasi, &mut GuestMemory::Unshared(bytes))
        .map_err(|stop| RuntimeError::user(Box::new(stop)))
}
