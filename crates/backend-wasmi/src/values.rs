//! Values, as wasmi has them.

use wasmi::{F32, F64, V128, Val, ValType};
use wasmrun_core::Value;
use wasmrun_core::guest::ValueType;

pub(crate) fn of_type(ty: &ValueType) -> ValType {
    match ty {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
        ValueType::F32 => ValType::F32,
        ValueType::F64 => ValType::F64,
        ValueType::V128 => ValType::V128,
        // Nothing that is called has one.
        ValueType::Reference => ValType::ExternRef,
    }
}

pub(crate) fn from_wasmi(value: &Val) -> Option<Value> {
    Some(match value {
        Val::I32(value) => Value::I32(*value),
        Val::I64(value) => Value::I64(*value),
        Val::F32(value) => Value::F32(f32::from_bits(value.to_bits())),
        Val::F64(value) => Value::F64(f64::from_bits(value.to_bits())),
        Val::V128(value) => Value::V128(value.as_u128().to_le_bytes()),
        Val::FuncRef(_) | Val::ExternRef(_) => return None,
    })
}

pub(crate) fn to_wasmi(value: Value) -> Val {
    match value {
        Value::I32(value) => Val::I32(value),
        Value::I64(value) => Val::I64(value),
        Value::F32(value) => Val::F32(F32::from_bits(value.to_bits())),
        Value::F64(value) => Val::F64(F64::from_bits(value.to_bits())),
        Value::V128(bytes) => Val::V128(V128::from(u128::from_le_bytes(bytes))),
    }
}
