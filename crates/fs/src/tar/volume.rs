//! A volume of a webc package, which is an archive as well: an index is made of its table, and the content of files stays in
//! the package.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use wasmrun_core::{Control, PackageMount};
use wasmrun_webc::{Entry, Webc, What as Packed};

use super::contents::{Contents, Format};
use super::directory::TarDirectory;
use super::error::{Problem, TarError, told};
use super::index::Builder;
use super::members::{Member, What};
use super::source::Source;
use super::{Archive, TarLimits, open};
use crate::Directory;

/// The volume, or the directory in it that is wanted, of a run that `control` ends.
pub(crate) fn volume(
    control: &Control,
    wanted: &PackageMount,
) -> Result<Arc<dyn Directory>, TarError> {
    let root = root(control, wanted);
    root.map_err(|problem| problem.in_archive(wanted.file.display()))
}

fn root(control: &Control, wanted: &PackageMount) -> Result<Arc<dyn Directory>, Problem> {
    let format = Format::Volume(wanted.volume.clone());
    let archive = Archive::read(open(&wanted.file)?, format, control)?;
    let found = archive.contents.sha256;
    if let Some(expected) = wanted.sha256
        && found != Some(expected)
    {
        return Err(Problem::new(format!(
            "volume {:?}: its SHA-256 digest is not {expected}, which is expected; the package was changed",
            wanted.volume
        )));
    }
    let root = TarDirectory::root(&archive);
    let Some(directory) = &wanted.directory else {
        return Ok(Arc::new(root));
    };
    // No symbolic link is followed, so it is in the volume.
    root.shortcut(directory.as_bytes()).ok_or_else(|| {
        Problem::new(format!(
            "volume {:?}: there is no directory {} in it",
            wanted.volume,
            told(directory.as_bytes())
        ))
    })
}

/// What is in the volume of that name.
pub(super) fn contents(package: Source<'_>, name: &str) -> Result<Contents, Problem> {
    let read = |problem: wasmrun_webc::Problem| Problem::new(problem.to_string());
    let mut webc = Webc::read(Reader { package, at: 0 }).map_err(read)?;
    let volume = webc.volume(name).map_err(read)?;
    let mut builder = Builder::new(TarLimits::default());
    for entry in volume.entries {
        let member = member(entry);
        let added = builder.add(&member);
        added.map_err(|problem| problem.of_member(&member.name))?;
    }
    let index = builder.finish();
    Ok(Contents {
        memory: index.memory(),
        disk: 0,
        index,
        decompressed: None,
        sha256: Some(volume.sha256),
    })
}

fn member(entry: Entry) -> Member {
    Member {
        name: entry.path.into_bytes(),
        what: match entry.what {
            Packed::Directory => What::Directory,
            Packed::File { offset, size } => What::File { offset, size },
            Packed::Symlink(target) => What::Symlink(target.into_bytes()),
        },
        modified: entry.modified,
    }
}

/// A package from its beginning to its end.
struct Reader<'a> {
    package: Source<'a>,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.package.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.package.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
