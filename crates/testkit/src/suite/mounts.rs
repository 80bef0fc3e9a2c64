//! What is mounted in a guest besides directories of the host, and mounts in each other.

use std::fs::{self, hard_link};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use wasmrun_core::{Access, Clock, ErrorKind, MemoryMount, Mount, MountSource, Outcome, RunConfig};

use super::directories::{all_fail, holds, outcomes, placed};
use super::overlays::{layer, told};
use crate::case::{Case, captured, pack, stdout};
use crate::guests::{files, hello, world};

crate::suite::rules![
    a_file_system_in_memory_is_used_as_a_directory_is,
    what_is_in_memory_is_gone_with_the_run,
    a_file_system_in_memory_holds_no_more_than_it_may,
    what_is_removed_from_memory_makes_room,
    a_file_system_in_memory_may_be_read_only,
    files_in_memory_have_the_time_that_was_asked,
    memory_begins_as_a_copy,
    a_copy_in_memory_tells_what_was_changed_of_it,
    a_copy_of_an_archive_can_be_changed,
    a_copy_that_does_not_fit_is_an_error_that_says_so,
    a_thousand_mounts_are_all_there,
    a_mount_is_in_the_list_of_the_directory_it_is_in,
    a_mount_is_reached_from_the_directory_it_is_in,
    a_path_leads_out_of_a_mount_by_its_parent,
    the_way_to_a_mount_is_there,
    a_mount_stays_where_it_is,
    nothing_moves_between_file_systems,
    an_absolute_link_is_a_path_of_the_guest,
    two_mounts_on_one_path_are_an_error,
    a_single_file_is_mounted,
    a_file_is_mounted_over_another,
    a_volume_lasts_from_run_to_run,
    an_archive_is_read_as_it_is,
    an_archive_cannot_be_written,
    what_is_no_archive_is_an_error_that_names_it,
    time_covers_reading_an_archive,
];

const MIB: u64 = 1 << 20;

/// Nanoseconds since 1970.
const TIME: u64 = 86_400_000_000_000;

fn bounded(bytes: u64, entries: u64) -> RunConfig {
    let memory = MemoryMount {
        bytes: Some(bytes),
        entries: Some(entries),
        from: None,
    };
    captured().mount(Mount {
        source: MountSource::Memory(memory),
        ..Mount::memory("/m", 0)
    })
}

fn in_memory() -> RunConfig {
    captured().mount(Mount::memory("/m", MIB))
}

fn a_file_system_in_memory_is_used_as_a_directory_is(case: &Case) {
    let _ = holds(
        case,
        &in_memory(),
        &[
            ("preopen 3", "ok /m"),
            ("list 3", "ok"),
            ("open a 3:a write create", "ok"),
            ("write a content", "ok 7"),
            ("mkdir 3:d", "ok"),
            ("rename 3:a 3:d/b", "ok"),
            ("symlink d/b 3:l", "ok"),
            ("list 3", "ok d/ l@"),
            ("stat 3:l", "ok file 7"),
            ("open b 3:l read", "ok"),
            ("read b", "ok content"),
            ("unlink 3:d/b", "ok"),
            ("pread b 3 4", "ok tent"),
            ("stat 3:l", "NOENT"),
            ("rmdir 3:d", "ok"),
            ("open c 3:../x read", "PERM"),
        ],
    );
}

fn what_is_in_memory_is_gone_with_the_run(case: &Case) {
    for _ in 0..2 {
        let steps = &[("list 3", "ok"), ("mkdir 3:made", "ok")];
        let _ = holds(case, &in_memory(), steps);
    }
}

fn a_file_system_in_memory_holds_no_more_than_it_may(case: &Case) {
    let _ = holds(
        case,
        &bounded(8192, 3),
        &[
            ("open a 3:a write create", "ok"),
            ("pwrite a 4095 xy", "ok 2"),
            ("pwrite a 8191 xy", "ok 1"),
            ("pwrite a 8192 x", "NOSPC"),
            ("allocate a 8192", "ok"),
            ("allocate a 8193", "NOSPC"),
            // A hole takes nothing.
            ("resize a 1000000", "ok"),
            ("mkdir 3:d", "ok"),
            ("mkdir 3:e", "NOSPC"),
            ("symlink d 3:l", "NOSPC"),
            ("open b 3:b write create", "NOSPC"),
            ("list 3", "ok a d/"),
        ],
    );
}

