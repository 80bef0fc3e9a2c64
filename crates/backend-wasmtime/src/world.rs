//! What a module's calls work with, and the functions of WASI among them.

use wasmrun_wasi_preview1::{GuestMemory, Wasi, each_function, preview1, unstable};
use wasmtime::{Caller, Extern, Linker, Memory};

use crate::store::Host;

/// The world of a module.
pub(crate) struct World {
    wasi: Wasi,
    /// The memory that calls work on, once it is known.
    memory: Option<Memory>,
}

impl World {
    pub(crate) fn new(wasi: Wasi) -> Self {
        World { wasi, memory: None }
    }

    pub(crate) fn wasi(&mut self) -> &mut Wasi {
        &mut self.wasi
    }
}

macro_rules! bind {
    ($($module:ident::$name:ident($($param:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
        /// Offers what is called `module` and `name`, if it is a function of preview1 or its
        /// predecessor.
        pub(crate) fn offer(linker: &mut Linker<Host<World>>, module: &str, name: &str) -> wasmtime::Result<()> {
            $(if module == $module::MODULE && name == stringify!($name) {
                linker.func_wrap(
                    module,
                    name,
                    |mut caller: Caller<'_, Host<World>> $(, $param: $type)*| -> returned!($($result)?) {
                        let (memory, wasi) = view(&mut caller);
                        Ok($module::$name(wasi, &mut GuestMemory::Unshared(memory) $(, $param)*)?)
                    },
                )?;
            })*
            Ok(())
        }
    };
}

macro_rules! returned {
    () => { wasmtime::Result<()> };
    (i32) => { wasmtime::Result<i32> };
}

each_function!(bind);

/// What a call works on. A guest that exports no memory has none to point into.
pub(crate) fn view<'a>(caller: &'a mut Caller<'_, Host<World>>) -> (&'a mut [u8], &'a mut Wasi) {
    if caller.data().world.memory.is_none() {
        // Looked up by the first call, which a start function may make before there is an instance.
        let memory = caller.get_export("memory").and_then(Extern::into_memory);
        caller.data_mut().world.memory = memory;
    }
    view_of(caller.data().world.memory, caller)
}

/// Likewise, on that memory.
pub(crate) fn view_of<'a>(
    memory: Option<Memory>,
    caller: &'a mut Caller<'_, Host<World>>,
) -> (&'a mut [u8], &'a mut Wasi) {
    match memory {
        Some(memory) => {
            let (bytes, host) = memory.data_and_store_mut(caller);
            (bytes, &mut host.world.wasi)
        }
        None => (&mut [], &mut caller.data_mut().world.wasi),
    }
}
