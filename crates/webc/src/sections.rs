//! What the file is made of: a table of contents, and sections that it says the places of.
//!
//! A section is a tag, in version 3 the digest of its data, the data's length, and the data. That of a volume is its name,
//! its table and the content of its files, each after its length; that of the atoms is the same without a name.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{MAGIC, Problem, limits};

/// Of the format, those that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Two,
    Three,
}

/// What a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Manifest = 1,
    Index = 2,
    Atoms = 3,
    Volume = 4,
}

/// Where a section is, and what the table of contents says its digest is.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    start: u64,
    length: u64,
    digest: Option<[u8; 32]>,
}

impl Section {
    /// How many bytes it has, with what is before its data.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

/// The table of contents.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) version: Version,
    pub(crate) manifest: Section,
    pub(crate) atoms: Section,
    pub(crate) volumes: BTreeMap<String, Section>,
}

/// The table of contents as it is written.
#[derive(Deserialize)]
struct WrittenIndex {
    manifest: WrittenSection,
    atoms: WrittenSection,
    volumes: BTreeMap<String, WrittenSection>,
}

#[derive(Deserialize)]
struct WrittenSection {
    span: Span,
    checksum: Checksum,
}

#[derive(Deserialize)]
struct Span {
    start: u64,
    len: u64,
}

#[derive(Deserialize)]
struct Checksum {
    tag: String,
    value: ciborium::Value,
}

impl Index {
    pub(crate) fn read(file: &mut (impl Read + Seek)) -> Result<Self, Problem> {
        file.seek(SeekFrom::Start(0))?;
        let mut head = [0; 8];
        file.read_exact(&mut head)?;
        let (magic, version) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(Problem::new("expected a webc package, found other bytes"));
        }
        let version = match version {
            b"002" => Version::Two,
            b"003" => Version::Three,
            other => {
                return Err(Problem::new(format!(
                    "expected version 002 or 003 of the format, found {}; build the package again with a newer wasmer",
                    other.escape_ascii()
                )));
            }
        };
        let length = begin(file, Tag::Index)?;
        let bytes = read(file, length, limits::MANIFEST).map_err(of_contents)?;
        // It is filled up with zeros, which are no part of it.
        let written: WrittenIndex = ciborium::from_reader(&*bytes)
            .map_err(|error| of_contents(Problem::new(told(&error))))?;
        let volumes = written.volumes.into_iter();
        let volumes = volumes.map(|(name, section)| Ok((name, section.read()?)));
        Ok(Index {
            version,
            manifest: written.manifest.read()?,
            atoms: written.atoms.read()?,
            volumes: volumes.collect::<Result<_, Problem>>()?,
        })
    }
}

fn of_contents(problem: Problem) -> Problem {
    problem.of("its table of contents")
}

/// What CBOR has to say, in one line.
pub(crate) fn told<E: std::fmt::Debug>(error: &ciborium::de::Error<E>) -> String {
    use ciborium::de::Error;

    match error {
        Error::Io(_) => "it is cut off".into(),
        Error::Syntax(at) => format!("expected CBOR, found other bytes at byte {at} of it"),
        Error::Semantic(_, message) => message.clone(),
        Error::RecursionLimitExceeded => "it has too much in each other".into(),
    }
}

impl WrittenSection {
    fn read(self) -> Result<Section, Problem> {
        let digest = match (&*self.checksum.tag, self.checksum.value) {
            ("checksum-none", _) => None,
            ("checksum-sha256", ciborium::Value::Bytes(value)) => match value.try_into() {
                Ok(digest) => Some(digest),
                Err(_) => {
                    return Err(of_contents(Problem::new(
                        "expected a SHA-256 digest of 32 bytes",
                    )));
                }
            },
            (tag, _) => {
                let message = format!("expected a SHA-256 digest, found {tag:?}");
                return Err(of_contents(Problem::new(message)));
            }
        };
        Ok(Section {
            start: self.span.start,
            length: self.span.len,
            digest,
        })
    }
}

