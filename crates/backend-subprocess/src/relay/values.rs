//! Values as words of 64 bits, in a guest's code.

use wasm_encoder::InstructionSink;
use wasmrun_core::guest::ValueType;

/// Makes a value of the words that `next` puts on the stack, one each time.
pub(super) fn take<'a>(
    code: &mut InstructionSink<'a>,
    ty: ValueType,
    mut next: impl FnMut(&mut InstructionSink<'a>),
) {
    next(code);
    match ty {
        ValueType::I32 | ValueType::Reference => code.i32_wrap_i64(),
        ValueType::I64 => code,
        ValueType::F32 => code.i32_wrap_i64().f32_reinterpret_i32(),
        ValueType::F64 => code.f64_reinterpret_i64(),
        ValueType::V128 => {
            code.i64x2_splat();
            next(code);
            code.i64x2_replace_lane(1)
        }
    };
}

/// Puts the words of the value in that local on the stack.
pub(super) fn push(code: &mut InstructionSink<'_>, ty: ValueType, local: u32) {
    code.local_get(local);
    match ty {
        ValueType::V128 => code
            .i64x2_extract_lane(0)
            .local_get(local)
            .i64x2_extract_lane(1),
        ty => word(code, ty),
    };
}

fn word<'a, 'b>(code: &'b mut InstructionSink<'a>, ty: ValueType) -> &'b mut InstructionSink<'a> {
    match ty {
        ValueType::I32 | ValueType::Reference => code.i64_extend_i32_u(),
        ValueType::I64 | ValueType::V128 => code,
        ValueType::F32 => code.i32_reinterpret_f32().i64_extend_i32_u(),
        ValueType::F64 => code.i64_reinterpret_f64(),
    }
}

/// Puts the words of the value on the stack into that local, and the one behind it, by way of a local for vectors.
pub(super) fn give(code: &mut InstructionSink<'_>, ty: ValueType, local: u32, vector: u32) {
    match ty {
        ValueType::V128 => code
            .local_tee(vector)
            .i64x2_extract_lane(0)
            .local_set(local)
            .local_get(vector)
            .i64x2_extract_lane(1)
            .local_set(local + 1),
        ty => word(code, ty).local_set(local),
    };
}
