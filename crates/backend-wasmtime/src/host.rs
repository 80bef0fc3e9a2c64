//! Functions of the host for wasmtime.

use std::mem::MaybeUninit;

use wasmrun_core::guest::{FuncSignature, ValueType};
use wasmrun_core::{HostFunction, HostMemory, HostValues, bind_small};
use wasmrun_wasi_preview1::Stop;
use wasmtime::{Caller, Extern, FuncType, Linker, ValRaw};

use crate::store::Host;
use crate::values::{give_all, of_type, take_all};
use crate::world::{World, view, view_of};

/// Offers a function of the host.
pub(crate) fn offer(
    linker: &mut Linker<Host<World>>,
    function: &HostFunction,
) -> wasmtime::Result<()> {
    let (module, name) = (function.module(), function.name());
    macro_rules! wrap {
        ([$($param:ident: $type:ty),*] $result:ty) => {{
            let function = function.clone();
            let call = move |mut caller: Caller<'_, Host<World>> $(, $param: $type)*| {
                let mut slots = [0; 3];
                ($($param,)*).into_slots(&mut slots);
                call(&function, &mut caller, &mut slots)?;
                Ok::<_, wasmtime::Error>(<$result as HostValues>::from_slots(&slots))
            };
            linker.func_wrap(module, name, call).map(drop)
        }};
    }
    let offered = bind_small!(function.signature(), wrap);
    offered.unwrap_or_else(|| offer_any(linker, function))
}

/// A call with the parameters in these slots, which its results are put into.
fn call(
    function: &HostFunction,
    caller: &mut Caller<'_, Host<World>>,
    slots: &mut [u64],
) -> Result<(), Stop> {
    let (memory, wasi): (&mut [u8], _) = match (function.sees_memory(), function.other_memory()) {
        (true, None) => view(caller),
        (true, Some(name)) => {
            let memory = caller.get_export(name).and_then(Extern::into_memory);
            view_of(memory, caller)
        }
        (false, _) => (&mut [], caller.data_mut().world.wasi()),
    };
    Ok(function.call(wasi.host(), HostMemory::Bytes(memory), slots)?)
}

fn offer_any(linker: &mut Linker<Host<World>>, function: &HostFunction) -> wasmtime::Result<()> {
    let FuncSignature { params, results } = function.signature().clone();
    let types = |types: &[ValueType]| types.iter().map(of_type).collect::<Vec<_>>();
    let ty = FuncType::try_new(linker.engine(), types(&params), types(&results))?;
    let (module, name) = (function.module(), function.name());
    let function = function.clone();
    let call = move |mut caller: Caller<'_, Host<World>>, values: &mut [MaybeUninit<ValRaw>]| {
        function.with_slots(|slots| {
            // SAFETY: wasmtime has put values of these types there.
            let given = unsafe { values[..params.len()].assume_init_ref() };
            take_all(&params, given, slots);
            call(&function, &mut caller, slots)?;
            for (value, given) in values.iter_mut().zip(give_all(&results, slots)) {
                value.write(given);
            }
            Ok(())
        })
    };
    // SAFETY: what is read and written are values of the types that the function is said to have.
    unsafe { linker.func_new_unchecked(module, name, ty, call) }?;
    Ok(())
}
