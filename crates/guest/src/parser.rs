//! What every reading of a guest begins with.

use wasmparser::{Parser, WasmFeatures};

/// How deep components, and their types, may nest. Real ones stay below ten.
pub(crate) const MAX_NESTING: usize = 100;

/// What a guest may consist of, all proposals: which of them it uses is compared with each engine.
///
/// Compact imports stay off: no engine here takes them, and they let a few bytes stand for very
/// long names many times over.
pub(crate) const FEATURES: WasmFeatures =
    WasmFeatures::all().difference(WasmFeatures::COMPACT_IMPORTS);

/// The parser every reading of a guest uses.
pub(crate) fn parser() -> Parser {
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    parser
}
