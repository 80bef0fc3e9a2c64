//! Engines of wasmtime's with the settings that compiled code depends on.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use wasmrun_core::guest::WasiVersion;
use wasmrun_core::{Compile, Digest, Error, ErrorKind, Guest, Proposals, Result};
use wasmtime::{Config, Engine, OptLevel, WasmBacktraceDetails};

use crate::data::{self, Data};
use crate::{compiler, kept};

/// The proposals that [`Variant::new`] switches on. Of threads only what works on memories that are not shared:
/// wasmtime asks nobody before a shared memory grows, and nothing could end a guest that waits on one.
pub(crate) const PROPOSALS: Proposals = Proposals::WASM3
    .union(Proposals::COMPONENT_MODEL)
    .union(Proposals::COMPONENT_ASYNC)
    .union(Proposals::THREADS);

/// A memory for which no address space was reserved has so much to grow into before it has to move: as wasmtime has it.
const ROOM: u64 = 2 << 30;

/// Where address space is limited.
const LITTLE_ROOM: u64 = 16 << 20;
const LITTLE_GUARD: u64 = 64 << 10;

/// What of the stack of an asynchronous call is for the host's own frames.
const HOST_STACK: usize = 1536 << 10;

/// What code is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    fuel: bool,
    interruptible: bool,
    pub(crate) stack: Option<usize>,
    /// Compile on several threads. The code is the same.
    parallel: bool,
    /// Make memories with the data they begin with, which takes wasmtime's own memories.
    images: bool,
    /// Make do with little address space.
    confined: bool,
    /// Have tasks, streams and futures, whose bookkeeping all calls of a component would pay for.
    concurrent: bool,
}

/// A guest of so many bytes is compiled before other threads could have been started.
const SMALL: u64 = 16 << 10;

impl Settings {
    pub(crate) fn of(compile: Compile<'_>) -> Result<Self> {
        let Compile { guest, options, .. } = compile;
        Ok(Settings {
            fuel: options.fuel,
            interruptible: options.interruptible,
            stack: options.stack.map(possible_stack).transpose()?,
            parallel: guest.size() > SMALL
                && (compile.control.is_none() || compiler::is_worth_several_threads(guest)),
            images: Data::of(compile) == Data::Mapped,
            confined: wasmrun_memory::is_address_space_limited(),
            concurrent: is_concurrent(guest),
        })
    }
}

/// Whether a guest has tasks, streams and futures.
pub(crate) fn is_concurrent(guest: &Guest) -> bool {
    guest.wasi() == WasiVersion::Preview3 || guest.proposals().contains(Proposals::COMPONENT_ASYNC)
}

fn possible_stack(bytes: u64) -> Result<usize> {
    match usize::try_from(bytes) {
        Ok(size @ 1..) if size.checked_add(HOST_STACK).is_some() => Ok(size),
        _ => Err(Error::new(
            ErrorKind::Config,
            format!("a stack of {bytes} bytes cannot be made; ask for some megabytes"),
        )),
    }
}

/// An engine of wasmtime's.
pub(crate) struct Variant {
    settings: Settings,
    engine: Engine,
    identity: OnceLock<Digest>,
}

impl std::fmt::Debug for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.settings.fmt(f)
    }
}

impl Variant {
    pub(crate) fn new(settings: Settings) -> Result<Self> {
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::Speed)
            .parallel_compilation(settings.parallel)
            .memory_init_cow(settings.images)
            // For unwinders other than wasmtime's, which has no use for it; and each module would have
            // to be made known to the system's.
            .native_unwind_info(cfg!(windows))
            // Not as the environment says.
            .wasm_backtrace_details(WasmBacktraceDetails::Disable)
            .consume_fuel(settings.fuel)
            .epoch_interruption(settings.interruptible);
        let mut room = ROOM;
        if settings.confined {
            room = LITTLE_ROOM;
            config
                .memory_reservation(0)
                .memory_guard_size(LITTLE_GUARD)
                .gc_heap_reservation(0)
                .gc_heap_guard_size(LITTLE_GUARD);
        }
        config
            .memory_reservation_for_growth(room)
            .gc_heap_reservation_for_growth(room);
        kept::keep_stacks(&mut config);
        if !settings.images {
            kept::keep_memories(&mut config, room);
        }
        if let Some(stack) = settings.stack {
            config
                .max_wasm_stack(stack)
                .async_stack_size(stack + HOST_STACK);
        }
        set_proposals(&mut config, settings.concurrent);
        let engine = Engine::new(&config).map_err(|source| {
            Error::new(ErrorKind::Engine, "cannot set wasmtime up on this machine")
                .with_source(source)
        })?;
        Ok(Variant {
            settings,
            engine,
            identity: OnceLock::new(),
        })
    }

    pub(crate) fn is_for(&self, settings: Settings) -> bool {
        self.settings == settings
    }

    pub(crate) fn is_interruptible(&self) -> bool {
        self.settings.interruptible
    }

    pub(crate) fn is_concurrent(&self) -> bool {
        self.settings.concurrent
    }

    pub(crate) fn is_parallel(&self) -> bool {
        self.settings.parallel
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What code compiled here depends on: target, features of the processor, and all settings.
    pub(crate) fn identity(&self) -> Digest {
        *self.identity.get_or_init(|| {
            let mut settings = Gathered(Vec::new());
            self.engine
                .precompile_compatibility_hash()
                .hash(&mut settings);
            data::FINGERPRINTS.hash(&mut settings);
            Digest::of(&settings.0)
        })
    }
}

