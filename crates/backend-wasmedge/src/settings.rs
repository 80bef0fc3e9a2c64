//! How WasmEdge validates and runs guests.

use wasmrun_core::{Proposals, Result};

use crate::library::{Configure, Library, constants};
use crate::native::Owned;

/// What [`settings`] has switched on; the crate's documentation tells why no more.
pub(crate) const PROPOSALS: Proposals = Proposals::WASM2
    .union(Proposals::TAIL_CALL)
    .union(Proposals::EXTENDED_CONST)
    .union(Proposals::MULTI_MEMORY)
    .union(Proposals::RELAXED_SIMD)
    .union(Proposals::FUNCTION_REFERENCES);

/// What WasmEdge is told for every guest.
pub(crate) fn settings(library: &Library) -> Result<Owned<Configure>> {
    // SAFETY: new settings, changed before anyone else has them.
    unsafe {
        let settings = Owned::new(library.ConfigureCreate(), library.ConfigureDelete)?;
        library.ConfigureSetWASMStandard(settings.raw(), constants::WASM_2);
        for proposal in [
            constants::TAIL_CALL,
            constants::EXTENDED_CONST,
            constants::MULTI_MEMORIES,
            constants::RELAXED_SIMD,
            constants::FUNCTION_REFERENCES,
        ] {
            library.ConfigureAddProposal(settings.raw(), proposal);
        }
        library.ConfigureSetForceInterpreter(settings.raw(), true);
        Ok(settings)
    }
}
