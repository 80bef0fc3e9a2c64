//! Whatever a guest does to files, it finds the same in a directory of the host, in memory and below an overlay.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tempfile::TempDir;
use wasmrun::{
    Access, Choice, Engines, MemoryMount, Mount, MountSource, Outcome, OverlayMount, Program,
    RunConfig, Stdout,
};
use wasmrun_testkit::Tree;
use wasmrun_testkit::guests::files;

/// Few names, so that operations are often about the same file.
fn path() -> impl Strategy<Value = String> {
    let name = || select(&["a", "b", "c", "link", ".", ".."][..]);
    let below = vec(name(), 1..4).prop_map(|names| names.join("/"));
    (below, select(&["", "/"][..])).prop_map(|(path, end)| format!("/d:{path}{end}"))
}

fn operation() -> impl Strategy<Value = String> {
    let file = || select(&["x", "y"][..]);
    let number = || select(&[0_u64, 1, 5, 4095, 4097, 20_000][..]);
    let flags = select(
        &[
            "read",
            "read write",
            "read write create",
            "write create exclusive",
            "read write truncate",
            "write append",
            "dir",
            "read nofollow",
        ][..],
    );
    prop_oneof![
        4 => (file(), path(), flags).prop_map(|(x, path, flags)| format!("open {x} {path} {flags}")),
        1 => file().prop_map(|x| format!("close {x}")),
        2 => (file(), "[a-z]{1,9}").prop_map(|(x, text)| format!("write {x} {text}")),
        1 => (file(), number(), "[a-z]{1,9}").prop_map(|(x, at, text)| format!("pwrite {x} {at} {text}")),
        2 => (file(), number()).prop_map(|(x, at)| format!("pread {x} {at} 9")),
        1 => (file(), number()).prop_map(|(x, size)| format!("resize {x} {size}")),
        1 => file().prop_map(|x| format!("fstat {x}")),
        1 => file().prop_map(|x| format!("list {x}")),
        3 => path().prop_map(|path| format!("mkdir {path}")),
        1 => path().prop_map(|path| format!("rmdir {path}")),
        1 => path().prop_map(|path| format!("unlink {path}")),
        3 => (path(), path()).prop_map(|(from, to)| format!("rename {from} {to}")),
        1 => (path(), path()).prop_map(|(from, to)| format!("link {from} {to}")),
        1 => (select(&["a", "b/c", "../a", "/a", "link"][..]), path())
            .prop_map(|(target, path)| format!("symlink {target} {path}")),
        1 => path().prop_map(|path| format!("readlink {path}")),
        2 => path().prop_map(|path| format!("stat {path}")),
        1 => path().prop_map(|path| format!("lstat {path}")),
    ]
}

/// A directory that has a few things in it.
fn directory() -> TempDir {
    let directory = TempDir::new().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("a/b")).expect("a directory");
    fs::write(at("a/c"), "content").expect("a file");
    fs::write(at("b"), [b'x'; 5000]).expect("a file");
    std::os::unix::fs::symlink("a/c", at("link")).expect("a symbolic link");
    directory
}

/// The directory as it is, as a copy in memory, and below an overlay.
fn ways(host: &Path) -> [MountSource; 3] {
    let bind = MountSource::Bind(host.into());
    [
        bind.clone(),
        MountSource::Memory(MemoryMount {
            from: Some(Box::new(bind.clone())),
            ..MemoryMount::default()
        }),
        MountSource::Overlay(OverlayMount {
            lower: vec![bind],
            upper: Box::new(MountSource::Memory(MemoryMount::default())),
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_operations_find_the_same_in_all(operations in vec(operation(), 1..40)) {
        let config = RunConfig::new().args(operations.iter().cloned()).stdout(Stdout::Capture);
        let mut expected = None;
        for way in 0..3 {
            let directory = directory();
            let config = config.clone().mount(Mount {
                path: "/d".into(),
                source: ways(directory.path())[way].clone(),
                access: Access::ReadWrite,
            });
            let report = program(&config).run(&config).expect("it runs");
            prop_assert_eq!(&report.outcome, &Outcome::Exited(0));
            for layer in &report.layers {
                layer.commit().expect("the changes are made");
            }
            let said = String::from_utf8_lossy(&report.stdout.bytes).into_owned();
            let told: Vec<_> = operations
                .iter()
                .cloned()
                .zip(said.lines().map(str::to_owned))
                .collect();
            let found = (told, Tree::read(directory.path()).expect("it is read"));
            match &expected {
                None => expected = Some(found),
                Some(expected) => prop_assert_eq!(&found, expected),
            }
        }
    }
}

fn program(config: &RunConfig) -> Program {
    let choice = Choice::from("wasmi");
    let program = Engines::shared().compile(&files(), config, &choice);
    program.expect("wasmi is here")
}
