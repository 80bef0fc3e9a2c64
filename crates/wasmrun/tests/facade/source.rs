//! What a text that names a program leads to.

use std::path::Path;

use wasmrun::{Command, ErrorKind, Launch, PullPolicy, RunConfig, RunFile};

use crate::fake;

fn named(guest: impl AsRef<Path>) -> RunFile {
    let mut file = RunFile::default();
    file.launch.guest = Some(guest.as_ref().into());
    file
}

/// A module of a name that is told by what it exports.
#[cfg(any(feature = "oci", all(unix, feature = "webc")))]
fn module(export: &str) -> Vec<u8> {
    let text = format!(r#"(module (func (export "_start")) (func (export "{export}")))"#);
    let guest = wasmrun::Guest::from_bytes("m.wat", text).expect("a guest");
    guest.bytes().to_vec()
}

#[test]
fn what_is_said_of_registries_is_refused_of_a_file() {
    let engines = fake::engines([]);
    let mut file = named("app.wasm");
    file.launch.pull = Some(PullPolicy::Always);
    let pulled = file.open(&engines, &RunConfig::new());
    let mut file = named("app.wasm");
    file.launch.plain_http = vec!["h:1".into()];
    let plain = file.open(&engines, &RunConfig::new());
    for (opened, asked) in [(pulled, "pull = always"), (plain, "plain_http = h:1")] {
        let error = opened.expect_err("it is no reference");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(asked), "{error}");
    }
    assert!(Launch::default().source().is_err());
}

#[cfg(not(feature = "oci"))]
#[test]
fn a_reference_is_refused_by_name_in_a_build_without_registries() {
    let error = Command::new("oci://h/app:1").status().expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("the feature `oci`"), "{error}");
}

/// The store is that of the user, so this is asked in a process that has another.
#[cfg(feature = "oci")]
#[test]
fn a_reference_is_found_in_the_store_of_the_user() {
    let home = tempfile::tempdir().expect("a directory");
    let ran = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "source::with_a_store", "--ignored"])
        .env("XDG_DATA_HOME", home.path())
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && told.contains("1 passed"), "{told}");
}

#[cfg(feature = "oci")]
#[test]
#[ignore = "run by a_reference_is_found_in_the_store_of_the_user"]
fn with_a_store() {
    use wasmrun::oci::{Reference, Store};
    use wasmrun::{Guest, Sha256};

    let store = Store::open(Store::user_dir().expect("a home")).expect("a store");
    let reference: Reference = "oci://127.0.0.1:1/app:1".parse().expect("a reference");
    let guest = Guest::from_bytes("app.wasm", module("x")).expect("a guest");
    let engines = fake::engines([("a", fake::nothing)]);
    let mut file = named(reference.to_string());

    file.launch.pull = Some(PullPolicy::Never);
    let error = file.open(&engines, &RunConfig::new()).expect_err("missing");
    assert_eq!(error.kind(), ErrorKind::GuestNotFound);
    let image = store.add(&guest, &reference).expect("added");
    let (opened, config) = file.open(&engines, &RunConfig::new()).expect("opened");
    assert_eq!(opened.digest(), guest.digest());
    assert_eq!(config.argv0.as_deref(), Some("app.wasm"));
    assert_eq!(file.launch.source().expect("found").image(), Some(&image));
    let report = Command::new(reference.to_string())
        .engines(engines.clone())
        .arg("x")
        .output()
        .expect("runs");
    let told = String::from_utf8_lossy(&report.stdout.bytes).into_owned();
    assert!(told.starts_with(r#"["app.wasm", "x"]"#), "{told}");

    file.launch.pull = Some(PullPolicy::Always);
    let error = file
        .open(&engines, &RunConfig::new())
        .expect_err("no registry");
    assert_eq!(error.kind(), ErrorKind::Io);
    file.launch.pull = None;
    file.launch.sha256 = Some(Sha256::of(b"another"));
    let error = file.open(&engines, &RunConfig::new()).expect_err("another");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let mut file = named(reference.to_string());
    file.launch.command = Some("tool".into());
    let error = file
        .open(&engines, &RunConfig::new())
        .expect_err("no package");
    assert_eq!(error.kind(), ErrorKind::Config);
}

/// What the cache remembers of a file says that it was no package, and a later start does not look again.
#[cfg(all(unix, feature = "webc"))]
#[test]
fn a_package_in_the_place_of_a_module_is_seen() {
    use wasmrun::Cache;
    use wasmrun_testkit::packages::{Packed, PackedCommand};

    let directory = tempfile::tempdir().expect("a directory");
    let cache = Cache::open(directory.path().join("cache")).expect("a cache");
    let engines = fake::engines([]).with_cache(cache.clone());
    let path = directory.path().join("app");
    std::fs::write(&path, module("alone")).expect("written");
    let file = named(&path);
    let exports = || {
        let (guest, _) = file.open(&engines, &RunConfig::new()).expect("opened");
        guest.exports()[1].name.clone()
    };
    // What was changed a moment ago may change again unseen, and is not remembered.
    let remembered = || {
        exports();
        cache.known_guest(&path, u64::MAX).is_some()
    };
    while !remembered() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(exports(), "alone");
    let mut with_command = named(&path);
    with_command.launch.command = Some("tool".into());
    let error = with_command
        .open(&engines, &RunConfig::new())
        .expect_err("no package");
    assert!(error.to_string().contains("no webc package"), "{error}");

    let packed = Packed::new()
        .atom("packed", &module("packed"))
        .command(PackedCommand {
            name: "tool",
            atom: "packed",
            ..PackedCommand::default()
        });
    std::fs::remove_file(&path).expect("removed");
    packed.write(&path);
    for _ in 0..2 {
        assert_eq!(exports(), "packed");
    }
}
