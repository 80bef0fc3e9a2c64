//! From wasmtime's errors to outcomes.

use wasmrun_core::{Control, Error, ErrorKind, Outcome, Result, Trap, TrapKind};
use wasmrun_wasi_preview1::Stop;
use wasmrun_wasi_preview2::trap_kind;
use wasmtime::{GcHeapOutOfMemory, ThrownException, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::limits::Limiter;

/// How a guest ended whose code failed with `error`.
pub(crate) fn outcome(error: &wasmtime::Error, control: &Control) -> Outcome {
    let mut outcome = without_stack(error, control);
    if let Outcome::Trapped(trap) = &mut outcome
        && let Some(stack) = error.downcast_ref::<WasmBacktrace>()
    {
        // Its first line says that it is one.
        for line in stack.to_string().lines().skip(1) {
            trap.message.push('\n');
            trap.message.push_str(line);
        }
    }
    outcome
}

fn without_stack(error: &wasmtime::Error, control: &Control) -> Outcome {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.clone().outcome();
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Outcome::Exited(*code);
    }
    if let Some(trap) = error.downcast_ref::<wasmtime::Trap>() {
        return match (trap, control.interrupted()) {
            (wasmtime::Trap::OutOfFuel, _) => Outcome::OutOfFuel,
            (wasmtime::Trap::Interrupt, Some(reason)) => reason.outcome(),
            _ => trapped(trap_kind(*trap), trap),
        };
    }
    if let Some(thrown) = error.downcast_ref::<ThrownException>() {
        return trapped(TrapKind::UncaughtException, thrown);
    }
    if error.is::<GcHeapOutOfMemory<()>>() {
        return Outcome::OutOfMemory;
    }
    trapped(TrapKind::HostFunction, error.root_cause())
}

/// As [`outcome`], for a guest that may not even have been made.
///
/// # Errors
///
/// What kept wasmtime from making it, where that was not the guest's own doing.
pub(crate) fn outcome_of_start(
    error: wasmtime::Error,
    control: &Control,
    limiter: &Limiter,
) -> Result<Outcome> {
    let by_its_code = error.is::<Stop>()
        || error.is::<I32Exit>()
        || error.is::<wasmtime::Trap>()
        || error.is::<ThrownException>()
        || error.is::<GcHeapOutOfMemory<()>>();
    if by_its_code {
        return Ok(outcome(&error, control));
    }
    if limiter.has_refused() || too_many_instances(&error) {
        return Ok(Outcome::OutOfMemory);
    }
    Err(Error::new(ErrorKind::Engine, "cannot instantiate the guest").with_source(error))
}

/// wasmtime has no type for it.
fn too_many_instances(error: &wasmtime::Error) -> bool {
    error
        .to_string()
        .starts_with("resource limit exceeded: instance count")
}

fn trapped(kind: TrapKind, message: impl std::fmt::Display) -> Outcome {
    Outcome::Trapped(Trap::new(kind, message.to_string()))
}
