//! Functions of the host for wasmer.

use wasmer::{Function, FunctionEnv, FunctionEnvMut, FunctionType, Store, Type};
use wasmrun_core::guest::ValueType;
use wasmrun_core::{HostFunction, HostMemory, Value};

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

fn of_type(ty: &ValueType) -> Type {
    match ty {
        ValueType::I32 => Type::I32,
        ValueType::I64 => Type::I64,
        ValueType::F32 => Type::F32,
        ValueType::F64 => Type::F64,
        ValueType::V128 => Type::V128,
        // No function of the host has one.
        ValueType::Reference => Type::ExternRef,
    }
}

fn from_wasmer(value: &wasmer::Value) -> Option<Value> {
    Some(match value {
        wasmer::Value::I32(value) => Value::I32(*value),
        wasmer::Value::I64(value) => Value::I64(*value),
        wasmer::Value::F32(value) => Value::F32(*value),
        wasmer::Value::F64(value) => Value::F64(*value),
        wasmer::Value::V128(value) => Value::V128(value.to_le_bytes()),
        _ => return None,
    })
}

fn to_wasmer(value: Value) -> wasmer::Value {
    match value {
        Value::I32(value) => wasmer::Value::I32(value),
        Value::I64(value) => wasmer::Value::I64(value),
        Value::F32(value) => wasmer::Value::F32(value),
        Value::F64(value) => wasmer::Value::F64(value),
        Value::V128(bytes) => wasmer::Value::V128(u128::from_le_bytes(bytes)),
    }
}
