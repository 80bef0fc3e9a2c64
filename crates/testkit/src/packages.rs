//! webc packages, made by the crate that wasmer makes them by.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use webc::PathSegment;
pub use webc::metadata::Manifest;
use webc::metadata::annotations::{
    Atom as CommandAtom, FileSystemMapping, FileSystemMappings, Wapm, Wasi,
};
use webc::metadata::{Annotation, Atom, Command, UrlOrManifest};
use webc::{v2, v3};

/// When all files of a package were changed last, in seconds since 1970.
pub const CHANGED: u64 = 1_000_000_000;

/// A package that is made.
#[derive(Debug, Default, Clone)]
pub struct Packed {
    manifest: Manifest,
    atoms: BTreeMap<String, Vec<u8>>,
    volumes: BTreeMap<String, Tree>,
    mappings: Vec<FileSystemMapping>,
}

#[derive(Debug, Default, Clone)]
struct Tree {
    directories: BTreeMap<String, Tree>,
    files: BTreeMap<String, String>,
    links: BTreeMap<String, String>,
}

/// A command that is made.
#[derive(Debug, Default, Clone, Copy)]
pub struct PackedCommand<'a> {
    /// Its name.
    pub name: &'a str,
    /// The atom.
    pub atom: &'a str,
    /// The dependency that the atom is of.
    pub dependency: Option<&'a str>,
    /// Arguments.
    pub args: &'a [&'a str],
    /// Variables, as `NAME=VALUE`.
    pub env: &'a [&'a str],
    /// Its `argv[0]`.
    pub argv0: Option<&'a str>,
    /// Where it begins.
    pub working_directory: Option<&'a str>,
}

impl Packed {
    /// With nothing in it.
    pub fn new() -> Self {
        Packed::default()
    }

    /// Says what it is called.
    #[must_use]
    pub fn named(mut self, name: &str, version: &str) -> Self {
        let wapm = Wapm::new(Some(name.into()), Some(version.into()), None);
        self.manifest
            .package
            .insert(Wapm::KEY.into(), annotation(&wapm));
        self
    }

    /// Has a program.
    #[must_use]
    pub fn atom(mut self, name: &str, content: &[u8]) -> Self {
        let digest = BASE64_STANDARD.encode(Sha256::digest(content));
        let atom = Atom {
            kind: "https://webc.org/kind/wasm".parse().expect("a URL"),
            signature: format!("sha256:{digest}"),
            annotations: Default::default(),
        };
        self.manifest.atoms.insert(name.into(), atom);
        self.atoms.insert(name.into(), content.into());
        self
    }

    /// Has a command.
    #[must_use]
    pub fn command(mut self, made: PackedCommand<'_>) -> Self {
        let owned = |list: &[&str]| {
            let list = list.iter().map(|each| (*each).to_owned());
            Some(list.collect::<Vec<_>>()).filter(|list| !list.is_empty())
        };
        let mut wasi = Wasi::new(made.atom);
        wasi.env = owned(made.env);
        wasi.main_args = owned(made.args);
        wasi.exec_name = made.argv0.map(str::to_owned);
        wasi.cwd = made.working_directory.map(Into::into);
        let atom = CommandAtom::new(made.atom, made.dependency.map(str::to_owned));
        let annotations = [
            (Wasi::KEY.to_owned(), annotation(&wasi)),
            (CommandAtom::KEY.to_owned(), annotation(&atom)),
        ];
        let command = Command {
            runner: "https://webc.org/runner/wasi".into(),
            annotations: annotations.into_iter().collect(),
        };
        self.manifest.commands.insert(made.name.into(), command);
        self
    }

    /// Has a command that is run if none is named.
    #[must_use]
    pub fn entrypoint(mut self, name: &str) -> Self {
        self.manifest.entrypoint = Some(name.into());
        self
    }

    /// Has a file in a volume.
    #[must_use]
    pub fn file(mut self, volume: &str, path: &str, content: &str) -> Self {
        let (tree, name) = self.place(volume, path);
        tree.files.insert(name, content.into());
        self
    }

    /// Has a symbolic link in a volume, which version 2 of the format has not.
    #[must_use]
    pub fn link(mut self, volume: &str, path: &str, target: &str) -> Self {
        let (tree, name) = self.place(volume, path);
        tree.links.insert(name, target.into());
        self
    }

    fn place(&mut self, volume: &str, path: &str) -> (&mut Tree, String) {
        let mut tree = self.volumes.entry(volume.into()).or_default();
        let (directories, name) = path.rsplit_once('/').unwrap_or(("", path));
        for name in directories.split('/').filter(|name| !name.is_empty()) {
            tree = tree.directories.entry(name.into()).or_default();
        }
        (tree, name.into())
    }

