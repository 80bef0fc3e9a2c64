//! The guest as a file a runtime can open.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use wasmrun_core::{Error, ErrorKind, Guest, Result};

use crate::readable::Readable;

/// The guest's own file as long as it is the one that was inspected, and otherwise a copy of what
/// was: a runtime must not be handed a program that nobody checked.
#[derive(Debug)]
pub(crate) struct ProgramFile {
    guest: Guest,
    original: Option<(PathBuf, Stamp)>,
    copy: Mutex<Option<Arc<Readable>>>,
}

impl ProgramFile {
    pub(crate) fn new(guest: Guest) -> Self {
        let original = guest
            .path()
            .and_then(|path| Some((path.to_owned(), Stamp::of(path)?)))
            .filter(|(_, stamp)| stamp.len == guest.bytes().len() as u64);
        ProgramFile {
            guest,
            original,
            copy: Mutex::default(),
        }
    }

    /// The program.
    pub(crate) fn program(&self) -> Result<Arc<Readable>> {
        match &self.original {
            Some((path, stamp)) if Stamp::of(path).as_ref() == Some(stamp) => {
                Ok(Arc::new(Readable::at(path.clone())))
            }
            _ => self.copy(),
        }
    }

    /// A copy that nobody else can change.
    pub(crate) fn copy(&self) -> Result<Arc<Readable>> {
        // A panic under this lock leaves no copy behind, which is a sound state.
        let mut copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = &*copy {
            return Ok(copy.clone());
        }
        let made = Arc::new(Readable::of("guest.wasm", self.guest.bytes())?);
        *copy = Some(made.clone());
        Ok(made)
    }
}

/// A guest with its bytes, which a cache did without.
pub(crate) fn read(guest: &Guest) -> Result<Guest> {
    let now = guest.read()?;
    if now.digest() == guest.digest() {
        return Ok(now);
    }
    let message = "the guest's file has changed since it was looked at";
    Err(Error::new(ErrorKind::Io, message))
}

/// What changes when a file does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    node: (u64, u64),
    #[cfg(unix)]
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path)
            .ok()
            .map(|found| Stamp::from(&found))
    }
}

impl From<&Metadata> for Stamp {
    fn from(found: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Stamp {
            len: found.len(),
            modified: found.modified().ok(),
            #[cfg(unix)]
            node: (found.dev(), found.ino()),
            #[cfg(unix)]
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAT: &str = "(module (func (export \"_start\")))";

    fn guest_file() -> (tempfile::NamedTempFile, Guest) {
        let binary = Guest::from_bytes("app.wasm", WAT).expect("a guest");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), binary.bytes()).expect("writes");
        let guest = Guest::open(file.path()).expect("a guest");
        (file, guest)
    }

    #[test]
    fn an_unchanged_file_is_used_as_it_is() {
        let (file, guest) = guest_file();
        let program = ProgramFile::new(guest).program().expect("a program");
        assert_eq!(program.path(), file.path());
    }

    #[test]
    fn a_file_that_changed_or_went_is_replaced_by_what_was_inspected() {
        let (file, guest) = guest_file();
        let program = ProgramFile::new(guest.clone());
        std::fs::write(file.path(), b"something else").expect("writes");
        let copy = program.program().expect("a program");
        assert_ne!(copy.path(), file.path());
        drop(file);
        assert_eq!(program.program().expect("a program").path(), copy.path());
        assert_eq!(std::fs::read(copy.path()).expect("reads"), guest.bytes());
    }

    #[test]
    fn a_guest_that_is_on_no_disk_is_written_once() {
        let guest = Guest::from_bytes("app.wasm", WAT).expect("a guest");
        let program = ProgramFile::new(guest.clone());
        let first = program.program().expect("a program");
        let second = program.program().expect("a program");
        assert_eq!(first.path(), second.path());
        assert_eq!(std::fs::read(first.path()).expect("reads"), guest.bytes());
    }
}
