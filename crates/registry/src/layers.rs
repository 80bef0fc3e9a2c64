//! The layers of an image, decompressed and looked through.
//!
//! Nothing is unpacked to the disk: a layer is kept as one tar archive, which is mounted. What would get out where
//! somebody else unpacks it is refused all the same, as it is meant to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use flate2::read::MultiGzDecoder;
use tar::EntryType;
use wasmrun_guest::{Error, ErrorKind, Result, shown};

use crate::digest::Hasher;
use crate::layout::{Kind, Layout};
use crate::manifest::Descriptor;
use crate::media_type::{self, Compression};
use crate::zstd::Frames;
use crate::{Digest, Limits};

/// A layer as a tar archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layer {
    pub kind: Kind,
    pub digest: Digest,
}

/// Decompresses a layer, unless that was done before. `room` is for the bytes that are left of an image's.
pub(crate) fn decompress(
    layout: &Layout,
    name: &str,
    descriptor: &Descriptor,
    diff: Digest,
    room: &mut u64,
) -> Result<Layer> {
    let what = |why: &str| {
        let digest = descriptor.digest;
        Error::new(
            ErrorKind::Invalid,
            format!("{name}: its layer {digest} {why}"),
        )
    };
    let Some(compression) = media_type::files(&descriptor.media_type) else {
        return Err(what(&format!(
            "is of the type {}, where a tar archive is expected",
            descriptor.media_type
        )));
    };
    let blob = layout.checked(name, "layer", Kind::Blob, descriptor.digest)?;
    let mismatch = |found: Digest| {
        what(&format!(
            "has the digest {found} once it is decompressed, where the image's configuration says {diff}"
        ))
    };
    if compression == Compression::None {
        if descriptor.digest != diff {
            return Err(mismatch(descriptor.digest));
        }
        take(room, descriptor.size).ok_or_else(|| what(TOO_LARGE))?;
        return Ok(Layer {
            kind: Kind::Blob,
            digest: diff,
        });
    }
    let layer = Layer {
        kind: Kind::Tar,
        digest: diff,
    };
    let path = layout.path(layer.kind, diff);
    if layout.has(layer.kind, diff)? {
        let size = layout
            .io("it cannot be read", std::fs::metadata(&path))?
            .len();
        take(room, size).ok_or_else(|| what(TOO_LARGE))?;
        return Ok(layer);
    }
    let file = BufReader::new(layout.io("it cannot be read", File::open(blob))?);
    let mut tar = layout.io("a layer cannot be written", layout.temporary())?;
    let broken = |error: io::Error| what("cannot be decompressed").with_source(error);
    let mut reader: Box<dyn Read> = match compression {
        Compression::Zstd => Box::new(Frames::new(file)),
        _ => Box::new(MultiGzDecoder::new(file)),
    };
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer).map_err(broken)?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            break;
        };
        take(room, read as u64).ok_or_else(|| what(TOO_LARGE))?;
        hasher.update(piece);
        layout.io("a layer cannot be written", tar.write_all(piece))?;
    }
    let found = hasher.digest();
    if found != diff {
        return Err(mismatch(found));
    }
    layout.io("a layer cannot be written", layout.settle(tar, &path))?;
    Ok(layer)
}

const TOO_LARGE: &str = "makes the image larger, decompressed, than is accepted";

fn take(room: &mut u64, bytes: u64) -> Option<()> {
    *room = room.checked_sub(bytes)?;
    Some(())
}

/// What all layers have in them, by path without a leading slash. Of directories only those that have a member of
/// their own are in it.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    entries: BTreeMap<String, Entry>,
    /// Members that were read.
    count: u64,
    /// Bytes of their names, and of what links lead to.
    names: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    /// Which layer has it, counted from the lowest.
    layer: usize,
    node: Node,
}

#[derive(Debug, Clone)]
enum Node {
    Directory,
    /// Where its content is in the archive.
    File {
        at: u64,
        size: u64,
    },
    Link(String),
}

/// A file in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub layer: usize,
    pub at: u64,
    pub size: u64,
}

/// What marks that something of the layers below is removed.
const WHITEOUT: &str = ".wh.";
/// What marks that all of them in a directory is.
const OPAQUE: &str = ".wh..wh..opq";

