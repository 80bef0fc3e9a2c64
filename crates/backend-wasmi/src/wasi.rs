//! WASI preview1 for wasmi: the functions of `wasmrun-wasi-preview1`, bound with their types.

use std::fmt;

use wasmi::errors::HostError;
use wasmi::{Caller, Error, Linker, Memory};
use wasmrun_wasi_preview1::{Function, GuestMemory, Stop, Wasi, each_function, preview1, unstable};

use crate::limits::Limiter;

/// What a run's store holds: its WASI, the guest's memory once it has one, and its limits.
pub(crate) struct Host {
    pub wasi: Wasi,
    pub memory: Option<Memory>,
    pub limiter: Limiter,
}

macro_rules! bindings {
    ($($module:ident::$name:ident($($param:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
        /// Defines that function.
        pub(crate) fn define(linker: &mut Linker<Host>, function: &Function) -> Result<(), Error> {
            $(
                if function.module == $module::MODULE && function.name == stringify!($name) {
                    linker.func_wrap(
                        function.module,
                        function.name,
                        |mut caller: Caller<'_, Host> $(, $param: $type)*| {
                            let (wasi, memory) = view(&mut caller);
                            $module::$name(wasi, &mut GuestMemory::Unshared(memory) $(, $param)*)
                                .map_err(unwind)
                        },
                    )?;
                }
            )*
            Ok(())
        }
    };
}

each_function!(bindings);

/// What a call works on. A guest that exports no memory has none to point into.
pub(crate) fn view<'a>(caller: &'a mut Caller<'_, Host>) -> (&'a mut Wasi, &'a mut [u8]) {
    view_of(caller.data().memory, caller)
}

/// Likewise, on that memory.
pub(crate) fn view_of<'a>(
    memory: Option<Memory>,
    caller: &'a mut Caller<'_, Host>,
) -> (&'a mut Wasi, &'a mut [u8]) {
    match memory {
        Some(memory) => {
            let (bytes, host) = memory.data_and_store_mut(caller);
            (&mut host.wasi, bytes)
        }
        None => (&mut caller.data_mut().wasi, &mut []),
    }
}

pub(crate) fn unwind(stop: Stop) -> Error {
    Error::host(Stopped(stop))
}

/// A [`Stop`] on its way through wasmi.
#[derive(Debug)]
pub(crate) struct Stopped(pub Stop);

impl HostError for Stopped {}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