    /// Shows a volume at a path, or one of a dependency.
    #[must_use]
    pub fn shows(mut self, dependency: Option<&str>, volume: &str, path: &str) -> Self {
        self.mappings.push(FileSystemMapping {
            from: dependency.map(str::to_owned),
            volume_name: volume.into(),
            host_path: None,
            mount_path: path.into(),
        });
        self
    }

    /// Shows a directory of a volume at a path.
    #[must_use]
    pub fn shows_directory(mut self, volume: &str, directory: &str, path: &str) -> Self {
        self.mappings.push(FileSystemMapping {
            from: None,
            volume_name: volume.into(),
            host_path: Some(directory.into()),
            mount_path: path.into(),
        });
        self
    }

    /// Uses another package, as `NAME@VERSION` or `sha256:` and a digest.
    #[must_use]
    pub fn uses(mut self, alias: &str, package: &str) -> Self {
        let wanted = UrlOrManifest::RegistryDependentUrl(package.into());
        self.manifest.use_map.insert(alias.into(), wanted);
        self
    }

    /// Says something else of itself.
    #[must_use]
    pub fn manifest(mut self, change: impl FnOnce(&mut Manifest)) -> Self {
        change(&mut self.manifest);
        self
    }

    fn said(&self) -> Manifest {
        let mut manifest = self.manifest.clone();
        if !self.mappings.is_empty() {
            let mappings = FileSystemMappings(self.mappings.clone());
            let key = FileSystemMappings::KEY.to_owned();
            manifest.package.insert(key, annotation(&mappings));
        }
        manifest
    }

    /// The package, in version 3 of the format.
    pub fn bytes(&self) -> Vec<u8> {
        let atoms = self.atoms.iter();
        let atoms = atoms.map(|(name, content)| (segment(name), v3_file(content)));
        let mut writer = v3::write::Writer::default()
            .write_manifest(&self.said())
            .and_then(|writer| writer.write_atoms(atoms.collect()))
            .expect("it is written");
        for (name, tree) in &self.volumes {
            let written = writer.write_volume(name, tree.v3());
            written.expect("a volume is written");
        }
        let finished = writer.finish(v3::SignatureAlgorithm::None);
        finished.expect("it is finished").into()
    }

    /// The package, in version 2 of the format.
    pub fn bytes_of_version_2(&self) -> Vec<u8> {
        self.v2(v2::ChecksumAlgorithm::Sha256)
    }

    /// The same, without the digests of its parts.
    pub fn bytes_without_digests(&self) -> Vec<u8> {
        self.v2(v2::ChecksumAlgorithm::None)
    }

    fn v2(&self, digests: v2::ChecksumAlgorithm) -> Vec<u8> {
        let atoms = self.atoms.iter();
        let atoms = atoms.map(|(name, content)| (segment(name), content.as_slice().into()));
        let mut writer = v2::write::Writer::new(digests)
            .write_manifest(&self.said())
            .and_then(|writer| writer.write_atoms(atoms.collect()))
            .expect("it is written");
        for (name, tree) in &self.volumes {
            let written = writer.write_volume(name, tree.v2());
            written.expect("a volume is written");
        }
        let finished = writer.finish(v2::SignatureAlgorithm::None);
        finished.expect("it is finished").into()
    }

    /// Writes it to a file.
    pub fn write(&self, path: impl AsRef<Path>) {
        std::fs::write(path, self.bytes()).expect("a file");
    }
}

impl Tree {
    fn v3(&self) -> v3::write::Directory<'_> {
        use v3::write::{DirEntry, Directory, SymlinkEntry};

        let mut directory = Directory::with_timestamps(changed());
        for (name, tree) in &self.directories {
            directory.extend([(segment(name), DirEntry::Dir(tree.v3()))]);
        }
        for (name, content) in &self.files {
            let file = v3_file(content.as_bytes());
            directory.extend([(segment(name), DirEntry::File(file))]);
        }
        for (name, target) in &self.links {
            let link = SymlinkEntry::borrowed(target, changed());
            directory.extend([(segment(name), DirEntry::Symlink(link))]);
        }
        directory
    }

    fn v2(&self) -> v2::write::Directory<'_> {
        use v2::write::{DirEntry, Directory};

        let mut directory = Directory::default();
        for (name, tree) in &self.directories {
            let entry = DirEntry::Dir(tree.v2());
            directory.children.insert(segment(name), entry);
        }
        for (name, content) in &self.files {
            let entry = DirEntry::File(content.as_bytes().into());
            directory.children.insert(segment(name), entry);
        }
        directory
    }
}

fn v3_file(content: &[u8]) -> v3::write::FileEntry<'_> {
    v3::write::FileEntry::borrowed(content, changed())
}

fn changed() -> v3::Timestamps {
    v3::Timestamps {
        modified: SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED),
    }
}

fn segment(name: &str) -> PathSegment {
    name.parse().expect("a name")
}

fn annotation(value: &impl serde::Serialize) -> Annotation {
    Annotation::serialized(value).expect("it can be written")
}
