//! Which handles the components in a component pass to each other.

use std::collections::BTreeSet;

use wasmparser::{BinaryReaderError, Operator, Parser, Payload};

/// Between which tables the functions of an adapter have that imported function move handles: from, and to. `None` if one of
/// them does not say by constants.
pub(crate) fn transfers(
    adapter: &[u8],
    function: u32,
) -> Result<Option<BTreeSet<(u32, u32)>>, BinaryReaderError> {
    let mut found = BTreeSet::new();
    for payload in Parser::new(0).parse_all(adapter) {
        let Payload::CodeSectionEntry(body) = payload? else {
            continue;
        };
        let mut constants = [None; 2];
        for operator in body.get_operators_reader()? {
            let constant = match operator? {
                Operator::I32Const { value } => Some(value.cast_unsigned()),
                Operator::Call { function_index } if function_index == function => {
                    let [Some(from), Some(to)] = constants else {
                        return Ok(None);
                    };
                    found.insert((from, to));
                    None
                }
                _ => None,
            };
            constants = [constants[1], constant];
        }
    }
    Ok(Some(found))
}
