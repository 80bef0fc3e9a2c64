//! WASI preview1 for wasmer: the functions of `wasmrun-wasi-preview1`, bound with their types.

use std::cell::UnsafeCell;

use wasmer::sys::vm::Trap;
use wasmer::{
    AsStoreMut, BackendTrap, Function, FunctionEnv, FunctionEnvMut, Memory, RuntimeError, Store,
};
use wasmrun_wasi_preview1::{
    self as wasi, GuestMemory, Stop, Wasi, each_function, preview1, unstable,
};

/// What the functions work with: the run's WASI, and the guest's memory once it has one.
pub(crate) struct Host {
    pub wasi: Wasi,
    pub memory: Option<Memory>,
    /// The others that it exports, by name.
    pub other_memories: Vec<(String, Memory)>,
}

/// Makes a function for a run.
pub(crate) type Bind = fn(&mut Store, &FunctionEnv<Host>) -> Function;

macro_rules! bindings {
    ($($module:ident::$name:ident($($param:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
        /// What binds that function.
        pub(crate) fn binding(function: &wasi::Function) -> Option<Bind> {
            $(
                if function.module == $module::MODULE && function.name == stringify!($name) {
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
    let (wasi, memory) = view(host, None);
    let result = match memory {
        View::Own(bytes) => function(wasi, &mut GuestMemory::Unshared(bytes)),
        View::Shared(cells) => function(wasi, &mut GuestMemory::Shared(cells)),
    };
    result.map_err(unwind)
}

/// The guest's memory, as a call works on it.
pub(crate) enum View<'a> {
    Own(&'a mut [u8]),
    /// Declared as one that threads share. The guest's only thread is in the call.
    Shared(&'a [UnsafeCell<u8>]),
}

/// What a call works on, on the memory that is exported by that name if not as `memory`. A guest that exports none has none to
/// point into.
pub(crate) fn view<'a>(
    host: &'a mut FunctionEnvMut<'_, Host>,
    other_memory: Option<&str>,
) -> (&'a mut Wasi, View<'a>) {
    let (host, mut store) = host.data_and_store_mut();
    let Host {
        wasi,
        memory,
        other_memories,
    } = host;
    let store = store.as_store_mut();
    let memory = match other_memory {
        None => memory.as_ref(),
        Some(name) => {
            let found = other_memories.iter().find(|(other, _)| other == name);
            found.map(|(_, memory)| memory)
        }
    };
    let Some(memory) = memory else {
        return (wasi, View::Own(&mut []));
    };
    let view = memory.view(&store);
    // SAFETY: the view is of the whole memory, which stays where it is during the call: the guest waits for it, and
    // nothing else reaches the memory meanwhile.
    let memory = unsafe {
        if memory.ty(&store).shared {
            let bytes: *const [u8] = view.data_unchecked();
            // `UnsafeCell<u8>` has the layout of `u8`.
            View::Shared(&*(bytes as *const [UnsafeCell<u8>]))
        } else {
            View::Own(&mut *std::ptr::from_mut(view.data_unchecked_mut()))
        }
    };
    (wasi, memory)
}

/// What unwinds the guest. For a trap wasmer collects the guest's call stack, which would only cost
/// time otherwise.
pub(crate) fn unwind(stop: Stop) -> RuntimeError {
    match stop {
        Stop::Trap(_) => RuntimeError::user(Box::new(stop)),
        Stop::Exit(_) | Stop::Interrupted(_) | Stop::Host => RuntimeError::new_from_source(
            BackendTrap::Sys(Trap::user(Box::new(stop))),
            Vec::new(),
            None,
        ),
    }
}
