//! Functions of the host for wasmtime.

use std::mem::MaybeUninit;

use wasmrun_core::guest::{FuncSignature, ValueType};
use wasmrun_core::{HostFunction, HostMemory};
use wasmrun_wasi_preview1::Stop;
use wasmtime::{Caller, FuncType, Linker, ValRaw};

use crate::store::Host;
use crate::values::{give_all, of_type, take_all};
use crate::world::{World, view};

/// Offers a function of the host.
pub(crate) fn offer(
    linker: &mut Linker<Host<World>>,
    function: &HostFunction,
) -> wasmtime::Result<()> {
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
            let (memory, wasi) = view(&mut caller);
            let called = function.call(wasi.host(), HostMemory::Bytes(memory), slots);
            called.map_err(Stop::from)?;
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
