//! Component types, read without trusting how deep they nest.
//!
//! A component type may hold others, and wasmparser reads them by recursion without a bound: thirty
//! kilobytes are enough to overflow a stack, ours or that of an engine that reads them the same
//! way. So the first reading walks the nesting here and stops at a depth no toolchain comes near.

use std::ops::Range;

use wasmparser::{BinaryReader, ComponentType, ComponentTypeDeclaration};

use crate::malformed::Malformed;
use crate::parser::MAX_NESTING;

const COMPONENT: u8 = 0x41;
const INSTANCE: u8 = 0x42;
/// The declaration, inside either of them, of another type.
const TYPE: u8 = 0x01;

/// Reads the component type section at `range` of `bytes`.
pub(crate) fn check(bytes: &[u8], range: Range<usize>) -> Result<(), Malformed> {
    let section = bytes.get(range.clone()).unwrap_or_default();
    let mut reader = BinaryReader::new(section, range.start);
    for _ in 0..reader.read_var_u32()? {
        check_type(&mut reader, MAX_NESTING)?;
    }
    if !reader.eof() {
        return Err(Malformed::at(
            reader.original_position(),
            "the component type section is longer than its entries",
        ));
    }
    Ok(())
}

fn check_type(reader: &mut BinaryReader<'_>, levels_left: usize) -> Result<(), Malformed> {
    let mut ahead = reader.clone();
    if !matches!(ahead.read_u8()?, COMPONENT | INSTANCE) {
        reader.read::<ComponentType<'_>>()?;
        return Ok(());
    }
    let Some(levels_left) = levels_left.checked_sub(1) else {
        return Err(Malformed::at(
            reader.original_position(),
            "component types nest too deep",
        ));
    };
    *reader = ahead;
    for _ in 0..reader.read_var_u32()? {
        let mut ahead = reader.clone();
        if ahead.read_u8()? == TYPE {
            *reader = ahead;
            check_type(reader, levels_left)?;
        } else {
            reader.read::<ComponentTypeDeclaration<'_>>()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A type section with one instance type in another, `levels` deep.
    fn nested(levels: usize) -> Vec<u8> {
        let mut section = vec![1];
        for _ in 1..levels {
            section.extend([INSTANCE, 1, TYPE]);
        }
        section.extend([INSTANCE, 0]);
        section
    }

    #[test]
    fn types_nest_up_to_a_bound() {
        let deep = nested(MAX_NESTING);
        check(&deep, 0..deep.len()).expect("as deep as allowed");
        for levels in [MAX_NESTING + 1, 1_000_000] {
            let deeper = nested(levels);
            let error = check(&deeper, 0..deeper.len()).expect_err("too deep");
            assert!(error.to_string().contains("nest too deep"), "{error}");
        }
    }

    #[test]
    fn a_section_holds_exactly_its_entries() {
        let mut section = nested(2);
        section.push(0);
        assert!(check(&section, 0..section.len()).is_err());
        assert!(check(&section, 0..2).is_err());
    }
}
