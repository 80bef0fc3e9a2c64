//! The source map in what wazero keeps of a guest.
//!
//! It leads from places in the code to offsets in the guest, for debugging information in DWARF to be looked up, which
//! no rewritten guest has. Some builds (seen of 1.12.0 with Go 1.27) write one all the same, an entry for every
//! instruction that may trap or call, and read it with two system calls for each: 1.5 million at a start of CPython,
//! which then takes 1.5 seconds rather than 0.3.
//!
//! In little-endian order there are: [`MAGIC`], the version behind its length (`u8`), the offsets (`u64`) of functions
//! behind their number (`u32`), the code behind its length (`u64`), its checksum (`u32`), whether there is a source
//! map (`u8`), the entries (two `u64`: where in the guest, where in the code) behind their number (`u64`), and more in
//! some versions.

use std::ops::Range;

const MAGIC: &[u8] = b"WAZEVO";

/// Without the source map, if it has one. What is not understood stays as it is.
pub(super) fn left_out(mut kept: Vec<u8>) -> Vec<u8> {
    if let Some(map) = entries(&kept) {
        kept[map.start - 1] = 0;
        kept.drain(map);
    }
    kept
}

/// Where the entries and their number are, behind what says that there are any.
fn entries(kept: &[u8]) -> Option<Range<usize>> {
    const ENTRY: usize = 2 * size_of::<u64>();
    let mut rest = kept.strip_prefix(MAGIC)?;
    let version = number(&mut rest, 1)?;
    rest.split_off(..version)?;
    let functions = number(&mut rest, 4)?;
    rest.split_off(..functions.checked_mul(size_of::<u64>())?)?;
    let code = number(&mut rest, 8)?;
    rest.split_off(..code.checked_add(size_of::<u32>())?)?;
    let present = number(&mut rest, 1)? == 1;
    let start = kept.len() - rest.len();
    let count = number(&mut rest, 8)?;
    let (numbers, _) = rest.split_off(..count.checked_mul(ENTRY)?)?.as_chunks();
    let places = numbers.iter().skip(1).step_by(2);
    let places = places.map(|place| u64::from_le_bytes(*place));
    // It is one only if it leads from more than one place, all in the code, and in order.
    let within = places.clone().all(|place| place <= code as u64);
    let is_map = present && count > 1 && places.is_sorted() && within;
    is_map.then_some(start..kept.len() - rest.len())
}

/// The number in the next `bytes`.
fn number(rest: &mut &[u8], bytes: usize) -> Option<usize> {
    let mut number = [0; size_of::<u64>()];
    number[..bytes].copy_from_slice(rest.split_off(..bytes)?);
    u64::from_le_bytes(number).try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of two functions, with nothing known behind its end.
    fn kept(map: Option<&[[u64; 2]]>) -> Vec<u8> {
        let mut kept = [MAGIC, b"\x031.2", &2_u32.to_le_bytes()].concat();
        for number in [0, 2, 3] {
            kept.extend(u64::to_le_bytes(number));
        }
        kept.extend(b"bin");
        kept.extend(b"sum!");
        kept.push(map.is_some().into());
        if let Some(map) = map {
            kept.extend((map.len() as u64).to_le_bytes());
            kept.extend(map.as_flattened().iter().flat_map(|n| n.to_le_bytes()));
        }
        kept.extend(b"more");
        kept
    }

    #[test]
    fn a_source_map_is_left_out() {
        assert_eq!(left_out(kept(Some(&[[7, 0], [8, 2], [9, 2]]))), kept(None));
        assert_eq!(left_out(kept(None)), kept(None));
    }

    #[test]
    fn what_is_something_else_stays() {
        let descends = kept(Some(&[[7, 2], [8, 1]]));
        let leaves_the_code = kept(Some(&[[7, 0], [8, 4]]));
        let whole = kept(Some(&[[7, 0], [8, 2]]));
        let cut = (0..whole.len() - b"more".len()).map(|end| whole[..end].to_vec());
        let others = [
            kept(Some(&[])),
            kept(Some(&[[7, 0]])),
            descends,
            leaves_the_code,
        ];
        // Lengths that are none.
        let beyond = (0..64).map(|zeros| [MAGIC, &[0; 64][..zeros], &[0xff; 512]].concat());
        for other in cut.chain(others).chain(beyond) {
            assert_eq!(left_out(other.clone()), other);
        }
    }
}
