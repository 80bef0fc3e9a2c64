//! A guest and the code that its runtime keeps of it, in one file.
//!
//! The code comes first, so that the file may stand for it: what is behind its end does not disturb
//! [those that read it](crate::adapter::Compiler::keeps_a_directory). Then come the guest, the code's path in
//! the runtime's directory, and the lengths of these two, each a `u64` in little-endian order.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use wasmrun_core::{Error, ErrorKind, Result};

use crate::spawn::symlink;

/// The guest at `program` and what is `kept` of the only file below `directory`.
pub(crate) fn pack(
    program: &Path,
    directory: &Path,
    kept: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Result<Vec<u8>> {
    let pack = || {
        let path = only_file(directory)?;
        let name = path.strip_prefix(directory).ok().and_then(Path::to_str);
        let name = name.ok_or(io::ErrorKind::InvalidFilename)?;
        let mut packed = kept(fs::read(&path)?);
        let guest = File::open(program)?.read_to_end(&mut packed)?;
        packed.extend(name.bytes());
        for length in [guest, name.len()] {
            packed.extend((length as u64).to_le_bytes());
        }
        Ok(packed)
    };
    pack().map_err(|source: io::Error| {
        let message = format!("cannot take compiled code from {}", directory.display());
        Error::new(ErrorKind::Io, message).with_source(source)
    })
}

/// The one file in a directory, however deep.
fn only_file(directory: &Path) -> io::Result<PathBuf> {
    let entries: Vec<_> = fs::read_dir(directory)?.collect::<io::Result<_>>()?;
    match entries.as_slice() {
        [entry] if entry.file_type()?.is_dir() => only_file(&entry.path()),
        [entry] => Ok(entry.path()),
        entries => {
            let message = format!("there are {} files where one should be", entries.len());
            Err(io::Error::other(message))
        }
    }
}

/// The guest that is packed in a file. Its runtime finds the code in `directory` from then on.
pub(crate) fn unpack(packed: &Path, directory: &Path) -> Result<Vec<u8>> {
    let unpack = || {
        let mut file = File::open(packed)?;
        let (length, code) = split(&mut file)?;
        let code = directory.join(code);
        if let Some(parent) = code.parent() {
            fs::create_dir_all(parent)?;
        }
        symlink(packed, &code)?;
        let mut guest = Vec::new();
        file.take(length).read_to_end(&mut guest)?;
        Ok(guest)
    };
    unpack().map_err(|source: io::Error| {
        let message = format!("cannot unpack {}", packed.display());
        Error::new(ErrorKind::Io, message).with_source(source)
    })
}

/// The length of the guest, at which the file is then, and where its code is to be.
fn split(file: &mut File) -> io::Result<(u64, PathBuf)> {
    const LENGTH: usize = size_of::<u64>();
    let refuse = || io::Error::from(io::ErrorKind::InvalidData);
    let mut lengths = [[0; LENGTH]; 2];
    let end = file.seek(SeekFrom::End(-(2 * LENGTH as i64)))?;
    file.read_exact(lengths.as_flattened_mut())?;
    let [guest, name] = lengths.map(u64::from_le_bytes);
    let name_at = end.checked_sub(name).ok_or_else(refuse)?;
    let guest_at = name_at.checked_sub(guest).ok_or_else(refuse)?;
    let mut path = String::new();
    file.seek(SeekFrom::Start(name_at))?;
    file.take(name).read_to_string(&mut path)?;
    file.seek(SeekFrom::Start(guest_at))?;
    let path = PathBuf::from(path);
    let inside = |part| matches!(part, Component::Normal(_));
    match path.components().all(inside) {
        true => Ok((guest, path)),
        false => Err(refuse()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked_and_its_code_found() {
        let here = tempfile::tempdir().expect("a directory");
        let (guest, kept) = (here.path().join("a.wasm"), here.path().join("kept"));
        fs::write(&guest, "the guest").expect("writes");
        fs::create_dir_all(kept.join("1.0")).expect("a directory");
        let same = std::convert::identity;
        let error = pack(&guest, &kept, same).expect_err("there is no code");
        assert_eq!(error.kind(), ErrorKind::Io);
        fs::write(kept.join("1.0/key"), "the code").expect("writes");
        let packed = here.path().join("packed");
        fs::write(&packed, pack(&guest, &kept, same).expect("packs")).expect("writes");

        let there = tempfile::tempdir().expect("a directory");
        let guest = unpack(&packed, there.path()).expect("unpacks");
        assert_eq!(guest, b"the guest");
        let code = there.path().join("1.0/key");
        assert!(fs::read(code).expect("reads").starts_with(b"the code"));
    }

    #[test]
    fn what_is_no_package_is_refused() {
        let here = tempfile::tempdir().expect("a directory");
        let package = |guest: &str, name: &str, lengths: [u64; 2]| {
            let lengths = lengths.map(u64::to_le_bytes);
            [guest.as_bytes(), name.as_bytes(), lengths.as_flattened()].concat()
        };
        for bytes in [
            Vec::new(),
            vec![0xff; 64],
            package("guest", "name", [6, 4]),
            package("guest", "../name", [5, 7]),
            package("guest", "/name", [5, 5]),
            package("guest", "\0name", [5, 5]),
        ] {
            let packed = here.path().join("packed");
            fs::write(&packed, bytes).expect("writes");
            let there = tempfile::tempdir().expect("a directory");
            let error = unpack(&packed, there.path()).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Io);
        }
    }
}
