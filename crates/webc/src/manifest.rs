//! What a package says of itself.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use indexmap::IndexMap;
use semver::{Version, VersionReq};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wasmrun_core::Sha256;

use crate::Problem;
use crate::sections::told;

/// What a package says of itself.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its name, as in `namespace/name`.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<Version>,
    /// What it can do, in its order.
    pub commands: Vec<Command>,
    /// The command that is run if none is named.
    pub entrypoint: Option<String>,
    /// Other packages that it uses, in its order.
    pub dependencies: Vec<Dependency>,
    /// Which volumes a program sees, and where, in its order.
    pub mappings: Vec<Mapping>,
    /// Of the atoms, by their names, kinds and digests.
    pub(crate) atoms: IndexMap<String, Atom>,
}

/// What a package says of one of its atoms.
#[derive(Debug, Clone)]
pub(crate) struct Atom {
    pub(crate) kind: String,
    pub(crate) digest: [u8; 32],
}

/// A way to run an atom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its name.
    pub name: String,
    /// The URI of what it is to be run by.
    pub runner: String,
    /// The atom, if it says one.
    pub atom: Option<String>,
    /// The dependency that the atom is of, by its alias; the package itself where `None`.
    pub dependency: Option<String>,
    /// Arguments before all others.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// The directory it begins in.
    pub working_directory: Option<String>,
    /// Its `argv[0]`; the name of the command where `None`.
    pub argv0: Option<String>,
    /// The volume that is to have the atom itself as a file.
    pub mount_atom_in_volume: Option<String>,
}

impl Command {
    const WASI: &str = "https://webc.org/runner/wasi";

    /// Whether it is run as a command of WASI, or WASIX.
    pub fn is_wasi(&self) -> bool {
        self.runner.starts_with(Command::WASI)
    }
}

/// Another package that one uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// What the package calls it.
    pub alias: String,
    /// Which it is.
    pub wanted: Wanted,
}

/// Which package is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// One of that name, and one of these versions.
    Named(String, VersionReq),
    /// The one whose file has this digest.
    Sha256(Sha256),
    /// Some other way to tell it, as it is written.
    Other(String),
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wanted::Named(name, version) => write!(f, "{name}@{version}"),
            Wanted::Sha256(digest) => write!(f, "sha256:{digest}"),
            Wanted::Other(text) => f.write_str(text),
        }
    }
}

/// A volume, or a directory in it, at a path that programs see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The dependency that the volume is of, by its alias; the package itself where `None`.
    pub dependency: Option<String>,
    /// The volume.
    pub volume: String,
    /// The directory of it that is shown; all of it where `None`.
    pub directory: Option<String>,
    /// Where it is shown.
    pub path: String,
}

/// As it is written; what is not here is left out.
#[derive(Deserialize)]
struct Written {
    #[serde(default, rename = "use")]
    dependencies: IndexMap<String, ciborium::Value>,
    #[serde(default)]
    package: IndexMap<String, ciborium::Value>,
    #[serde(default)]
    atoms: IndexMap<String, WrittenAtom>,
    #[serde(default)]
    commands: IndexMap<String, WrittenCommand>,
    #[serde(default)]
    entrypoint: Option<String>,
}

#[derive(Deserialize)]
struct WrittenAtom {
    kind: String,
    signature: String,
}

#[derive(Deserialize)]
struct WrittenCommand {
    runner: String,
    #[serde(default)]
    annotations: IndexMap<String, ciborium::Value>,
}

/// The annotation `atom` of a command.
#[derive(Deserialize)]
struct WrittenCommandAtom {
    name: String,
    dependency: Option<String>,
}

/// The annotation `wasi` of a command.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct WrittenWasi {
    atom: Option<String>,
    env: Option<Vec<String>>,
    main_args: Option<Vec<String>>,
    mount_atom_in_volume: Option<String>,
    cwd: Option<String>,
    exec_name: Option<String>,
}

/// The annotation `wapm` of the package.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WrittenPackage {
    name: Option<String>,
    version: Option<String>,
}

/// One of the annotation `fs` of the package.
#[derive(Deserialize)]
struct WrittenMapping {
    from: Option<String>,
    volume_name: String,
    #[serde(alias = "original_path")]
    host_path: Option<String>,
    mount_path: String,
}

