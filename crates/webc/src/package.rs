//! A package as what is run: its commands, with the packages that it uses.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::Digest;
use wasmrun_core::guest::shown;
use wasmrun_core::{
    Access, Brought, Error, ErrorKind, Guest, MemoryMount, Mount, MountSource, OverlayMount,
    PackageMount, Result, RunConfig, Sha256, guest_path,
};

use crate::dependencies::Resolved;
use crate::manifest::{Command, Manifest};
use crate::{MAGIC, Problem, Webc};

/// A package in a file. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Package(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) path: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) webc: Mutex<Webc<BufReader<File>>>,
    /// Whether its volumes have to be what they were when it was opened.
    pinned: bool,
}

/// A package that others may use, or a directory of such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Which dependency it is, whatever it says of itself: by its name, or by what another calls it.
    pub name: Option<String>,
    /// The package's file, or a directory, of which all files are meant whose names end in `.webc`.
    pub path: PathBuf,
}

/// A package that it is up to the packages themselves who uses it.
impl<P: Into<PathBuf>> From<P> for Use {
    fn from(path: P) -> Self {
        Use {
            name: None,
            path: path.into(),
        }
    }
}

impl Use {
    /// As it is written: a path, or `NAME=FILE`.
    pub fn parse(text: &str) -> Self {
        match text.split_once('=') {
            Some((name, path)) if !Path::new(text).exists() => Use {
                name: Some(name.into()),
                path: path.into(),
            },
            _ => Use::from(text),
        }
    }
}

impl Package {
    /// Whether a file begins as a package does. What cannot be read is none.
    pub fn is_one(path: &Path) -> bool {
        let mut beginning = [0; MAGIC.len()];
        path.is_file()
            && File::open(path)
                .and_then(|mut file| file.read_exact(&mut beginning))
                .is_ok_and(|()| beginning == *MAGIC)
    }

    /// Opens a package: reads what it says of itself, and nothing of its atoms and volumes.
    ///
    /// # Errors
    ///
    /// [`GuestNotFound`](ErrorKind::GuestNotFound), [`Io`](ErrorKind::Io), and [`Invalid`](ErrorKind::Invalid) for what is
    /// no package, malformed, or of a version of the format that is not read.
    pub fn open(path: impl AsRef<Path>) -> Result<Package> {
        Package::of(path.as_ref(), None)
    }

    /// As [`open`](Package::open), of a file that has to have this digest. What is read of it later has to be what it was
    /// then.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Package::open); [`Invalid`](ErrorKind::Invalid) for any other file.
    pub fn open_expected(path: impl AsRef<Path>, expected: &Sha256) -> Result<Package> {
        Package::of(path.as_ref(), Some(expected))
    }

