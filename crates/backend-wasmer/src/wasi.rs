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
    let (Host { wasi, memory }, mut store) = host.data_and_store_mut();
    let store = store.as_store_mut();
    let result = match memory {
        None => function(wasi, &mut GuestMemory::Unshared(&mut [])),
        Some(memory) => {
            let view = memory.view(&store);
            if memory.ty(&store).shared {
                // SAFETY: the view is of the whole memory, which stays where it is during the call:
                // the guest's only thread is in it. `UnsafeCell<u8>` has the layout of `u8`.
                let cells = unsafe {
                    let bytes: *const [u8] = view.data_unchecked();
                    &*(bytes as *const [UnsafeCell<u8>])
                };
                function(wasi, &mut GuestMemory::Shared(cells))
            } else {
                // SAFETY: nothing else touches the memory during the call: the guest waits for it,
                // and the function reaches the memory through this slice alone.
                let bytes = unsafe { view.data_unchecked_mut() };
                function(wasi, &mut GuestMemory::Unshared(bytes))
            }
        }
    };
    result.map_err(unwind)
}

/// What unwinds the guest. For a trap wasmer collects the guest's call stack, which would only cost
/// time otherwise.
fn unwind(stop: Stop) -> RuntimeError {
    match stop {
        Stop::Trap(_) => RuntimeError::user(Box::new(stop)),
        Stop::Exit(_) | Stop::Interrupted(_) => RuntimeError::new_from_source(
            BackendTrap::Sys(Trap::user(Box::new(stop))),
            Vec::new(),
            None,
        ),
    }
}
