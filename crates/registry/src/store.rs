//! What is kept on this machine.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use etcetera::BaseStrategy;
use serde::Serialize;
use wasmrun_guest::{Error, ErrorKind, Guest, GuestKind, Result, WasiVersion};

use crate::image::{self, Image};
use crate::layout::{Kind, Layout};
use crate::manifest::{self, Component, Descriptor, Manifest, NAME, Platform, TITLE, WasmConfig};
use crate::media_type;
use crate::{Digest, Limits, Reference};

/// Images in a directory, which is an [image layout]. Cloning is cheap.
///
/// Any number of processes may use one directory at the same time, and whoever is interrupted leaves it whole. Other tools
/// read it as it is; what is in its directory `wasmrun` can be made again from the rest.
///
/// [image layout]: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) layout: Layout,
    pub(crate) limits: Limits,
}

/// An image that has a name in a store.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Listed {
    /// Its name, as a reference.
    pub reference: String,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Bytes of its manifest, its configuration and its layers, as they are transferred.
    pub bytes: u64,
    /// When it was last used, to the minute; seconds since 1970.
    #[serde(serialize_with = "seconds")]
    pub last_used: SystemTime,
}

fn seconds<S: serde::Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs()).serialize(to)
}

/// What was removed from a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Removed {
    /// Names of images.
    pub images: u64,
    /// Files.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
}

/// The annotation that says by which digest an image was asked for, where that is the one of an index that led to it.
pub(crate) const INDEX_DIGEST: &str = "dev.wasmrun.index.digest";

