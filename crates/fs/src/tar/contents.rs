//! What is read of an archive before any of its files is.

use std::fs::File;
use std::sync::Arc;

use super::TarLimits;
use super::error::Problem;
use super::gzip;
use super::index::{Builder, Index};
use super::members::Members;
use super::source::Source;

/// What an archive has in it, whoever has its file open.
pub(super) struct Contents {
    pub(super) index: Index,
    /// The tar archive itself, if it was compressed.
    pub(super) decompressed: Option<Arc<File>>,
    /// What this takes, in bytes of memory and of the disk.
    pub(super) memory: u64,
    pub(super) disk: u64,
}

impl Contents {
    pub(super) fn of(archive: Source<'_>, limits: TarLimits) -> Result<Self, Problem> {
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
