//! What there is to know of each runtime: one adapter each.
//!
//! To add a runtime, add its file here, its line in [`ADAPTERS`] and its line in the facade's
//! registry; the tests then run everything on it.

mod command_line;
mod node;
mod traps;
mod wasmedge;
mod wasmer;
mod wasmi;
mod wasmtime;
mod wazero;

use crate::adapter::Adapter;

/// Every runtime, best first.
pub(crate) static ADAPTERS: [&dyn Adapter; 6] = [
    &wasmtime::Wasmtime,
    &wasmer::Wasmer,
    &wasmi::Wasmi,
    &wasmedge::WasmEdge,
    &wazero::Wazero,
    &node::Node,
];
