//! What an image is to who runs it: a program, and what it is run with.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wasmrun_guest::{Error, ErrorKind, Guest, Result, WasiVersion, shown};

use crate::layers::{self, Layer, Tree};
use crate::layout::{Kind, Layout};
use crate::manifest::{self, Descriptor, Execution, ImageConfig, Manifest, TITLE, WasmConfig};
use crate::media_type;
use crate::{Digest, Limits};

/// A program in the store, and what its image says of how it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The file of the program. It has its digest.
    pub program: PathBuf,
    /// That digest.
    pub digest: Digest,
    /// What the program is called: its `argv[0]`, unless a caller says another.
    pub name: String,
    /// Arguments that always come first.
    pub entrypoint: Vec<String>,
    /// Arguments that follow where a caller has none.
    pub cmd: Vec<String>,
    /// Its environment variables.
    pub env: Vec<(String, String)>,
    /// The directory that it begins in; `None` for the root.
    pub working_directory: Option<String>,
    /// Its root: tar archives, the lowest first, each of which has its digest. An artifact has none.
    pub layers: Vec<PathBuf>,
}

/// What looking into an image comes to. It follows from the manifest, so it can be made again whenever it is lost.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    program: Digest,
    /// The program of an image, which is taken out of its layers; that of an artifact is a blob.
    taken: bool,
    name: String,
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    env: Vec<(String, String)>,
    working_directory: Option<String>,
    /// The archives, and whether each is a blob.
    layers: Vec<(Digest, bool)>,
}

/// The image of a manifest whose blobs are in the store.
pub(crate) fn open(
    layout: &Layout,
    name: &str,
    descriptor: &Descriptor,
    limits: &Limits,
) -> Result<Image> {
    let digest = descriptor.digest;
    layout.checked(name, "manifest", Kind::Blob, digest)?;
    let before = layout.found(digest);
    let before = before.and_then(|found| serde_json::from_slice::<Found>(&found).ok());
    if let Some(found) = before
        && found.is_there(layout)?
    {
        return found.image(layout, digest);
    }
    let manifest = layout.read(name, "manifest", descriptor)?;
    let found = look(
        layout,
        name,
        &manifest::json(name, "manifest", &manifest)?,
        limits,
    )?;
    layout.keep_found(digest, &manifest::written(&found)?)?;
    found.image(layout, digest)
}

impl Found {
    fn program_kind(&self) -> Kind {
        if self.taken {
            Kind::Program
        } else {
            Kind::Blob
        }
    }

    fn files(&self) -> impl Iterator<Item = (Kind, Digest)> {
        let layers = self.layers.iter().map(|(digest, blob)| {
            let kind = if *blob { Kind::Blob } else { Kind::Tar };
            (kind, *digest)
        });
        [(self.program_kind(), self.program)]
            .into_iter()
            .chain(layers)
    }

