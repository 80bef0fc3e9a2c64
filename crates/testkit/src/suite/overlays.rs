//! Overlays: what a guest changes, and sees changed, while what it was shown stays as it is.

use wasmrun_core::{
    Access, ChangeKind, ErrorKind, Layer, MemoryMount, Mount, MountSource, Outcome, OverlayMount,
    Report, RunConfig, SamePath,
};

use super::directories::{all_fail, holds, placed};
use crate::case::{Case, captured, pack, stdout};
use crate::guests::files;

crate::suite::rules![
    what_is_shown_stays_as_it_is,
    a_guest_sees_what_it_changed,
    what_was_changed_is_told,
    a_directory_that_is_renamed_is_told_as_that,
    what_is_in_memory_is_told_as_new,
    changes_are_shown_as_text,
    changes_are_exported_as_a_layer,
    changes_are_made_for_good,
    changes_are_kept_in_a_directory,
    an_archive_can_be_changed_as_it_is_seen,
    what_is_changed_has_no_more_room_than_it_may,
    an_overlay_may_be_read_only,
    mounts_on_one_path_may_be_layered,
    what_is_read_only_over_others_is_read_only_with_them,
    a_directory_that_may_be_written_lies_over_nothing,
];

const MIB: u64 = 1 << 20;

/// A directory of the host with a few files, below an overlay at `/o`.
fn shown(case: &Case) -> RunConfig {
    case.write("lower/kept", "kept\n");
    case.write("lower/changed", "one\ntwo\n");
    case.write("lower/removed", "removed\n");
    case.write("lower/moved", "moved\n");
    case.write("lower/d/deep", "deep\n");
    captured().mount(Mount::overlay(case.path("lower"), "/o", MIB))
}

const CHANGES: &[&str] = &[
    "open a 3:changed append",
    "write a three",
    "unlink 3:removed",
    "rename 3:moved 3:d/elsewhere",
    "open b 3:new write create",
    "write b new",
    "mkdir 3:e",
];

/// Does operations, each of which succeeds: the report.
pub(super) fn after(case: &Case, config: &RunConfig, operations: &[&str]) -> Option<Report> {
    let args = operations.iter().map(|text| placed(text, config));
    let report = case.run(&files(), &config.clone().args(args))?;
    let text = stdout(&report);
    assert_eq!(report.outcome, Outcome::Exited(0), "{text}");
    let done = text.lines().filter(|line| line.starts_with("ok")).count();
    assert_eq!(done, operations.len(), "{text}");
    Some(report)
}

pub(super) fn layer(report: &Report) -> &Layer {
    let [layer] = &report.layers[..] else {
        panic!("one mount keeps changes");
    };
    layer
}

/// Each change in a line.
pub(super) fn told(layer: &Layer) -> Vec<String> {
    let changes = layer.changes().expect("they are read").into_iter();
    let line = |change: wasmrun_core::Change| match change.kind {
        ChangeKind::Created => format!("+ {} {}", change.path, change.size),
        ChangeKind::Modified => format!("~ {} {}", change.path, change.size),
        ChangeKind::Removed => format!("- {}", change.path),
        ChangeKind::Renamed { from } => format!("{from} > {}", change.path),
    };
    changes.map(line).collect()
}

fn what_is_shown_stays_as_it_is(case: &Case) {
    let config = shown(case);
    let before = case.tree();
    if after(case, &config, CHANGES).is_some() {
        assert_eq!(case.tree(), before);
    }
}

fn a_guest_sees_what_it_changed(case: &Case) {
    let _ = holds(
        case,
        &shown(case),
        &[
            ("list 3", "ok changed d/ kept moved removed"),
            ("open a 3:changed append", "ok"),
            ("write a three", "ok 5"),
            ("open b 3:changed read", "ok"),
            ("pread b 8 5", "ok three"),
            ("unlink 3:removed", "ok"),
            ("stat 3:removed", "NOENT"),
            ("rename 3:moved 3:d/elsewhere", "ok"),
            ("list 3", "ok changed d/ kept"),
            ("open d 3:d dir", "ok"),
            ("list d", "ok deep elsewhere"),
            ("rename 3:d 3:f", "ok"),
            ("stat 3:f/deep", "ok file 5"),
            ("rmdir 3:f", "NOTEMPTY"),
            ("unlink 3:f/deep", "ok"),
            ("unlink 3:f/elsewhere", "ok"),
            ("rmdir 3:f", "ok"),
            ("mkdir 3:d", "ok"),
            ("stat 3:d/deep", "NOENT"),
            ("list 3 40", "ok changed d/ kept"),
        ],
    );
}

