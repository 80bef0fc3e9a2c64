//! WasmEdge through the whole suite, and what is particular to it.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Arguments;
use wasmrun_backend_wasmedge::{NAME, WasmEdgeEngine};
use wasmrun_core::Engine;
use wasmrun_testkit::{Named, restart_with_wasmedge, trials};

fn main() -> ExitCode {
    restart_with_wasmedge();
    let arguments = Arguments::from_args();
    let engine = WasmEdgeEngine::new().map(|engine| Arc::new(engine) as Arc<dyn Engine>);
    let (trials, _) = trials([Named::new(NAME, engine)]);
    libtest_mimic::run(&arguments, trials).exit_code()
}
