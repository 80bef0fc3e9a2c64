//! Copies of the directories a guest may write to, so that every run finds what the first one found,
//! and the originals stay as they are.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;
use wasmrun::{Access, Error, ErrorKind, Mount, MountSource, Result, RunConfig};

use crate::scratch::{Directory, Scratch};

/// What has to be copied for a run.
#[derive(Debug)]
pub struct Originals {
    config: RunConfig,
    /// Where each mounted directory of the host really is.
    hosts: Vec<Option<PathBuf>>,
    /// Those a guest may write to, without those inside another.
    roots: Vec<PathBuf>,
}

/// A run's own copies.
pub struct World {
    /// What was asked, with the copies in place of the originals.
    pub config: RunConfig,
    /// Each copied directory as the guest calls it, and where it is.
    pub copies: Vec<(String, PathBuf)>,
    /// Until the run has been looked at.
    _directory: Option<Directory>,
}

impl Originals {
    pub fn of(config: &RunConfig) -> Result<Self> {
        let real = |host: &Path| {
            host.canonicalize().map_err(|source| {
                let message = format!("cannot open the directory {}", host.display());
                Error::new(ErrorKind::Preopen, message).with_source(source)
            })
        };
        let is_written = |mount: &&Mount| {
            let once = match &mount.source {
                MountSource::File(_) => true,
                MountSource::Overlay(overlay) => !matches!(*overlay.upper, MountSource::Memory(_)),
                _ => false,
            };
            once && mount.access == Access::ReadWrite
        };
        if let Some(mount) = config.mounts.iter().find(is_written) {
            let message = format!(
                "every engine would write to what is mounted at {}, which is not copied; mount a file read-only, and let \
                 an overlay have its upper directory in memory",
                mount.path
            );
            return Err(Error::new(ErrorKind::Preopen, message));
        }
        let hosts = config.mounts.iter().map(Mount::host);
        let hosts: Vec<Option<PathBuf>> = hosts
            .map(|host| host.map(real).transpose())
            .collect::<Result<_>>()?;
        let writable = config
            .mounts
            .iter()
            .zip(&hosts)
            .filter(|(mount, _)| mount.access == Access::ReadWrite)
            .filter_map(|(_, host)| host.as_ref());
        let mut roots: Vec<PathBuf> = writable.cloned().collect();
        roots.sort();
        // A directory sorts before what is in it.
        roots.dedup_by(|inside, outside| inside.starts_with(&*outside));
        Ok(Originals {
            config: config.clone(),
            hosts,
            roots,
        })
    }

    /// What a guest would see of its own writing in reality, and does not see with copies.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (mount, host) in self.config.mounts.iter().zip(&self.hosts) {
            let Some(host) = host else { continue };
            let holds = |root: &&PathBuf| root.starts_with(host) && *root != host;
            let copied = self.roots.iter().any(|root| host.starts_with(root));
            if let (false, Some(root)) = (copied, self.roots.iter().find(holds)) {
                warnings.push(format!(
                    "what the guest writes to {} is not seen under {}, which is not copied",
                    root.display(),
                    mount.path
                ));
            }
        }
        warnings
    }

    /// Copies them into `scratch`.
    pub fn copy(&self, scratch: &Scratch) -> Result<World> {
        let mut config = self.config.clone();
        if self.roots.is_empty() {
            return Ok(World {
                config,
                copies: Vec::new(),
                _directory: None,
            });
        }
        let directory = scratch.directory()?;
        for (number, root) in self.roots.iter().enumerate() {
            let to = directory.path().join(number.to_string());
            copy(root, &to, scratch.path()).map_err(|(path, source)| {
                Error::new(ErrorKind::Io, format!("cannot copy {}", path.display()))
                    .with_source(source)
            })?;
        }
        let mut copies: Vec<(String, PathBuf)> = Vec::new();
        for (mount, host) in config.mounts.iter_mut().zip(&self.hosts) {
            let Some(host) = host else { continue };
            let found = self.roots.iter().enumerate().find_map(|(number, root)| {
                let inside = host.strip_prefix(root).ok()?;
                Some((number, inside, inside.as_os_str().is_empty()))
            });
            let Some((number, inside, whole)) = found else {
                continue;
            };
            let copy = directory.path().join(number.to_string());
            if whole && copies.iter().all(|(_, other)| *other != copy) {
                copies.push((mount.path.clone(), copy.clone()));
            }
            mount.source = MountSource::Bind(copy.join(inside));
        }
        Ok(World {
            config,
            copies,
            _directory: Some(directory),
        })
    }
}

