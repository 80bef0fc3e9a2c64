//! Functions of the host for wasmi.

use wasmi::{Caller, Error, FuncType, Linker, Val};
use wasmrun_core::guest::ValueType;
use wasmrun_core::{HostFunction, HostMemory, Value};

use crate::values::{from_wasmi, of_type, to_wasmi};
use crate::wasi::{Host, unwind, view};

/// Defines that function.
pub(crate) fn define(linker: &mut Linker<Host>, function: HostFunction) -> Result<(), Error> {
    let signature = function.signature();
    let types = |types: &[ValueType]| types.iter().map(of_type).collect::<Vec<_>>();
    let ty = FuncType::new(types(&signature.params), types(&signature.results));
    let (module, name) = (function.module().to_owned(), function.name().to_owned());
    let call = move |mut caller: Caller<'_, Host>, params: &[Val], results: &mut [Val]| {
        function.with_slots(|slots| {
            Value::put_all(params.iter().filter_map(from_wasmi), slots);
            let (wasi, memory) = view(&mut caller);
            let called = function.call(wasi.host(), HostMemory::Bytes(memory), slots);
            called.map_err(|ended| unwind(ended.into()))?;
            let values = Value::all(&function.signature().results, slots);
            for (result, value) in results.iter_mut().zip(values) {
                *result = to_wasmi(value);
            }
            Ok(())
        })
    };
    linker.func_new(&module, &name, ty, call)?;
    Ok(())
}
