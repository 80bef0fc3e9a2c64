//! How a guest ended, from what WasmEdge says.

use wasmrun_core::{Outcome, Trap, TrapKind};

use crate::library::{CallResult, Library};

/// The codes of `enum WasmEdge_ErrCode` that mean something here.
pub(crate) mod code {
    pub(crate) const COST_LIMIT_EXCEEDED: u32 = 0x03;
    pub(crate) const DATA_SEGMENT_DOES_NOT_FIT: u32 = 0x303;
    pub(crate) const ELEMENT_SEGMENT_DOES_NOT_FIT: u32 = 0x304;
    pub(crate) const DIVIDE_BY_ZERO: u32 = 0x404;
    pub(crate) const INTEGER_OVERFLOW: u32 = 0x405;
    pub(crate) const INVALID_CONVERSION: u32 = 0x406;
    pub(crate) const TABLE_OUT_OF_BOUNDS: u32 = 0x407;
    pub(crate) const MEMORY_OUT_OF_BOUNDS: u32 = 0x408;
    pub(crate) const UNREACHABLE: u32 = 0x40a;
    pub(crate) const UNINITIALIZED_ELEMENT: u32 = 0x40b;
    pub(crate) const UNDEFINED_ELEMENT: u32 = 0x40c;
    pub(crate) const INDIRECT_CALL_TYPE_MISMATCH: u32 = 0x40d;
    pub(crate) const HOST_FUNCTION_FAILED: u32 = 0x40e;
    pub(crate) const CAST_NULL_TO_NON_NULL: u32 = 0x412;
    pub(crate) const ACCESS_NULL_FUNCTION: u32 = 0x413;
}

/// The outcome of code that ended with `result`, which is not that it returned.
pub(crate) fn outcome(library: &Library, result: CallResult) -> Outcome {
    let kind = match library.code(result) {
        code::COST_LIMIT_EXCEEDED => return Outcome::OutOfFuel,
        code::UNREACHABLE => TrapKind::Unreachable,
        code::MEMORY_OUT_OF_BOUNDS | code::DATA_SEGMENT_DOES_NOT_FIT => TrapKind::MemoryOutOfBounds,
        code::TABLE_OUT_OF_BOUNDS
        | code::UNDEFINED_ELEMENT
        | code::ELEMENT_SEGMENT_DOES_NOT_FIT => TrapKind::TableOutOfBounds,
        code::UNINITIALIZED_ELEMENT => TrapKind::UninitializedElement,
        code::INDIRECT_CALL_TYPE_MISMATCH => TrapKind::IndirectCallTypeMismatch,
        code::DIVIDE_BY_ZERO => TrapKind::DivideByZero,
        code::INTEGER_OVERFLOW => TrapKind::IntegerOverflow,
        code::INVALID_CONVERSION => TrapKind::InvalidConversion,
        code::CAST_NULL_TO_NON_NULL | code::ACCESS_NULL_FUNCTION => TrapKind::NullReference,
        code::HOST_FUNCTION_FAILED => TrapKind::HostFunction,
        _ => TrapKind::Other,
    };
    Outcome::Trapped(Trap::new(kind, library.message(result)))
}