fn what_is_removed_from_memory_makes_room(case: &Case) {
    let _ = holds(
        case,
        &bounded(4096, 3),
        &[
            ("open a 3:a write create", "ok"),
            ("write a x", "ok 1"),
            ("pwrite a 4096 x", "NOSPC"),
            ("unlink 3:a", "ok"),
            ("open b 3:b write create", "ok"),
            // What is open is still there.
            ("write b x", "NOSPC"),
            ("close a", "ok"),
            ("write b x", "ok 1"),
            ("resize b 0", "ok"),
            ("pwrite b 100 x", "ok 1"),
        ],
    );
}

fn a_file_system_in_memory_may_be_read_only(case: &Case) {
    let mount = Mount {
        access: Access::ReadOnly,
        ..Mount::memory("/m", MIB)
    };
    let config = captured().mount(mount);
    let _ = holds(case, &config, &[("list 3", "ok"), ("mkdir 3:d", "ROFS")]);
    all_fail(case, &config, &["open a 3:a write create", "symlink a 3:b"]);
}

fn files_in_memory_have_the_time_that_was_asked(case: &Case) {
    let config = in_memory().clock(Clock::Fixed(TIME));
    let _ = holds(
        case,
        &config,
        &[
            ("open a 3:a write create", "ok"),
            ("fstat a mtime", "ok 86400000000000"),
        ],
    );
}

/// The host's directory `outer` at `/o`, with others in it.
fn nested(case: &Case) -> RunConfig {
    case.write("outer/file", "outer");
    case.write("outer/in/hidden", "");
    case.write("inner/file", "inner");
    captured()
        .map_dir(case.path("outer"), "/o", Access::ReadWrite)
        .map_dir(case.path("inner"), "/o/in", Access::ReadOnly)
        .mount(Mount::memory("/o/new/deep", MIB))
}

fn copied(case: &Case, bytes: u64) -> RunConfig {
    let from = MountSource::Bind(case.path("data"));
    in_memory_from(from, bytes)
}

fn in_memory_from(from: MountSource, bytes: u64) -> RunConfig {
    let memory = MemoryMount {
        bytes: Some(bytes),
        from: Some(Box::new(from)),
        ..MemoryMount::default()
    };
    captured().mount(Mount {
        source: MountSource::Memory(memory),
        ..Mount::memory("/m", 0)
    })
}

fn memory_begins_as_a_copy(case: &Case) {
    case.write("data/dir/file", "content");
    hard_link(case.path("data/dir/file"), case.path("data/name")).expect("a further name");
    symlink("dir/file", case.path("data/link")).expect("a symbolic link");
    case.fifo("data/fifo");
    let file = fs::File::open(case.path("data/dir/file")).expect("it was made");
    let time = UNIX_EPOCH + Duration::from_nanos(TIME);
    file.set_modified(time).expect("its time is set");
    let before = case.tree();
    let time = format!("ok {TIME}");
    let _ = holds(
        case,
        &copied(case, MIB),
        &[
            ("open a 3:link read", "ok"),
            ("read a", "ok content"),
            ("stat 3:name links", "ok 2"),
            ("stat 3:name mtime", &time),
            ("readlink 3:link", "ok dir/file"),
            ("stat 3:fifo", "NOENT"),
            ("open b 3:name write truncate", "ok"),
            ("write b other", "ok 5"),
            ("seek a 0 set", "ok 0"),
            ("read a", "ok other"),
            ("unlink 3:link", "ok"),
        ],
    );
    assert_eq!(case.tree(), before);
}

