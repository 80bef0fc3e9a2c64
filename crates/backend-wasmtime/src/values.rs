//! Values, as wasmtime has them on their way between guest and host.

use wasmrun_core::Value;
use wasmrun_core::guest::ValueType;
use wasmtime::{V128, Val, ValRaw, ValType};

pub(crate) fn of_type(ty: &ValueType) -> ValType {
    match ty {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
        ValueType::F32 => ValType::F32,
        ValueType::F64 => ValType::F64,
        ValueType::V128 => ValType::V128,
        // Nothing that is called has one.
        ValueType::Reference => ValType::EXTERNREF,
    }
}

/// Takes a value into the first slots. Those behind it.
fn take<'a>(ty: ValueType, value: &ValRaw, slots: &'a mut [u64]) -> &'a mut [u64] {
    let (own, rest) = slots.split_at_mut(ty.slots());
    match ty {
        ValueType::I32 | ValueType::Reference => own[0] = value.get_u32().into(),
        ValueType::I64 => own[0] = value.get_u64(),
        ValueType::F32 => own[0] = value.get_f32().into(),
        ValueType::F64 => own[0] = value.get_f64(),
        ValueType::V128 => {
            let value = value.get_v128();
            own[0] = value as u64;
            own[1] = (value >> 64) as u64;
        }
    }
    rest
}

/// The value in the first slots, and the slots behind it.
fn give(ty: ValueType, slots: &[u64]) -> (ValRaw, &[u64]) {
    let (own, rest) = slots.split_at(ty.slots());
    let value = match ty {
        ValueType::I32 | ValueType::Reference => ValRaw::u32(own[0] as u32),
        ValueType::I64 => ValRaw::u64(own[0]),
        ValueType::F32 => ValRaw::f32(own[0] as u32),
        ValueType::F64 => ValRaw::f64(own[0]),
        ValueType::V128 => ValRaw::v128(u128::from(own[1]) << 64 | u128::from(own[0])),
    };
    (value, rest)
}

/// Takes values of these types into slots.
pub(crate) fn take_all(types: &[ValueType], values: &[ValRaw], slots: &mut [u64]) {
    let mut rest = slots;
    for (ty, value) in types.iter().zip(values) {
        rest = take(*ty, value, rest);
    }
}

/// The values of these types that are in slots.
pub(crate) fn give_all(types: &[ValueType], slots: &[u64]) -> impl Iterator<Item = ValRaw> {
    let mut rest = slots;
    types.iter().map(move |ty| {
        let (value, behind) = give(*ty, rest);
        rest = behind;
        value
    })
}

pub(crate) fn from_wasmtime(value: &Val) -> Option<Value> {
    Some(match value {
        Val::I32(value) => Value::I32(*value),
        Val::I64(value) => Value::I64(*value),
        Val::F32(bits) => Value::F32(f32::from_bits(*bits)),
        Val::F64(bits) => Value::F64(f64::from_bits(*bits)),
        Val::V128(value) => Value::V128(value.as_u128().to_le_bytes()),
        _ => return None,
    })
}

pub(crate) fn to_wasmtime(value: Value) -> Val {
    match value {
        Value::I32(value) => Val::I32(value),
        Value::I64(value) => Val::I64(value),
        Value::F32(value) => Val::F32(value.to_bits()),
        Value::F64(value) => Val::F64(value.to_bits()),
        Value::V128(bytes) => Val::V128(V128::from(u128::from_le_bytes(bytes))),
    }
}
