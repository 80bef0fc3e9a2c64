//! How wasmi compiles and runs guests.

use wasmi::{CompilationMode, Config, CustomFuelCosts};
use wasmrun_core::{CompileOptions, Proposals};

/// What [`of`] has switched on.
pub(crate) const PROPOSALS: Proposals = Proposals::WASM2
    .union(Proposals::TAIL_CALL)
    .union(Proposals::EXTENDED_CONST)
    .union(Proposals::MULTI_MEMORY)
    .union(Proposals::MEMORY64)
    .union(Proposals::RELAXED_SIMD)
    .union(Proposals::WIDE_ARITHMETIC)
    .union(Proposals::CUSTOM_PAGE_SIZES);

/// The stack of a guest for which no other is asked. wasmi's own bound of a thousand calls is too
/// tight for interpreters within the guest.
const DEFAULT_STACK: u64 = 2 << 20;

/// What wasmi keeps of a call besides its values: an address, a place on the stack, an instance.
const FRAME: u64 = 24;

/// What wasmi is told for code with these options.
pub(crate) fn of(options: CompileOptions) -> Config {
    let mut config = Config::default();
    // The other proposals in the list are on by default.
    config
        .wasm_wide_arithmetic(true)
        .wasm_custom_page_sizes(true)
        .consume_fuel(options.fuel || options.interruptible)
        // Validated now, translated when first called: a guest is rarely run whole.
        .compilation_mode(CompilationMode::LazyTranslation)
        // Translating is no work of the guest's, and would make its first run dearer than others.
        .fuel_cost(CustomFuelCosts {
            bytes_copied_per_fuel: 64,
            fuel_per_bytes_translated: 0,
            fuel_per_bytes_validated: 0,
        });
    let half = options.stack.unwrap_or(DEFAULT_STACK) / 2;
    let as_size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    // A maximum below the minimum, which is a kilobyte, would panic.
    config
        .set_min_stack_height(0)
        .set_max_stack_height(as_size(half))
        .set_max_recursion_depth(as_size(half / FRAME));
    config
}
