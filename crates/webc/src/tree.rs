//! A volume's tree of files, out of its table.
//!
//! Each entry of the table is a tag and what it says: a directory has the places in the table, digests and names of what
//! is in it, a file where its content is.

use std::collections::HashSet;

use wasmrun_core::Sha256;

use crate::bytes::Bytes;
use crate::sections::Version;
use crate::{Problem, limits};

const DIRECTORY: u8 = 30;
const FILE: u8 = 31;
const SYMLINK: u8 = 32;

/// What is in a volume.
#[derive(Debug, Clone)]
pub struct Volume {
    /// The digest of all of it.
    pub sha256: Sha256,
    /// Its root first, and each directory before what is in it.
    pub entries: Vec<Entry>,
}

/// A file, directory or symbolic link of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the volume, without a slash at the beginning; empty for the root.
    pub path: String,
    /// What it is.
    pub what: What,
    /// When it was changed last, in nanoseconds since 1970. Version 2 of the format does not tell: 0.
    pub modified: u64,
}

/// What an entry of a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A directory.
    Directory,
    /// A file, and where in the package its content is.
    File {
        /// Where the content begins.
        offset: u64,
        /// How many bytes it has.
        size: u64,
    },
    /// A symbolic link and its target: relative, and within the volume.
    Symlink(String),
}

/// A table, and where the content is that it tells of.
pub(crate) struct Table<'a> {
    pub(crate) version: Version,
    pub(crate) bytes: &'a [u8],
    /// Where the content begins in the package, and how many bytes it has.
    pub(crate) content: u64,
    pub(crate) size: u64,
}

/// The name of an entry, and its place in the table.
type Child<'a> = (&'a str, u64);

/// An entry that is still to be read.
struct Pending {
    path: String,
    at: u64,
}

impl Table<'_> {
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, Problem> {
        let mut entries = Vec::new();
        // Each entry has one name. So there is an end of them, whatever the table says.
        let mut seen = HashSet::from([0]);
        let root = Pending {
            path: String::new(),
            at: 0,
        };
        let mut pending = vec![root];
        let mut bytes = 0;
        while let Some(Pending { path, at }) = pending.pop() {
            let of_this = |problem: Problem| match path.is_empty() {
                true => problem.of("its root"),
                false => problem.of(format_args!("{path:?}")),
            };
            let (entry, children) = self.entry(&path, at).map_err(of_this)?;
            if path.is_empty() && entry.what != What::Directory {
                return Err(of_this(Problem::new("expected a directory")));
            }
            entries.push(entry);
            let mut names = HashSet::new();
            for (name, at) in children {
                let twice = !names.insert(name) || !seen.insert(at);
                if twice {
                    let message = format!("expected {name:?} once, found it again");
                    return Err(of_this(Problem::new(message)));
                }
                if entries.len() + pending.len() >= limits::ENTRIES {
                    let message = format!("expected at most {} files, found more", limits::ENTRIES);
                    return Err(Problem::new(message));
                }
                check_name(name).map_err(of_this)?;
                let path = match path.is_empty() {
                    true => name.to_owned(),
                    false => format!("{path}/{name}"),
                };
                bytes += path.len();
                if path.len() > limits::PATH || bytes > limits::PATHS {
                    let message = format!(
                        "expected paths of at most {} bytes, and {} of all",
                        limits::PATH,
                        limits::PATHS
                    );
                    return Err(Problem::new(message));
                }
                pending.push(Pending { path, at });
            }
        }
        Ok(entries)
    }

    /// What is at a place of the table, and what is in it.
    fn entry(&self, path: &str, at: u64) -> Result<(Entry, Vec<Child<'_>>), Problem> {
        let bytes = usize::try_from(at).ok().and_then(|at| self.bytes.get(at..));
        let mut bytes = Bytes::of(bytes.ok_or_else(|| {
            Problem::new(format!(
                "the table of the volume has {} bytes, but it is said to be at {at}",
                self.bytes.len()
            ))
        })?);
        let mut children = Vec::new();
        let (what, modified) = match bytes.byte()? {
            DIRECTORY => {
                let mut bytes = Bytes::of(bytes.prefixed()?);
                let modified = self.modified(&mut bytes)?;
                if self.version == Version::Three {
                    bytes.digest()?;
                }
                while !bytes.is_empty() {
                    children.push(self.child(&mut bytes)?);
                }
                (What::Directory, modified)
            }
            FILE => {
                let what = self.file(bytes.number()?, bytes.number()?)?;
                bytes.digest()?;
                (what, self.modified(&mut bytes)?)
            }
            SYMLINK if self.version == Version::Three => {
                let target = text(bytes.prefixed()?)?;
                check_target(path, target)?;
                bytes.digest()?;
                (What::Symlink(target.to_owned()), self.modified(&mut bytes)?)
            }
            other => {
                return Err(Problem::new(format!(
                    "expected a directory, file or symbolic link, found the tag {other}"
                )));
            }
        };
        let path = path.to_owned();
        let entry = Entry {
            path,
            what,
            modified,
        };
        Ok((entry, children))
    }

    fn child<'a>(&self, bytes: &mut Bytes<'a>) -> Result<Child<'a>, Problem> {
        let at = bytes.number()?;
        if self.version == Version::Three {
            bytes.digest()?;
        }
        Ok((text(bytes.prefixed()?)?, at))
    }

    fn file(&self, start: u64, end: u64) -> Result<What, Problem> {
        match end.checked_sub(start) {
            Some(size) if end <= self.size => Ok(What::File {
                offset: self.content + start,
                size,
            }),
            _ => Err(Problem::new(format!(
                "its content is said to be from byte {start} to {end} of {} of the volume",
                self.size
            ))),
        }
    }

    /// The second of three times, in seconds; the others are not used.
    fn modified(&self, bytes: &mut Bytes<'_>) -> Result<u64, Problem> {
        if self.version == Version::Two {
            return Ok(0);
        }
        let [_, modified, _] = [bytes.number()?, bytes.number()?, bytes.number()?];
        Ok(modified.saturating_mul(1_000_000_000))
    }
}

fn text(bytes: &[u8]) -> Result<&str, Problem> {
    str::from_utf8(bytes).map_err(|_| {
        Problem::new(format!(
            "expected UTF-8, found {:?}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(200)])
        ))
    })
}

fn check_name(name: &str) -> Result<(), Problem> {
    let is_name = !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
    match is_name && name.len() <= 255 {
        true => Ok(()),
        false => Err(Problem::new(format!(
            "expected the name of a file, found {:?}",
            name.get(..200).unwrap_or(name)
        ))),
    }
}

/// A target is relative, and leads to somewhere in the volume, as the writers of the format demand.
fn check_target(path: &str, target: &str) -> Result<(), Problem> {
    let mut depth = path.matches('/').count();
    let leads_out = target.split('/').any(|name| match name {
        "" | "." => false,
        ".." => match depth.checked_sub(1) {
            Some(above) => {
                depth = above;
                false
            }
            None => true,
        },
        _ => {
            depth += 1;
            false
        }
    });
    match target.is_empty() || target.starts_with('/') || target.contains('\0') || leads_out {
        false => Ok(()),
        true => Err(Problem::new(format!(
            "expected a symbolic link to somewhere in the volume, found one to {:?}",
            target.get(..200).unwrap_or(target)
        ))),
    }
}
