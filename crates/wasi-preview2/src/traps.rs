//! wasmtime's traps, which those of the canonical ABI are as well, in core's words.

use wasmrun_core::TrapKind;
use wasmtime::Trap;

/// The kind of a trap of wasmtime's.
pub fn trap_kind(trap: Trap) -> TrapKind {
    match trap {
        Trap::UnreachableCodeReached => TrapKind::Unreachable,
        Trap::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapKind::TableOutOfBounds,
        Trap::IndirectCallToNull => TrapKind::UninitializedElement,
        Trap::BadSignature => TrapKind::IndirectCallTypeMismatch,
        Trap::IntegerDivisionByZero => TrapKind::DivideByZero,
        Trap::IntegerOverflow => TrapKind::IntegerOverflow,
        Trap::BadConversionToInteger => TrapKind::InvalidConversion,
        Trap::StackOverflow => TrapKind::StackOverflow,
        Trap::NullReference => TrapKind::NullReference,
        Trap::HeapMisaligned => TrapKind::UnalignedAtomic,
        _ => TrapKind::Other,
    }
}
