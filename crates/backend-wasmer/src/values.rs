//! Values, as wasmer has them.

use wasmer::Type;
use wasmrun_core::Value;
use wasmrun_core::guest::ValueType;

pub(crate) fn of_type(ty: &ValueType) -> Type {
    match ty {
        ValueType::I32 => Type::I32,
        ValueType::I64 => Type::I64,
        ValueType::F32 => Type::F32,
        ValueType::F64 => Type::F64,
        ValueType::V128 => Type::V128,
        // Nothing that is called has one.
        ValueType::Reference => Type::ExternRef,
    }
}

pub(crate) fn from_wasmer(value: &wasmer::Value) -> Option<Value> {
    Some(match value {
        wasmer::Value::I32(value) => Value::I32(*value),
        wasmer::Value::I64(value) => Value::I64(*value),
        wasmer::Value::F32(value) => Value::F32(*value),
        wasmer::Value::F64(value) => Value::F64(*value),
        wasmer::Value::V128(value) => Value::V128(value.to_le_bytes()),
        _ => return None,
    })
}

pub(crate) fn to_wasmer(value: Value) -> wasmer::Value {
    match value {
        Value::I32(value) => wasmer::Value::I32(value),
        Value::I64(value) => wasmer::Value::I64(value),
        Value::F32(value) => wasmer::Value::F32(value),
        Value::F64(value) => wasmer::Value::F64(value),
        Value::V128(bytes) => wasmer::Value::V128(u128::from_le_bytes(bytes)),
    }
}
