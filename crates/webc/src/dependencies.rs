//! The packages that a package uses, found among files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use wasmrun_core::{Error, ErrorKind, Mount, Result, guest_path};

use crate::manifest::{Dependency, Wanted};
use crate::package::{Package, Use, overlay};

/// A package and those that it uses, each once, a package before those that only it uses.
pub(crate) struct Resolved {
    members: Vec<Member>,
}

struct Member {
    package: Package,
    /// Which members its dependencies are, by their aliases.
    uses: BTreeMap<String, usize>,
}

/// A package that may be a dependency.
struct Candidate {
    package: Package,
    /// What the caller says that it is.
    name: Option<String>,
    /// It was given by itself, not by its directory.
    is_alone: bool,
    /// Where it is, whatever leads there.
    identity: PathBuf,
}

impl Resolved {
    pub(crate) fn of(package: &Package, uses: &[Use]) -> Result<Self> {
        let candidates = candidates(uses)?;
        let root = Candidate {
            package: package.clone(),
            name: None,
            is_alone: false,
            identity: identity(package.path()),
        };
        let mut search = Search {
            candidates: &candidates,
            members: Vec::new(),
            found: HashMap::new(),
            way: Vec::new(),
        };
        search.add(&root)?;
        let unused = candidates
            .iter()
            .find(|one| one.is_alone && !search.found.contains_key(&*one.identity));
        if let Some(unused) = unused {
            let message = format!(
                "{} was given for others to use, and none does: {}",
                unused.package.shown(),
                unused.called()
            );
            return Err(package.error(ErrorKind::Config, message));
        }
        Ok(Resolved {
            members: search.members,
        })
    }

    /// The package itself first.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().map(|member| &member.package)
    }

    /// What a package calls by that name.
    pub(crate) fn dependency(&self, of: &Package, alias: &str) -> Option<&Package> {
        let member = self
            .members
            .iter()
            .find(|member| member.package.path() == of.path())?;
        let number = *member.uses.get(alias)?;
        Some(&self.members[number].package)
    }

    /// All volumes that are shown, at their paths. Of several at one path, those of a package lie over those of packages
    /// that it uses, and later ones over earlier ones.
    pub(crate) fn mounts(&self) -> Result<Vec<Mount>> {
        let mut shown: Vec<(String, Vec<_>)> = Vec::new();
        for package in self.packages() {
            for mapping in package.manifest().mappings.iter().rev() {
                let of = match &mapping.dependency {
                    None => package,
                    Some(alias) => self.dependency(package, alias).ok_or_else(|| {
                        let message = format!(
                            "it shows the volume {:?} of {alias:?}, which it does not use",
                            mapping.volume
                        );
                        package.error(ErrorKind::Invalid, message)
                    })?,
                };
                let path = guest_path::normalise(&mapping.path)
                    .map_err(|error| package.error(ErrorKind::Invalid, error.to_string()))?;
                let source = of.mount(&mapping.volume, mapping.directory.as_deref())?;
                let same = shown
                    .iter_mut()
                    .find(|(other, _)| guest_path::same(other, &path));
                match same {
                    Some((_, lower)) => lower.push(source),
                    None => shown.push((path, vec![source])),
                }
            }
        }
        let mounts = shown.into_iter().rev();
        Ok(mounts.map(|(path, lower)| overlay(path, lower)).collect())
    }
}

struct Search<'a> {
    candidates: &'a [Candidate],
    members: Vec<Member>,
    /// Members by their identities.
    found: HashMap<PathBuf, usize>,
    /// From the root to the one that is looked at.
    way: Vec<PathBuf>,
}

impl<'a> Search<'a> {
    /// Adds a package and all that it uses: its number.
    fn add(&mut self, one: &Candidate) -> Result<usize> {
        let package = &one.package;
        if self.way.contains(&one.identity) {
            let names: Vec<_> = self.way.iter().map(|path| file_name(path)).collect();
            let message = format!("it uses itself, by way of {}", names.join(", "));
            return Err(package.error(ErrorKind::Invalid, message));
        }
        if let Some(number) = self.found.get(&one.identity) {
            return Ok(*number);
        }
        let number = self.members.len();
        self.members.push(Member {
            package: package.clone(),
            uses: BTreeMap::new(),
        });
        self.found.insert(one.identity.clone(), number);
        self.way.push(one.identity.clone());
        for dependency in &package.manifest().dependencies {
            let found = self.find(dependency, package)?;
            let used = self.add(found)?;
            let uses = &mut self.members[number].uses;
            uses.insert(dependency.alias.clone(), used);
        }
        self.way.pop();
        Ok(number)
    }

    /// The candidate that is wanted, of several the one of the highest version.
    fn find(&self, dependency: &Dependency, of: &Package) -> Result<&'a Candidate> {
        let Dependency { alias, wanted } = dependency;
        let mut best: Option<&'a Candidate> = None;
        for candidate in self.candidates {
            let is_better = best.is_none_or(|best| candidate.version() > best.version());
            if is_better && candidate.is(alias, wanted)? {
                best = Some(candidate);
            }
        }
        best.ok_or_else(|| {
            let message = format!(
                "it uses {wanted} as {alias:?}, which is not here; give its file, or a directory that has it, by --use"
            );
            of.error(ErrorKind::Config, message)
        })
    }
}

impl Candidate {
    fn version(&self) -> Option<&semver::Version> {
        self.package.manifest().version.as_ref()
    }

    fn is(&self, alias: &str, wanted: &Wanted) -> Result<bool> {
        if let Some(name) = &self.name {
            let is_name = matches!(wanted, Wanted::Named(wanted, _) if wanted == name);
            return Ok(name == alias || is_name);
        }
        Ok(match wanted {
            Wanted::Named(name, versions) => {
                self.package.manifest().name.as_ref() == Some(name)
                    && match self.version() {
                        Some(version) => versions.matches(version),
                        None => *versions == semver::VersionReq::STAR,
                    }
            }
            Wanted::Sha256(digest) => self.package.sha256()? == *digest,
            Wanted::Other(_) => false,
        })
    }

    /// What it goes by.
    fn called(&self) -> String {
        let manifest = self.package.manifest();
        match (&self.name, &manifest.name, &manifest.version) {
            (Some(name), ..) => format!("it is given as {name}"),
            (None, Some(name), Some(version)) => format!("it is {name}@{version}"),
            (None, Some(name), None) => format!("it is {name}"),
            (None, None, _) => "it says no name of its own; give it as NAME=FILE".into(),
        }
    }
}

fn candidates(uses: &[Use]) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for Use { name, path } in uses {
        let is_alone = !path.is_dir();
        let files = match is_alone {
            true => vec![path.clone()],
            false => packages_in(path)?,
        };
        for file in files {
            candidates.push(Candidate {
                identity: identity(&file),
                package: Package::open(&file)?,
                name: name.clone(),
                is_alone,
            });
        }
    }
    Ok(candidates)
}

fn packages_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| {
        let message = format!("cannot read the directory {}", directory.display());
        Error::new(ErrorKind::Io, message).with_source(source)
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "webc")
        {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The path without symbolic links; what cannot be told stays as it is.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    wasmrun_core::guest::shown(&name.to_string_lossy())
}
