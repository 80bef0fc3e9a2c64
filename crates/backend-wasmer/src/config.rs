//! How wasmer compiles guests.

use std::sync::{Arc, LazyLock};

use wasmer::sys::wasmparser::Operator;
use wasmer::sys::{
    BaseTunables, CompilerConfig, Cranelift, EngineBuilder, Features, NativeEngineExt, Target,
};
use wasmer::{Engine, Pages};
use wasmer_middlewares::Metering;
use wasmrun_core::{Compile, Digest, Proposals, fingerprint, guest};

use crate::checkpoints::Checkpoints;
use crate::compiler::UntilInterrupted;
use crate::growth::Growth;
use crate::start::StartExport;

/// What [`engine`] has switched on.
pub(crate) const PROPOSALS: Proposals = Proposals::WASM2
    .union(Proposals::THREADS)
    .union(Proposals::EXTENDED_CONST)
    .union(Proposals::MULTI_MEMORY)
    .union(Proposals::RELAXED_SIMD)
    .union(Proposals::EXCEPTIONS)
    .union(Proposals::WIDE_ARITHMETIC);

/// What code depends on beside wasmer's version and the options. wasmer's own word for it knows
/// neither what middlewares compile in nor the processor.
pub(crate) fn identity() -> Digest {
    static UNCHANGING: LazyLock<String> = LazyLock::new(|| {
        let target = Target::default();
        let parts = [
            engine_of(Cranelift::default()).deterministic_id(),
            target.triple().to_string(),
            format!("{:?}", target.cpu_features()),
            format!("{OURS:x} {:x}", guest::FINGERPRINT),
            env!("CARGO_PKG_VERSION").to_owned(),
        ];
        parts.join("\n")
    });
    let bound = tunables().static_memory_bound.0;
    Digest::of(format!("{}\n{bound}", *UNCHANGING).as_bytes())
}

/// Where it is decided what is compiled in.
const OURS: u64 = fingerprint([
    include_bytes!("checkpoints.rs"),
    include_bytes!("config.rs"),
    include_bytes!("growth.rs"),
    include_bytes!("start.rs"),
]);

/// How memories are laid out. Code that need not look where it reads and writes wants eight gigabytes of address
/// space for each; where that is limited, it looks.
pub(crate) fn tunables() -> BaseTunables {
    let mut tunables = BaseTunables::for_target(&Target::default());
    if wasmrun_memory::is_address_space_limited() {
        tunables.static_memory_bound = Pages(0);
    }
    tunables
}

/// An engine for one module, whose start function it makes the export `start`.
pub(crate) fn engine(compile: Compile<'_>, start: Option<String>) -> Engine {
    let Compile { guest, options, .. } = compile;
    let mut compiler = Cranelift::default();
    if let Some(control) = compile.control {
        compiler.push_middleware(Arc::new(UntilInterrupted(control.clone())));
    }
    if let Some(name) = start {
        compiler.push_middleware(Arc::new(StartExport(name)));
    }
    if options.fuel {
        // Nothing runs before a run says how much it may.
        compiler.push_middleware(Arc::new(Metering::new(0, cost)));
    }
    if guest.grows_tables() {
        compiler.push_middleware(Arc::new(Growth::default()));
    }
    if options.interruptible {
        compiler.push_middleware(Arc::new(Checkpoints::default()));
    }
    let mut engine = engine_of(compiler);
    engine.set_tunables(tunables());
    engine
}

fn engine_of(compiler: Cranelift) -> Engine {
    let mut features = Features::none();
    features
        .reference_types(true)
        .bulk_memory(true)
        .multi_value(true)
        .simd(true)
        .threads(true)
        .extended_const(true)
        .multi_memory(true)
        .relaxed_simd(true)
        .exceptions(true)
        .wide_arithmetic(true);
    EngineBuilder::new(compiler)
        .set_features(Some(features))
        .engine()
        .into()
}

/// The fuel an operator takes: one unit, unless it only gives structure to others.
fn cost(operator: &Operator<'_>) -> u64 {
    use Operator::{Block, Drop, Else, End, Loop, Nop, Return, Unreachable};
    match operator {
        Nop | Drop | Block { .. } | Loop { .. } | Else | End | Unreachable | Return => 0,
        _ => 1,
    }
}
