//! From what wasmtime says of code it does not take to our errors.

use wasmrun_core::{Error, ErrorKind};
use wasmtime_environ::WasmError;
use wasmtime_environ::wasmparser::BinaryReaderError;

/// The code does not compile.
pub(crate) fn of_code(error: wasmtime::Error) -> Error {
    let invalid = |why: &dyn std::fmt::Display| {
        Error::new(
            ErrorKind::Invalid,
            format!("the guest is not valid WebAssembly: {why}"),
        )
    };
    let causes = || error.chain();
    if let Some(why) = causes().find_map(|cause| cause.downcast_ref::<BinaryReaderError>()) {
        return invalid(why);
    }
    match causes().find_map(|cause| cause.downcast_ref::<WasmError>()) {
        Some(why @ WasmError::InvalidWebAssembly { .. }) => invalid(why),
        Some(why) => Error::new(
            ErrorKind::Unsupported,
            format!("cannot compile the guest: {why}"),
        ),
        None => Error::new(
            ErrorKind::Engine,
            format!("cannot compile the guest: {error:#}"),
        ),
    }
}

/// Kept code is not loaded.
pub(crate) fn of_artifact(source: wasmtime::Error) -> Error {
    Error::new(ErrorKind::Engine, "cannot load compiled code").with_source(source)
}

/// Code cannot be kept.
pub(crate) fn of_keeping(source: wasmtime::Error) -> Error {
    Error::new(ErrorKind::Engine, "cannot write compiled code").with_source(source)
}

/// What it imports is not what WASI has: core knows the names, wasmtime compares the types.
pub(crate) fn of_imports(error: wasmtime::Error) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("cannot offer what the guest imports: {error:#}"),
    )
}
