//! Functions of the host for wasmi.

use wasmi::{Caller, Error, F32, F64, FuncType, Linker, V128, Val, ValType};
use wasmrun_core::guest::ValueType;
use wasmrun_core::{HostFunction, HostMemory, Value};

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

fn of_type(ty: &ValueType) -> ValType {
    match ty {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
        ValueType::F32 => ValType::F32,
        ValueType::F64 => ValType::F64,
        ValueType::V128 => ValType::V128,
        // No function of the host has one.
        ValueType::Reference => ValType::ExternRef,
    }
}

fn from_wasmi(value: &Val) -> Option<Value> {
    Some(match value {
        Val::I32(value) => Value::I32(*value),
        Val::I64(value) => Value::I64(*value),
        Val::F32(value) => Value::F32(f32::from_bits(value.to_bits())),
        Val::F64(value) => Value::F64(f64::from_bits(value.to_bits())),
        Val::V128(value) => Value::V128(value.as_u128().to_le_bytes()),
        Val::FuncRef(_) | Val::ExternRef(_) => return None,
    })
}

fn to_wasmi(value: Value) -> Val {
    match value {
        Value::I32(value) => Val::I32(value),
        Value::I64(value) => Val::I64(value),
        Value::F32(value) => Val::F32(F32::from_bits(value.to_bits())),
        Value::F64(value) => Val::F64(F64::from_bits(value.to_bits())),
        Value::V128(bytes) => Val::V128(V128::from(u128::from_le_bytes(bytes))),
    }
}
