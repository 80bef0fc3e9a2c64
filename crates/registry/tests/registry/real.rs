//! A real registry, and other clients of it: what they write is read here, and what is written here they read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use wasmrun_guest::{ErrorKind, Guest};
use wasmrun_registry::{Client, Digest, DockerConfig, PullPolicy, QUIET, Reference, Secret};
use wasmrun_testkit::registry::{DockerRegistry, is_here};

use crate::content::{Blob, TAR, image_config, manifest, preview1, says, tar};
use crate::own::{client, store};

/// `me` with the password `hunter2`, as bcrypt has it.
const HTPASSWD: &str = "me:$2y$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.\n";

/// Docker's registry, and a directory for other clients of it.
struct Real {
    registry: DockerRegistry,
    address: String,
    directory: TempDir,
}

impl Real {
    fn start(htpasswd: Option<&str>) -> Option<Real> {
        let registry = DockerRegistry::start(htpasswd)?;
        Some(Real {
            address: registry.address().into(),
            registry,
            directory: tempfile::tempdir().expect("a directory"),
        })
    }

    fn reference(&self, name: &str) -> Reference {
        format!("oci://{}/{name}", self.address)
            .parse()
            .expect("a reference")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a client in the registry's directory, and returns what it prints.
    #[track_caller]
    fn run(&self, program: &str, args: &[&str]) -> String {
        let output = Command::new(program)
            .args(args)
            .current_dir(self.directory.path())
            .env("HOME", self.directory.path())
            .env("REGISTRY_AUTH_FILE", self.path("auth.json"))
            .output()
            .expect("it runs");
        assert!(
            output.status.success(),
            "{program} {args:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn oras_and_skopeo_read_what_is_written_here() {
    let Some(real) = Real::start(None) else {
        return;
    };
    if !is_here("oras") || !is_here("skopeo") {
        return;
    }
    let (directory, store) = store();
    let program = preview1("ours");
    let guest = Guest::from_bytes("app.wasm", program.clone()).expect("a guest");
    let reference = real.reference("tools/ours:1.0");
    let image = store.add(&guest, &reference).expect("added");
    for _ in 0..2 {
        let pushed = store.push(&client(), &reference, QUIET).expect("pushed");
        assert_eq!(pushed, image.manifest);
    }
    let name = format!("{}/tools/ours:1.0", real.address);
    real.run("oras", &["pull", "--plain-http", "--output", "out", &name]);
    assert_eq!(
        fs::read(real.path("out/app.wasm")).expect("readable"),
        program
    );
    let resolved = real.run("oras", &["resolve", "--plain-http", &name]);
    assert_eq!(resolved.trim(), image.manifest.to_string());

    // The store itself, as it is.
    let layout = shown(store.dir());
    let by_digest = format!("{layout}@{}", image.manifest);
    real.run(
        "oras",
        &["pull", "--oci-layout", "--output", "local", &by_digest],
    );
    assert_eq!(
        fs::read(real.path("local/app.wasm")).expect("readable"),
        program
    );
    let tags = real.run("oras", &["repo", "tags", "--oci-layout", &layout]);
    assert_eq!(tags.trim(), name);
    let from = format!("oci:{layout}:{name}");
    let archive = directory.path().join("out.tar");
    let to = format!("oci-archive:{}:other", archive.display());
    real.run("skopeo", &["--insecure-policy", "copy", &from, &to]);

    // And what it makes of that.
    let (_other, other) = self::store();
    let called = real.reference("loaded");
    let loaded = other.load(&archive, Some(&called)).expect("loaded");
    assert_eq!(loaded, std::slice::from_ref(&called));
    assert_eq!(
        other
            .find(&called)
            .expect("readable")
            .expect("there")
            .digest,
        image.digest
    );
    says(
        &other.load(&archive, None).expect_err("no name"),
        &["has no name that is a reference"],
    );
    let saved = directory.path().join("saved.tar");
    let mut to = fs::File::create(&saved).expect("a file");
    store.save(&[reference], &mut to).expect("saved");
    let from = format!("oci-archive:{}:{name}", saved.display());
    let raw = real.run("skopeo", &["inspect", "--raw", &from]);
    assert_eq!(Digest::of(raw.as_bytes()), image.manifest);
}

#[test]
fn what_oras_and_skopeo_write_is_read_here() {
    let Some(real) = Real::start(None) else {
        return;
    };
    if !is_here("oras") || !is_here("skopeo") {
        return;
    }
    let (directory, store) = store();
    let pull = |name: &str| {
        let reference = real.reference(name);
        store.pull(&client(), &reference, PullPolicy::Always, QUIET)
    };
    fs::write(real.path("app.wasm"), preview1("theirs")).expect("written");
    fs::write(
        real.path("config.json"),
        r#"{"os":"wasip1","architecture":"wasm"}"#,
    )
    .expect("written");
    let at = |name: &str| format!("{}/{name}", real.address);
    let config = "config.json:application/vnd.wasm.config.v0+json";
    let layer = "app.wasm:application/wasm";
    real.run(
        "oras",
        &[
            "push",
            "--plain-http",
            "--config",
            config,
            &at("r:artifact"),
            layer,
        ],
    );
    real.run("oras", &["push", "--plain-http", &at("r:plain"), layer]);
    for name in ["r:artifact", "r:plain"] {
        let image = pull(name).expect("pulled");
        assert_eq!(image.name, "app.wasm");
        assert_eq!(
            fs::read(&image.program).expect("readable"),
            preview1("theirs")
        );
    }

    // An image of files, which skopeo compresses on its way.
    let files = tar(&[("app.wasm", &preview1("image")), ("lib/x.py", b"1")]);
    let config = image_config(
        "wasip1",
        r#"{"Entrypoint":["/app.wasm"],"Env":["A=b"]}"#,
        &[Digest::of(&files)],
    );
    let layer = Blob::new(TAR, files.clone());
    let manifest = manifest(&config, &[&layer]);
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        manifest.described(r#","annotations":{"org.opencontainers.image.ref.name":"x"}"#)
    );
    let blobs = [&manifest, &config, &layer]
        .map(|blob| (format!("blobs/sha256/{}", blob.digest().hex()), &blob.bytes));
    let mut members: Vec<(&str, &[u8])> = vec![
        ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
        ("index.json", index.as_bytes()),
    ];
    members.extend(
        blobs
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice())),
    );
    let archive = directory.path().join("image.tar");
    fs::write(&archive, tar(&members)).expect("written");
    let from = format!("oci-archive:{}:x", archive.display());
    for (name, how) in [("r:gzip", "gzip"), ("r:zstd", "zstd")] {
        let to = format!("docker://{}", at(name));
        real.run(
            "skopeo",
            &[
                "--insecure-policy",
                "copy",
                "--dest-tls-verify=false",
                "--dest-compress",
                "--dest-compress-format",
                how,
                &from,
                &to,
            ],
        );
        let image = pull(name).expect("pulled");
        assert_eq!(image.name, "/app.wasm");
        assert_eq!(image.env, [("A".into(), "b".into())]);
        assert_eq!(
            fs::read(&image.program).expect("readable"),
            preview1("image")
        );
        assert_eq!(image.layers.len(), 1);
        assert_eq!(fs::read(&image.layers[0]).expect("readable"), files);
    }
    let error = pull("r:else").expect_err("not there");
    assert_eq!(error.kind(), ErrorKind::GuestNotFound);
    says(&error, &["is not in the registry"]);
    // All of it without the registry.
    let Real { registry, .. } = real;
    drop(registry);
    for listed in store.images().expect("readable") {
        let reference = listed.reference.parse().expect("a reference");
        store
            .pull(&client(), &reference, PullPolicy::Never, QUIET)
            .expect("here");
    }
}

#[test]
fn who_logs_in_is_let_in() {
    let Some(real) = Real::start(Some(HTPASSWD)) else {
        return;
    };
    let (directory, store) = store();
    let guest = Guest::from_bytes("app.wasm", preview1("secret")).expect("a guest");
    let reference = real.reference("private/app:1");
    let image = store.add(&guest, &reference).expect("added");
    for error in [
        store
            .push(&client(), &reference, QUIET)
            .expect_err("nobody"),
        store
            .pull(&client(), &reference, PullPolicy::Always, QUIET)
            .map(|_| ())
            .expect_err("nobody"),
    ] {
        says(
            &error,
            &[
                "wants to know who asks",
                &format!("wasmrun login {}", real.address),
            ],
        );
    }
    let config = DockerConfig::at(directory.path().join("config.json"));
    let client = || Client::with_credentials(config.clone());
    let wrong = Secret::new("hunter3");
    says(
        &client()
            .check(&real.address, "me", &wrong)
            .expect_err("wrong"),
        &["does not let in"],
    );
    config.put(&real.address, "me", &wrong).expect("kept");
    let error = store.push(&client(), &reference, QUIET).expect_err("wrong");
    says(&error, &["does not let in"]);
    assert!(!format!("{error:?}").contains("hunter"));

    let right = Secret::new("hunter2");
    client().check(&real.address, "me", &right).expect("let in");
    config.put(&real.address, "me", &right).expect("kept");
    assert_eq!(
        store.push(&client(), &reference, QUIET).expect("pushed"),
        image.manifest
    );
    let (_other, other) = self::store();
    let pulled = other
        .pull(&client(), &reference, PullPolicy::Always, QUIET)
        .expect("pulled");
    assert_eq!(pulled.digest, image.digest);
    if is_here("oras") {
        // What docker's own clients read of it.
        let file = shown(config.path());
        let name = format!("{}/private/app:1", real.address);
        real.run(
            "oras",
            &[
                "pull",
                "--plain-http",
                "--registry-config",
                &file,
                "--output",
                "out",
                &name,
            ],
        );
        assert_eq!(
            fs::read(real.path("out/app.wasm")).expect("readable"),
            preview1("secret")
        );
    }
    assert!(config.remove(&real.address).expect("removed"));
    says(
        &store
            .push(&client(), &reference, QUIET)
            .expect_err("nobody"),
        &["wasmrun login"],
    );
}
