//! What holds of every package: it is read to an end, in a package or in an error of one line, and nothing leads out of it.

use std::collections::HashSet;
use std::fmt::Display;
use std::io::{Cursor, Write};

use wasmrun_webc::{Package, Volume, Webc, What};

/// So large are the atoms that are read.
const MOST: u64 = 1 << 20;

pub fn holds(bytes: &[u8]) {
    let mut webc = match Webc::read(Cursor::new(bytes)) {
        Ok(webc) => webc,
        Err(problem) => return one_line(problem),
    };
    let atoms: Vec<_> = webc.atoms().map(|atom| atom.name.to_owned()).collect();
    for atom in atoms {
        match webc.atom(&atom, MOST) {
            Ok(content) => assert!(content.len() <= bytes.len()),
            Err(problem) => one_line(problem),
        }
    }
    let volumes: Vec<_> = webc.volumes().map(|one| one.name.to_owned()).collect();
    for volume in volumes {
        match webc.volume(&volume) {
            Ok(volume) => lies_within(&volume, bytes.len() as u64),
            Err(problem) => one_line(problem),
        }
    }
    as_a_file(bytes);
}

/// Content is in the package, and paths and links in the volume.
fn lies_within(volume: &Volume, length: u64) {
    let mut directories = HashSet::new();
    for entry in &volume.entries {
        let names: Vec<_> = entry.path.split('/').collect();
        let above = match entry.path.rsplit_once('/') {
            Some((above, _)) => above,
            None => "",
        };
        let is_root = entry.path.is_empty();
        assert_eq!(is_root, directories.is_empty(), "{entry:?}");
        assert!(is_root || directories.contains(above), "{entry:?}");
        assert!(
            is_root || names.iter().all(|name| !matches!(*name, "" | "." | "..")),
            "{entry:?}"
        );
        match &entry.what {
            What::Directory => drop(directories.insert(entry.path.as_str())),
            What::File { offset, size } => {
                let end = offset.checked_add(*size);
                assert!(end.is_some_and(|end| end <= length), "{entry:?}");
            }
            What::Symlink(target) => {
                let mut depth = names.len() - 1;
                assert!(!target.starts_with('/'), "{entry:?}");
                for name in target.split('/') {
                    depth = match name {
                        "" | "." => depth,
                        ".." => depth.checked_sub(1).expect("within the volume"),
                        _ => depth + 1,
                    };
                }
            }
        }
    }
}

/// What its commands are and are run with.
fn as_a_file(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("it is written");
    let package = match Package::open(file.path()) {
        Ok(package) => package,
        Err(error) => return one_line(error),
    };
    package.inspect(MOST).map(drop).unwrap_or_else(one_line);
    let names = package.manifest().commands.iter();
    let names: Vec<_> = names.map(|command| command.name.clone()).collect();
    for name in names.iter().map(String::as_str).map(Some).chain([None]) {
        let command = package.command(name, &[], MOST);
        command.map(drop).unwrap_or_else(one_line);
    }
}

fn one_line(problem: impl Display) {
    let told = problem.to_string();
    assert!(!told.contains(['\n', '\r']), "{told}");
}
