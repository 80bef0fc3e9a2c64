//! From the text that names a program to a guest.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use wasmrun_core::guest::shown;
use wasmrun_core::{Error, ErrorKind, Guest, Result, RunConfig, Sha256, Stdin};

#[cfg(feature = "oci")]
use crate::oci::{self, Client, DockerConfig, Image, Images, Progress, QUIET, Reference, Store};
use crate::{Engines, Launch, PackageChoice};

/// A program that was found, and may be opened: what [`Launch::source`] makes of the text that names it.
#[derive(Debug, Clone)]
pub struct Source {
    place: Place,
    package: PackageChoice,
    max_bytes: u64,
    expected: Option<Sha256>,
}

/// Where a program is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Stdin,
    Path(PathBuf),
    Guest(Guest),
    #[cfg(feature = "oci")]
    Image(Box<Image>),
}

/// What a guest is called that comes from standard input, under whichever name.
const STDIN: &str = "stdin";

/// Whether a path names our own standard input: `-`, or what it is called in `/dev` and `/proc`.
fn is_stdin(path: &Path) -> bool {
    ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"]
        .iter()
        .any(|name| path.as_os_str() == *name)
}

/// Whether what a path names can be read only once: our standard input, or a named pipe.
pub fn is_read_once(path: &Path) -> bool {
    is_stdin(path) || is_pipe(path)
}

/// Whether a path is meant as a reference to what is in a registry: whether it begins with `oci://`.
pub fn is_reference(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with("oci://"))
}