    /// Whether every file of it is in the store, with its digest.
    fn is_there(&self, layout: &Layout) -> Result<bool> {
        for (kind, digest) in self.files() {
            if !layout.has(kind, digest)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn image(self, layout: &Layout, manifest: Digest) -> Result<Image> {
        let layers = self.files().skip(1);
        Ok(Image {
            manifest,
            program: layout.path(self.program_kind(), self.program),
            digest: self.program,
            layers: layers
                .map(|(kind, digest)| layout.path(kind, digest))
                .collect(),
            name: self.name,
            entrypoint: self.entrypoint,
            cmd: self.cmd,
            env: self.env,
            working_directory: self.working_directory,
        })
    }
}

/// The files beside the blobs that an image has, as far as that is known.
pub(crate) fn derived(layout: &Layout, manifest: Digest) -> Vec<(Kind, Digest)> {
    let found = layout.found(manifest);
    let found = found.and_then(|found| serde_json::from_slice::<Found>(&found).ok());
    found.map_or_else(Vec::new, |found| found.files().collect())
}

/// Fails for what is no program before anything of it is transferred; tells which.
pub(crate) fn check(name: &str, manifest: &Manifest, limits: &Limits) -> Result<()> {
    manifest::is_small(name, "configuration", manifest.config.size)?;
    let refused = |kind, what: String| Err(Error::new(kind, format!("{name}: {what}")));
    if manifest.layers.len() > limits.layers {
        return refused(
            ErrorKind::Invalid,
            format!(
                "it has {} layers, and no more than {} are accepted",
                manifest.layers.len(),
                limits.layers
            ),
        );
    }
    for layer in &manifest.layers {
        if layer.size > limits.layer {
            return refused(
                ErrorKind::Invalid,
                format!(
                    "its layer {} has {} bytes, and no more than {} are accepted",
                    layer.digest, layer.size, limits.layer
                ),
            );
        }
        let known = media_type::is_wasm_media_type(&layer.media_type)
            || media_type::files(&layer.media_type).is_some();
        if !known {
            let what = format!(
                "its layer {} is of the type {}, which is neither WebAssembly nor files",
                layer.digest, layer.media_type
            );
            return refused(ErrorKind::Unsupported, what);
        }
    }
    let wasm = wasm_layers(manifest).count();
    let config = &manifest.config.media_type;
    let is_image = media_type::is_image_config(config);
    if !is_image && !media_type::is_artifact_config(config) {
        let what =
            format!("its configuration is of the type {config}, which is none of a program's");
        return refused(ErrorKind::Unsupported, what);
    }
    match (wasm, manifest.layers.len() - wasm) {
        (1, 0) => Ok(()),
        (0, 0) => refused(ErrorKind::Invalid, "it has no layers, and so no program".into()),
        (0, _) if is_image => Ok(()),
        (0, _) => refused(
            ErrorKind::Unsupported,
            format!("none of its layers is WebAssembly, though its configuration is of the type {config}"),
        ),
        (1, _) => refused(
            ErrorKind::Unsupported,
            "it has both a layer of WebAssembly and layers of files; it can be run if it has one or the other".into(),
        ),
        (many, _) => refused(
            ErrorKind::Unsupported,
            format!("{many} of its layers are WebAssembly, and it is not said which is the program"),
        ),
    }
}

fn wasm_layers(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    let layers = manifest.layers.iter();
    layers.filter(|layer| media_type::is_wasm_media_type(&layer.media_type))
}

fn look(layout: &Layout, name: &str, manifest: &Manifest, limits: &Limits) -> Result<Found> {
    check(name, manifest, limits)?;
    let config = layout.read(name, "configuration", &manifest.config)?;
    match wasm_layers(manifest).next() {
        Some(layer) => artifact(layout, name, manifest, layer, &config),
        None => files(layout, name, manifest, &config, limits),
    }
}

/// A program that is a layer.
fn artifact(
    layout: &Layout,
    name: &str,
    manifest: &Manifest,
    layer: &Descriptor,
    config: &[u8],
) -> Result<Found> {
    let path = layout.checked(name, "program", Kind::Blob, layer.digest)?;
    let called = match layer.annotations.get(TITLE) {
        // It is a name, wherever it lay.
        Some(title) => title
            .rsplit(['/', '\\'])
            .next()
            .unwrap_or_default()
            .to_owned(),
        None => String::new(),
    };
    let mut found = Found {
        program: layer.digest,
        taken: false,
        name: if called.is_empty() {
            own_name(name)
        } else {
            called
        },
        entrypoint: Vec::new(),
        cmd: Vec::new(),
        env: Vec::new(),
        working_directory: None,
        layers: Vec::new(),
    };
    let os = if manifest.config.media_type == media_type::WASM_CONFIG {
        let config: WasmConfig = manifest::json(name, "configuration", config)?;
        if !config.layer_digests.is_empty() && config.layer_digests != [layer.digest] {
            let message = format!(
                "{name}: its configuration is about other layers than its manifest, whose one is {}",
                layer.digest
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Some(config.platform.os)
    } else if media_type::is_image_config(&manifest.config.media_type) {
        let config: ImageConfig = manifest::json(name, "configuration", config)?;
        let mut entrypoint = config.config.entrypoint.clone().unwrap_or_default();
        if !entrypoint.is_empty() {
            // It names the program, which here is the layer.
            entrypoint.remove(0);
        }
        found.asked(name, entrypoint, &config.config)?;
        Some(config.platform.os)
    } else {
        None
    };
    let guest = Guest::open(path).map_err(|error| no_program(name, &found.name, error))?;
    agrees(name, &guest, os.as_deref())?;
    Ok(found)
}

/// The last part of a repository's name.
fn own_name(reference: &str) -> String {
    let repository = reference.rsplit('/').next().unwrap_or(reference);
    let end = repository.find([':', '@']).unwrap_or(repository.len());
    format!("{}.wasm", repository.get(..end).unwrap_or_default())
}

/// A program that is a file in the layers.
fn files(
    layout: &Layout,
    name: &str,
    manifest: &Manifest,
    config: &[u8],
    limits: &Limits,
) -> Result<Found> {
    let config: ImageConfig = manifest::json(name, "configuration", config)?;
    let refused = |kind, what: String| Err(Error::new(kind, format!("{name}: {what}")));
    let platform = &config.platform;
    if platform.architecture != "wasm" || system(&platform.os).is_none() {
        let what = format!(
            "it is for {}/{}, where wasip1/wasm, wasi/wasm or wasip2/wasm is expected",
            platform.os, platform.architecture
        );
        return refused(ErrorKind::Unsupported, what);
    }
    let diffs = &config.rootfs.diff_ids;
    if diffs.len() != manifest.layers.len() {
        let what = format!(
            "its configuration tells of {} layers, but it has {}",
            diffs.len(),
            manifest.layers.len()
        );
        return refused(ErrorKind::Invalid, what);
    }
    let asked = &config.config;
    let entrypoint = asked.entrypoint.clone().unwrap_or_default();
    let by_cmd = entrypoint.is_empty();
    let mut command = match by_cmd {
        true => asked.cmd.clone().unwrap_or_default(),
        false => entrypoint,
    };
    if command.first().is_none_or(String::is_empty) {
        return refused(
            ErrorKind::Invalid,
            "it does not say what is to be run: it has neither an entrypoint nor a cmd".into(),
        );
    }
    let program = command.remove(0);

    let mut room = limits.unpacked;
    let mut tree = Tree::default();
    let mut archives: Vec<Layer> = Vec::new();
    for (number, (descriptor, diff)) in manifest.layers.iter().zip(diffs).enumerate() {
        let layer = layers::decompress(layout, name, descriptor, *diff, &mut room)?;
        let tar = File::open(layout.path(layer.kind, layer.digest));
        tree.add(name, number, &layout.io("it cannot be read", tar)?, limits)?;
        archives.push(layer);
    }
    let directory = asked.working_dir.as_deref().unwrap_or_default();
    let absolute = program.starts_with('/');
    let within = (!absolute).then(|| tree.file(&format!("{directory}/{program}")));
    let file = within.flatten().or_else(|| tree.file(&program));
    let Some(file) = file else {
        let what = format!("its program `{}` is not in its layers", shown(&program));
        return refused(ErrorKind::Invalid, what);
    };
    let Some(layer) = archives.get(file.layer) else {
        return refused(ErrorKind::Invalid, "its program is in no layer".into());
    };
    let content = layout.io("it cannot be read", content(layout, *layer, file))?;
    let guest = Guest::from_bytes(program.as_str(), content)
        .map_err(|error| no_program(name, &program, error))?;
    agrees(name, &guest, Some(&platform.os))?;
    let mut found = Found {
        program: take_out(layout, &guest)?,
        taken: true,
        name: program,
        entrypoint: Vec::new(),
        cmd: Vec::new(),
        env: Vec::new(),
        working_directory: None,
        layers: archives
            .iter()
            .map(|layer| (layer.digest, layer.kind == Kind::Blob))
            .collect(),
    };
    found.asked(name, Vec::new(), asked)?;
    match by_cmd {
        true => found.cmd = command,
        false => found.entrypoint = command,
    }
    Ok(found)
}

impl Found {
    /// Takes over what a configuration says.
    fn asked(&mut self, name: &str, entrypoint: Vec<String>, asked: &Execution) -> Result<()> {
        self.entrypoint = entrypoint;
        self.cmd = asked.cmd.clone().unwrap_or_default();
        for variable in asked.env.iter().flatten() {
            let Some((key, value)) = variable.split_once('=').filter(|(key, _)| !key.is_empty())
            else {
                let message = format!(
                    "{name}: its configuration has the variable `{}`, where NAME=VALUE is expected",
                    shown(variable)
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            };
            self.env.push((key.into(), value.into()));
        }
        let directory = asked.working_dir.clone().unwrap_or_default();
        self.working_directory = (!matches!(directory.as_str(), "" | "/")).then_some(directory);
        Ok(())
    }
}

fn content(layout: &Layout, layer: Layer, file: layers::Found) -> io::Result<Vec<u8>> {
    let mut tar = File::open(layout.path(layer.kind, layer.digest))?;
    tar.seek(SeekFrom::Start(file.at))?;
    let mut content = Vec::new();
    // A byte more than guests may have is enough to see that it is too large.
    let most = file.size.min(Guest::DEFAULT_MAX_BYTES + 1);
    tar.take(most).read_to_end(&mut content)?;
    Ok(content)
}

/// Keeps the program of an image as a file of its own.
fn take_out(layout: &Layout, guest: &Guest) -> Result<Digest> {
    let digest = Digest::of(guest.bytes());
    if !layout.has(Kind::Program, digest)? {
        let put = || {
            let file = layout.temporary()?;
            fs::write(file.path(), guest.bytes())?;
            layout.settle(file, &layout.path(Kind::Program, digest))
        };
        layout.io("a program cannot be written", put())?;
    }
    Ok(digest)
}

/// What is in the place of a program is none. Code of a machine's is never run, whatever it is called.
fn no_program(name: &str, program: &str, error: Error) -> Error {
    let message = format!("{name}: its program `{}` is none", shown(program));
    Error::new(error.kind(), message).with_source(error)
}

/// What an operating system's name says of WASI: `Some(None)` says nothing of its version.
fn system(os: &str) -> Option<Option<&'static str>> {
    match os {
        "wasi" => Some(None),
        "wasip1" => Some(Some("preview1")),
        "wasip2" => Some(Some("preview2")),
        _ => None,
    }
}

/// Fails if a program is for another WASI than its configuration says.
fn agrees(name: &str, guest: &Guest, os: Option<&str>) -> Result<()> {
    let (Some(os), wasi) = (os, guest.wasi()) else {
        return Ok(());
    };
    let contradicts = match (system(os), wasi) {
        (Some(Some("preview1")), WasiVersion::Preview2 | WasiVersion::Preview3) => true,
        (
            Some(Some("preview2")),
            WasiVersion::Unstable | WasiVersion::Preview1 | WasiVersion::Wasix,
        ) => true,
        (Some(_), _) | (None, WasiVersion::None) => false,
        (None, _) => true,
    };
    match contradicts {
        false => Ok(()),
        true => Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "{name}: its program is for WASI {wasi}, but its configuration says that it is for {}",
                shown(os)
            ),
        )),
    }
}
