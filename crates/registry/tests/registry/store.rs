//! What a store keeps, and what becomes of it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use wasmrun_guest::{ErrorKind, Guest};
use wasmrun_registry::{Digest, PullPolicy, QUIET, Reference, Store};

use crate::content::{Blob, TAR, gzip, image_config, manifest, preview1, preview2, says, tar};
use crate::own::{Registry, client, store};

fn reference(text: &str) -> Reference {
    text.parse().expect("a reference")
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("written");
}

#[test]
fn a_bit_that_flips_at_rest_is_seen_and_mended() {
    let files = tar(&[("app.wasm", &preview1("x"))]);
    let config = image_config("wasip1", r#"{"Cmd":["app.wasm"]}"#, &[Digest::of(&files)]);
    let layer = Blob::new(&format!("{TAR}+gzip"), gzip(&files));
    let manifest = manifest(&config, &[&layer]);
    let registry = Registry::honest();
    registry.put("1", &manifest, &[&config, &layer]);
    let (_directory, store) = store();
    let one = registry.reference("1");
    let pull = |policy| store.pull(&client(), &one, policy, QUIET);
    let image = pull(PullPolicy::IfNotPresent).expect("pulled");
    let blob = |digest: Digest| store.dir().join("blobs/sha256").join(digest.hex());

    // What is needed to run it, and cannot be made again of what is here.
    flip(&blob(manifest.digest()));
    let error = pull(PullPolicy::Never).expect_err("damaged");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    says(&error, &["damaged in the store", "pull it again"]);
    assert_eq!(pull(PullPolicy::IfNotPresent).expect("pulled again"), image);

    // What is made of others: they are made again, without the network.
    let asked = registry.asked().len();
    for path in [&image.program, &image.layers[0]] {
        flip(path);
        assert_eq!(pull(PullPolicy::Never).expect("made again"), image);
        let hex = path
            .file_name()
            .expect("a digest")
            .to_string_lossy()
            .into_owned();
        assert_eq!(Digest::of(&fs::read(path).expect("readable")).hex(), hex);
    }
    assert_eq!(registry.asked().len(), asked);

    // What they are made of.
    for digest in [layer.digest(), config.digest()] {
        flip(&image.program);
        flip(&image.layers[0]);
        flip(&blob(digest));
        let error = pull(PullPolicy::Never).expect_err("damaged");
        says(&error, &[&digest.to_string(), "damaged in the store"]);
        let error = pull(PullPolicy::Never).expect_err("missing");
        says(&error, &[&digest.to_string(), "not in the store"]);
        assert_eq!(pull(PullPolicy::IfNotPresent).expect("pulled again"), image);
    }

    // What was found of it.
    let found = store
        .dir()
        .join("wasmrun/found")
        .join(manifest.digest().hex());
    flip(&found);
    assert_eq!(
        pull(PullPolicy::Never)
            .map(|image| image.digest)
            .expect("looked into again"),
        image.digest
    );
    fs::write(store.dir().join("index.json"), "{").expect("written");
    says(
        &pull(PullPolicy::Never).expect_err("damaged"),
        &["index.json", "malformed"],
    );
}

#[test]
fn names_are_given_and_taken() {
    let (_directory, store) = store();
    let guest = Guest::from_bytes("a.wasm", preview1("a")).expect("a guest");
    let (one, two) = (reference("oci://h/a:1"), reference("oci://h/b:2"));
    let image = store.add(&guest, &one).expect("added");
    assert_eq!(image.name, "a.wasm");
    store.tag(&one, &two).expect("tagged");
    assert_eq!(store.find(&two).expect("readable"), Some(image.clone()));
    store.untag(&one).expect("untagged");
    assert_eq!(store.find(&one).expect("readable"), None);
    says(
        &store.untag(&one).expect_err("gone"),
        &["oci://h/a:1", "wasmrun images"],
    );
    says(&store.tag(&one, &two).expect_err("gone"), &["oci://h/a:1"]);
    let digest = reference(&format!("oci://h/b@{}", image.manifest));
    says(
        &store.tag(&two, &digest).expect_err("a digest"),
        &["cannot be given"],
    );
    says(
        &store.add(&guest, &digest).expect_err("a digest"),
        &["cannot be given"],
    );
    says(
        &store.untag(&digest).expect_err("no name"),
        &["is called oci://h/b:2"],
    );
    let elsewhere = reference(&format!("oci://x/y@{}", image.manifest));
    assert_eq!(
        store.find(&elsewhere).expect("readable"),
        Some(image.clone())
    );
    store.tag(&elsewhere, &one).expect("tagged by what it is");
    store.untag(&one).expect("untagged");
    let listed = store.images().expect("readable");
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].reference.as_str(), listed[0].digest),
        ("oci://h/b:2", image.manifest)
    );
    assert!(listed[0].bytes > preview1("a").len() as u64);
}

