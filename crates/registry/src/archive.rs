//! Images as one file: tar archives of an image layout.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use wasmrun_guest::{Error, ErrorKind, Result, shown};

use crate::digest::Hasher;
use crate::layers::is_extension;
use crate::layout::{self, Kind};
use crate::manifest::{self, Descriptor, Index, NAME};
use crate::store::is_taggable;
use crate::{Digest, Reference, Store, media_type};

impl Store {
    /// Writes images to one file, an archive of an image layout, as other tools know it by `oci-archive`.
    ///
    /// # Errors
    ///
    /// [`GuestNotFound`](ErrorKind::GuestNotFound) if one is not here; [`Invalid`](ErrorKind::Invalid) if one is damaged;
    /// [`Io`](ErrorKind::Io) if it cannot be written.
    pub fn save(&self, references: &[Reference], to: &mut dyn Write) -> Result<()> {
        let _lock = self.layout.in_use()?;
        let mut images = Vec::new();
        let mut blobs = Vec::new();
        let mut names = HashSet::new();
        let mut seen = HashSet::new();
        for reference in references {
            let Some(mut image) = self.descriptor(reference)? else {
                let message = format!("{reference} is not in the store; `wasmrun pull` gets it");
                return Err(Error::new(ErrorKind::GuestNotFound, message));
            };
            let name = reference.name();
            if !names.insert(name.clone()) {
                continue;
            }
            let manifest = self.manifest(&name, &image)?;
            for blob in [&image].into_iter().chain(manifest.blobs()) {
                if seen.insert(blob.digest) {
                    let path = self
                        .layout
                        .checked(&name, "blob", Kind::Blob, blob.digest)?;
                    blobs.push((path, blob.digest));
                }
            }
            image.annotations.insert(NAME.into(), name);
            images.push(image);
        }
        let index = manifest::written(&Index {
            schema_version: 2,
            media_type: Some(media_type::INDEX.into()),
            manifests: images,
        })?;
        let write = || -> io::Result<()> {
            let mut archive = tar::Builder::new(to);
            let mut put = |name: &str, size: u64, content: &mut dyn Read| {
                let mut header = tar::Header::new_ustar();
                header.set_size(size);
                header.set_mode(0o644);
                archive.append_data(&mut header, name, content)
            };
            let version = layout::VERSION.as_bytes();
            put("oci-layout", version.len() as u64, &mut &*version)?;
            put("index.json", index.len() as u64, &mut index.as_slice())?;
            for (path, digest) in blobs {
                let mut blob = File::open(path)?;
                let size = blob.metadata()?.len();
                put(&format!("blobs/sha256/{}", digest.hex()), size, &mut blob)?;
            }
            archive.into_inner()?.flush()
        };
        self.layout.io("an archive cannot be written", write())
    }

