//! What is read of an archive before any of its files is.

use std::fs::File;
use std::sync::Arc;

use super::TarLimits;
use super::error::Problem;
use super::gzip;
use super::index::{Builder, Index};
use super::members::Members;
use super::source::Source;

/// What kind of archive a file is, and which part of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Format {
    Tar(TarLimits),
    /// A volume of a webc package, by its name.
    #[cfg(feature = "webc")]
    Volume(String),
}

/// What an archive has in it, whoever has its file open.
pub(super) struct Contents {
    pub(super) index: Index,
    /// The tar archive itself, if it was compressed.
    pub(super) decompressed: Option<Arc<File>>,
    /// The digest of a volume.
    #[cfg(feature = "webc")]
    pub(super) sha256: Option<wasmrun_core::Sha256>,
    /// What this takes, in bytes of memory and of the disk.
    pub(super) memory: u64,
    pub(super) disk: u64,
}

impl Contents {
    pub(super) fn of(archive: Source<'_>, format: &Format) -> Result<Self, Problem> {
        match format {
            Format::Tar(limits) => Contents::of_tar(archive, *limits),
            #[cfg(feature = "webc")]
            Format::Volume(name) => super::volume::contents(archive, name),
        }
    }

    fn of_tar(archive: Source<'_>, limits: TarLimits) -> Result<Self, Problem> {
        let decompressed = match gzip::compresses(archive)? {
            true => Some(Arc::new(gzip::decompressed(archive, limits.bytes)?)),
            false => None,
        };
        let tar = Source {
            file: decompressed.as_deref().unwrap_or(archive.file),
            ..archive
        };
        let index = index(tar, limits)?;
        Ok(Contents {
            memory: index.memory(),
            disk: match &decompressed {
                Some(file) => file.metadata()?.len(),
                None => 0,
            },
            index,
            decompressed,
            #[cfg(feature = "webc")]
            sha256: None,
        })
    }
}

fn index(tar: Source<'_>, limits: TarLimits) -> Result<Index, Problem> {
    let mut members = Members::of(tar, limits.bytes)?;
    let mut builder = Builder::new(limits);
    while let Some(member) = members.next()? {
        let added = builder.add(&member);
        added.map_err(|problem| problem.of_member(&member.name))?;
    }
    Ok(builder.finish())
}
