//! Small files that know whether they are whole.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmrun_core::Digest;

use crate::place;

/// How exactly it is known when a record was last used. Noting it costs a write to the disk.
const USE_IS_NOTED_EVERY: Duration = Duration::from_secs(60);

/// The longest record, in bytes. A guest can declare so much that it is better looked at again.
const MAX_BYTES: usize = 1 << 20;

/// What a record turned out to be.
pub(crate) enum Found<T> {
    Whole(T),
    Nothing,
    Damaged,
    Unreadable,
}

/// Writes a record: its digest, a new line, JSON.
pub(crate) fn write(directory: &Path, name: &str, record: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(record)?;
    if json.len() > MAX_BYTES {
        return Err(io::Error::other("the record would be too long"));
    }
    let digest = Digest::of(&json).to_string();
    place::write(directory, name, &[digest.as_bytes(), b"\n", &json])
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Found<T> {
    match fs::read(path) {
        Ok(content) => unseal(&content).map_or(Found::Damaged, Found::Whole),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
        Err(_) => Found::Unreadable,
    }
}

fn unseal<T: DeserializeOwned>(content: &[u8]) -> Option<T> {
    let (digest, json) = content.split_at_checked(64)?;
    let json = json.strip_prefix(b"\n")?;
    let digest: Digest = std::str::from_utf8(digest).ok()?.parse().ok()?;
    (digest == Digest::of(json)).then(|| serde_json::from_slice(json).ok())?
}

/// Notes that a record was used, for the choice of what to remove.
pub(crate) fn used(path: &Path) {
    let note = || {
        let now = SystemTime::now();
        let noted = fs::metadata(path)?.modified()?;
        if now
            .duration_since(noted)
            .is_ok_and(|age| age < USE_IS_NOTED_EVERY)
        {
            return Ok(());
        }
        File::open(path)?.set_modified(now)
    };
    // On a disk that cannot be written to, nothing is removed either.
    if let Err::<_, io::Error>(error) = note() {
        tracing::debug!(path = %path.display(), %error, "cannot note a use");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_whole_or_damaged_whichever_bit_flips() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("record");
        write(directory.path(), "record", &("a", 1)).expect("writes");
        let content = fs::read(&path).expect("reads");
        assert!(matches!(
            read::<(String, u8)>(&path),
            Found::Whole((text, 1)) if text == "a"
        ));
        for bit in 0..content.len() * 8 {
            let mut flipped = content.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Digits of a digest may be of either case.
            if !flipped.eq_ignore_ascii_case(&content) {
                assert!(unseal::<(String, u8)>(&flipped).is_none(), "bit {bit}");
            }
        }
        for length in 0..content.len() {
            assert!(unseal::<(String, u8)>(&content[..length]).is_none());
        }
        assert!(matches!(
            read::<()>(&directory.path().join("none")),
            Found::Nothing
        ));
    }
}
