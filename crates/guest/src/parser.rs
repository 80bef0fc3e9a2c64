//! What every reading of a guest begins with.

use wasmparser::{Parser, WasmFeatures};

/// How deep components, and their types, may nest. Real ones stay below ten.
pub(crate) const MAX_NESTING: usize = 100;

/// The parser every reading of a guest uses.
///
/// Compact imports stay off: no engine here takes them, and they let a few bytes stand for very
/// long names many times over.
pub(crate) fn parser() -> Parser {
    let mut parser = Parser::new(0);
    parser.set_features(WasmFeatures::all().difference(WasmFeatures::COMPACT_IMPORTS));
    parser
}