/// The longest path of a member.
const PATH_MOST: usize = 4096;

/// So many bytes of names are kept of an image.
const NAMES_MOST: u64 = 64 << 20;

/// The longest header that extends another, in bytes. It is read as a whole.
const EXTENSION_MOST: u64 = 64 << 10;

/// Whether a member says something of the next one, or of all.
pub(crate) fn is_extension(kind: EntryType) -> bool {
    kind.is_gnu_longname()
        || kind.is_gnu_longlink()
        || kind.is_pax_local_extensions()
        || kind.is_pax_global_extensions()
}

impl Tree {
    /// Puts the layer of the number `layer` on those before.
    ///
    /// # Errors
    ///
    /// A member that is in no way a file of a guest's: a device, or one whose name leads elsewhere.
    pub fn add(&mut self, name: &str, layer: usize, mut tar: &File, limits: &Limits) -> Result<()> {
        let broken = |error: io::Error| {
            let message = format!("{name}: its layer {layer} is no tar archive that can be read");
            Error::new(ErrorKind::Invalid, message).with_source(error)
        };
        tar.seek(SeekFrom::Start(0)).map_err(broken)?;
        let mut archive = tar::Archive::new(tar);
        for member in archive.entries_with_seek().map_err(broken)?.raw(true) {
            let header = member.map_err(broken)?;
            if is_extension(header.header().entry_type()) && header.size() > EXTENSION_MOST {
                let message = format!(
                    "{name}: its layer {layer} has a header of more than {EXTENSION_MOST} bytes"
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        }
        tar.seek(SeekFrom::Start(0)).map_err(broken)?;
        let mut archive = tar::Archive::new(tar);
        let mut own = BTreeMap::new();
        for member in archive.entries_with_seek().map_err(broken)? {
            let member = member.map_err(broken)?;
            self.count += 1;
            if self.count > limits.entries {
                let most = limits.entries;
                let message = format!("{name}: its layers have more than {most} files");
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            self.member(layer, &member, &mut own).map_err(|why| {
                let path = String::from_utf8_lossy(&member.path_bytes()).into_owned();
                let message = format!(
                    "{name}: `{}` in its layer {layer} is refused: {why}",
                    shown(&path)
                );
                Error::new(ErrorKind::Invalid, message)
            })?;
        }
        self.entries.extend(own);
        Ok(())
    }

    /// Takes a member of a layer into `own`, or removes what it hides of the layers below.
    fn member<R: Read>(
        &mut self,
        layer: usize,
        member: &tar::Entry<'_, R>,
        own: &mut BTreeMap<String, Entry>,
    ) -> Result<(), String> {
        let kind = member.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let path = path(&member.path_bytes())?;
        for (at, _) in path.match_indices('/') {
            let parent = path.get(..at).unwrap_or_default();
            let entry = own.get(parent).or_else(|| self.entries.get(parent));
            match entry.map(|entry| &entry.node) {
                Some(Node::Link(_)) => return Err("it is behind a symbolic link".into()),
                Some(Node::File { .. }) => return Err("it is in a file".into()),
                Some(Node::Directory) | None => {}
            }
        }
        let (parent, base) = path.rsplit_once('/').unwrap_or(("", &path));
        if base == OPAQUE {
            self.hide_below(parent);
            return Ok(());
        }
        if let Some(hidden) = base.strip_prefix(WHITEOUT) {
            let hidden = match parent {
                "" => hidden.to_owned(),
                parent => format!("{parent}/{hidden}"),
            };
            self.hide_below(&hidden);
            self.entries.remove(&hidden);
            return Ok(());
        }
        let link = || {
            let target = member.link_name_bytes().ok_or("it leads to nothing")?;
            String::from_utf8(target.into_owned()).map_err(|_| "its target is not UTF-8".to_owned())
        };
        let node = match kind {
            EntryType::Directory => Node::Directory,
            EntryType::Regular | EntryType::Continuous => Node::File {
                at: member.raw_file_position(),
                size: member.size(),
            },
            EntryType::Symlink => Node::Link(link()?),
            EntryType::Link => {
                let target = self::path(link()?.as_bytes())?;
                let entry = own.get(&target).or_else(|| self.entries.get(&target));
                match entry.map(|entry| entry.node.clone()) {
                    Some(file @ Node::File { .. }) if own.contains_key(&target) => file,
                    Some(link @ Node::Link(_)) => link,
                    _ => {
                        return Err(format!(
                            "it is a link to `{target}`, which is no file before it in the layer"
                        ));
                    }
                }
            }
            EntryType::Block | EntryType::Char => return Err("it is a device".into()),
            EntryType::Fifo => return Err("it is a FIFO".into()),
            _ => return Err("it is of a type that is not supported".into()),
        };
        if path.is_empty() {
            return match node {
                Node::Directory => Ok(()),
                _ => Err("the root has to be a directory".into()),
            };
        }
        if !matches!(node, Node::Directory) {
            self.hide_below(&path);
        }
        let target = match &node {
            Node::Link(target) => target.len(),
            _ => 0,
        };
        self.names += (path.len() + target) as u64;
        if self.names > NAMES_MOST {
            return Err(format!("all names have more than {NAMES_MOST} bytes"));
        }
        own.insert(path, Entry { layer, node });
        Ok(())
    }

    /// Removes what is below a directory.
    fn hide_below(&mut self, directory: &str) {
        if directory.is_empty() {
            self.entries.clear();
            return;
        }
        let prefix = format!("{directory}/");
        let below = self.entries.range(prefix.clone()..);
        let below = below.take_while(|(path, _)| path.starts_with(&prefix));
        let below: Vec<String> = below.map(|(path, _)| path.clone()).collect();
        for path in below {
            self.entries.remove(&path);
        }
    }

    /// The file at a path, where its symbolic links lead; `None` if there is none.
    pub fn file(&self, path: &str) -> Option<Found> {
        /// As many as Linux follows.
        const LINKS: usize = 40;
        let mut pending: Vec<String> = names(path);
        let mut here: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(name) = pending.pop() {
            if name == ".." {
                here.pop();
                continue;
            }
            here.push(name);
            match self.entries.get(&here.join("/")) {
                Some(Entry {
                    node: Node::Link(target),
                    ..
                }) => {
                    links += 1;
                    if links > LINKS {
                        return None;
                    }
                    here.pop();
                    if target.starts_with('/') {
                        here.clear();
                    }
                    pending.extend(names(target));
                }
                Some(&Entry {
                    node: Node::File { at, size },
                    layer,
                }) => return pending.is_empty().then_some(Found { layer, at, size }),
                Some(Entry {
                    node: Node::Directory,
                    ..
                })
                | None => {}
            }
        }
        None
    }
}

/// The names in a path, the last first.
fn names(path: &str) -> Vec<String> {
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    names.rev().map(str::to_owned).collect()
}

/// A member's path without `.` and slashes at its ends.
fn path(bytes: &[u8]) -> Result<String, String> {
    let path = std::str::from_utf8(bytes).map_err(|_| "its name is not UTF-8")?;
    if path.len() > PATH_MOST {
        return Err(format!("its name has more than {PATH_MOST} bytes"));
    }
    if path.contains('\0') {
        return Err("its name has a NUL in it".into());
    }
    if path.starts_with('/') {
        return Err("its name is absolute".into());
    }
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    let names: Vec<&str> = names.collect();
    if names.contains(&"..") {
        return Err("its name leads out by `..`".into());
    }
    Ok(names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of members: name, type, and content or target.
    fn archive(members: &[(&str, EntryType, &str)]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        let mut builder = tar::Builder::new(&mut file);
        for (name, kind, content) in members {
            let mut header = tar::Header::new_gnu();
            // Around the checks that its writer has.
            let field = &mut header.as_old_mut().name;
            field[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            let is_file = *kind == EntryType::Regular;
            if !is_file {
                header.set_link_name_literal(content).expect("a target");
            }
            let content = if is_file { content.as_bytes() } else { b"" };
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content).expect("a member");
        }
        builder.finish().expect("an archive");
        drop(builder);
        file
    }

    /// The same with another type of its first member.
    fn retyped(mut file: File, kind: EntryType) -> File {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).expect("a file");
        file.read_to_end(&mut bytes).expect("readable");
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes().copy_from_slice(&bytes[..512]);
        header.set_entry_type(kind);
        header.set_cksum();
        bytes[..512].copy_from_slice(header.as_bytes());
        file.seek(SeekFrom::Start(0)).expect("a file");
        file.write_all(&bytes).expect("written");
        file
    }

    const FILE: EntryType = EntryType::Regular;
    const DIR: EntryType = EntryType::Directory;
    const LINK: EntryType = EntryType::Symlink;

    fn tree(layers: &[&[(&str, EntryType, &str)]]) -> Result<Tree> {
        let mut tree = Tree::default();
        for (number, members) in layers.iter().enumerate() {
            tree.add("x", number, &archive(members), &Limits::default())?;
        }
        Ok(tree)
    }

    #[test]
    fn layers_lie_over_each_other() {
        let tree = tree(&[
            &[
                ("./a/b", FILE, "1"),
                ("a/c", FILE, "2"),
                ("d/e", FILE, "3"),
                ("f", LINK, "/a/../d/e"),
            ],
            &[
                ("a/.wh.b", FILE, ""),
                ("d/.wh..wh..opq", FILE, ""),
                ("d/g", FILE, "4"),
            ],
        ])
        .expect("a tree");
        assert_eq!(tree.file("/a/b"), None);
        assert_eq!(tree.file("a/c").expect("it stayed").layer, 0);
        assert_eq!(tree.file("/d/e"), None);
        assert_eq!(tree.file("/f"), None, "it led to what is hidden");
        assert_eq!(tree.file("../d/./g").expect("it is there").layer, 1);
    }

    #[test]
    fn links_lead_within_the_image_and_nowhere_in_circles() {
        let tree = tree(&[&[
            ("bin/app", FILE, "1"),
            ("usr", LINK, "."),
            ("app", LINK, "../../usr/bin/app"),
            ("round", LINK, "round"),
        ]])
        .expect("a tree");
        assert_eq!(tree.file("/app"), tree.file("/bin/app"));
        assert!(tree.file("app").is_some());
        assert_eq!(tree.file("round"), None);
        assert_eq!(tree.file("bin"), None);
        assert_eq!(tree.file("bin/app/x"), None);
    }

    #[test]
    fn what_would_get_out_is_refused() {
        for (layers, why) in [
            (&[&[("../a", FILE, "")][..]][..], "leads out"),
            (&[&[("a/../../b", FILE, "")][..]][..], "leads out"),
            (&[&[("/etc/passwd", FILE, "")][..]][..], "absolute"),
            (
                &[&[("a", LINK, "/etc"), ("a/b", FILE, "")][..]][..],
                "symbolic link",
            ),
            (
                &[&[("a", LINK, "..")][..], &[("a/b", FILE, "")][..]][..],
                "symbolic link",
            ),
            (
                &[&[("a", FILE, ""), ("a/b", FILE, "")][..]][..],
                "in a file",
            ),
            (&[&[("null", EntryType::Char, "")][..]][..], "device"),
            (&[&[("disk", EntryType::Block, "")][..]][..], "device"),
            (&[&[("pipe", EntryType::Fifo, "")][..]][..], "FIFO"),
            (&[&[("a", EntryType::Link, "../b")][..]][..], "leads out"),
            (&[&[("a", EntryType::Link, "/b")][..]][..], "absolute"),
            (
                &[&[("a", EntryType::Link, "b")][..]][..],
                "no file before it",
            ),
            (&[&[(".", FILE, "")][..]][..], "has to be a directory"),
            (&[&[("a\u{1b}[m/..", DIR, "")][..]][..], "leads out"),
        ] {
            let error = tree(layers).expect_err(why).to_string();
            assert!(error.contains(why) && !error.contains('\u{1b}'), "{error}");
        }
        let long = "x".repeat(100_000);
        let long = archive(&[("././@LongLink", FILE, &long), ("a", FILE, "")]);
        // The first is what says how the second is called.
        let long = retyped(long, EntryType::GNULongName);
        let error = Tree::default().add("x", 0, &long, &Limits::default());
        let error = error.expect_err("a long header").to_string();
        assert!(error.contains("more than 65536 bytes"), "{error}");
        let few = Limits {
            entries: 1,
            ..Limits::default()
        };
        let two = archive(&[("a", FILE, ""), ("b", FILE, "")]);
        let error = Tree::default()
            .add("x", 0, &two, &few)
            .expect_err("too many");
        assert!(error.to_string().contains("more than 1"), "{error}");
    }
}
