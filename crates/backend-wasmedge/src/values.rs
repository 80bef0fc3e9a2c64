//! Values, as WasmEdge has them.

use wasmrun_core::guest::ValueType;

use crate::library::{Library, ValType, Value};

pub(crate) fn of_type(library: &Library, ty: ValueType) -> ValType {
    // SAFETY: plain values.
    unsafe {
        match ty {
            // Nothing that is called has a reference.
            ValueType::I32 | ValueType::Reference => library.ValTypeGenI32(),
            ValueType::I64 => library.ValTypeGenI64(),
            ValueType::F32 => library.ValTypeGenF32(),
            ValueType::F64 => library.ValTypeGenF64(),
            ValueType::V128 => library.ValTypeGenV128(),
        }
    }
}

/// Takes values of these types into slots.
pub(crate) fn take_all(types: &[ValueType], values: &[Value], slots: &mut [u64]) {
    let mut rest = slots;
    for (ty, value) in types.iter().zip(values) {
        rest = take(*ty, value.bits, rest);
    }
}

/// The values of these types that are in slots.
pub(crate) fn give_all(
    library: &Library,
    types: &[ValueType],
    slots: &[u64],
) -> impl Iterator<Item = Value> {
    let mut rest = slots;
    types.iter().map(move |ty| {
        let (bits, behind) = give(*ty, rest);
        rest = behind;
        let ty = of_type(library, *ty);
        Value { bits, ty }
    })
}

/// Takes a value into the first slots. Those behind it.
fn take(ty: ValueType, bits: u128, slots: &mut [u64]) -> &mut [u64] {
    let (own, rest) = slots.split_at_mut(ty.slots());
    own[0] = bits as u64;
    if let [_, upper] = own {
        *upper = (bits >> 64) as u64;
    }
    rest
}

/// The value in the first slots, and the slots behind it.
fn give(ty: ValueType, slots: &[u64]) -> (u128, &[u64]) {
    let (own, rest) = slots.split_at(ty.slots());
    let bits = match (ty, own) {
        (ValueType::I32 | ValueType::F32, _) => u128::from(own[0] as u32),
        (_, [lower, upper]) => u128::from(*upper) << 64 | u128::from(*lower),
        _ => u128::from(own[0]),
    };
    (bits, rest)
}
