//! Packages that use others are given them, or say which are not here.

use std::path::{Path, PathBuf};

use wasmrun_core::{ErrorKind, Sha256};
use wasmrun_testkit::packages::{Packed, PackedCommand};
use wasmrun_webc::{Package, PackagedCommand, Use};

use crate::MODULE;

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Files(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, packed: &Packed) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        packed.write(&path);
        path
    }
}

fn command(
    path: &Path,
    name: Option<&str>,
    uses: &[Use],
) -> Result<PackagedCommand, wasmrun_core::Error> {
    Package::open(path)
        .expect("a package")
        .command(name, uses, 1000)
}

fn program(name: &str, version: &str) -> Packed {
    let atom = [MODULE, b"\0\x02\x01", &version.as_bytes()[..1]].concat();
    Packed::new()
        .named(name, version)
        .atom("program", &atom)
        .command(PackedCommand {
            name,
            atom: "program",
            ..PackedCommand::default()
        })
}

fn refused(result: Result<PackagedCommand, wasmrun_core::Error>, words: &[&str]) {
    let error = result.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    let told = error.to_string();
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
}

#[test]
fn of_several_that_match_the_highest_version_is_used() {
    let files = Files::new();
    for version in ["1.0.0", "3.0.0", "2.9.0", "2.1.0"] {
        files.write(&format!("all/{version}.webc"), &program("used", version));
    }
    let app = files.write("app.webc", &program("app", "1.0.0").uses("u", "used@^2"));
    let uses = [Use::from(files.path("all"))];
    let own = command(&app, None, &uses).expect("its own");
    assert_eq!(own.guest().bytes().last(), Some(&b'1'));
    let used = command(&app, Some("used"), &uses).expect("one of what it uses");
    assert_eq!(used.guest().bytes().last(), Some(&b'2'));
    refused(
        command(&app, Some("none"), &uses),
        &["\"none\"", "app, used"],
    );
}

#[test]
fn one_that_is_not_here_is_named() {
    let files = Files::new();
    let app = files.write("app.webc", &program("app", "1.0.0").uses("u", "ns/used@^2"));
    refused(command(&app, None, &[]), &["ns/used@^2", "\"u\"", "--use"]);
    let wrong = files.write("wrong.webc", &program("ns/used", "1.0.0"));
    refused(command(&app, None, &[wrong.into()]), &["ns/used@^2"]);
}

#[test]
fn one_is_found_by_its_digest_and_by_what_it_is_given_as() {
    let files = Files::new();
    let packed = Packed::new().atom("program", MODULE);
    let used = files.write("used.webc", &packed);
    let digest = Sha256::of(&packed.bytes());
    let wanted = format!("sha256:{digest}");
    let app = files.write("app.webc", &program("app", "1.0.0").uses("u", &wanted));
    command(&app, None, &[used.clone().into()]).expect("it is the one");

    let app = files.write(
        "other.webc",
        &program("app", "1.0.0").uses("u", "ns/used@^2"),
    );
    refused(command(&app, None, &[used.clone().into()]), &["ns/used"]);
    for name in ["u", "ns/used"] {
        let named = Use {
            name: Some(name.into()),
            path: used.clone(),
        };
        command(&app, None, &[named]).expect("the caller says that it is the one");
    }
}

#[test]
fn one_that_nobody_uses_is_refused() {
    let files = Files::new();
    let other = files.write("other.webc", &program("other", "1.0.0"));
    let app = files.write("app.webc", &program("app", "1.0.0"));
    refused(
        command(&app, None, &[other.into()]),
        &["other.webc", "other@1.0.0"],
    );
    command(&app, None, &[Use::from(files.path(""))]).expect("a directory may have more");
}

#[test]
fn packages_that_use_each_other_are_an_error() {
    let files = Files::new();
    let app = files.write("app.webc", &program("app", "1.0.0").uses("a", "one@1"));
    files.write("one.webc", &program("one", "1.0.0").uses("b", "two@1"));
    files.write("two.webc", &program("two", "1.0.0").uses("c", "one@1"));
    let error = command(&app, None, &[Use::from(files.path(""))]).expect_err("a cycle");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    let told = error.to_string();
    assert!(
        told.contains("one.webc") && told.contains("two.webc"),
        "{told}"
    );
}

#[test]
fn what_two_use_is_used_once() {
    let files = Files::new();
    let both = program("app", "1.0.0")
        .uses("a", "one@1")
        .uses("b", "two@1");
    let app = files.write("app.webc", &both);
    files.write("one.webc", &program("one", "1.0.0").uses("c", "base@1"));
    files.write("two.webc", &program("two", "1.0.0").uses("c", "base@1"));
    let base = program("base", "1.0.0")
        .file("v", "f", "")
        .shows(None, "v", "/b");
    files.write("base.webc", &base);
    let command = command(&app, None, &[Use::from(files.path(""))]).expect("a command");
    let config = command.under(&wasmrun_core::RunConfig::new());
    assert_eq!(config.mounts.len(), 1);
}
