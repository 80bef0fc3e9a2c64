//! Programs that come in packages.

use std::fmt::Display;
use std::path::Path;

use wasmrun_core::{Error, ErrorKind, Guest, Result, RunConfig, Sha256};

/// Of a program that comes in a webc package: which of the package's commands it is, and which other packages there are for
/// it to use. To read packages takes the feature `webc`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageChoice {
    /// The command; the package's entrypoint or only command where `None`.
    pub command: Option<String>,
    /// Packages' files, or directories of files that are named `*.webc`. `NAME=FILE` says which dependency a file is,
    /// whatever it says of itself.
    pub uses: Vec<String>,
}

impl PackageChoice {
    /// The guest of at most so many bytes that a package in a file has, and what it is run with for a caller that asks for
    /// `config`: see [`PackagedCommand::under`](crate::webc::PackagedCommand::under). `None` for a file that is no package.
    ///
    /// # Errors
    ///
    /// Those of [`Package::open`](crate::webc::Package::open) and [`Package::command`](crate::webc::Package::command);
    /// [`Config`](ErrorKind::Config) if a command or packages to use are said of what is no package.
    #[cfg(feature = "webc")]
    pub fn open(
        &self,
        path: &Path,
        max_guest_bytes: u64,
        expected: Option<&Sha256>,
        config: &RunConfig,
    ) -> Result<Option<(Guest, RunConfig)>> {
        use crate::webc::{Package, Use};

        if !Package::is_one(path) {
            return self.refuse_for(path.display()).map(|()| None);
        }
        let package = match expected {
            None => Package::open(path)?,
            Some(expected) => Package::open_expected(path, expected)?,
        };
        let uses: Vec<_> = self.uses.iter().map(|text| Use::parse(text)).collect();
        let command = package.command(self.command.as_deref(), &uses, max_guest_bytes)?;
        Ok(Some((command.guest().clone(), command.under(config))))
    }

    /// Nothing, in a build that does not read packages.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if a command or packages to use are said.
    #[cfg(not(feature = "webc"))]
    pub fn open(
        &self,
        path: &Path,
        _: u64,
        _: Option<&Sha256>,
        _: &RunConfig,
    ) -> Result<Option<(Guest, RunConfig)>> {
        self.refuse_for(path.display()).map(|()| None)
    }

    /// Nothing, if it says nothing: for a program that comes in no package.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) if a command or packages to use are said.
    pub fn refuse_for(&self, program: impl Display) -> Result<()> {
        let what = match self {
            PackageChoice {
                command: Some(command),
                ..
            } => format!("the command {command:?}"),
            PackageChoice { uses, .. } if !uses.is_empty() => format!("the package {}", uses[0]),
            _ => return Ok(()),
        };
        let message = match cfg!(feature = "webc") {
            true => format!("{what} is asked of {program}, which is no webc package"),
            false => format!(
                "{what} is asked of {program}, but this build of wasmrun reads no packages; it takes the feature `webc`"
            ),
        };
        Err(Error::new(ErrorKind::Config, message))
    }
}