/// A section that is being read from its beginning on, and its digest made.
pub(crate) struct Data<'a, R> {
    file: &'a mut R,
    /// Where in the file is what comes next.
    at: u64,
    left: u64,
    expected: [Option<[u8; 32]>; 2],
    digest: Sha256,
}

impl<'a, R: Read + Seek> Data<'a, R> {
    pub(crate) fn of(
        file: &'a mut R,
        version: Version,
        section: &Section,
        tag: Tag,
    ) -> Result<Self, Problem> {
        file.seek(SeekFrom::Start(section.start))?;
        let mut inside = None;
        let found = match version {
            Version::Two => begin(file, tag)?,
            Version::Three => {
                tagged(file, tag)?;
                let mut digest = [0; 32];
                file.read_exact(&mut digest)?;
                inside = Some(digest);
                number(file)?
            }
        };
        let at = file.stream_position()?;
        // So all places in it are within 64 bits.
        let end = at.checked_add(found);
        if end.is_none() || end != section.start.checked_add(section.length) {
            return Err(Problem::new(format!(
                "the table of contents says that it has {} bytes, but it has {found} bytes of data",
                section.length
            )));
        }
        Ok(Data {
            file,
            at,
            left: found,
            expected: [section.digest, inside],
            digest: Sha256::new(),
        })
    }

    /// Where in the file is what comes next.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The length of what comes next, which is within the section.
    pub(crate) fn length(&mut self) -> Result<u64, Problem> {
        let bytes = self.take(8, 8)?;
        let mut number = [0; 8];
        number.copy_from_slice(&bytes);
        let length = u64::from_le_bytes(number);
        match length <= self.left {
            true => Ok(length),
            false => Err(Problem::new(format!(
                "expected {length} more bytes of it, found {}",
                self.left
            ))),
        }
    }

    pub(crate) fn take(&mut self, length: u64, most: u64) -> Result<Vec<u8>, Problem> {
        if length > self.left {
            return Err(Problem::new(format!(
                "expected {length} more bytes of it, found {}",
                self.left
            )));
        }
        let bytes = read(self.file, length, most)?;
        self.digest.update(&bytes);
        self.at += length;
        self.left -= length;
        Ok(bytes)
    }

    /// All that is left.
    pub(crate) fn rest(&mut self, most: u64) -> Result<Vec<u8>, Problem> {
        self.take(self.left, most)
    }

    /// Reads what is left, keeps none of it, and compares the digest: that of all of the section.
    pub(crate) fn finish(mut self) -> Result<[u8; 32], Problem> {
        let mut buffer = vec![0; 64 << 10];
        while self.left > 0 {
            let count =
                usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let chunk = &mut buffer[..count];
            self.file.read_exact(chunk)?;
            self.digest.update(&*chunk);
            self.left -= count as u64;
        }
        let found: [u8; 32] = self.digest.finalize().into();
        match self
            .expected
            .iter()
            .flatten()
            .all(|expected| *expected == found)
        {
            true => Ok(found),
            false => Err(Problem::new(
                "its SHA-256 digest is not the one that the package says; it was changed, or damaged",
            )),
        }
    }
}

/// Reads the tag and the length.
fn begin(file: &mut impl Read, tag: Tag) -> Result<u64, Problem> {
    tagged(file, tag)?;
    number(file)
}

fn tagged(file: &mut impl Read, tag: Tag) -> Result<(), Problem> {
    let mut found = [0];
    file.read_exact(&mut found)?;
    match found[0] == tag as u8 {
        true => Ok(()),
        false => Err(Problem::new(format!(
            "expected a section with the tag {}, found {}",
            tag as u8, found[0]
        ))),
    }
}

fn number(file: &mut impl Read) -> Result<u64, Problem> {
    let mut number = [0; 8];
    file.read_exact(&mut number)?;
    Ok(u64::from_le_bytes(number))
}

fn read(file: &mut impl Read, length: u64, most: u64) -> Result<Vec<u8>, Problem> {
    if length > most {
        return Err(Problem::new(format!(
            "expected at most {most} bytes, found {length}"
        )));
    }
    // Memory is taken as bytes come, and not as a number says.
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(Problem::new("it is cut off")),
    }
}