fn a_copy_in_memory_tells_what_was_changed_of_it(case: &Case) {
    for file in ["changed", "gone", "moved", "same", "dir/in", "emptied/in"] {
        case.write(&format!("data/{file}"), file);
    }
    let config = copied(case, MIB);
    let operations = [
        "open a 3:changed write append",
        "write a  more",
        "unlink 3:gone",
        "rename 3:moved 3:dir/moved",
        "rename 3:dir 3:directory",
        "mkdir 3:new",
        "unlink 3:emptied/in",
        "rmdir 3:emptied",
        "mkdir 3:emptied",
    ];
    let operations = operations.map(|operation| placed(operation, &config));
    let Some(report) = case.run(&files(), &config.args(operations)) else {
        return;
    };
    let layer = layer(&report);
    assert_eq!(
        told(layer),
        [
            "~ changed 12",
            "dir > directory",
            "moved > directory/moved",
            "+ emptied 0",
            "- gone",
            "+ new 0",
        ]
    );
    assert_eq!(case.read("data/changed"), "changed");
    layer.commit().expect("the changes are made");
    assert_eq!(case.read("data/changed"), "changed more");
    assert_eq!(case.read("data/directory/moved"), "moved");
    assert!(!case.path("data/emptied/in").exists());
    assert!(!case.path("data/gone").exists());
}

fn a_copy_of_an_archive_can_be_changed(case: &Case) {
    case.write("data/file", "content");
    let archive = case.path("archive.tar.gz");
    pack(&case.path("data"), &archive);
    let config = in_memory_from(MountSource::Tar(archive), MIB);
    let _ = holds(
        case,
        &config,
        &[
            ("open a 3:file read write", "ok"),
            ("read a", "ok content"),
            ("pwrite a 0 CON", "ok 3"),
            ("pread a 0 7", "ok CONtent"),
        ],
    );
}

fn a_copy_that_does_not_fit_is_an_error_that_says_so(case: &Case) {
    case.write("data/file", [1; 10_000]);
    let config = copied(case, 8192);
    if let Some(program) = case.compile(&files(), &config) {
        let error = program.run(&config).expect_err("it does not fit");
        assert_eq!(error.kind(), ErrorKind::Preopen, "{error:?}");
        assert!(error.to_string().contains("larger size"), "{error}");
    }
}

fn a_thousand_mounts_are_all_there(case: &Case) {
    let mounts = (0..1000).map(|number| Mount::memory(format!("/m/{number}"), 4096));
    let config = mounts.fold(captured().mount(Mount::memory("/m", MIB)), RunConfig::mount);
    let mut names: Vec<_> = (0..1000).map(|number| format!("{number}/")).collect();
    names.sort();
    let all = format!("ok {}", names.join(" "));
    let _ = holds(
        case,
        &config,
        &[
            ("preopen 3", "ok /m"),
            ("preopen 4", "BADF"),
            ("list 3", &all),
            ("mkdir 3:777/below", "ok"),
            ("stat 3:776/below", "NOENT"),
            ("stat 3:777/below", "ok dir"),
            ("mkdir 3:1000", "ok"),
        ],
    );
}

fn a_mount_is_in_the_list_of_the_directory_it_is_in(case: &Case) {
    let _ = holds(
        case,
        &nested(case),
        &[
            ("list 3", "ok file in/ new/"),
            // However little of it is read at once.
            ("list 3 40", "ok file in/ new/"),
            ("open n 3:new dir", "ok"),
            ("list n", "ok deep/"),
        ],
    );
}

fn a_mount_is_reached_from_the_directory_it_is_in(case: &Case) {
    let config = nested(case);
    let before = case.tree();
    let _ = holds(
        case,
        &config,
        &[
            ("open a 3:in/file read", "ok"),
            ("read a", "ok inner"),
            ("stat 3:in/hidden", "NOENT"),
            ("stat 3:in/../file", "ok file 5"),
            ("open b 3:in/x write create", "ROFS"),
            ("open c 3:new/deep/x write create", "ok"),
            ("write c x", "ok 1"),
            ("stat 3:new/deep/../../file", "ok file 5"),
            ("open d 3:new dir", "ok"),
            ("open e d:deep/x read", "ok"),
            ("read e", "ok x"),
        ],
    );
    assert_eq!(case.tree(), before, "nothing is made on the host");
}

/// A C library takes the directory it was given that is nearest to a path, and no way leads out of that.
fn a_path_leads_out_of_a_mount_by_its_parent(case: &Case) {
    let paths = ["/o/in/../file", "/o/new/deep/../../in/file"];
    let config = nested(case).args(paths.map(|path| format!("read={path}")));
    if let Some(report) = case.run(&world(), &config) {
        let [outer, inner] = paths;
        let expected = format!("read {outer}: outer\nread {inner}: inner\n");
        assert_eq!(stdout(&report), expected);
    }
}