#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;

    path.metadata().is_ok_and(|it| it.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_pipe(_: &Path) -> bool {
    false
}

impl Launch {
    /// Finds the program: `-` is our standard input, a text that begins with `oci://` a reference, and everything else the
    /// path of a file. What a reference leads to is in the user's [store](crate::oci::Store) from then on, which is asked before the
    /// registry unless [`pull`](Launch::pull) says otherwise. Nothing else is opened.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if no program is named, or something is said of registries and it is no reference;
    /// [`Unsupported`](ErrorKind::Unsupported) for a reference without the feature `oci`; and those of
    /// [`Images::get`](crate::oci::Images::get).
    pub fn source(&self) -> Result<Source> {
        #[cfg(feature = "oci")]
        return self.source_telling(QUIET);
        #[cfg(not(feature = "oci"))]
        self.found(|path| {
            let message = format!(
                "{}: this build of wasmrun knows no registries; it takes the feature `oci`",
                path.display()
            );
            Err(Error::new(ErrorKind::Unsupported, message))
        })
    }

    /// Likewise, and tells of transfers.
    ///
    /// # Errors
    ///
    /// Those of [`source`](Launch::source).
    #[cfg(feature = "oci")]
    pub fn source_telling(&self, progress: &dyn Progress) -> Result<Source> {
        self.found(|path| {
            let reference: Reference = path.to_string_lossy().parse()?;
            let client = Client::with_credentials(DockerConfig::user()?);
            let client = self.plain_http.iter().fold(client, Client::plain_http);
            let images = Images::new(Store::open(Store::user_dir()?)?, client);
            let images = images.policy(self.pull.unwrap_or_default());
            let image = images.get_telling(&reference, progress)?;
            Ok(Place::Image(Box::new(image)))
        })
    }

    fn found(&self, of_reference: impl FnOnce(&Path) -> Result<Place>) -> Result<Source> {
        let path = self.program()?;
        if is_reference(path) {
            return Ok(self.at(of_reference(path)?));
        }
        let of_registries = match (self.pull, self.plain_http.first()) {
            (Some(policy), _) => Some(format!("pull = {policy}")),
            (None, Some(registry)) => Some(format!("plain_http = {registry}")),
            (None, None) => None,
        };
        if let Some(asked) = of_registries {
            let message = format!(
                "{asked} is asked of {}, which is no reference to what is in a registry (oci://HOST/REPOSITORY:TAG)",
                path.display()
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(self.at(match is_stdin(path) {
            true => Place::Stdin,
            false => Place::Path(path.into()),
        }))
    }

    /// What else it says, of a program that is there.
    pub(crate) fn at(&self, place: Place) -> Source {
        Source {
            place,
            package: self.package_choice(),
            max_bytes: self.max_guest_bytes(),
            expected: self.sha256,
        }
    }
}

impl Source {
    /// Opens the program, and tells what it is run with where `config` is asked for: for one that comes in a package or an
    /// image what that says, under what `config` does, and otherwise `config`. What comes through a pipe is read to its end, and a
    /// guest that comes from our standard input has none of its own.
    ///
    /// With a digest given, it is read whatever the engines' cache knows of it.
    ///
    /// # Errors
    ///
    /// Those of [`Guest::open_expected`], [`Guest::from_reader`] and [`PackageChoice::open`].
    pub fn open(&self, engines: &Engines, config: &RunConfig) -> Result<(Guest, RunConfig)> {
        let mut config = config.clone();
        let guest = match &self.place {
            Place::Path(path) => return self.open_file(engines, path, config),
            Place::Stdin => {
                self.package.refuse_for(STDIN)?;
                if config.stdin == Stdin::Inherit {
                    // It has been read to its end by then.
                    config.stdin = Stdin::Null;
                }
                self.read(STDIN.into(), &mut io::stdin().lock())?
            }
            Place::Guest(guest) => {
                self.package.refuse_for(shown(guest.name()))?;
                guest.clone()
            }
            #[cfg(feature = "oci")]
            Place::Image(image) => {
                self.package.refuse_for(shown(&image.name))?;
                if let Some(expected) = &self.expected {
                    Guest::open_expected(&image.program, self.max_bytes, expected)?;
                }
                config = oci::configured(image, &config);
                oci::guest(engines, image, self.max_bytes)?
            }
        };
        Ok((guest, config))
    }

    fn open_file(
        &self,
        engines: &Engines,
        path: &Path,
        config: RunConfig,
    ) -> Result<(Guest, RunConfig)> {
        let (most, expected) = (self.max_bytes, self.expected.as_ref());
        // What is known is no package, and its file need not be opened to see that.
        if let (None, Some(guest)) = (expected, engines.known_guest(path, most)) {
            self.package.refuse_for(path.display())?;
            return Ok((guest, config));
        }
        if let Some(packaged) = self.package.open(path, most, expected, &config)? {
            return Ok(packaged);
        }
        let read = match expected {
            None => engines.guest(path, most),
            Some(expected) => Guest::open_expected(path, most, expected),
        };
        let guest = match read {
            Err(_) if is_pipe(path) => {
                let mut pipe = File::open(path).map_err(|source| {
                    Error::new(ErrorKind::Io, format!("cannot read {}", path.display()))
                        .with_source(source)
                })?;
                let name = path.file_name().unwrap_or(path.as_os_str());
                self.read(name.to_string_lossy().into_owned(), &mut pipe)?
            }
            read => read?,
        };
        Ok((guest, config))
    }

    fn read(&self, name: String, from: &mut dyn Read) -> Result<Guest> {
        match &self.expected {
            None => Guest::from_reader(name, from, self.max_bytes),
            Some(expected) => Guest::from_reader_expected(name, from, self.max_bytes, expected),
        }
    }

    /// The package that the program comes in, if it does and this build reads packages.
    pub fn package(&self) -> Option<&Path> {
        match &self.place {
            #[cfg(feature = "webc")]
            Place::Path(path) if crate::webc::Package::is_one(path) => Some(path),
            _ => None,
        }
    }

    /// The image that the program is of, if it was named by a reference.
    #[cfg(feature = "oci")]
    pub fn image(&self) -> Option<&Image> {
        match &self.place {
            Place::Image(image) => Some(image),
            _ => None,
        }
    }
}