fn what_was_changed_is_told(case: &Case) {
    let config = shown(case);
    if let Some(report) = after(case, &config, CHANGES) {
        let layer = layer(&report);
        assert_eq!(layer.path, "/o");
        assert_eq!(
            told(layer),
            [
                "~ changed 13",
                "moved > d/elsewhere",
                "+ e 0",
                "+ new 3",
                "- removed"
            ]
        );
    }
    if let Some(report) = after(case, &config, &["open a 3:kept read", "pread a 0 2"]) {
        assert_eq!(told(layer(&report)), [""; 0]);
    }
}

fn a_directory_that_is_renamed_is_told_as_that(case: &Case) {
    let operations = ["rename 3:d 3:f", "unlink 3:f/deep"];
    if let Some(report) = after(case, &shown(case), &operations) {
        assert_eq!(told(layer(&report)), ["d > f", "- f/deep"]);
    }
}

fn what_is_in_memory_is_told_as_new(case: &Case) {
    let config = captured().mount(Mount::memory("/m", MIB));
    let operations = ["mkdir 3:d", "open a 3:d/a write create", "write a xy"];
    if let Some(report) = after(case, &config, &operations) {
        assert_eq!(told(layer(&report)), ["+ d 0", "+ d/a 2"]);
    }
}

fn changes_are_shown_as_text(case: &Case) {
    if let Some(report) = after(case, &shown(case), CHANGES) {
        let diff = layer(&report).diff().expect("it is read");
        for part in [
            "--- a/changed\n+++ b/changed\n@@ -1,2 +1,3 @@\n one\n two\n+three\n",
            "--- a/removed\n+++ /dev/null\n@@ -1 +0,0 @@\n-removed\n",
            "--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+new\n",
            "rename from moved\nrename to d/elsewhere\n",
        ] {
            assert!(diff.contains(part), "{part}in\n{diff}");
        }
    }
}

fn changes_are_exported_as_a_layer(case: &Case) {
    if let Some(report) = after(case, &shown(case), CHANGES) {
        let mut archive = Vec::new();
        layer(&report).export(&mut archive).expect("it is written");
        let archive = case.write("layer.tar", archive);
        // Over the same directory it is what the guest left.
        let overlay = Mount {
            path: "/o".into(),
            source: MountSource::Overlay(OverlayMount {
                lower: vec![
                    MountSource::Tar(archive),
                    MountSource::Bind(case.path("lower")),
                ],
                upper: Box::new(MountSource::Memory(MemoryMount::default())),
            }),
            access: Access::ReadOnly,
        };
        let _ = holds(
            case,
            &captured().mount(overlay),
            &[
                ("list 3", "ok changed d/ e/ kept new"),
                ("stat 3:changed", "ok file 13"),
                ("stat 3:d/elsewhere", "ok file 6"),
                ("stat 3:d/deep", "ok file 5"),
            ],
        );
    }
}

fn changes_are_made_for_good(case: &Case) {
    if let Some(report) = after(case, &shown(case), CHANGES) {
        layer(&report).commit().expect("they are made");
        assert_eq!(case.read("lower/changed"), "one\ntwo\nthree");
        assert_eq!(case.read("lower/d/elsewhere"), "moved\n");
        assert_eq!(case.read("lower/new"), "new");
        assert!(case.path("lower/e").is_dir());
        for gone in ["lower/removed", "lower/moved"] {
            assert!(!case.path(gone).exists(), "{gone}");
        }
        let names = std::fs::read_dir(case.path("lower")).expect("it is there");
        assert_eq!(names.count(), 5, "nothing else is left there");
        // There is nothing left to change.
        let again = after(case, &shown_again(case), &["stat 3:new"]);
        assert_eq!(again.map(|report| told(layer(&report))), Some(Vec::new()));
    }
}

fn shown_again(case: &Case) -> RunConfig {
    captured().mount(Mount::overlay(case.path("lower"), "/o", MIB))
}

fn changes_are_kept_in_a_directory(case: &Case) {
    let mut config = shown(case);
    case.mkdir("upper");
    if let MountSource::Overlay(overlay) = &mut config.mounts[0].source {
        *overlay.upper = MountSource::Bind(case.path("upper"));
    }
    if after(case, &config, CHANGES).is_some() {
        let report = after(case, &config, &["stat 3:new", "stat 3:d/elsewhere"]);
        let report = report.expect("it runs again");
        assert_eq!(told(layer(&report)).len(), 5);
        assert_eq!(case.read("upper/new"), "new");
        assert_eq!(case.read("lower/changed"), "one\ntwo\n");
    }
}

