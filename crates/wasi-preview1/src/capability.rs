//! What an engine can do because its guests have this WASI.

use wasmrun_core::{Capability, Support};

use crate::STDIO_IS_INTERRUPTIBLE;

/// What any engine can do for modules whose calls come here: `how` tells whether the engine makes them
/// itself. All else is the engine's own.
///
/// ```
/// use wasmrun_core::{Capability, Proposals, Support};
/// use wasmrun_wasi_preview1::capability;
///
/// let capability = Capability {
///     proposals: Proposals::WASM2,
///     fuel: Support::Native,
///     ..capability(Support::Native)
/// };
/// assert!(capability.read_only_preopens.is_supported());
/// assert!(!capability.memory.is_supported());
/// ```
pub fn capability(how: Support) -> Capability {
    // Without it a guest that waits for its input could not be ended.
    let ended = if STDIO_IS_INTERRUPTIBLE {
        how
    } else {
        Support::Unsupported
    };
    let files = if cfg!(target_os = "linux") {
        how
    } else {
        Support::Unsupported
    };
    Capability {
        modules: Support::Native,
        preview1: how,
        unstable: how,
        live: how,
        host_functions: how,
        args: how,
        argv0: how,
        env: how,
        preopens: files,
        mapped_preopens: files,
        read_only_preopens: files,
        file_mounts: files,
        own_mounts: how,
        entry: how,
        timeout: ended,
        kill: ended,
        // Core keeps it: a module is one.
        instances: Support::Emulated,
        fixed_clock: Support::Emulated,
        virtual_clock: Support::Emulated,
        seeded_random: Support::Emulated,
        sorted_listings: Support::Emulated,
        reports_exit_codes: how,
        ..Capability::default()
    }
}
