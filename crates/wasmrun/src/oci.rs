//! Guests from OCI registries.
//!
//! ```no_run
//! use wasmrun::Command;
//! use wasmrun::oci::{Images, PullPolicy};
//!
//! # fn main() -> wasmrun::Result<()> {
//! let images = Images::of_user()?.policy(PullPolicy::IfNotPresent);
//! let image = images.get(&"oci://registry.example.com/tools/hello:1.0".parse()?)?;
//! let report = Command::from_image(&image).arg("x").output()?;
//! println!("{}", report.outcome);
//! # Ok(())
//! # }
//! ```
//!
//! What is in the [`Store`] needs no network. [`configured`] and [`guest`] are the two steps that
//! [`Command::from_image`](crate::Command::from_image) takes, for who makes a [`Program`](crate::Program) of an image.

use std::fmt;
use std::sync::Arc;

use wasmrun_core::{
    Access, Brought, Guest, MemoryMount, Mount, MountSource, OverlayMount, Result, RunConfig,
};
pub use wasmrun_registry::{
    Client, Credentials, Descriptor, Digest, DockerConfig, Event, Image, Limits, Listed, Platform,
    Progress, PullPolicy, QUIET, Reference, Removed, Secret, Store, is_wasm_media_type,
};

use crate::Engines;

/// A store, who fills it from registries, and when.
#[derive(Clone)]
pub struct Images {
    store: Store,
    client: Arc<Client>,
    policy: PullPolicy,
    progress: Option<Arc<dyn Progress>>,
}

impl Images {
    /// Those in a store, which a client fills where they are not there.
    pub fn new(store: Store, client: Client) -> Images {
        Images {
            store,
            client: Arc::new(client),
            policy: PullPolicy::default(),
            progress: None,
        }
    }

    /// The user's: in [`Store::user_dir`], with the credentials of [`DockerConfig::user`].
    ///
    /// # Errors
    ///
    /// Those of [`Store::open`], and if the user has no home.
    pub fn of_user() -> Result<Images> {
        let store = Store::open(Store::user_dir()?)?;
        Ok(Images::new(
            store,
            Client::with_credentials(DockerConfig::user()?),
        ))
    }

    /// Says when a registry is asked; [`PullPolicy::IfNotPresent`] unless set.
    #[must_use]
    pub fn policy(self, policy: PullPolicy) -> Images {
        Images { policy, ..self }
    }

    /// Tells of transfers.
    #[must_use]
    pub fn progress(self, progress: impl Progress + 'static) -> Images {
        Images {
            progress: Some(Arc::new(progress)),
            ..self
        }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The image of a reference.
    ///
    /// # Errors
    ///
    /// Those of [`Store::pull`].
    pub fn get(&self, reference: &Reference) -> Result<Image> {
        self.get_telling(reference, self.progress.as_deref().unwrap_or(QUIET))
    }

    pub(crate) fn get_telling(
        &self,
        reference: &Reference,
        progress: &dyn Progress,
    ) -> Result<Image> {
        self.store
            .pull(&self.client, reference, self.policy, progress)
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images")
            .field("store", &self.store)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// The guest of an image, or what these engines' cache knows of it.
///
/// # Errors
///
/// Those of [`Guest::open`].
pub fn guest(engines: &Engines, image: &Image, max_bytes: u64) -> Result<Guest> {
    let guest = engines.guest(&image.program, max_bytes)?;
    Ok(guest.with_name(name(image)))
}

/// What the program of an image is called in messages: the last part of its `argv[0]`.
fn name(image: &Image) -> &str {
    let name = image.name.trim_end_matches('/');
    name.rsplit('/').next().unwrap_or(name)
}

/// What an image says of a run, [under](Brought::under) what the caller asks:
///
/// - `argv[0]` is what the image calls its program;
/// - the image's entrypoint comes before the caller's arguments, and its cmd takes their place where there are none;
/// - its layers are `/`, and what the guest changes of them goes to memory.
pub fn configured(image: &Image, config: &RunConfig) -> RunConfig {
    let own: &[String] = match config.args.is_empty() {
        true => &image.cmd,
        false => &[],
    };
    let brought = Brought {
        args: [&image.entrypoint, own].concat(),
        env: image.env.clone(),
        argv0: Some(image.name.clone()),
        working_directory: image.working_directory.clone(),
        mounts: match image.layers.is_empty() {
            true => Vec::new(),
            false => vec![root(image)],
        },
    };
    brought.under(config)
}

/// The layers of an image, the uppermost first, under memory.
fn root(image: &Image) -> Mount {
    let layers = image.layers.iter().rev();
    Mount {
        path: "/".into(),
        source: MountSource::Overlay(OverlayMount {
            lower: layers.cloned().map(MountSource::Tar).collect(),
            upper: Box::new(MountSource::Memory(MemoryMount::default())),
        }),
        access: Access::ReadWrite,
    }
}

#[cfg(test)]
mod tests {
    use wasmrun_core::GuestKind;

    use super::*;

    /// An image of a program and a directory, with what `config` says of a run.
    fn image(directory: &tempfile::TempDir, config: &str) -> Image {
        let store = Store::open(directory.path().join("store")).expect("a store");
        let guest = Guest::from_bytes("app.wasm", b"\0asm\x01\0\0\0".as_slice()).expect("a guest");
        let files = directory.path().join("files");
        std::fs::create_dir_all(&files).expect("a directory");
        let reference = "oci://h/app".parse().expect("a reference");
        let mut image = store
            .add_image(&guest, &[(files, "/lib".into())], &reference)
            .expect("an image");
        let said: RunConfig = serde_json::from_str(config).expect("a config");
        (image.entrypoint, image.cmd) = (vec!["-i".into()], said.args);
        (image.env, image.working_directory) = (said.env, said.working_directory);
        image
    }

    #[test]
    fn an_image_brings_arguments_variables_and_its_layers() {
        let directory = tempfile::tempdir().expect("a directory");
        let image = image(
            &directory,
            r#"{"args":["a"],"env":{"K":"image","PATH":"/bin"},"working_directory":"/lib"}"#,
        );
        let guest = guest(&Engines::new(), &image, Guest::DEFAULT_MAX_BYTES).expect("a guest");
        assert_eq!(
            (guest.name(), guest.kind()),
            ("app.wasm", GuestKind::Module)
        );

        let plain = configured(&image, &RunConfig::new());
        assert_eq!(plain.argv0.as_deref(), Some("/app.wasm"));
        assert_eq!(plain.args, ["-i", "a"]);
        assert_eq!(plain.env, image.env);
        assert_eq!(plain.working_directory.as_deref(), Some("/lib"));
        let MountSource::Overlay(root) = &plain.mounts[0].source else {
            panic!("{:?}", plain.mounts);
        };
        let below: Vec<_> = image
            .layers
            .iter()
            .rev()
            .cloned()
            .map(MountSource::Tar)
            .collect();
        assert_eq!((plain.mounts[0].path.as_str(), &root.lower), ("/", &below));

        let asked = configured(&image, &RunConfig::new().arg("b"));
        assert_eq!(asked.args, ["-i", "b"]);
    }
}