    fn of(path: &Path, expected: Option<&Sha256>) -> Result<Package> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                let message = format!("no such file: {}", path.display());
                Error::new(ErrorKind::GuestNotFound, message)
            }
            _ => Error::new(ErrorKind::Io, format!("cannot read {}", path.display()))
                .with_source(source),
        };
        // Before it is opened: a FIFO would block.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            let message = format!("{} is no regular file", path.display());
            return Err(Error::new(ErrorKind::NotWasm, message));
        }
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        if let Some(expected) = expected {
            let found = sha256(&mut file).map_err(failed)?;
            if found != *expected {
                let message = format!(
                    "{} is not the expected program: its SHA-256 is {found}, where {expected} is expected",
                    path.display()
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        let webc = Webc::read(file).map_err(|problem| problem.in_package(path))?;
        Ok(Package(Arc::new(Inner {
            path: std::path::absolute(path).map_err(failed)?,
            manifest: webc.manifest().clone(),
            webc: Mutex::new(webc),
            pinned: expected.is_some(),
        })))
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// A command of it, or of a package that it uses: its guest, of at most so many bytes, and what that is run with.
    /// Without a name it is the package's entrypoint, or its only command. Dependencies are looked for among `uses`, and
    /// all have to be there, because what is in their volumes is seen as well.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if there is no such command, if a dependency is not there, and for a file of `uses`
    /// that nobody uses; [`Unsupported`](ErrorKind::Unsupported) for a command that is for another runner than WASI's, or
    /// wants what no engine here does; [`Invalid`](ErrorKind::Invalid) for what does not fit together; and those of
    /// [`Guest::from_bytes`] and [`Package::open`].
    pub fn command(
        &self,
        name: Option<&str>,
        uses: &[Use],
        max_guest_bytes: u64,
    ) -> Result<PackagedCommand> {
        let resolved = Resolved::of(self, uses)?;
        let (owner, command) = self.named(name, &resolved)?;
        let of_it = |kind, message: String| {
            let name = shown(&command.name);
            Error::new(kind, format!("{}: command {name}: {message}", self.shown()))
        };
        if !command.is_wasi() {
            let message = format!(
                "it is for the runner {}, and only WASI's is here",
                shown(&command.runner)
            );
            return Err(of_it(ErrorKind::Unsupported, message));
        }
        if let Some(volume) = &command.mount_atom_in_volume {
            let message = format!("to show the atom in the volume {volume:?} is not supported");
            return Err(of_it(ErrorKind::Unsupported, message));
        }
        let Some(atom) = &command.atom else {
            return Err(of_it(ErrorKind::Invalid, "it has no atom".into()));
        };
        let package = match &command.dependency {
            None => owner,
            Some(alias) => resolved.dependency(owner, alias).ok_or_else(|| {
                let message = format!("its atom is of {alias:?}, which the package does not use");
                of_it(ErrorKind::Invalid, message)
            })?,
        };
        let bytes = package
            .webc(|webc| webc.atom(atom, max_guest_bytes))
            .map_err(|error| of_it(error.kind(), error.message().to_owned()))?;
        let argv0 = command.argv0.as_ref().unwrap_or(&command.name);
        Ok(PackagedCommand {
            guest: Guest::from_bytes(atom.clone(), bytes)?,
            brought: Brought {
                args: command.args.clone(),
                env: command.env.clone(),
                argv0: Some(argv0.clone()),
                working_directory: command
                    .working_directory
                    .clone()
                    .filter(|path| !guest_path::same(path, "/")),
                mounts: resolved.mounts()?,
            },
        })
    }

    /// The command of that name, of this package or else of those that it uses, and whose it is.
    fn named<'a>(
        &'a self,
        name: Option<&str>,
        resolved: &'a Resolved,
    ) -> Result<(&'a Package, &'a Command)> {
        let commands = &self.0.manifest.commands;
        let name = match (name, &self.0.manifest.entrypoint, &commands[..]) {
            (Some(name), ..) => name,
            (None, Some(entrypoint), _) => entrypoint,
            (None, None, [only]) => &only.name,
            (None, None, _) => {
                let message = match commands.is_empty() {
                    true => "the package has no command to run".into(),
                    false => format!("name one of its commands: {}", self.names(resolved)),
                };
                return Err(self.error(ErrorKind::Config, message));
            }
        };
        let mut found = resolved.packages().filter_map(|package| {
            let command = package.manifest().command(name)?;
            Some((package, command))
        });
        found.next().ok_or_else(|| {
            let message = format!(
                "it has no command {name:?}; it has {}",
                self.names(resolved)
            );
            self.error(ErrorKind::Config, message)
        })
    }

    fn names(&self, resolved: &Resolved) -> String {
        let commands = resolved
            .packages()
            .flat_map(|package| &package.manifest().commands);
        let names: Vec<_> = commands.map(|command| shown(&command.name)).collect();
        match names.is_empty() {
            true => "none".into(),
            false => names.join(", "),
        }
    }

    /// Reads something of it.
    pub(crate) fn webc<T>(
        &self,
        read: impl FnOnce(&mut Webc<BufReader<File>>) -> Result<T, Problem>,
    ) -> Result<T> {
        // What is read begins with seeking, whatever became of a read before.
        let mut webc = self.0.webc.lock().unwrap_or_else(PoisonError::into_inner);
        read(&mut webc).map_err(|problem| problem.in_package(&self.0.path))
    }

    /// What shows a volume of it to a guest.
    pub(crate) fn mount(&self, volume: &str, directory: Option<&str>) -> Result<MountSource> {
        let sha256 = self.webc(|webc| match self.0.pinned {
            true => Ok(Some(webc.volume(volume)?.sha256)),
            false => webc.has_volume(volume).map(|()| None),
        })?;
        let directory = directory.map(|directory| directory.trim_matches('/'));
        Ok(MountSource::Package(PackageMount {
            file: self.0.path.clone(),
            volume: volume.to_owned(),
            directory: directory
                .filter(|directory| !directory.is_empty())
                .map(str::to_owned),
            sha256,
        }))
    }

    /// The digest of its file.
    pub(crate) fn sha256(&self) -> Result<Sha256> {
        let failed = |source| {
            let message = format!("cannot read {}", self.shown());
            Error::new(ErrorKind::Io, message).with_source(source)
        };
        sha256(&mut File::open(&self.0.path).map_err(failed)?).map_err(failed)
    }

    pub(crate) fn shown(&self) -> String {
        self.0.path.file_name().map_or_else(
            || self.0.path.display().to_string(),
            |name| shown(&name.to_string_lossy()),
        )
    }

    pub(crate) fn error(&self, kind: ErrorKind, message: String) -> Error {
        Error::new(kind, format!("{}: {message}", self.shown()))
    }
}

/// That of all of a file, which is then at its beginning.
fn sha256(file: &mut (impl Read + Seek)) -> io::Result<Sha256> {
    let mut digest = sha2::Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    file.rewind()?;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => digest.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.rewind()?;
    Ok(<[u8; 32]>::from(digest.finalize()).into())
}

/// A command of a package: a guest, and what it is run with.
#[derive(Debug, Clone)]
pub struct PackagedCommand {
    guest: Guest,
    brought: Brought,
}

impl PackagedCommand {
    /// The atom, which is a guest as any other.
    pub fn guest(&self) -> &Guest {
        &self.guest
    }

    /// The config to run it with, for a caller that asks for `config`: what the command brings goes [under](Brought::under) it.
    /// Each volume is below an overlay whose changes go to memory.
    #[must_use]
    pub fn under(&self, config: &RunConfig) -> RunConfig {
        self.brought.under(config)
    }
}

/// A mount of these volumes at a path, the uppermost first.
pub(crate) fn overlay(path: String, lower: Vec<MountSource>) -> Mount {
    Mount {
        path,
        source: MountSource::Overlay(OverlayMount {
            lower,
            upper: Box::new(MountSource::Memory(MemoryMount::default())),
        }),
        access: Access::ReadWrite,
    }
}

impl Problem {
    fn in_package(self, path: &Path) -> Error {
        let kind = match self.is_io() {
            true => ErrorKind::Io,
            false => ErrorKind::Invalid,
        };
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = shown(&name.to_string_lossy());
        Error::new(kind, format!("package {name}: {self}"))
    }
}