#[test]
fn an_artifact_tells_what_its_program_is() {
    let (_directory, store) = store();
    let guest = Guest::from_bytes("c.wasm", preview2()).expect("a guest");
    let image = store.add(&guest, &reference("oci://h/c")).expect("added");
    let again = store
        .add(&guest, &reference("oci://h/again"))
        .expect("added");
    assert_eq!(again.manifest, image.manifest);
    let blob = |digest: &str| {
        let content = fs::read(
            store
                .dir()
                .join("blobs/sha256")
                .join(digest.trim_start_matches("sha256:")),
        );
        serde_json::from_slice::<serde_json::Value>(&content.expect("readable")).expect("JSON")
    };
    let manifest = blob(&image.manifest.to_string());
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(
        manifest["layers"][0]["annotations"]["org.opencontainers.image.title"],
        "c.wasm"
    );
    let config = blob(manifest["config"]["digest"].as_str().expect("a digest"));
    let expected = serde_json::json!({
        "os": "wasip2",
        "architecture": "wasm",
        "layerDigests": [image.digest.to_string()],
        "component": { "exports": [], "imports": ["wasi:cli/environment@0.2.0"] },
    });
    assert_eq!(config, expected);
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let (_directory, store) = store();
    let name = |n: usize| reference(&format!("oci://h/{n}"));
    let images: Vec<_> = (0..4)
        .map(|n| {
            let program = preview1(&n.to_string().repeat(100_000));
            let guest = Guest::from_bytes("a.wasm", program).expect("a guest");
            store.add(&guest, &name(n)).expect("added")
        })
        .collect();
    let ago = |n: usize, hours: u64| {
        let seen = store
            .dir()
            .join(format!("wasmrun/seen/blob-{}", images[n].manifest.hex()));
        let seen = fs::File::options().write(true).open(seen).expect("there");
        seen.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600))
            .expect("set");
    };
    for (n, hours) in [(0, 1), (1, 9), (2, 5), (3, 2)] {
        ago(n, hours);
    }
    // A use is noted.
    store.find(&name(1)).expect("readable").expect("there");
    store.untag(&name(3)).expect("untagged");
    let removed = store.prune(None).expect("pruned");
    assert_eq!(
        (removed.images, removed.files),
        (0, 3),
        "manifest, configuration and program of what has no name"
    );
    assert!(removed.bytes > 100_000);
    let removed = store.prune(Some(250_000)).expect("pruned");
    assert_eq!(removed.images, 1);
    let left: Vec<_> = store
        .images()
        .expect("readable")
        .into_iter()
        .map(|image| image.reference)
        .collect();
    assert_eq!(left, ["oci://h/0:latest", "oci://h/1:latest"]);
    assert_eq!(store.prune(Some(0)).expect("pruned").images, 2);
    for directory in [
        "blobs/sha256",
        "wasmrun/seen",
        "wasmrun/found",
        "wasmrun/programs",
    ] {
        assert_eq!(
            fs::read_dir(store.dir().join(directory))
                .expect("a directory")
                .count(),
            0,
            "{directory}"
        );
    }
}

#[test]
fn nothing_is_removed_while_something_is_transferred() {
    let registry = Registry::with(|_, _| {
        thread::sleep(Duration::from_secs(2));
        false
    });
    let (_directory, store) = store();
    thread::scope(|scope| {
        scope.spawn(|| {
            store.pull(
                &client(),
                &registry.reference("1"),
                PullPolicy::Always,
                QUIET,
            )
        });
        while registry.asked().is_empty() {
            thread::sleep(Duration::from_millis(5));
        }
        let error = store.prune(None).expect_err("in use");
        assert_eq!(error.kind(), ErrorKind::InUse);
        says(&error, &["somebody else transfers something"]);
    });
    store.prune(None).expect("free");
}

#[test]
fn names_that_many_give_at_once_are_all_there() {
    let (_directory, store) = store();
    let guest = Guest::from_bytes("a.wasm", preview1("a")).expect("a guest");
    store.add(&guest, &reference("oci://h/a")).expect("added");
    thread::scope(|scope| {
        for n in 0..8 {
            let path = store.dir();
            scope.spawn(move || {
                let store = Store::open(path).expect("a store");
                for m in 0..8 {
                    let to = reference(&format!("oci://h/{n}:{m}"));
                    store.tag(&reference("oci://h/a"), &to).expect("tagged");
                }
            });
        }
    });
    assert_eq!(store.images().expect("readable").len(), 65);
}