impl Manifest {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let written: Written =
            ciborium::from_reader(bytes).map_err(|error| Problem::new(told(&error)))?;
        let WrittenPackage { name, version } =
            annotation(&written.package, "wapm")?.unwrap_or_default();
        let version = version.map(|version| {
            Version::parse(&version).map_err(|error| {
                Problem::new(format!("its version, {version:?}, is none: {error}"))
            })
        });
        let mappings: Option<Vec<WrittenMapping>> = annotation(&written.package, "fs")?;
        Ok(Manifest {
            name,
            version: version.transpose()?,
            commands: written
                .commands
                .into_iter()
                .map(|(name, command)| {
                    let of_it = |problem: Problem| problem.of(format_args!("command {name:?}"));
                    self::command(name.clone(), &command).map_err(of_it)
                })
                .collect::<Result<_, _>>()?,
            entrypoint: written.entrypoint,
            dependencies: written
                .dependencies
                .into_iter()
                .map(|(alias, wanted)| {
                    let wanted = self::wanted(&wanted)
                        .map_err(|problem| problem.of(format_args!("dependency {alias:?}")))?;
                    Ok(Dependency { alias, wanted })
                })
                .collect::<Result<_, Problem>>()?,
            mappings: mappings
                .unwrap_or_default()
                .into_iter()
                .map(|mapping| Mapping {
                    dependency: mapping.from,
                    volume: mapping.volume_name,
                    directory: mapping.host_path,
                    path: mapping.mount_path,
                })
                .collect(),
            atoms: written
                .atoms
                .into_iter()
                .map(|(name, atom)| {
                    let digest = digest(&atom.signature)
                        .map_err(|problem| problem.of(format_args!("atom {name:?}")))?;
                    let kind = atom.kind;
                    Ok((name, Atom { kind, digest }))
                })
                .collect::<Result<_, Problem>>()?,
        })
    }

    /// The command of that name.
    pub fn command(&self, name: &str) -> Option<&Command> {
        self.commands.iter().find(|command| command.name == name)
    }
}

fn annotation<T: DeserializeOwned>(
    all: &IndexMap<String, ciborium::Value>,
    name: &str,
) -> Result<Option<T>, Problem> {
    let value = all.get(name).filter(|value| !value.is_null());
    let value = value.map(|value| {
        value
            .deserialized()
            .map_err(|error| Problem::new(format!("annotation {name:?}: {error}")))
    });
    value.transpose()
}

fn command(name: String, written: &WrittenCommand) -> Result<Command, Problem> {
    let wasi: WrittenWasi = annotation(&written.annotations, "wasi")?.unwrap_or_default();
    let atom: Option<WrittenCommandAtom> = annotation(&written.annotations, "atom")?;
    let (atom, dependency) = match (atom, wasi.atom) {
        (Some(atom), _) => (Some(atom.name), atom.dependency),
        // Before there was an annotation for it, this named both.
        (None, Some(atom)) => match atom.split_once(':') {
            Some((dependency, atom)) => (Some(atom.to_owned()), Some(dependency.to_owned())),
            None => (Some(atom), None),
        },
        (None, None) => (None, None),
    };
    let env = wasi.env.unwrap_or_default().into_iter().map(|variable| {
        let (name, value) = variable.split_once('=').ok_or_else(|| {
            Problem::new(format!(
                "expected NAME=VALUE in its environment, found {variable:?}"
            ))
        })?;
        Ok((name.to_owned(), value.to_owned()))
    });
    Ok(Command {
        name,
        runner: written.runner.clone(),
        atom,
        dependency,
        args: wasi.main_args.unwrap_or_default(),
        env: env.collect::<Result<_, Problem>>()?,
        working_directory: wasi.cwd,
        argv0: wasi.exec_name,
        mount_atom_in_volume: wasi.mount_atom_in_volume,
    })
}

/// `sha256:` and the digest in base64.
fn digest(signature: &str) -> Result<[u8; 32], Problem> {
    let base64 = signature.strip_prefix("sha256:");
    let digest = base64.and_then(|base64| BASE64_STANDARD.decode(base64).ok());
    let digest = digest.and_then(|digest| digest.try_into().ok());
    digest.ok_or_else(|| {
        Problem::new(format!(
            "expected sha256: and a digest in base64 as its signature, found {signature:?}"
        ))
    })
}

/// `NAMESPACE/NAME@VERSIONS`, that at the end of the URL of a registry, or `sha256:` and a digest in hexadecimal.
fn wanted(written: &ciborium::Value) -> Result<Wanted, Problem> {
    let Some(text) = written.as_text() else {
        return Err(Problem::new(
            "expected it by its name or digest; packages within a package are not supported",
        ));
    };
    if text.starts_with("sha256:") {
        let digest = text
            .parse()
            .map_err(|error| Problem::new(format!("{error}")))?;
        return Ok(Wanted::Sha256(digest));
    }
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => text,
    };
    let (name, version) = path.split_once('@').unwrap_or((path, "*"));
    let is_name = !name.is_empty()
        && name.split('/').count() <= 2
        && name
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || matches!(each, '/' | '-' | '_' | '.'));
    let version = match version {
        "latest" => Ok(VersionReq::STAR),
        version => VersionReq::parse(version),
    };
    Ok(match version {
        Ok(version) if is_name => Wanted::Named(name.to_owned(), version),
        _ => Wanted::Other(text.to_owned()),
    })
}
