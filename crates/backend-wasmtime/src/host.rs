//! Functions of the host for wasmtime.

use std::mem::MaybeUninit;

use wasmrun_core::guest::{FuncSignature, ValueType};
use wasmrun_core::{HostFunction, HostMemory};
use wasmrun_wasi_preview1::Stop;
use wasmtime::{Caller, FuncType, Linker, ValRaw, ValType};

use crate::store::Host;
use crate::world::{World, view};

/// Offers a function of the host.
pub(crate) fn offer(
    linker: &mut Linker<Host<World>>,
    function: &HostFunction,
) -> wasmtime::Result<()> {
    let FuncSignature { params, results } = function.signature().clone();
    let types = |types: &[ValueType]| types.iter().map(of_type).collect::<Vec<_>>();
    let ty = FuncType::try_new(linker.engine(), types(&params), types(&results))?;
    let (module, name) = (function.module(), function.name());
    let function = function.clone();
    let call = move |mut caller: Caller<'_, Host<World>>, values: &mut [MaybeUninit<ValRaw>]| {
        function.with_slots(|slots| {
            let mut rest = &mut *slots;
            for (ty, value) in params.iter().zip(&*values) {
                // SAFETY: wasmtime has put a value of that type there.
                let value = unsafe { value.assume_init_ref() };
                rest = take(*ty, value, rest);
            }
            let (memory, wasi) = view(&mut caller);
            let called = function.call(wasi.host(), HostMemory::Bytes(memory), slots);
            called.map_err(Stop::from)?;
            let mut rest = &*slots;
            for (ty, value) in results.iter().zip(values) {
                let (given, behind) = give(*ty, rest);
                value.write(given);
                rest = behind;
            }
            Ok(())
        })
    };
    // SAFETY: what is read and written are values of the types that the function is said to have.
    unsafe { linker.func_new_unchecked(module, name, ty, call) }?;
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