impl Store {
    /// Where a user's images are kept by convention: `wasmrun/images` in the user's directory for data (`XDG_DATA_HOME`,
    /// or what the platform has instead).
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) if the user has no home.
    pub fn user_dir() -> Result<PathBuf> {
        let home = etcetera::choose_base_strategy().map_err(|source| {
            Error::new(ErrorKind::Io, "the user has no home to keep images in").with_source(source)
        })?;
        Ok(home.data_dir().join("wasmrun").join("images"))
    }

    /// Opens the store in `directory`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) if it cannot be made, [`Config`](ErrorKind::Config) if it is an image layout of a version that
    /// is not known.
    pub fn open(directory: impl AsRef<Path>) -> Result<Store> {
        Ok(Store {
            layout: Layout::open(directory.as_ref())?,
            limits: Limits::default(),
        })
    }

    /// The same store, accepting no more than this.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Store {
        Store { limits, ..self }
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.layout.root
    }

    /// The image of a reference, if it is here: by its name, or by a digest whatever its name is. The network is not used.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if it is damaged, or no program; [`GuestNotFound`](ErrorKind::GuestNotFound) if a
    /// part of it is missing; [`Unsupported`](ErrorKind::Unsupported) for what is of no kind that is known;
    /// [`Io`](ErrorKind::Io) if the store cannot be read.
    pub fn find(&self, reference: &Reference) -> Result<Option<Image>> {
        let _lock = self.layout.in_use()?;
        match self.descriptor(reference)? {
            None => Ok(None),
            Some(descriptor) => self.image(reference, &descriptor).map(Some),
        }
    }

    pub(crate) fn image(&self, reference: &Reference, descriptor: &Descriptor) -> Result<Image> {
        image::open(&self.layout, &reference.name(), descriptor, &self.limits)
    }

    pub(crate) fn descriptor(&self, reference: &Reference) -> Result<Option<Descriptor>> {
        let index = self.layout.index()?;
        let found = index
            .manifests
            .into_iter()
            .find(|descriptor| match reference.digest() {
                Some(digest) => asked_for(descriptor, digest),
                None => is_called(descriptor, &reference.name()),
            });
        Ok(found)
    }

    fn named(&self, reference: &Reference) -> Result<Descriptor> {
        self.descriptor(reference)?.ok_or_else(|| {
            let message = format!(
                "{reference} is not in the store in {}; `wasmrun pull` gets it, `wasmrun images` shows what is there",
                self.dir().display()
            );
            Error::new(ErrorKind::GuestNotFound, message)
        })
    }

    /// What is here, by name.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn images(&self) -> Result<Vec<Listed>> {
        let _lock = self.layout.in_use()?;
        let index = self.layout.index()?;
        let images = index.manifests.iter().filter_map(|descriptor| {
            let name = descriptor.annotations.get(NAME)?;
            let blobs = self.manifest(name, descriptor);
            let blobs = blobs.map_or(0, |manifest| manifest.blobs().map(|blob| blob.size).sum());
            Some(Listed {
                reference: format!("oci://{name}"),
                digest: descriptor.digest,
                bytes: descriptor.size.saturating_add(blobs),
                last_used: self.layout.last_used(descriptor.digest),
            })
        });
        let mut images: Vec<Listed> = images.collect();
        images.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(images)
    }

    pub(crate) fn manifest(&self, name: &str, descriptor: &Descriptor) -> Result<Manifest> {
        let content = self.layout.read(name, "manifest", descriptor)?;
        manifest::json(name, "manifest", &content)
    }

    /// Gives what is called `from` another name as well, in place of what has that name.
    ///
    /// # Errors
    ///
    /// [`GuestNotFound`](ErrorKind::GuestNotFound) if it is not here, [`Config`](ErrorKind::Config) if the new name has a
    /// digest, [`Io`](ErrorKind::Io) if the store cannot be written.
    pub fn tag(&self, from: &Reference, to: &Reference) -> Result<()> {
        is_taggable(to)?;
        let _lock = self.layout.in_use()?;
        let descriptor = self.named(from)?;
        self.call(&to.name(), descriptor)
    }

    /// Calls an image `name`, in place of what has that name.
    pub(crate) fn call(&self, name: &str, mut descriptor: Descriptor) -> Result<()> {
        descriptor.annotations.insert(NAME.into(), name.into());
        self.layout.change_index(|images| {
            images.retain(|image| !is_called(image, name));
            images.push(descriptor);
        })
    }

    /// Takes a name away. What has no other is removed by [`prune`](Store::prune).
    ///
    /// # Errors
    ///
    /// [`GuestNotFound`](ErrorKind::GuestNotFound) if there is none of that name, [`Io`](ErrorKind::Io) if the store cannot
    /// be written.
    pub fn untag(&self, reference: &Reference) -> Result<()> {
        let name = reference.name();
        let removed = self.layout.change_index(|images| {
            let before = images.len();
            images.retain(|image| !is_called(image, &name));
            before != images.len()
        })?;
        if removed {
            return Ok(());
        }
        let named = self.descriptor(reference)?;
        let message = match named.as_ref().and_then(|image| image.annotations.get(NAME)) {
            Some(name) => format!(
                "{reference} is no name in the store, where that image is called oci://{name}; name that"
            ),
            None => {
                format!("{reference} is not in the store; `wasmrun images` shows what is there")
            }
        };
        Err(Error::new(ErrorKind::GuestNotFound, message))
    }

    /// Removes what has no name. Where more than `max_bytes` is left, the names of what was used longest ago are taken
    /// away first, until it is no more. An [`Image`] that somebody has, and has not started yet, may lose its files by that.
    ///
    /// # Errors
    ///
    /// [`InUse`](ErrorKind::InUse) while somebody transfers something; [`Io`](ErrorKind::Io) if the store cannot be written.
    pub fn prune(&self, max_bytes: Option<u64>) -> Result<Removed> {
        let _lock = self.layout.alone()?;
        let mut images = self.layout.index()?.manifests;
        images.sort_by_key(|image| std::cmp::Reverse(self.layout.last_used(image.digest)));
        let mut dropped = HashSet::new();
        if let Some(max) = max_bytes {
            while self.bytes(&images)? > max {
                let Some(oldest) = images.pop() else { break };
                dropped.insert(oldest.annotations.get(NAME).cloned());
            }
        }
        if !dropped.is_empty() {
            self.layout.change_index(|images| {
                images.retain(|image| !dropped.contains(&image.annotations.get(NAME).cloned()));
            })?;
        }
        let kept = self.files(&images);
        let (files, bytes) = self
            .layout
            .sweep(|kind, digest| kept.contains(&(kind, digest)))?;
        Ok(Removed {
            images: dropped.len() as u64,
            files,
            bytes,
        })
    }

    /// The bytes on the disk that these images have together.
    fn bytes(&self, images: &[Descriptor]) -> Result<u64> {
        let mut bytes = 0_u64;
        for (kind, digest) in self.files(images) {
            match std::fs::metadata(self.layout.path(kind, digest)) {
                Ok(metadata) => bytes = bytes.saturating_add(metadata.len()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => self.layout.io("it cannot be read", Err(error))?,
            }
        }
        Ok(bytes)
    }

    /// The files that these images are.
    fn files(&self, images: &[Descriptor]) -> HashSet<(Kind, Digest)> {
        let mut files = HashSet::new();
        for image in images {
            files.insert((Kind::Blob, image.digest));
            files.extend(image::derived(&self.layout, image.digest));
            // Of what is damaged, nothing else is known to be needed.
            if let Ok(manifest) = self.manifest("image", image) {
                files.extend(manifest.blobs().map(|blob| (Kind::Blob, blob.digest)));
            }
        }
        files
    }

    /// Keeps a program as an artifact of the CNCF's [layout], with what it imports and exports.
    ///
    /// The same program gives the same manifest each time: nothing of when or where is in it.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) for a guest that is neither a module nor a component of WASI 0.1 or 0.2;
    /// [`Io`](ErrorKind::Io) if the store cannot be written.
    ///
    /// [layout]: https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/
    pub fn add(&self, guest: &Guest, reference: &Reference) -> Result<Image> {
        is_taggable(reference)?;
        let guest = guest.read()?;
        let config = config(&guest)?;
        let _lock = self.layout.in_use()?;
        let mut layer = Descriptor::of(media_type::WASM, guest.bytes());
        self.layout.keep(guest.bytes())?;
        layer.annotations.insert(TITLE.into(), guest.name().into());
        let config = manifest::written(&WasmConfig {
            layer_digests: vec![layer.digest],
            ..config
        })?;
        self.layout.keep(&config)?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.into()),
            config: Descriptor::of(media_type::WASM_CONFIG, &config),
            layers: vec![layer],
            annotations: Default::default(),
        };
        self.keep_image(&manifest, reference)
    }

    /// Keeps a manifest whose blobs are here, and gives it a name.
    pub(crate) fn keep_image(&self, manifest: &Manifest, reference: &Reference) -> Result<Image> {
        let manifest = manifest::written(manifest)?;
        self.layout.keep(&manifest)?;
        let descriptor = Descriptor::of(media_type::MANIFEST, &manifest);
        let image = self.image(reference, &descriptor)?;
        self.call(&reference.name(), descriptor)?;
        Ok(image)
    }
}

