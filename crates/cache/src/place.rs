//! The directory, and how files come into it.

use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use wasmrun_core::{Error, ErrorKind, Result};

use crate::platform;

/// What the names of unfinished files start with.
pub(crate) const UNFINISHED: &str = ".unfinished-";

/// Backup programs know it: <https://bford.info/cachedir/>.
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
                   # Compiled programs; wasmrun makes them again where they are missing.\n";

/// A directory that is ours alone.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub root: PathBuf,
    pub guests: PathBuf,
    pub answers: PathBuf,
    pub entries: PathBuf,
    pub code: PathBuf,
    pub lock: PathBuf,
}

impl Place {
    pub(crate) fn open(root: &Path) -> Result<Place> {
        let made = match fs::metadata(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(root).map_err(|source| {
                    let what = format!("cannot make the cache directory {}", root.display());
                    Error::new(ErrorKind::Io, what).with_source(source)
                })?;
                true
            }
            _ => false,
        };
        let metadata = fs::metadata(root).map_err(|source| unreadable(root, source))?;
        let root = absolute(root, &metadata).map_err(|source| unreadable(root, source))?;
        platform::is_ours_alone(&root, &metadata)?;
        if made {
            // A cache without the tag is as good.
            let _ = fs::write(root.join("CACHEDIR.TAG"), TAG);
        }
        let inside = root.join("v1");
        Ok(Place {
            guests: inside.join("guests"),
            answers: inside.join("answers"),
            entries: inside.join("entries"),
            code: inside.join("code"),
            lock: inside.join("lock"),
            root,
        })
    }
}

impl Place {
    /// Everywhere that files of ours are.
    pub(crate) fn all(&self) -> [&PathBuf; 4] {
        [&self.entries, &self.guests, &self.answers, &self.code]
    }
}

/// Where the directory is, whatever directory the process goes to later: by its true name, unless it has none that leads
/// there, as one that was handed to us by a descriptor (`/proc/self/fd/3`) and is not in our tree.
fn absolute(root: &Path, metadata: &Metadata) -> io::Result<PathBuf> {
    let name = fs::canonicalize(root)?;
    match fs::metadata(&name) {
        Ok(there) if platform::is_same(&there, metadata) => Ok(name),
        _ => std::path::absolute(root),
    }
}

fn make(root: &Path) -> io::Result<()> {
    match platform::make_private_dir(root) {
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

pub(crate) fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("cannot use the cache in {}", path.display()),
    )
    .with_source(source)
}

/// What is written at once stays together in the system's memory, and whoever maps the file has all of it at the
/// first access to a byte: with larger pieces, programs that are loaded from it take several times the memory.
/// So much Linux gives at an access anyhow.
const PIECE: usize = 64 << 10;

/// Writes a file as a whole: nobody sees it before it is complete.
pub(crate) fn write(directory: &Path, name: &str, content: &[&[u8]]) -> io::Result<()> {
    let mut file = match unfinished(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(directory)?;
            unfinished(directory)
        }
        file => file,
    }?;
    for piece in content.iter().flat_map(|part| part.chunks(PIECE)) {
        file.write_all(piece)?;
    }
    file.persist(directory.join(name))?;
    Ok(())
}

fn unfinished(directory: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempfile_in(directory)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_known_by_its_true_name_only_if_that_leads_there() {
        let scratch = tempfile::tempdir().expect("a directory");
        let scratch = fs::canonicalize(scratch.path()).expect("it is there");
        let (real, other) = (scratch.join("real"), scratch.join("other"));
        fs::create_dir_all(&real).expect("made");
        fs::create_dir_all(&other).expect("made");
        let link = scratch.join("link");
        std::os::unix::fs::symlink(&real, &link).expect("made");
        let of = |seen: &Path| {
            let metadata = fs::metadata(seen).expect("it is there");
            absolute(&link, &metadata).expect("a name")
        };
        assert_eq!(of(&real), real);
        // As if the link were one of `/proc/self/fd`, whose text need not be where it leads.
        assert_eq!(of(&other), link);
    }
}
