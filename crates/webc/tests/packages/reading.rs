//! What is in a package is what was put into it.

use std::io::Cursor;

use wasmrun_core::{InheritEnv, MountSource, RunConfig, Sha256};
use wasmrun_testkit::packages::{CHANGED, Packed, PackedCommand};
use wasmrun_webc::{Entry, Package, Wanted, Webc, What};

use crate::{MODULE, full};

fn entries(bytes: Vec<u8>) -> Vec<Entry> {
    let mut webc = Webc::read(Cursor::new(bytes)).expect("it reads");
    let mut entries = webc.volume("assets").expect("a volume").entries;
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    entries
}

#[test]
fn what_a_package_says_is_read() {
    for bytes in [full().bytes(), full().bytes_of_version_2()] {
        let mut webc = Webc::read(Cursor::new(bytes)).expect("it reads");
        let manifest = webc.manifest().clone();
        assert_eq!(manifest.name.as_deref(), Some("tools/app"));
        assert_eq!(
            manifest
                .version
                .map(|version| version.to_string())
                .as_deref(),
            Some("1.2.3")
        );
        assert_eq!(manifest.entrypoint.as_deref(), Some("app"));
        let [app, other] = &manifest.commands[..] else {
            panic!("two commands");
        };
        assert!(app.is_wasi());
        assert_eq!(app.atom.as_deref(), Some("program"));
        assert_eq!(app.args, ["-x"]);
        let env = [("A", "1"), ("B", "x=y")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(app.env, env);
        assert_eq!(app.argv0.as_deref(), Some("application"));
        assert_eq!(app.working_directory.as_deref(), Some("/data"));
        assert_eq!(other.dependency.as_deref(), Some("used"));
        let mappings: Vec<_> = manifest.mappings.iter().map(|one| &*one.path).collect();
        assert_eq!(mappings, ["/data", "/share"]);
        let versions = "^2".parse().expect("versions");
        assert_eq!(
            manifest.dependencies[0].wanted,
            Wanted::Named("tools/used".into(), versions)
        );
        let atoms: Vec<_> = webc.atoms().map(|atom| (atom.name, atom.size)).collect();
        assert_eq!(atoms, [("program", 8)]);
        assert_eq!(webc.atom("program", 8).expect("an atom"), MODULE);
        assert!(webc.atom("program", 7).is_err());
        assert!(webc.atom("none", 8).is_err());
    }
}

#[test]
fn a_volume_is_a_tree_of_files_with_times() {
    let bytes = full().link("assets", "d/link", "../top").bytes();
    let of = |bytes: Vec<u8>, time| {
        let entries = entries(bytes.clone());
        for entry in &entries {
            assert_eq!(entry.modified, time * 1_000_000_000, "{}", entry.path);
            if let What::File { offset, size } = entry.what {
                let content = &bytes[offset as usize..][..size as usize];
                assert!(entry.path.as_bytes().ends_with(content), "{}", entry.path);
            }
        }
        let paths = entries.into_iter().map(|entry| entry.path);
        paths.collect::<Vec<_>>()
    };
    assert_eq!(
        of(bytes, CHANGED),
        ["", "d", "d/e", "d/e/deep", "d/link", "top"]
    );
    let bytes = full().bytes_of_version_2();
    assert_eq!(of(bytes, 0), ["", "d", "d/e", "d/e/deep", "top"]);
}

#[test]
fn what_a_command_says_is_under_what_the_caller_does() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.webc");
    let packed = Packed::new()
        .atom("program", MODULE)
        .command(PackedCommand {
            name: "app",
            atom: "program",
            args: &["-x"],
            env: &["A=1", "WASMRUN_INHERITED=1"],
            working_directory: Some("/data"),
            ..PackedCommand::default()
        })
        .file("assets", "f", "")
        .shows(None, "assets", "/data");
    packed.write(&path);
    let package = Package::open(&path).expect("a package");
    let command = package.command(None, &[], 100).expect("a command");
    let plain = command.under(&RunConfig::new().arg("y"));
    assert_eq!(plain.args, ["-x", "y"]);
    assert_eq!(plain.argv0.as_deref(), Some("app"));
    assert_eq!(plain.working_directory.as_deref(), Some("/data"));
    assert_eq!(plain.env.len(), 2);
    assert_eq!(plain.mounts.len(), 1);

    let names = vec!["WASMRUN_INHERITED".into()];
    let asked = RunConfig::new()
        .arg("y")
        .argv0("me")
        .entry("f")
        .working_directory("/tmp")
        .env("A", "2")
        .inherit_env(InheritEnv::Named(names));
    let config = command.under(&asked);
    assert_eq!(config.args, ["y"], "they are values for the export");
    assert_eq!(config.argv0.as_deref(), Some("me"));
    assert_eq!(config.working_directory.as_deref(), Some("/tmp"));
    let env = [("A", "1"), ("A", "2")].map(|(name, value)| (name.into(), value.into()));
    assert_eq!(config.env, env);
}

#[test]
fn a_package_that_is_expected_stays_what_it_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.webc");
    let packed = full().manifest(|manifest| {
        manifest.use_map.clear();
        manifest.commands.shift_remove("other");
    });
    let packed = Packed::shows(packed, None, "assets", "/more");
    packed.write(&path);
    let digest = Sha256::of(&packed.bytes());
    let error = Package::open_expected(&path, &Sha256::of(b"")).expect_err("another");
    assert!(error.to_string().contains(&digest.to_string()), "{error}");
    let package = Package::open_expected(&path, &digest).expect("it is the one");
    // It shows a volume of a package that it does not use any more.
    let error = package
        .command(None, &[], 100)
        .expect_err("a mapping of nothing");
    assert!(error.to_string().contains("\"used\""), "{error}");

    let packed = Packed::new()
        .atom("program", MODULE)
        .command(PackedCommand {
            name: "app",
            atom: "program",
            ..PackedCommand::default()
        })
        .file("assets", "f", "")
        .shows(None, "assets", "/data");
    packed.write(&path);
    let pinned = |package: Package| {
        let command = package.command(None, &[], 100).expect("a command");
        let mounts = command.under(&RunConfig::new()).mounts;
        let MountSource::Overlay(overlay) = &mounts[0].source else {
            panic!("an overlay");
        };
        let MountSource::Package(volume) = &overlay.lower[0] else {
            panic!("a volume");
        };
        volume.sha256.is_some()
    };
    assert!(!pinned(Package::open(&path).expect("a package")));
    let digest = Sha256::of(&packed.bytes());
    assert!(pinned(
        Package::open_expected(&path, &digest).expect("the one")
    ));
}

#[test]
fn all_of_a_package_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("app.webc");
    full().write(&path);
    let package = Package::open(&path).expect("a package");
    let told = package.inspect(100).expect("it is whole");
    assert_eq!(told.volumes[0].files, 2);
    assert_eq!(told.volumes[0].directories, 3);
    assert_eq!(told.volumes[0].bytes, 7);
    assert_eq!(told.commands[1].dependency.as_deref(), Some("used"));
    assert_eq!(told.dependencies[0].package, "tools/used@^2");
    assert!(Package::is_one(&path));
    assert!(!Package::is_one(directory.path()));
}
