//! Directories that are kept for guests, by name.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::{Error, ErrorKind, Result};

/// The directory of the volume of that name, made if this is its first use. It is in `volumes`, or where
/// [`RunConfig::volumes`](crate::RunConfig::volumes) says they are without.
///
/// # Errors
///
/// [`Preopen`](ErrorKind::Preopen) for what is no name, and what keeps the directory from being made.
pub fn volume_directory(name: &str, volumes: Option<&Path>) -> Result<PathBuf> {
    let refuse = |why: &str| Error::new(ErrorKind::Preopen, format!("volume {name:?}: {why}"));
    if !is_kept_name(name) {
        return Err(refuse(
            "a name has letters, digits, `_`, `.` and `-`, and begins with a letter or a digit",
        ));
    }
    let volumes = match volumes {
        Some(volumes) => volumes.to_owned(),
        None => user_data_directory()?.join("volumes"),
    };
    let directory = volumes.join(name);
    std::fs::create_dir_all(&directory).map_err(|source| {
        refuse(&format!("cannot make {}", directory.display())).with_source(source)
    })?;
    std::path::absolute(directory).map_err(|source| refuse("no absolute path").with_source(source))
}

/// `wasmrun` in the user's data directory (`$XDG_DATA_HOME`), where what guests have is kept by name.
///
/// # Errors
///
/// [`Config`](ErrorKind::Config) if the user has no home directory.
pub fn user_data_directory() -> Result<PathBuf> {
    let strategy = etcetera::choose_base_strategy().map_err(|source| {
        let message =
            "there is no home directory to keep things in by name; set HOME, or say where";
        Error::new(ErrorKind::Config, message).with_source(source)
    })?;
    Ok(strategy.data_dir().join("wasmrun"))
}

/// Whether something that is kept may have that name: letters, digits, `_`, `.` and `-`, the first of which is a letter
/// or a digit, as Docker has it.
pub fn is_kept_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= 255
        && name
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || matches!(each, '_' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_made_when_it_is_first_used() {
        let volumes = tempfile::tempdir().expect("a directory");
        let root = volumes.path().join("not/yet");
        for _ in 0..2 {
            let directory = volume_directory("data.1", Some(&root)).expect("a volume");
            assert_eq!(directory, root.join("data.1"));
            assert!(directory.is_dir());
        }
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        for name in ["", ".", "..", "a/b", "/a", ".hidden", "-a", "a b", "\u{e4}"] {
            let error = volume_directory(name, None).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Preopen);
        }
    }
}