fn an_archive_can_be_changed_as_it_is_seen(case: &Case) {
    case.write("tree/d/file", "content");
    let archive = case.path("a.tar");
    pack(&case.path("tree"), &archive);
    let overlay = Mount {
        path: "/o".into(),
        source: MountSource::Overlay(OverlayMount {
            lower: vec![MountSource::Tar(archive)],
            upper: Box::new(MountSource::Memory(MemoryMount::default())),
        }),
        access: Access::ReadWrite,
    };
    let config = captured().mount(overlay);
    let operations = ["open a 3:d/file append", "write a !", "rename 3:d 3:e"];
    if let Some(report) = after(case, &config, &operations) {
        let layer = layer(&report);
        assert_eq!(told(layer), ["d > e", "~ e/file 8"]);
        let error = layer.commit().expect_err("an archive stays as it is");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

fn what_is_changed_has_no_more_room_than_it_may(case: &Case) {
    case.write("lower/large", vec![b'x'; 64 << 10]);
    let config = captured().mount(Mount::overlay(case.path("lower"), "/o", 32 << 10));
    let _ = holds(
        case,
        &config,
        &[
            ("open a 3:large append", "NOSPC"),
            ("stat 3:large", "ok file 65536"),
            ("open b 3:large write truncate", "ok"),
            ("write b x", "ok 1"),
            ("stat 3:large", "ok file 1"),
        ],
    );
}

fn an_overlay_may_be_read_only(case: &Case) {
    let mut config = shown(case);
    config.mounts[0].access = Access::ReadOnly;
    let _ = holds(case, &config, &[("stat 3:kept", "ok file 5")]);
    all_fail(
        case,
        &config,
        &["unlink 3:kept", "open a 3:kept write", "mkdir 3:x"],
    );
}

/// A directory of the host and an archive over it, at one path.
fn two_layers(case: &Case) -> RunConfig {
    case.write("lower/kept", "kept");
    case.write("lower/both", "lower");
    case.write("lower/d/lower", "");
    case.write("tree/both", "archive");
    case.write("tree/d/archive", "");
    let archive = case.path("a.tar");
    pack(&case.path("tree"), &archive);
    captured()
        .map_dir(case.path("lower"), "/o", Access::ReadWrite)
        .mount(Mount::tar(archive, "/o"))
        .same_path(SamePath::Layer)
}

fn mounts_on_one_path_may_be_layered(case: &Case) {
    let config = two_layers(case).mount(Mount::memory("/o", MIB));
    let before = case.tree();
    let _ = holds(
        case,
        &config,
        &[
            ("preopen 4", "BADF"),
            ("list 3", "ok both d/ kept"),
            ("stat 3:both", "ok file 7"),
            ("stat 3:d/archive", "ok file 0"),
            ("open a 3:d/lower append", "ok"),
            ("write a x", "ok 1"),
            ("unlink 3:both", "ok"),
            ("stat 3:both", "NOENT"),
            ("stat 3:d/lower", "ok file 1"),
        ],
    );
    assert_eq!(case.tree(), before, "what is below stays as it is");
    if let Some(report) = after(case, &config, &["unlink 3:both", "mkdir 3:new"]) {
        assert_eq!(told(layer(&report)), ["- both", "+ new 0"]);
    }
}

fn what_is_read_only_over_others_is_read_only_with_them(case: &Case) {
    let config = two_layers(case);
    let _ = holds(
        case,
        &config,
        &[
            ("list 3", "ok both d/ kept"),
            ("stat 3:both", "ok file 7"),
            ("mkdir 3:new", "ROFS"),
        ],
    );
    all_fail(
        case,
        &config,
        &["unlink 3:kept", "open a 3:d/lower write", "rmdir 3:d"],
    );
}

fn a_directory_that_may_be_written_lies_over_nothing(case: &Case) {
    let config = two_layers(case).map_dir(case.mkdir("upper"), "/o", Access::ReadWrite);
    if let Some(program) = case.compile(&files(), &config) {
        let error = program.run(&config).expect_err("it would have marks");
        assert_eq!(error.kind(), ErrorKind::Preopen, "{error:?}");
        let told = error.to_string();
        let upper = case.path("upper");
        assert!(told.contains(&*upper.to_string_lossy()), "{told}");
        assert!(told.contains("at /o"), "{told}");
    }
}