/// All that is hashed, and no hash of it: those of the standard library are not made to identify.
struct Gathered(Vec<u8>);

impl Hasher for Gathered {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

/// Exactly [`PROPOSALS`]: neither what wasmtime switches on by itself in a later version, nor less.
fn set_proposals(config: &mut Config, concurrent: bool) {
    config
        .concurrency_support(concurrent)
        .wasm_component_model_async(concurrent)
        .wasm_component_model_more_async_builtins(false)
        .wasm_component_model_async_stackful(false)
        .wasm_component_model_threading(false)
        .wasm_component_model_error_context(false)
        .wasm_multi_value(true)
        .wasm_bulk_memory(true)
        .wasm_reference_types(true)
        .wasm_simd(true)
        .wasm_threads(true)
        .shared_memory(false)
        .wasm_tail_call(true)
        .wasm_extended_const(true)
        .wasm_multi_memory(true)
        .wasm_memory64(true)
        .wasm_relaxed_simd(true)
        .wasm_exceptions(true)
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .wasm_shared_everything_threads(false)
        .wasm_component_model(true);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PLAIN: Settings = Settings {
        fuel: false,
        interruptible: false,
        stack: None,
        parallel: false,
        images: true,
        confined: false,
        concurrent: false,
    };

    #[test]
    fn what_is_not_claimed_does_not_compile() {
        let variant = Variant::new(PLAIN).expect("wasmtime");
        for (proposal, text) in [
            (
                Proposals::WIDE_ARITHMETIC,
                "(func (param i64 i64) (result i64 i64)
                    (i64.mul_wide_u (local.get 0) (local.get 1)))",
            ),
            (Proposals::CUSTOM_PAGE_SIZES, "(memory 1 (pagesize 1))"),
            (
                Proposals::LEGACY_EXCEPTIONS,
                "(tag $e) (func try catch $e end)",
            ),
            (
                Proposals::STACK_SWITCHING,
                "(type $f (func)) (type $c (cont $f))",
            ),
        ] {
            assert!(!PROPOSALS.contains(proposal), "{proposal}");
            let binary = wat::parse_str(format!("(module {text})")).expect("text");
            let compiled = wasmtime::Module::new(variant.engine(), binary);
            assert!(compiled.is_err(), "{proposal}");
        }
    }

    #[test]
    fn other_code_has_another_identity() {
        let identity = |settings| Variant::new(settings).expect("wasmtime").identity();
        let parallel = Settings {
            parallel: true,
            ..PLAIN
        };
        assert_eq!(identity(PLAIN), identity(parallel));
        let (fuel, interruptible, images, confined) = (true, true, false, true);
        let concurrent = true;
        let others = [
            PLAIN,
            Settings { fuel, ..PLAIN },
            Settings {
                interruptible,
                ..PLAIN
            },
            Settings {
                fuel,
                interruptible,
                ..PLAIN
            },
            Settings { images, ..PLAIN },
            Settings { confined, ..PLAIN },
            Settings {
                concurrent,
                ..PLAIN
            },
        ];
        let identities: HashSet<_> = others.map(identity).into();
        assert_eq!(identities.len(), others.len());
    }

    #[test]
    fn impossible_stacks_are_refused() {
        for bytes in [0, u64::MAX] {
            let error = possible_stack(bytes).expect_err("no such stack");
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }
}