fn the_way_to_a_mount_is_there(case: &Case) {
    let _ = holds(
        case,
        &nested(case),
        &[
            ("stat 3:new", "ok dir"),
            ("mkdir 3:new", "EXIST"),
            ("mkdir 3:new/x", "ROFS"),
            ("open a 3:new/x write create", "ROFS"),
            ("stat 3:new/x", "NOENT"),
        ],
    );
}

fn a_mount_stays_where_it_is(case: &Case) {
    let _ = holds(
        case,
        &nested(case),
        &[
            ("rmdir 3:in", "BUSY"),
            ("rename 3:in 3:other", "BUSY"),
            ("rename 3:file 3:in", "BUSY"),
            ("rmdir 3:new", "BUSY"),
            ("unlink 3:in", "ISDIR"),
            ("symlink x 3:in", "EXIST"),
            ("mkdir 3:in", "EXIST"),
        ],
    );
}

fn nothing_moves_between_file_systems(case: &Case) {
    let done = holds(
        case,
        &nested(case),
        &[
            ("rename 3:file 3:new/deep/file", "XDEV"),
            ("link 3:file 3:new/deep/file", "XDEV"),
            ("rename 3:file 3:in/other", "XDEV"),
            ("link 3:in/file 3:other", "XDEV"),
            ("open a 3:new/deep dir", "ok"),
            ("rename 3:file a:file", "XDEV"),
            ("list a", "ok"),
        ],
    );
    if done {
        assert_eq!(case.read("outer/file"), "outer");
    }
}

fn an_absolute_link_is_a_path_of_the_guest(case: &Case) {
    let config = nested(case);
    let link = |target: &str, name: &str| {
        let link = case.path("outer").join(name);
        symlink(target, link).expect("a link in a directory just made");
    };
    link("/o/in/file", "to-a-mount");
    // Where nothing is mounted, it is from the root of what the link is in.
    link("/file", "to-its-own");
    link("/etc/passwd", "out");
    link("/../../o/file", "by-the-root");
    let _ = holds(
        case,
        &config,
        &[
            ("open a 3:to-a-mount read", "ok"),
            ("read a", "ok inner"),
            ("open b 3:to-its-own read", "ok"),
            ("read b", "ok outer"),
            ("open c 3:out read", "NOENT"),
            ("open d 3:out write create", "NOENT"),
            ("stat 3:by-the-root", "ok file 5"),
        ],
    );
}

fn two_mounts_on_one_path_are_an_error(case: &Case) {
    let config = in_memory().mount(Mount::memory("/m/.", MIB));
    if let Some(program) = case.compile(&hello(), &config) {
        let error = program.run(&config).expect_err("two on one path");
        assert_eq!(error.kind(), ErrorKind::Preopen, "{error:?}");
    }
}

fn a_single_file_is_mounted(case: &Case) {
    let host = case.write("host.txt", "content");
    case.write("secret", "");
    let config = |access| captured().mount(Mount::file(&host, "/etc/app/conf", access));
    let _ = holds(
        case,
        &config(Access::ReadOnly),
        &[("preopen 3", "ok /etc/app"), ("preopen 4", "BADF")],
    );
    let read = ["list /etc/app", "open a /etc/app:conf read", "read a"];
    if let Some(seen) = outcomes(case, &config(Access::ReadOnly), &read) {
        assert_eq!(seen, ["ok conf", "ok", "ok content"]);
    }
    let change = [
        "open a /etc/app:conf write",
        "open a /etc/app:conf write truncate",
        "touch-path /etc/app:conf 5",
        "unlink /etc/app:conf",
        "rename /etc/app:conf /etc/app:other",
        "open b /etc/app:conf/ read",
        "mkdir /etc/app:d",
    ];
    if let Some(seen) = outcomes(case, &config(Access::ReadOnly), &change) {
        let expected = ["ROFS", "ROFS", "ROFS", "ROFS", "ROFS", "NOTDIR", "ROFS"];
        assert_eq!(seen, expected);
        assert_eq!(case.read("host.txt"), "content");
    }
    let write = ["open a /etc/app:conf write truncate", "write a new"];
    if outcomes(case, &config(Access::ReadWrite), &write).is_some() {
        assert_eq!(case.read("host.txt"), "new");
    }
}