    /// Takes the images over that are in an archive of an image layout, as `from` tells them, and returns what they are
    /// called. Where there is one image only, or one for each of several platforms, it can be given a name; others keep theirs.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for what is no such archive, or has a blob whose digest is another; whatever
    /// [`find`](Store::find) has for what is no program; [`Config`](ErrorKind::Config) if an image has no name that is a
    /// reference, and is given none, or one that is not for all of them; [`Io`](ErrorKind::Io) if the store cannot be written.
    pub fn load(&self, from: &Path, name: Option<&Reference>) -> Result<Vec<Reference>> {
        name.map_or(Ok(()), is_taggable)?;
        let archive = from.display();
        let invalid = |what: String| Error::new(ErrorKind::Invalid, format!("{archive}: {what}"));
        let unreadable = |error: io::Error| {
            let what = format!("{archive} is no archive that can be read");
            Error::new(ErrorKind::Invalid, what).with_source(error)
        };
        let _lock = self.layout.in_use()?;
        let file = File::open(from).map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot read {archive}")).with_source(error)
        })?;
        let mut index: Option<Index> = None;
        let mut version = false;
        let mut room = self.limits.unpacked;
        for (count, member) in tar::Archive::new(file)
            .entries()
            .map_err(unreadable)?
            // No name that matters here needs an extension, which would be read as a whole.
            .raw(true)
            .enumerate()
        {
            let mut member = member.map_err(unreadable)?;
            if count as u64 >= self.limits.entries {
                return Err(invalid(format!(
                    "it has more than {} members",
                    self.limits.entries
                )));
            }
            let path = String::from_utf8_lossy(&member.path_bytes()).into_owned();
            let path = path.trim_start_matches("./");
            let kind = member.header().entry_type();
            if kind.is_dir() || is_extension(kind) {
                continue;
            }
            if !kind.is_file() {
                return Err(invalid(format!("its member `{}` is no file", shown(path))));
            }
            room = room
                .checked_sub(member.size())
                .ok_or_else(|| invalid("it is larger than is accepted".into()))?;
            if let Some(hex) = path.strip_prefix("blobs/sha256/") {
                let digest: Digest = format!("sha256:{hex}").parse()?;
                self.take(&archive.to_string(), digest, &mut member)?;
                continue;
            }
            if !matches!(path, "oci-layout" | "index.json") {
                continue;
            }
            manifest::is_small(&archive.to_string(), "index", member.size())?;
            let mut content = Vec::new();
            member.read_to_end(&mut content).map_err(unreadable)?;
            match path {
                "oci-layout" => version = true,
                _ => index = Some(manifest::json(&archive.to_string(), "index", &content)?),
            }
        }
        let (Some(index), true) = (index, version) else {
            return Err(invalid(
                "it is no archive of an image layout: oci-layout or index.json is missing".into(),
            ));
        };
        let images = self.named_images(&archive.to_string(), &index, name)?;
        // All of them are looked into before one is called anything.
        for (reference, descriptor) in &images {
            self.image(reference, descriptor)?;
        }
        for (reference, descriptor) in &images {
            self.call(&reference.name(), descriptor.clone())?;
        }
        Ok(images.into_iter().map(|(reference, _)| reference).collect())
    }

    fn named_images(
        &self,
        archive: &str,
        index: &Index,
        name: Option<&Reference>,
    ) -> Result<Vec<(Reference, Descriptor)>> {
        if index.manifests.is_empty() {
            let message = format!("{archive}: it has no images");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if let Some(name) = name {
            let image = match index.manifests.as_slice() {
                // Whatever it is called.
                [image, same @ ..] if same.iter().all(|other| other.digest == image.digest) => {
                    image
                }
                several if several.iter().all(|image| image.platform.is_none()) => {
                    let message = format!(
                        "{archive}: it has several images, and {name} can be the name of one; leave out the name to load all"
                    );
                    return Err(Error::new(ErrorKind::Config, message));
                }
                // One image may be there for several platforms.
                _ => manifest::choose(archive, index)?,
            };
            return Ok(vec![(name.clone(), self.chosen(archive, image)?)]);
        }
        let images = index.manifests.iter().map(|image| {
            let own = image.annotations.get(NAME);
            let reference = own.and_then(|own| Reference::named(own).ok());
            let reference = reference.ok_or_else(|| {
                let message = format!(
                    "{archive}: its image {} has no name that is a reference; give it one, as in `wasmrun load FILE oci://localhost/NAME:TAG`",
                    image.digest
                );
                Error::new(ErrorKind::Config, message)
            })?;
            Ok((reference, self.chosen(archive, image)?))
        });
        images.collect()
    }

    /// The image of a descriptor, which may be that of an index.
    fn chosen(&self, archive: &str, image: &Descriptor) -> Result<Descriptor> {
        if !media_type::is_index(&image.media_type) {
            return Ok(image.clone());
        }
        let content = self.layout.read(archive, "index", image)?;
        let index = manifest::json(archive, "index", &content)?;
        manifest::choose(archive, &index).cloned()
    }

    /// Keeps a blob of an archive.
    fn take(&self, archive: &str, digest: Digest, from: &mut dyn Read) -> Result<()> {
        if self.layout.has(Kind::Blob, digest)? {
            return Ok(());
        }
        let layout = &self.layout;
        let mut file = layout.io("a blob cannot be written", layout.temporary())?;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = from.read(&mut buffer).map_err(|error| {
                let message = format!("{archive} is no archive that can be read");
                Error::new(ErrorKind::Invalid, message).with_source(error)
            })?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
                break;
            };
            hasher.update(piece);
            layout.io("a blob cannot be written", file.write_all(piece))?;
        }
        let found = hasher.digest();
        if found != digest {
            let message = format!("{archive}: its blob {digest} has the digest {found}");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        layout.io(
            "a blob cannot be written",
            layout.settle(file, &layout.path(Kind::Blob, digest)),
        )
    }
}
