//! What is mounted in a guest besides directories of the host, and mounts in each other.

use wasmrun_core::{Access, Clock, ErrorKind, MemoryMount, Mount, MountSource, RunConfig};

use super::directories::{all_fail, holds};
use crate::case::{Case, captured};
use crate::guests::hello;

crate::suite::rules![
    a_file_system_in_memory_is_used_as_a_directory_is,
    what_is_in_memory_is_gone_with_the_run,
    a_file_system_in_memory_holds_no_more_than_it_may,
    what_is_removed_from_memory_makes_room,
    a_file_system_in_memory_may_be_read_only,
    files_in_memory_have_the_time_that_was_asked,
    a_mount_is_in_the_list_of_the_directory_it_is_in,
    a_mount_is_reached_from_the_directory_it_is_in,
    the_way_to_a_mount_is_there,
    a_mount_stays_where_it_is,
    nothing_moves_between_file_systems,
    an_absolute_link_is_a_path_of_the_guest,
    two_mounts_on_one_path_are_an_error,
];

const MIB: u64 = 1 << 20;

fn bounded(bytes: u64, entries: u64) -> RunConfig {
    let memory = MemoryMount {
        bytes: Some(bytes),
        entries: Some(entries),
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
    const TIME: u64 = 86_400_000_000_000;
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
            ("stat 5:x", "ok file 1"),
            ("open d 3:new dir", "ok"),
            ("open e d:deep/x read", "ok"),
            ("read e", "ok x"),
        ],
    );
    assert_eq!(case.tree(), before, "nothing is made on the host");
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
            ("rename 3:file 5:file", "XDEV"),
            ("link 3:file 5:file", "XDEV"),
            ("rename 3:file 4:other", "ROFS"),
            ("link 4:file 3:other", "ROFS"),
            ("list 5", "ok"),
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
        std::os::unix::fs::symlink(target, link).expect("a link in a directory just made");
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