/// Copies a directory with its permissions and times. Names what could not be copied.
fn copy(from: &Path, to: &Path, except: &Path) -> Result<(), (PathBuf, io::Error)> {
    let except = except.canonicalize().unwrap_or_else(|_| except.into());
    let mut directories = Vec::new();
    let entries = WalkDir::new(from)
        .into_iter()
        .filter_entry(|entry| entry.path() != except);
    for entry in entries {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(from).to_owned();
            (path, error.into())
        })?;
        let path = entry.path();
        let Ok(inside) = path.strip_prefix(from) else {
            continue;
        };
        let copy = match inside.as_os_str().is_empty() {
            true => to.to_owned(),
            false => to.join(inside),
        };
        let kind = entry.file_type();
        let copied = if kind.is_dir() {
            directories.push((path.to_owned(), copy.clone()));
            fs::create_dir(&copy)
        } else if kind.is_file() {
            fs::copy(path, &copy).and_then(|_| same_times(path, &copy))
        } else if kind.is_symlink() {
            fs::read_link(path).and_then(|target| symlink(&target, &copy))
        } else {
            Err(io::Error::other(
                "it is neither file, directory nor symbolic link",
            ))
        };
        copied.map_err(|source| (path.to_owned(), source))?;
    }
    // Last, and the deepest first: making what is in them changes times, and needs permission.
    for (path, copy) in directories.iter().rev() {
        let permissions = fs::metadata(path).map(|metadata| metadata.permissions());
        permissions
            .and_then(|permissions| {
                same_times(path, copy)?;
                fs::set_permissions(copy, permissions)
            })
            .map_err(|source| (path.clone(), source))?;
    }
    Ok(())
}

#[cfg(unix)]
fn same_times(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::metadata(from)?;
    let times = FileTimes::new()
        .set_accessed(metadata.accessed()?)
        .set_modified(metadata.modified()?);
    match File::open(to) {
        Ok(file) => file.set_times(times),
        // What nobody may read is not read by the guest either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// Copying keeps a file's times there, and a directory's cannot be set in the same way.
#[cfg(not(unix))]
fn same_times(_: &Path, _: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::other("symbolic links cannot be copied here"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn scratch() -> Scratch {
        Scratch::new().expect("a directory")
    }

    #[test]
    fn a_copy_has_content_links_permissions_and_times_of_the_original() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = scratch();
        let original = scratch.directory().expect("a directory");
        let (file, dir) = (original.path().join("a"), original.path().join("d"));
        fs::create_dir(&dir).expect("a directory");
        fs::write(dir.join("deep"), "x").expect("a file");
        fs::write(&file, "content").expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o555)).expect("a mode");
        std::os::unix::fs::symlink("a", original.path().join("l")).expect("a link");
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for path in [&file, &dir] {
            let opened = File::open(path).expect("it opens");
            opened.set_modified(then).expect("a time");
        }
        let config = RunConfig::new().map_dir(original.path(), "/d", Access::ReadWrite);
        let world = Originals::of(&config)
            .and_then(|originals| originals.copy(&scratch))
            .expect("a copy");
        let copy = world.config.mounts[0].host().expect("a directory");
        assert_ne!(copy, original.path());
        assert_eq!(fs::read(copy.join("a")).expect("a file"), b"content");
        assert_eq!(fs::read(copy.join("d/deep")).expect("a file"), b"x");
        assert_eq!(
            fs::read_link(copy.join("l")).expect("a link"),
            Path::new("a")
        );
        for (name, mode) in [("a", 0o640), ("d", 0o555)] {
            let metadata = fs::metadata(copy.join(name)).expect("it is there");
            assert_eq!(metadata.permissions().mode() & 0o777, mode);
            assert_eq!(metadata.modified().expect("a time"), then);
        }
        let place = copy.to_owned();
        drop(world);
        assert!(!place.exists(), "a copy is thrown away");
    }

    #[test]
    fn directories_that_share_files_share_their_copies() {
        let scratch = scratch();
        let original = scratch.directory().expect("a directory");
        let (outer, inner) = (original.path(), original.path().join("in"));
        fs::create_dir(&inner).expect("a directory");
        let config = RunConfig::new()
            .map_dir(&inner, "/in", Access::ReadWrite)
            .map_dir(outer, "/out", Access::ReadWrite)
            .map_dir(&inner, "/seen", Access::ReadOnly);
        let originals = Originals::of(&config).expect("directories");
        assert!(originals.warnings().is_empty());
        let world = originals.copy(&scratch).expect("a copy");
        let [inside, whole, seen] = &world.config.mounts[..] else {
            panic!("three directories");
        };
        let host = |mount: &Mount| mount.host().expect("a directory").to_owned();
        assert_eq!(host(inside), host(whole).join("in"));
        assert_eq!(host(seen), host(inside));
        assert_eq!(world.copies, [("/out".to_owned(), host(whole))]);

        let config = RunConfig::new()
            .map_dir(outer, "/all", Access::ReadOnly)
            .map_dir(&inner, "/in", Access::ReadWrite);
        let originals = Originals::of(&config).expect("directories");
        assert_eq!(originals.warnings().len(), 1, "/all shows the original");
    }
}
