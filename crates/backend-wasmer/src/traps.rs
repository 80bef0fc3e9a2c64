//! How a guest ended, from what wasmer says.

use wasmer::RuntimeError;
use wasmer::sys::vm::TrapCode;
use wasmrun_core::{Outcome, Trap, TrapKind};
use wasmrun_wasi_preview1::Stop;

/// The outcome of a guest that ended with `error`, as far as the error alone tells.
pub(crate) fn outcome(error: RuntimeError) -> Outcome {
    match error.downcast_ref::<Stop>() {
        Some(stop) => stop.clone().outcome(),
        None => Outcome::Trapped(Trap::new(kind(&error), error.to_string())),
    }
}

fn kind(error: &RuntimeError) -> TrapKind {
    if error.is_exception() {
        return TrapKind::UncaughtException;
    }
    match error.clone().to_trap() {
        None => TrapKind::Other,
        Some(code) => match code {
            TrapCode::StackOverflow => TrapKind::StackOverflow,
            TrapCode::HeapAccessOutOfBounds => TrapKind::MemoryOutOfBounds,
            TrapCode::TableAccessOutOfBounds => TrapKind::TableOutOfBounds,
            TrapCode::IndirectCallToNull => TrapKind::UninitializedElement,
            TrapCode::BadSignature => TrapKind::IndirectCallTypeMismatch,
            TrapCode::IntegerOverflow => TrapKind::IntegerOverflow,
            TrapCode::IntegerDivisionByZero => TrapKind::DivideByZero,
            TrapCode::BadConversionToInteger => TrapKind::InvalidConversion,
            TrapCode::UnreachableCodeReached => TrapKind::Unreachable,
            TrapCode::UnalignedAtomic | TrapCode::HeapMisaligned => TrapKind::UnalignedAtomic,
            TrapCode::UncaughtException => TrapKind::UncaughtException,
            TrapCode::UninitializedExnRef => TrapKind::NullReference,
            TrapCode::YieldOutsideAsyncContext
            | TrapCode::HostInterrupt
            | TrapCode::ReadonlyTableModified => TrapKind::Other,
        },
    }
}