#[test]
fn images_go_through_a_file() {
    let (directory, store) = store();
    let names = [reference("oci://h/a:1"), reference("oci://h/b:2")];
    for name in &names {
        let guest =
            Guest::from_bytes("a.wasm", preview1(name.tag().expect("a tag"))).expect("a guest");
        store.add(&guest, name).expect("added");
    }
    let file = directory.path().join("images.tar");
    let save = |names: &[Reference]| {
        let mut to = fs::File::create(&file).expect("a file");
        store.save(names, &mut to)
    };
    save(&names).expect("saved");
    let (_other, other) = self::store();
    assert_eq!(other.load(&file, None).expect("loaded"), names);
    for name in &names {
        let (mine, theirs) = (store.find(name), other.find(name));
        let (mine, theirs) = (mine.expect("readable"), theirs.expect("readable"));
        assert_eq!(
            mine.expect("there").manifest,
            theirs.expect("there").manifest
        );
    }
    let third = reference("oci://x/y:3");
    says(
        &save(std::slice::from_ref(&third)).expect_err("not there"),
        &["oci://x/y:3", "wasmrun pull"],
    );
    save(&names).expect("saved");
    says(
        &other.load(&file, Some(&third)).expect_err("two images"),
        &["several images", "leave out the name"],
    );
    let digest = reference(&format!("oci://h/a@{}", Digest::of(b"")));
    says(
        &other.load(&file, Some(&digest)).expect_err("a digest"),
        &["cannot be given"],
    );
    // Once, however often it is named.
    let two = reference("oci://h/a:2");
    store.tag(&names[0], &two).expect("tagged");
    save(&[names[0].clone(), two.clone(), names[0].clone()]).expect("saved");
    assert_eq!(
        other.load(&file, None).expect("loaded"),
        [names[0].clone(), two]
    );
    let loaded = other.load(&file, Some(&third)).expect("one image");
    assert_eq!(loaded, std::slice::from_ref(&third));
    save(&names[..1]).expect("saved");
    let loaded = other.load(&file, Some(&third)).expect("loaded");
    assert_eq!(loaded, std::slice::from_ref(&third));
    assert!(other.find(&third).expect("readable").is_some());

    // A bit of the program flips in it.
    let mut bytes = fs::read(&file).expect("readable");
    let program = preview1("1");
    let at = bytes
        .windows(program.len())
        .position(|window| window == program)
        .expect("it is there");
    bytes[at + program.len() - 1] ^= 1;
    fs::write(&file, &bytes).expect("written");
    let (_fresh, fresh) = self::store();
    let error = fresh.load(&file, None).expect_err("damaged");
    says(&error, &["has the digest"]);
    assert!(fresh.images().expect("readable").is_empty());
    for (content, what) in [
        (&b"no archive"[..], "no archive that can be read"),
        (&tar(&[("x", b"y")]), "no archive of an image layout"),
        (&tar(&[("blobs/sha256/x/y", b"y")]), "no digest"),
        (
            &tar(&[
                ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
                ("index.json", br#"{"schemaVersion":2,"manifests":[]}"#),
            ]),
            "it has no images",
        ),
    ] {
        fs::write(&file, content).expect("written");
        says(&fresh.load(&file, None).expect_err(what), &[what]);
    }
}

#[cfg(unix)]
#[test]
fn a_program_and_its_files_are_an_image() {
    let (directory, store) = store();
    let files = directory.path().join("files");
    fs::create_dir_all(files.join("b/c")).expect("made");
    fs::write(files.join("b/c/x"), "1").expect("written");
    fs::write(files.join("a"), "2").expect("written");
    std::os::unix::fs::symlink("/lib/a", files.join("link")).expect("made");
    let guest = Guest::from_bytes("app.wasm", preview1("a")).expect("a guest");
    let one = reference("oci://h/a:1");
    let add = |path: &str| store.add_image(&guest, &[(files.clone(), path.into())], &one);
    let image = add("/usr/../lib").expect_err("it leads elsewhere");
    says(&image, &["`/usr/../lib` is no path in an image"]);
    let image = add("/lib/").expect("made");
    assert_eq!(image.name, "/app.wasm");
    assert_eq!(fs::read(&image.program).expect("readable"), preview1("a"));
    assert_eq!(image.layers.len(), 2);
    let file = fs::File::open(&image.layers[0]).expect("readable");
    let mut archive = tar::Archive::new(file);
    let names = archive.entries().expect("readable").map(|entry| {
        let entry = entry.expect("readable");
        String::from_utf8(entry.path_bytes().into_owned()).expect("UTF-8")
    });
    let names: Vec<_> = names.collect();
    assert_eq!(
        names,
        [
            "lib/",
            "lib/a",
            "lib/b/",
            "lib/b/c/",
            "lib/b/c/x",
            "lib/link"
        ]
    );
    // Whenever it is made, it is the same; a registry takes and gives it.
    fs::File::options()
        .write(true)
        .open(files.join("a"))
        .and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH))
        .expect("set");
    assert_eq!(add("/lib").expect("made"), image);
    fs::write(files.join(".wh.a"), "").expect("written");
    says(&add("/lib").expect_err("a whiteout"), &["would remove"]);
}
