//! Functions of the host for wasmer.

use wasmer::{Function, FunctionEnv, FunctionEnvMut, FunctionType, RuntimeError, Store};
use wasmrun_core::guest::ValueType;
use wasmrun_core::{HostFunction, HostMemory, HostValues, Value, bind_small};

use crate::values::{from_wasmer, of_type, to_wasmer};
use crate::wasi::{Host, View, unwind, view};

/// Makes that function for a run.
pub(crate) fn bind(
    store: &mut Store,
    env: &FunctionEnv<Host>,
    function: &HostFunction,
) -> Function {
    macro_rules! typed {
        ([$($param:ident: $type:ty),*] $result:ty) => {{
            let function = function.clone();
            let call = move |mut env: FunctionEnvMut<'_, Host> $(, $param: $type)*| {
                let mut slots = [0; 3];
                ($($param,)*).into_slots(&mut slots);
                call(&function, &mut env, &mut slots)?;
                Ok::<_, RuntimeError>(<$result as HostValues>::from_slots(&slots))
            };
            Function::new_typed_with_env(store, env, call)
        }};
    }
    let bound = bind_small!(function.signature(), typed);
    bound.unwrap_or_else(|| bind_any(store, env, function))
}

/// A call with the parameters in these slots, which its results are put into.
fn call(
    function: &HostFunction,
    env: &mut FunctionEnvMut<'_, Host>,
    slots: &mut [u64],
) -> Result<(), RuntimeError> {
    let (memory, wasi): (&mut [u8], _) = match function.sees_memory() {
        false => (&mut [], &mut env.data_mut().wasi),
        true => match view(env, function.other_memory()) {
            (wasi, View::Own(bytes)) => (bytes, wasi),
            // SAFETY: the guest's only thread waits for this call, and nothing else reaches the memory.
            (wasi, View::Shared(cells)) => unsafe {
                let bytes = cells.as_ptr().cast_mut().cast();
                (std::slice::from_raw_parts_mut(bytes, cells.len()), wasi)
            },
        },
    };
    let called = function.call(wasi.host(), HostMemory::Bytes(memory), slots);
    called.map_err(|ended| unwind(ended.into()))
}

fn bind_any(store: &mut Store, env: &FunctionEnv<Host>, function: &HostFunction) -> Function {
    let signature = function.signature();
    let types = |types: &[ValueType]| types.iter().map(of_type).collect::<Vec<_>>();
    let ty = FunctionType::new(types(&signature.params), types(&signature.results));
    let function = function.clone();
    let call = move |mut env: FunctionEnvMut<'_, Host>, params: &[wasmer::Value]| {
        function.with_slots(|slots| {
            Value::put_all(params.iter().filter_map(from_wasmer), slots);
            call(&function, &mut env, slots)?;
            let results = Value::all(&function.signature().results, slots);
            Ok(results.map(to_wasmer).collect())
        })
    };
    Function::new_with_env(store, env, ty, call)
}
