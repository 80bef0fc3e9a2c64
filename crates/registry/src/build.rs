//! Images of files that are made here.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};
use wasmrun_guest::{Error, ErrorKind, Guest, Result, shown};

use crate::digest::Hasher;
use crate::layout::Kind;
use crate::manifest::{self, Descriptor, Execution, ImageConfig, Manifest, RootFs};
use crate::{Digest, Image, Reference, Store, media_type, store};

/// The type of a layer that is not compressed: it is mounted as it is, and registries compress what they like.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

impl Store {
    /// Keeps a program and directories that it needs as an image, whose root has the program, by its name, and each
    /// directory at its path.
    ///
    /// The same program and the same files give the same manifest each time: owners and times are left out. Symbolic links
    /// are kept as they are.
    ///
    /// # Errors
    ///
    /// As for [`add`](Store::add); [`Config`](ErrorKind::Config) for a path that is none of a guest's;
    /// [`Unsupported`](ErrorKind::Unsupported) for what no guest can open, such as a FIFO or a device;
    /// [`Io`](ErrorKind::Io) if a directory cannot be read.
    pub fn add_image(
        &self,
        guest: &Guest,
        directories: &[(PathBuf, String)],
        reference: &Reference,
    ) -> Result<Image> {
        store::is_taggable(reference)?;
        let guest = guest.read()?;
        let platform = store::config(&guest)?.platform;
        let _lock = self.layout.in_use()?;
        let mut layers = Vec::new();
        for (host, path) in directories {
            let path = within(path)?;
            let layer = self.layer(&mut |tar| add_directory(tar, host, &path))?;
            layers.push(layer);
        }
        let name = guest.name();
        let layer = self.layer(&mut |tar| {
            let bytes = guest.bytes();
            add(tar, name, EntryType::Regular, bytes.len() as u64, bytes)
                .map_err(|error| unreadable(Path::new(name), error))
        })?;
        layers.push(layer);
        let config = manifest::written(&ImageConfig {
            platform,
            config: Execution {
                entrypoint: Some(vec![format!("/{name}")]),
                ..Execution::default()
            },
            rootfs: RootFs {
                kind: "layers".into(),
                diff_ids: layers.iter().map(|layer| layer.digest).collect(),
            },
        })?;
        self.layout.keep(&config)?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.into()),
            config: Descriptor::of(media_type::IMAGE_CONFIG, &config),
            layers,
            annotations: Default::default(),
        };
        self.keep_image(&manifest, reference)
    }

    /// Keeps an archive as a blob.
    fn layer(&self, fill: &mut dyn FnMut(&mut Archive<'_>) -> Result<()>) -> Result<Descriptor> {
        let layout = &self.layout;
        let mut file = layout.io("a layer cannot be written", layout.temporary())?;
        let mut written = Hashed {
            to: file.as_file_mut(),
            hasher: Hasher::default(),
            size: 0,
        };
        let mut tar = tar::Builder::new(&mut written as &mut dyn Write);
        fill(&mut tar)?;
        layout.io("a layer cannot be written", tar.finish())?;
        drop(tar);
        let Hashed { hasher, size, .. } = written;
        let digest: Digest = hasher.digest();
        if !layout.has(Kind::Blob, digest)? {
            let settled = layout.settle(file, &layout.path(Kind::Blob, digest));
            layout.io("a layer cannot be written", settled)?;
        }
        Ok(Descriptor {
            media_type: LAYER.into(),
            digest,
            size,
            platform: None,
            annotations: Default::default(),
        })
    }
}

type Archive<'a> = tar::Builder<&'a mut dyn Write>;

/// A path of the guest's, as archives have it.
fn within(path: &str) -> Result<String> {
    let names: Vec<&str> = path
        .split('/')
        .filter(|name| !matches!(*name, "" | "."))
        .collect();
    if !path.starts_with('/') || names.contains(&"..") || path.contains('\0') {
        let message = format!(
            "`{}` is no path in an image: it has to be absolute, without `..`",
            shown(path)
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(names.join("/"))
}

/// Puts what is in a directory at a path.
fn add_directory(tar: &mut Archive<'_>, host: &Path, path: &str) -> Result<()> {
    let broken = |error| unreadable(host, error);
    if !path.is_empty() {
        add(
            tar,
            &format!("{path}/"),
            EntryType::Directory,
            0,
            io::empty(),
        )
        .map_err(broken)?;
    }
    let entries = fs::read_dir(host).map_err(broken)?;
    let mut entries = entries.collect::<io::Result<Vec<_>>>().map_err(broken)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let from = entry.path();
        let broken = |error| unreadable(&from, error);
        let refused = |why: &str| {
            let message = format!("{} cannot be in an image: {why}", from.display());
            Err(Error::new(ErrorKind::Unsupported, message))
        };
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return refused("its name is not UTF-8");
        };
        if name.starts_with(".wh.") {
            return refused("its name would remove what is in layers below");
        }
        let path = match path {
            "" => name.to_owned(),
            path => format!("{path}/{name}"),
        };
        let kind = entry.file_type().map_err(broken)?;
        if kind.is_dir() {
            add_directory(tar, &from, &path)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&from).map_err(broken)?;
            let mut header = header(EntryType::Symlink, 0);
            tar.append_link(&mut header, &path, target)
                .map_err(broken)?;
        } else if kind.is_file() {
            let file = File::open(&from).map_err(broken)?;
            let size = file.metadata().map_err(broken)?.len();
            // One that grows meanwhile has the length that it had.
            add(tar, &path, EntryType::Regular, size, file.take(size)).map_err(broken)?;
        } else {
            return refused("it is neither a file nor a directory nor a symbolic link");
        }
    }
    Ok(())
}

fn add(
    tar: &mut Archive<'_>,
    path: &str,
    kind: EntryType,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    tar.append_data(&mut header(kind, size), path, content)
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(if kind == EntryType::Directory {
        0o755
    } else {
        0o644
    });
    header.set_mtime(0);
    header
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot read {}", path.display())).with_source(error)
}

/// A file, and the digest of what was written to it.
struct Hashed<'a> {
    to: &'a mut File,
    hasher: Hasher,
    size: u64,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
