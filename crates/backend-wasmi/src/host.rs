//! Functions of the host for wasmi.

use wasmi::{Caller, Error, Extern, FuncType, Linker, Val};
use wasmrun_core::guest::ValueType;
use wasmrun_core::{HostFunction, HostMemory, HostValues, Value, bind_small};

use crate::values::{from_wasmi, of_type, to_wasmi};
use crate::wasi::{Host, unwind, view, view_of};

/// Defines that function.
pub(crate) fn define(linker: &mut Linker<Host>, function: &HostFunction) -> Result<(), Error> {
    let (module, name) = (function.module(), function.name());
    macro_rules! wrap {
        ([$($param:ident: $type:ty),*] $result:ty) => {{
            let function = function.clone();
            let call = move |mut caller: Caller<'_, Host> $(, $param: $type)*| {
                let mut slots = [0; 3];
                ($($param,)*).into_slots(&mut slots);
                call(&function, &mut caller, &mut slots)?;
                Ok::<_, Error>(<$result as HostValues>::from_slots(&slots))
            };
            linker.func_wrap(module, name, call).map(drop).map_err(Error::from)
        }};
    }
    let defined = bind_small!(function.signature(), wrap);
    defined.unwrap_or_else(|| define_any(linker, function))
}

/// A call with the parameters in these slots, which its results are put into.
fn call(
    function: &HostFunction,
    caller: &mut Caller<'_, Host>,
    slots: &mut [u64],
) -> Result<(), Error> {
    let (wasi, memory): (_, &mut [u8]) = match (function.sees_memory(), function.other_memory()) {
        (true, None) => view(caller),
        (true, Some(name)) => {
            let memory = caller.get_export(name).and_then(Extern::into_memory);
            view_of(memory, caller)
        }
        (false, _) => (&mut caller.data_mut().wasi, &mut []),
    };
    let called = function.call(wasi.host(), HostMemory::Bytes(memory), slots);
    called.map_err(|ended| unwind(ended.into()))
}

fn define_any(linker: &mut Linker<Host>, function: &HostFunction) -> Result<(), Error> {
    let signature = function.signature();
    let types = |types: &[ValueType]| types.iter().map(of_type).collect::<Vec<_>>();
    let ty = FuncType::new(types(&signature.params), types(&signature.results));
    let own = function.clone();
    let call = move |mut caller: Caller<'_, Host>, params: &[Val], results: &mut [Val]| {
        own.with_slots(|slots| {
            Value::put_all(params.iter().filter_map(from_wasmi), slots);
            call(&own, &mut caller, slots)?;
            let values = Value::all(&own.signature().results, slots);
            for (result, value) in results.iter_mut().zip(values) {
                *result = to_wasmi(value);
            }
            Ok(())
        })
    };
    linker.func_new(function.module(), function.name(), ty, call)?;
    Ok(())
}
