//! A package, read part by part.

use std::io::{Read, Seek, SeekFrom};

use sha2::{Digest, Sha256};

use crate::manifest::Manifest;
use crate::sections::{Data, Index, Section, Tag};
use crate::tree::{Entry, Table, Volume, What};
use crate::{Problem, limits};

/// A package.
#[derive(Debug)]
pub struct Webc<R> {
    file: R,
    index: Index,
    manifest: Manifest,
    atoms: Vec<Entry>,
}

/// What is known of an atom before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtomInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// The URI of what it is, if the package says.
    pub kind: Option<&'a str>,
    /// How many bytes it has.
    pub size: u64,
}

/// What is known of a volume before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many bytes it has, its table included.
    pub size: u64,
}

impl<R: Read + Seek> Webc<R> {
    /// Reads the table of contents, the manifest, and which atoms there are.
    ///
    /// # Errors
    ///
    /// For what cannot be read, what is no package of a version that is known, and what is malformed in these.
    pub fn read(mut file: R) -> Result<Self, Problem> {
        let index = Index::read(&mut file)?;
        let manifest = manifest(&mut file, &index).map_err(|problem| problem.of("its manifest"))?;
        let atoms = atoms(&mut file, &index).map_err(|problem| problem.of("its atoms"))?;
        Ok(Webc {
            file,
            index,
            manifest,
            atoms,
        })
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its atoms, in the order of their names.
    pub fn atoms(&self) -> impl Iterator<Item = AtomInfo<'_>> {
        self.atoms.iter().filter_map(|entry| {
            let What::File { size, .. } = entry.what else {
                return None;
            };
            let name = &*entry.path;
            let said = self.manifest.atoms.get(name);
            let kind = said.map(|atom| &*atom.kind);
            Some(AtomInfo { name, kind, size })
        })
    }

    /// The content of an atom of at most so many bytes, which has the digest that the manifest says.
    ///
    /// # Errors
    ///
    /// If there is none of that name, if it is larger, or another.
    pub fn atom(&mut self, name: &str, most: u64) -> Result<Vec<u8>, Problem> {
        self.content(name, most)
            .map_err(|problem| problem.of(format_args!("atom {name:?}")))
    }

    fn content(&mut self, name: &str, most: u64) -> Result<Vec<u8>, Problem> {
        let found = self.atoms.iter().find(|entry| entry.path == name);
        let Some(&What::File { offset, size }) = found.map(|entry| &entry.what) else {
            return Err(Problem::new("the package has none of that name"));
        };
        let Some(said) = self.manifest.atoms.get(name) else {
            return Err(Problem::new("the manifest does not say its digest"));
        };
        if size > most {
            return Err(Problem::new(format!(
                "it has {size} bytes and the cap for a guest is {most}: raise the cap to run it"
            )));
        }
        self.file.seek(SeekFrom::Start(offset))?;
        let mut content = Vec::new();
        (&mut self.file).take(size).read_to_end(&mut content)?;
        if content.len() as u64 != size {
            return Err(Problem::new("it is cut off"));
        }
        match Sha256::digest(&content)[..] == said.digest {
            true => Ok(content),
            false => Err(Problem::new(
                "its SHA-256 digest is not the one that the manifest says; the package was changed, or damaged",
            )),
        }
    }

    /// Its volumes, in the order of their names.
    pub fn volumes(&self) -> impl Iterator<Item = VolumeInfo<'_>> {
        self.index.volumes.iter().map(|(name, section)| VolumeInfo {
            name,
            size: section.length(),
        })
    }

    /// Fails unless it has a volume of that name.
    ///
    /// # Errors
    ///
    /// Which it has instead.
    pub fn has_volume(&self, name: &str) -> Result<(), Problem> {
        self.section(name).map(|_| ())
    }

    /// What is in a volume. All of it is read, to compare its digest, and its table is kept.
    ///
    /// # Errors
    ///
    /// If there is none of that name, and for what in it is malformed, leads out of it, or is not what its digest says.
    pub fn volume(&mut self, name: &str) -> Result<Volume, Problem> {
        let section = self.section(name)?.clone();
        volume(&mut self.file, &self.index, &section, name)
            .map_err(|problem| problem.of(format_args!("volume {name:?}")))
    }

    fn section(&self, name: &str) -> Result<&Section, Problem> {
        let volumes = &self.index.volumes;
        volumes.get(name).ok_or_else(|| {
            let names: Vec<_> = volumes.keys().map(|name| format!("{name:?}")).collect();
            Problem::new(match names.is_empty() {
                true => format!("it has no volume {name:?}, and no other"),
                false => format!("it has no volume {name:?}; it has {}", names.join(", ")),
            })
        })
    }
}

fn manifest(file: &mut (impl Read + Seek), index: &Index) -> Result<Manifest, Problem> {
    let mut data = Data::of(file, index.version, &index.manifest, Tag::Manifest)?;
    let bytes = data.rest(limits::MANIFEST)?;
    data.finish()?;
    Manifest::read(&bytes)
}

/// Their digests are in the manifest, so that of all of them is not made.
fn atoms(file: &mut (impl Read + Seek), index: &Index) -> Result<Vec<Entry>, Problem> {
    let data = Data::of(file, index.version, &index.atoms, Tag::Atoms)?;
    let (entries, _) = tree(data, index)?;
    let files = entries
        .into_iter()
        .filter(|entry| matches!(entry.what, What::File { .. }) && !entry.path.contains('/'));
    let mut files: Vec<_> = files.collect();
    files.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn volume(
    file: &mut (impl Read + Seek),
    index: &Index,
    section: &Section,
    name: &str,
) -> Result<Volume, Problem> {
    let mut data = Data::of(file, index.version, section, Tag::Volume)?;
    let length = data.length()?;
    let inside = data.take(length, limits::PATH as u64)?;
    if inside != name.as_bytes() {
        let inside = String::from_utf8_lossy(&inside);
        return Err(Problem::new(format!(
            "expected it to have that name, found {inside:?}"
        )));
    }
    let (entries, data) = tree(data, index)?;
    Ok(Volume {
        sha256: data.finish()?.into(),
        entries,
    })
}

/// The files of a table, which comes next, and what is left of the section behind it.
fn tree<'a, R: Read + Seek>(
    mut data: Data<'a, R>,
    index: &Index,
) -> Result<(Vec<Entry>, Data<'a, R>), Problem> {
    let length = data.length()?;
    let bytes = data.take(length, limits::TABLE)?;
    let size = data.length()?;
    let table = Table {
        version: index.version,
        bytes: &bytes,
        content: data.at(),
        size,
    };
    Ok((table.entries()?, data))
}
