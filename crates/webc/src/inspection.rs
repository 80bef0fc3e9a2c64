//! What is in a package, told.

use serde::Serialize;
use wasmrun_core::{Guest, GuestKind, Result, Sha256, WasiVersion};

use crate::Package;
use crate::tree::What;

/// What is in a package.
#[derive(Debug, Clone, Serialize)]
pub struct PackageInspection {
    /// The name of its file.
    pub name: String,
    /// Always [`Package`](GuestKind::Package).
    pub kind: GuestKind,
    /// What it is called by others that use it.
    pub package: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The command that is run if none is named.
    pub entrypoint: Option<String>,
    /// What it can do.
    pub commands: Vec<PackedCommand>,
    /// Its programs.
    pub atoms: Vec<PackedAtom>,
    /// Its trees of files.
    pub volumes: Vec<PackedVolume>,
    /// Where programs see what of the volumes.
    pub mappings: Vec<PackedMapping>,
    /// The packages that it uses.
    pub dependencies: Vec<PackedDependency>,
}

/// A way to run an atom.
#[derive(Debug, Clone, Serialize)]
pub struct PackedCommand {
    /// Its name.
    pub name: String,
    /// The URI of what it is to be run by.
    pub runner: String,
    /// The atom, if it says one.
    pub atom: Option<String>,
    /// The dependency that the atom is of; the package itself where `None`.
    pub dependency: Option<String>,
    /// Its `argv[0]`.
    pub argv0: String,
    /// Arguments before all others.
    pub args: Vec<String>,
    /// Environment variables, as `NAME=VALUE`.
    pub env: Vec<String>,
    /// The directory it begins in.
    pub working_directory: Option<String>,
}

/// A program.
#[derive(Debug, Clone, Serialize)]
pub struct PackedAtom {
    /// Its name.
    pub name: String,
    /// The URI of what the package says that it is.
    pub says: Option<String>,
    /// What form it has.
    pub kind: GuestKind,
    /// The system interface that it was built for.
    pub wasi: WasiVersion,
    /// How many bytes it has.
    pub bytes: u64,
}

/// A tree of files.
#[derive(Debug, Clone, Serialize)]
pub struct PackedVolume {
    /// Its name.
    pub name: String,
    /// The digest of all of it.
    pub sha256: Sha256,
    /// Its files.
    pub files: usize,
    /// Its directories, the root among them.
    pub directories: usize,
    /// Its symbolic links.
    pub links: usize,
    /// Bytes of its files.
    pub bytes: u64,
}

/// A volume at a path that programs see.
#[derive(Debug, Clone, Serialize)]
pub struct PackedMapping {
    /// Where it is shown.
    pub path: String,
    /// The volume.
    pub volume: String,
    /// The directory of it that is shown; all of it where `None`.
    pub directory: Option<String>,
    /// The dependency that the volume is of; the package itself where `None`.
    pub dependency: Option<String>,
}

/// Another package that is used.
#[derive(Debug, Clone, Serialize)]
pub struct PackedDependency {
    /// What the package calls it.
    pub alias: String,
    /// Which it is: `NAME@VERSIONS`, or `sha256:` and a digest.
    pub package: String,
}

impl Package {
    /// What is in it. All of it is read, and compared with its digests; atoms of at most so many bytes are.
    ///
    /// # Errors
    ///
    /// [`Invalid`](wasmrun_core::ErrorKind::Invalid) for what in it is malformed or damaged, and those of
    /// [`Guest::from_bytes`] for an atom that is no program.
    pub fn inspect(&self, max_guest_bytes: u64) -> Result<PackageInspection> {
        let manifest = self.manifest();
        let commands = manifest.commands.iter().map(|command| PackedCommand {
            name: command.name.clone(),
            runner: command.runner.clone(),
            atom: command.atom.clone(),
            dependency: command.dependency.clone(),
            argv0: command.argv0.as_ref().unwrap_or(&command.name).clone(),
            args: command.args.clone(),
            env: command
                .env
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            working_directory: command.working_directory.clone(),
        });
        let mappings = manifest.mappings.iter().map(|mapping| PackedMapping {
            path: mapping.path.clone(),
            volume: mapping.volume.clone(),
            directory: mapping.directory.clone(),
            dependency: mapping.dependency.clone(),
        });
        let dependencies = manifest.dependencies.iter().map(|one| PackedDependency {
            alias: one.alias.clone(),
            package: one.wanted.to_string(),
        });
        Ok(PackageInspection {
            name: self.shown(),
            kind: GuestKind::Package,
            package: manifest.name.clone(),
            version: manifest.version.as_ref().map(ToString::to_string),
            entrypoint: manifest.entrypoint.clone(),
            commands: commands.collect(),
            atoms: self.packed_atoms(max_guest_bytes)?,
            volumes: self.packed_volumes()?,
            mappings: mappings.collect(),
            dependencies: dependencies.collect(),
        })
    }

    fn packed_atoms(&self, most: u64) -> Result<Vec<PackedAtom>> {
        let told = self.webc(|webc| {
            let told = webc.atoms();
            let told = told.map(|atom| (atom.name.to_owned(), atom.kind.map(str::to_owned)));
            Ok(told.collect::<Vec<_>>())
        })?;
        let atoms = told.into_iter().map(|(name, says)| {
            let bytes = self.webc(|webc| webc.atom(&name, most))?;
            let guest = Guest::from_bytes(name.clone(), bytes)?;
            Ok(PackedAtom {
                name,
                says,
                kind: guest.kind(),
                wasi: guest.wasi(),
                bytes: guest.size(),
            })
        });
        atoms.collect()
    }

    fn packed_volumes(&self) -> Result<Vec<PackedVolume>> {
        self.webc(|webc| {
            let names: Vec<_> = webc.volumes().map(|one| one.name.to_owned()).collect();
            let volumes = names.into_iter().map(|name| {
                let volume = webc.volume(&name)?;
                let mut packed = PackedVolume {
                    name,
                    sha256: volume.sha256,
                    files: 0,
                    directories: 0,
                    links: 0,
                    bytes: 0,
                };
                for entry in &volume.entries {
                    match entry.what {
                        What::Directory => packed.directories += 1,
                        What::Symlink(_) => packed.links += 1,
                        What::File { size, .. } => {
                            packed.files += 1;
                            // Files may have content in common.
                            packed.bytes = packed.bytes.saturating_add(size);
                        }
                    }
                }
                Ok(packed)
            });
            volumes.collect()
        })
    }
}