fn a_file_is_mounted_over_another(case: &Case) {
    case.write("outer/conf", "hidden");
    let over = case.write("over", "seen");
    let config = captured()
        .map_dir(case.path("outer"), "/o", Access::ReadWrite)
        .mount(Mount::file(over, "/o/conf", Access::ReadOnly));
    let done = holds(
        case,
        &config,
        &[
            ("list 3", "ok conf"),
            ("open a 3:conf read", "ok"),
            ("read a", "ok seen"),
            ("unlink 3:conf", "BUSY"),
            ("rename 3:conf 3:x", "BUSY"),
            ("open b 3:conf write", "ROFS"),
            ("open c 3:new write create", "ok"),
        ],
    );
    if done {
        assert_eq!(case.read("outer/conf"), "hidden");
    }
}

fn a_volume_lasts_from_run_to_run(case: &Case) {
    let mut config = captured().mount(Mount::volume("data", "/v", Access::ReadWrite));
    config.volumes = Some(case.path("volumes"));
    let first = [("open a 3:file write create", "ok"), ("write a x", "ok 1")];
    if holds(case, &config, &first) {
        assert!(holds(case, &config, &[("stat 3:file", "ok file 1")]));
        assert_eq!(case.read("volumes/data/file"), "x");
    }
}

/// A tar that has `d/file` and a link to it.
fn archive(case: &Case) -> std::path::PathBuf {
    case.write("tree/d/file", "content");
    let link = case.path("tree").join("link");
    symlink("d/file", link).expect("a link in a directory just made");
    let archive = case.path("a.tar.gz");
    pack(&case.path("tree"), &archive);
    archive
}

fn an_archive_is_read_as_it_is(case: &Case) {
    let config = captured().mount(Mount::tar(archive(case), "/t"));
    let _ = holds(
        case,
        &config,
        &[
            ("list 3", "ok d/ link@"),
            ("open a 3:link read", "ok"),
            ("read a", "ok content"),
            ("pread a 3 2", "ok te"),
            ("readlink 3:link", "ok d/file"),
            ("stat 3:d/file", "ok file 7"),
            ("stat 3:d/none", "NOENT"),
            ("stat 3:d/file/", "NOTDIR"),
        ],
    );
}

fn an_archive_cannot_be_written(case: &Case) {
    let config = captured().mount(Mount::tar(archive(case), "/t"));
    all_fail(
        case,
        &config,
        &[
            "open a 3:d/file write",
            "open a 3:new write create",
            "unlink 3:d/file",
            "mkdir 3:e",
            "touch-path 3:d/file 5",
        ],
    );
    let config = captured().mount(Mount {
        access: Access::ReadWrite,
        ..Mount::tar(case.path("a.tar.gz"), "/t")
    });
    if let Some(program) = case.compile(&hello(), &config) {
        let error = program.run(&config).expect_err("it is to be written");
        assert_eq!(error.kind(), ErrorKind::Preopen, "{error:?}");
    }
}

fn what_is_no_archive_is_an_error_that_names_it(case: &Case) {
    let garbage = case.write("garbage.tar", "no archive");
    for path in [garbage, case.path("missing.tar")] {
        let config = captured().mount(Mount::tar(&path, "/t"));
        if let Some(program) = case.compile(&hello(), &config) {
            let error = program.run(&config).expect_err("no archive");
            assert_eq!(error.kind(), ErrorKind::Preopen, "{error:?}");
            let told = format!("{error:#}");
            assert!(told.contains(&*path.to_string_lossy()), "{told}");
        }
    }
}

fn time_covers_reading_an_archive(case: &Case) {
    // Parts of gzip that are each 16 MiB of zeros: what they are is not told before all of them are decompressed.
    let zeros = case.write("zeros", "\0".repeat(16 << 20));
    let zeros = Command::new("gzip").arg("-c").arg(zeros).output();
    let zeros = zeros.expect("gzip is there").stdout;
    let archive = case.write("zeros.tar.gz", zeros.repeat(1000));
    let config = captured().mount(Mount::tar(archive, "/t"));
    let config = config.limit(|limits| limits.timeout = Some(Duration::from_millis(300)));
    if let Some(report) = case.run(&hello(), &config) {
        assert_eq!(report.outcome, Outcome::TimedOut);
        assert_eq!(stdout(&report), "");
    }
}
