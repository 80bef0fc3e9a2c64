//! Whatever is in a file, reading it ends, in a package or in an error of one line.

use std::io::Cursor;

use proptest::prelude::*;
use wasmrun_webc::Webc;

use crate::full;

fn read(bytes: &[u8]) {
    let one_line = |problem: wasmrun_webc::Problem| {
        let told = problem.to_string();
        assert!(!told.contains('\n'), "{told}");
    };
    let mut webc = match Webc::read(Cursor::new(bytes)) {
        Ok(webc) => webc,
        Err(problem) => return one_line(problem),
    };
    let atoms: Vec<_> = webc.atoms().map(|atom| atom.name.to_owned()).collect();
    for atom in atoms {
        webc.atom(&atom, 1 << 20).map(drop).unwrap_or_else(one_line);
    }
    let volumes: Vec<_> = webc.volumes().map(|one| one.name.to_owned()).collect();
    for volume in volumes {
        webc.volume(&volume).map(drop).unwrap_or_else(one_line);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_behind_a_header_are_read_to_an_end(
        version in prop::sample::select(vec!["002", "003"]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        read(&[b"\0webc", version.as_bytes(), &bytes].concat());
    }

    #[test]
    fn a_package_that_was_changed_is_read_to_an_end(
        second in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut bytes = match second {
            true => full().bytes_of_version_2(),
            false => full().link("assets", "l", "top").bytes(),
        };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(length.index(bytes.len()));
        }
        read(&bytes);
    }

    /// Numbers at the edge of what there is, wherever a number may be.
    #[test]
    fn a_package_with_other_numbers_is_read_to_an_end(
        second in any::<bool>(),
        at in any::<prop::sample::Index>(),
        number in prop::sample::select(vec![
            0, 1, 7, 8, 255, 1 << 20, u32::MAX.into(), 1 << 62, i64::MAX as u64, u64::MAX - 8, u64::MAX,
        ]),
    ) {
        let mut bytes = match second {
            true => full().bytes_of_version_2(),
            false => full().bytes(),
        };
        let at = at.index(bytes.len() - 8);
        bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(number));
        read(&bytes);
    }
}