/// Fails for a reference that has a digest, which only content has.
pub(crate) fn is_taggable(reference: &Reference) -> Result<()> {
    match reference.digest() {
        None => Ok(()),
        Some(digest) => Err(Error::new(
            ErrorKind::Config,
            format!(
                "{reference}: {digest} cannot be given, as it follows from the content; give a tag"
            ),
        )),
    }
}

/// What the configuration of an artifact tells of its program.
pub(crate) fn config(guest: &Guest) -> Result<WasmConfig> {
    let refused = |what: String| {
        let message = format!("{}: {what}", guest.name());
        Err(Error::new(ErrorKind::Unsupported, message))
    };
    let is_component = match guest.kind() {
        GuestKind::Module => false,
        GuestKind::Component => true,
        kind => {
            return refused(format!(
                "a {kind:?} is no artifact of this layout; a module or a component is"
            ));
        }
    };
    let os = match guest.wasi() {
        WasiVersion::Preview2 => "wasip2",
        WasiVersion::None if is_component => "wasip2",
        WasiVersion::Unstable | WasiVersion::Preview1 | WasiVersion::None => "wasip1",
        wasi => {
            return refused(format!(
                "the layout has no name for WASI {wasi}, only for preview1 and preview2"
            ));
        }
    };
    let names = |names: &mut dyn Iterator<Item = &str>| {
        let names: BTreeSet<String> = names.map(str::to_owned).collect();
        names.into_iter().collect()
    };
    Ok(WasmConfig {
        created: None,
        platform: Platform {
            os: os.into(),
            architecture: "wasm".into(),
        },
        layer_digests: Vec::new(),
        component: is_component.then(|| Component {
            exports: names(&mut guest.exports().iter().map(|export| export.name.as_str())),
            imports: names(&mut guest.imports().iter().map(|import| import.module.as_str())),
        }),
    })
}

fn is_called(descriptor: &Descriptor, name: &str) -> bool {
    descriptor
        .annotations
        .get(NAME)
        .is_some_and(|own| own == name)
}

fn asked_for(descriptor: &Descriptor, digest: Digest) -> bool {
    let index = descriptor.annotations.get(INDEX_DIGEST);
    descriptor.digest == digest || index.is_some_and(|index| *index == digest.to_string())
}
