//! How a guest ended, from what wasmi says.

use wasmi::TrapCode;
use wasmi::errors::{ErrorKind as Cause, InstantiationError};
use wasmrun_core::{Error, ErrorKind, Outcome, Result, Trap, TrapKind};

use crate::wasi::Stopped;

/// The outcome of a guest that ended with `error`.
///
/// # Errors
///
/// What kept wasmi from running it, where that was not the guest's own doing.
pub(crate) fn outcome(error: wasmi::Error) -> Result<Outcome> {
    known(&error).ok_or_else(|| {
        let kind = match error.kind() {
            // Functions are translated when they are first called.
            Cause::Translation(_) | Cause::ImplementationLimits(_) | Cause::Ir(_) => {
                ErrorKind::Unsupported
            }
            _ => ErrorKind::Engine,
        };
        Error::new(kind, "cannot run the guest").with_source(error)
    })
}

/// As [`outcome`], of an error that is wasmi's to keep.
pub(crate) fn outcome_of(error: &wasmi::Error) -> Result<Outcome> {
    known(error)
        .ok_or_else(|| Error::new(ErrorKind::Engine, format!("cannot run the guest: {error}")))
}

fn known(error: &wasmi::Error) -> Option<Outcome> {
    if let Some(Stopped(stop)) = error.downcast_ref() {
        return Some(stop.clone().outcome());
    }
    let trapped = |kind| Some(Outcome::Trapped(Trap::new(kind, error.to_string())));
    if let Cause::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) = error.kind()
    {
        return trapped(TrapKind::TableOutOfBounds);
    }
    trapped(match error.as_trap_code()? {
        TrapCode::OutOfFuel => return Some(Outcome::OutOfFuel),
        TrapCode::UnreachableCodeReached => TrapKind::Unreachable,
        TrapCode::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds => TrapKind::TableOutOfBounds,
        TrapCode::IndirectCallToNull => TrapKind::UninitializedElement,
        TrapCode::IntegerDivisionByZero => TrapKind::DivideByZero,
        TrapCode::IntegerOverflow => TrapKind::IntegerOverflow,
        TrapCode::BadConversionToInteger => TrapKind::InvalidConversion,
        TrapCode::StackOverflow => TrapKind::StackOverflow,
        TrapCode::BadSignature => TrapKind::IndirectCallTypeMismatch,
        TrapCode::GrowthOperationLimited | TrapCode::OutOfSystemMemory => TrapKind::Other,
    })
}
