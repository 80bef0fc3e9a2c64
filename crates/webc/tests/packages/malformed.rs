//! What is wrong with a package is one error that says what.

use std::io::Cursor;

use wasmrun_core::{Error, ErrorKind};
use wasmrun_testkit::packages::{Packed, PackedCommand};
use wasmrun_webc::{Package, Webc};

use crate::{MODULE, full};

/// Reads all that is in it.
fn read(bytes: &[u8]) -> Result<(), String> {
    let told = |problem: wasmrun_webc::Problem| problem.to_string();
    let mut webc = Webc::read(Cursor::new(bytes)).map_err(told)?;
    let atoms: Vec<_> = webc.atoms().map(|atom| atom.name.to_owned()).collect();
    for atom in atoms {
        webc.atom(&atom, 1000).map_err(told)?;
    }
    let volumes: Vec<_> = webc.volumes().map(|one| one.name.to_owned()).collect();
    for volume in volumes {
        webc.volume(&volume).map_err(told)?;
    }
    Ok(())
}

fn fails(bytes: &[u8], words: &str) {
    let error = read(bytes).expect_err(words);
    assert!(error.contains(words), "{error}, expected {words}");
    assert!(!error.contains('\n'), "{error}");
}

/// Where some bytes are last.
fn last(bytes: &[u8], of: &[u8]) -> usize {
    let found = bytes.windows(of.len()).rposition(|window| window == of);
    found.expect("they are there")
}

#[test]
fn a_package_is_whole() {
    for bytes in [full().bytes(), full().bytes_of_version_2()] {
        read(&bytes).expect("it is whole");
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "cut off at {length}");
        }
    }
}

#[test]
fn another_version_or_another_file_is_named() {
    let mut bytes = full().bytes();
    bytes[5..8].copy_from_slice(b"001");
    fails(&bytes, "found 001");
    bytes[5..8].copy_from_slice(b"\x1b[2");
    fails(&bytes, "found \\x1b[2");
    bytes[0] = 1;
    fails(&bytes, "expected a webc package");
}

#[test]
fn what_is_damaged_is_told_by_its_digest() {
    for bytes in [full().bytes(), full().bytes_of_version_2()] {
        let mut volume = bytes.clone();
        let at = last(&bytes, b"deep");
        volume[at] ^= 1;
        fails(&volume, "volume \"assets\": its SHA-256");
        let mut atom = bytes.clone();
        let at = last(&bytes, MODULE);
        atom[at + 4] ^= 1;
        fails(&atom, "atom \"program\": its SHA-256");
        let mut manifest = bytes.clone();
        let at = last(&bytes, b"application");
        manifest[at] ^= 1;
        fails(&manifest, "its manifest: its SHA-256");
    }
}

/// Changes what is in the table of a volume. Digests are not compared before the table is read.
fn with_name(name: &str, other: &str) -> Vec<u8> {
    assert_eq!(name.len(), other.len());
    let packed = Packed::new().file("assets", name, "content");
    let mut bytes = packed.bytes();
    let at = last(&bytes, name.as_bytes());
    bytes[at..at + name.len()].copy_from_slice(other.as_bytes());
    bytes
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["..", "a/", "/a", "a\0"] {
        fails(&with_name("zz", name), "expected the name of a file");
    }
}

#[test]
fn links_that_lead_out_are_refused() {
    let packed =
        Packed::new()
            .file("assets", "d/f", "content")
            .link("assets", "d/link", "../d/../d");
    let bytes = packed.bytes();
    read(&bytes).expect("it leads to d");
    for target in ["../../d/d", "/etc/pass", "../d/../.", "a\0b/c/d/e"] {
        let mut bytes = bytes.clone();
        let at = last(&bytes, b"../d/../d");
        bytes[at..at + target.len()].copy_from_slice(target.as_bytes());
        match target {
            "../d/../." => fails(&bytes, "its SHA-256"),
            _ => fails(
                &bytes,
                "expected a symbolic link to somewhere in the volume",
            ),
        }
    }
}

#[test]
fn a_directory_in_itself_is_refused() {
    let packed = Packed::new().file("assets", "dir/file", "content");
    let mut bytes = packed.bytes();
    // The place of the entry is 40 bytes before the length of its name.
    let at = last(&bytes, b"dir") - 8 - 32 - 8;
    bytes[at..at + 8].copy_from_slice(&0_u64.to_le_bytes());
    fails(&bytes, "once, found it again");
}

#[test]
fn content_beyond_the_volume_is_refused() {
    let packed = Packed::new().file("assets", "f", "content");
    let bytes = packed.bytes();
    let end = 7_u64.to_le_bytes();
    let start = last(&bytes, &[&[31], &[0; 8][..], &end].concat()) + 1;
    for (start_at, end_at) in [(0, 8), (8, 7), (0, u64::MAX), (u64::MAX, 7)] {
        let mut bytes = bytes.clone();
        bytes[start..start + 8].copy_from_slice(&u64::to_le_bytes(start_at));
        bytes[start + 8..start + 16].copy_from_slice(&u64::to_le_bytes(end_at));
        fails(&bytes, "its content is said to be");
    }
}

fn command(packed: &Packed) -> Error {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.webc");
    packed.write(&path);
    let package = Package::open(&path);
    let command = package.and_then(|package| package.command(None, &[], 1000));
    command.expect_err("it is refused")
}

#[test]
fn what_does_not_fit_together_is_told() {
    let plain = || {
        Packed::new()
            .atom("program", MODULE)
            .command(PackedCommand {
                name: "app",
                atom: "program",
                ..PackedCommand::default()
            })
    };
    let changed = |change: fn(&mut wasmrun_testkit::packages::Manifest)| plain().manifest(change);
    for (packed, kind, words) in [
        (
            changed(|manifest| manifest.commands[0].annotations.clear()),
            ErrorKind::Invalid,
            "command app: it has no atom",
        ),
        (
            changed(|manifest| manifest.commands[0].runner = "https://webc.org/runner/wcgi".into()),
            ErrorKind::Unsupported,
            "runner/wcgi",
        ),
        (
            changed(|manifest| manifest.atoms.clear()),
            ErrorKind::Invalid,
            "the manifest does not say its digest",
        ),
        (
            changed(|manifest| manifest.atoms[0].signature = "sha256:x".into()),
            ErrorKind::Invalid,
            "expected sha256: and a digest",
        ),
        (
            changed(|manifest| manifest.commands.clear()),
            ErrorKind::Config,
            "no command to run",
        ),
        (
            plain().entrypoint("none"),
            ErrorKind::Config,
            "no command \"none\"",
        ),
        (
            plain().command(PackedCommand {
                name: "second",
                atom: "program",
                ..PackedCommand::default()
            }),
            ErrorKind::Config,
            "app, second",
        ),
        (
            plain().shows(None, "none", "/data"),
            ErrorKind::Invalid,
            "no volume \"none\"",
        ),
        (
            plain().file("v", "f", "").shows(None, "v", "/../data"),
            ErrorKind::Invalid,
            "leads above",
        ),
        (
            plain().atom("program", b"\x7fELF native"),
            ErrorKind::NotWasm,
            "ELF",
        ),
    ] {
        let error = command(&packed);
        let told = error.to_string();
        assert!(told.contains(words), "{told}, expected {words}");
        assert_eq!(error.kind(), kind, "{told}");
    }
}
