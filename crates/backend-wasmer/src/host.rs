//! Functions of the host for wasmer.

use wasmer::{Function, FunctionEnv, FunctionEnvMut, FunctionType, Store};
use wasmrun_core::guest::ValueType;
use wasmrun_core::{HostFunction, HostMemory, Value};

use crate::values::{from_wasmer, of_type, to_wasmer};
use crate::wasi::{Host, View, unwind, view};

/// Makes that function for a run.
pub(crate) fn bind(
    store: &mut Store,
    env: &FunctionEnv<Host>,
    function: &HostFunction,
) -> Function {
    let signature = function.signature();
    let types = |types: &[ValueType]| types.iter().map(of_type).collect::<Vec<_>>();
    let ty = FunctionType::new(types(&signature.params), types(&signature.results));
    let function = function.clone();
    let call = move |mut env: FunctionEnvMut<'_, Host>, params: &[wasmer::Value]| {
        function.with_slots(|slots| {
            Value::put_all(params.iter().filter_map(from_wasmer), slots);
            let (wasi, memory) = view(&mut env);
            let memory = match memory {
                View::Own(bytes) => bytes,
                // SAFETY: the guest's only thread waits for this call, and nothing else reaches the memory.
                View::Shared(cells) => unsafe {
                    std::slice::from_raw_parts_mut(cells.as_ptr().cast_mut().cast(), cells.len())
                },
            };
            let called = function.call(wasi.host(), HostMemory::Bytes(memory), slots);
            called.map_err(|ended| unwind(ended.into()))?;
            let results = Value::all(&function.signature().results, slots);
            Ok(results.map(to_wasmer).collect())
        })
    };
    Function::new_with_env(store, env, ty, call)
}
