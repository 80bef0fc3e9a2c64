//! Files of components: what a module is told, a component is told as well.
//!
//! Each rule has one program do the same twice, as a module and as the component that the preview1 adapter makes of it,
//! and compares what came of it. Where the adapter answers by itself, the rule says what.
//!
//! There is always something in memory among the mounts, which says that files are the engine's: where components stay with
//! a runtime on `PATH`, its files are its own, and such a mount is refused.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use wasmrun_core::{Access, Clock, Mount, RunConfig};

use super::directories::{outcomes, outcomes_of};
use crate::case::{Case, captured};
use crate::guests::{component, files};

crate::suite::rules![
    components_read_and_write_files_as_modules_do,
    components_change_directories_as_modules_do,
    components_follow_links_as_modules_do,
    components_are_told_the_errors_of_modules,
    components_list_directories_as_modules_do,
    components_have_names_listed_that_they_cannot_say,
    components_see_mounts_in_each_other_as_modules_do,
    components_are_refused_what_is_read_only_as_modules_are,
    components_are_told_times_as_modules_are,
    components_find_no_room_as_modules_do,
    components_are_kept_inside_as_modules_are,
];

/// What the adapter answers by itself: an operation, and what comes of it.
type Adapted<'a> = &'a [(&'a str, &'a str)];

/// Does operations on fresh directories, as a module and as a component, and asserts that the same comes of them. Paths
/// in `3:` are in a directory of the host, those in `4:` in memory.
fn same(case: &Case, operations: &[&str], adapted: Adapted<'_>) {
    let config = |of: &str| {
        captured()
            .map_dir(case.mkdir(of), "/d", Access::ReadWrite)
            .mount(Mount::memory("/m", 1 << 20))
    };
    let in_memory: Vec<_> = operations
        .iter()
        .map(|operation| operation.replace(" 3:", " 4:").replace("list 3", "list 4"))
        .collect();
    let in_memory: Vec<_> = in_memory.iter().map(String::as_str).collect();
    for (place, operations) in [("host", operations), ("memory", &in_memory)] {
        let [module, component] =
            ["module", "component"].map(|of| config(&format!("{place}/{of}")));
        same_with(case, [&module, &component], operations, adapted);
    }
}

/// As [`same`], with configs of which neither is changed by the other.
fn same_with(
    case: &Case,
    [of_the_module, of_the_component]: [&RunConfig; 2],
    operations: &[&str],
    adapted: Adapted<'_>,
) {
    let component = component(&files());
    let Some(told) = outcomes_of(case, &component, of_the_component, operations) else {
        return;
    };
    let Some(expected) = outcomes(case, of_the_module, operations) else {
        panic!("what a component can have, a module can");
    };
    let wrong: Vec<_> = operations
        .iter()
        .zip(expected.iter().zip(&told))
        .filter_map(|(operation, (expected, told))| {
            let own = adapted.iter().find(|(adapted, _)| {
                *adapted == *operation || adapted.replace(" 3:", " 4:") == *operation
            });
            let expected = own.map_or(expected.as_str(), |(_, own)| own);
            (expected != told).then(|| format!("{operation}: {told}, expected {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn components_read_and_write_files_as_modules_do(case: &Case) {
    same(
        case,
        &[
            "preopen 3",
            "preopen 4",
            "preopen 5",
            "open a 3:file read",
            "open a 3:file write create",
            "write a hello",
            "write a  world",
            "read a",
            "pread a 0 5",
            "fstat a",
            "flags a",
            "sync a",
            "open b 3:file read",
            "read b",
            "read b",
            // Behind the end, until there is more.
            "write a !",
            "read b",
            "write b x",
            "pwrite b 0 x",
            "resize b 0",
            "pread b 6 3",
            "pread b 100 3",
            "seek b -5 end",
            "read b",
            "seek b -1 set",
            "pwrite a 20 far",
            "fstat b",
            "resize a 4",
            "seek b 0 set",
            "read b",
            "open c 3:file write append",
            "write c more",
            "flags c",
            "pread b 0 100",
            "open d 3:file read write truncate",
            "fstat d",
            "open e 3:file write create exclusive",
            // What has no name is still there.
            "write d kept",
            "unlink 3:file",
            "stat 3:file",
            "fstat d links",
            "seek d 0 set",
            "read d",
            "close d",
            "read d",
            "close b",
            "open f 3:. dir",
            "read f",
            "pread f 0 1",
            "write f x",
            "resize f 0",
            "sync f",
            "flags f",
            "fstat f",
        ],
        // The adapter does as a file only what is one.
        &[
            ("read f", "BADF"),
            ("pread f 0 1", "BADF"),
            ("resize f 0", "BADF"),
            ("sync f", "BADF"),
        ],
    );
    // WASI 0.2 has nothing for it.
    let operations = ["open a 3:file write create", "allocate a 100", "fstat a"];
    same(
        case,
        &operations,
        &[("allocate a 100", "NOTSUP"), ("fstat a", "ok file 0")],
    );
}

fn components_change_directories_as_modules_do(case: &Case) {
    same(
        case,
        &[
            "mkdir 3:d",
            "mkdir 3:d",
            "mkdir 3:d/e/",
            "mkdir 3:no/e",
            "open a 3:d/f write create",
            "open b 3:d dir",
            "list b",
            "open c b:e dir",
            // What is opened there can be changed as what it is in can.
            "mkdir c:g",
            "rename b:f c:f",
            "stat 3:d/e/f",
            "rmdir 3:d/e",
            "unlink 3:d/e",
            "rename 3:d/e 3:moved",
            "list c",
            "open d c:f read",
            "link c:f 3:linked",
            "stat 3:linked links",
            "link 3:moved 3:other",
            "unlink c:f",
            "unlink 3:linked",
            "rmdir c:g",
            "rmdir 3:moved",
            // A directory that is gone.
            "list c",
            "mkdir c:new",
            "open e c:. dir",
            "rmdir 3:d",
            "list 3",
        ],
        &[],
    );
}

fn components_follow_links_as_modules_do(case: &Case) {
    same(
        case,
        &[
            "mkdir 3:d",
            "open a 3:d/f write create",
            "write a content",
            "symlink d 3:to-d",
            "symlink d/f 3:to-f",
            "symlink ../to-f 3:d/back",
            "symlink nowhere 3:lost",
            "symlink round 3:round",
            "symlink /d 3:absolute",
            "symlink x 3:to-d",
            "readlink 3:to-f",
            "readlink 3:d",
            "readlink 3:lost",
            "stat 3:to-f",
            "lstat 3:to-f",
            "lstat 3:to-d/",
            "stat 3:d/back",
            "stat 3:lost",
            "stat 3:round",
            "open b 3:to-f read",
            "read b",
            "open b 3:to-f read nofollow",
            "open b 3:to-d dir",
            "open c 3:to-d dir nofollow",
            "open c 3:lost read",
            "open c 3:lost write create",
            "stat 3:nowhere",
            "link 3:to-f 3:linked",
            "lstat 3:linked",
            "link-followed 3:to-f 3:followed",
            "lstat 3:followed",
            "unlink 3:to-d",
            "rmdir 3:to-d",
            "unlink 3:to-d/",
            "list 3",
        ],
        &[],
    );
}

fn components_are_told_the_errors_of_modules(case: &Case) {
    same(
        case,
        &[
            "mkdir 3:dir",
            "mkdir 3:dir/in",
            "open a 3:file write create",
            "open a 3:no/such read",
            "open a 3:file/x read",
            "open a 3:file/ read",
            "open a 3:new/ write create",
            "open a 3:file read dir",
            "open a 3:dir write",
            "open a 3:dir write create",
            "open a 3:dir/ read",
            "open a 3:dir create dir",
            "stat 3:file/",
            "stat 3:file/.",
            "stat 3:dir/",
            "stat 3:",
            "unlink 3:no",
            "unlink 3:dir",
            "unlink 3:file/",
            "rmdir 3:file",
            "rmdir 3:dir",
            "rmdir 3:.",
            "rmdir 3:dir/..",
            "mkdir 3:file",
            "mkdir 3:file/x",
            "readlink 3:file",
            "stat 3:@255",
            "stat 3:@256",
            "stat 3:@4095",
            "open b 3:file read",
            "mkdir b:x",
            "rename 3:dir 3:file",
            "rename 3:file 3:dir",
            "rename 3:file 3:new/",
            "rename 3:dir 3:dir/in/x",
            "rename 3:file 3:file",
            "link 3:file 3:new/",
            "link 3:no 3:new",
            "symlink x 3:new/",
            "list b",
        ],
        &[],
    );
}

fn components_list_directories_as_modules_do(case: &Case) {
    // More than are read ahead; the adapter keeps 128 open at most.
    let made: Vec<_> = (0..300)
        .flat_map(|number| {
            [
                format!("open a 3:name-{number} write create"),
                "close a".into(),
            ]
        })
        .collect();
    let mut operations: Vec<_> = made.iter().map(String::as_str).collect();
    operations.extend([
        "mkdir 3:dir",
        "symlink dir 3:link",
        "list 3",
        "list 3 300",
        "open d 3:dir dir",
        "list d",
        "rename 3:name-0 3:dir/name",
        "list d 24",
        "list d",
    ]);
    same(case, &operations, &[]);
}

/// WASI 0.2 has names that are UTF-8, and an error for others. The adapter ends with it.
fn components_have_names_listed_that_they_cannot_say(case: &Case) {
    let name = OsStr::from_bytes(b"\xff");
    fs::write(case.mkdir("data").join(name), "").expect("a file of any name");
    let config = captured()
        .map_dir(case.path("data"), "/d", Access::ReadWrite)
        .mount(Mount::memory("/m", 0));
    same_with(case, [&config; 2], &["list 3"], &[("list 3", "ILSEQ")]);
}

/// A directory of the host with another, one in memory and a single file in it.
fn nested(case: &Case, of: &str) -> RunConfig {
    case.write(&format!("{of}/outer/file"), "outer");
    case.write(&format!("{of}/outer/in/hidden"), "");
    case.write(&format!("{of}/inner/file"), "inner");
    case.write(&format!("{of}/single"), "single");
    let link = |target: &str, name: &str| {
        symlink(target, case.path(&format!("{of}/outer/{name}"))).expect("a link");
    };
    link("/o/in/file", "to-a-mount");
    link("/file", "to-its-own");
    link("/etc/passwd", "out");
    link("in/../../outer", "up");
    let path = |name| case.path(&format!("{of}/{name}"));
    captured()
        .map_dir(path("outer"), "/o", Access::ReadWrite)
        .map_dir(path("inner"), "/o/in", Access::ReadOnly)
        .mount(Mount::memory("/o/new/deep", 1 << 20))
        .mount(Mount::file(path("single"), "/o/single", Access::ReadOnly))
}

fn components_see_mounts_in_each_other_as_modules_do(case: &Case) {
    let [module, component] = ["module", "component"].map(|of| nested(case, of));
    same_with(
        case,
        [&module, &component],
        &[
            "preopen 3",
            "preopen 4",
            "preopen 5",
            "preopen 6",
            "list 3",
            "list 3 40",
            "open n 3:new dir",
            "list n",
            "open a 3:in/file read",
            "read a",
            "stat 3:in/hidden",
            "stat 3:in/../file",
            "open b 3:in/x write create",
            "open b 3:new/deep/x write create",
            "write b x",
            "stat 5:x",
            "open c n:deep/x read",
            "read c",
            "mkdir 3:new",
            "mkdir 3:new/x",
            "rmdir 3:in",
            "rename 3:in 3:other",
            "unlink 3:in",
            "rename 3:file 5:file",
            "link 3:file 5:file",
            "rename 3:file 4:other",
            "link 4:file 3:other",
            "open d 3:to-a-mount read",
            "read d",
            "open e 3:to-its-own read",
            "read e",
            "stat 3:out",
            "stat 3:up",
            "readlink 3:to-a-mount",
            "touch-path 3:in/file 1",
            "open f 3:single read",
            "read f",
            "open g 3:single write",
            "stat 3:single/",
            "unlink 3:single",
        ],
        &[],
    );
}

fn components_are_refused_what_is_read_only_as_modules_are(case: &Case) {
    case.write("data/file", "content");
    case.write("data/dir/file", "content");
    symlink("file", case.path("data/link")).expect("a link");
    let config = captured()
        .map_dir(case.path("data"), "/d", Access::ReadOnly)
        .mount(Mount::memory("/m", 1 << 20));
    let before = case.tree();
    same_with(
        case,
        [&config; 2],
        &[
            "list 3",
            "open a 3:file read",
            "read a",
            "flags a",
            "touch a 1",
            "resize a 0",
            "write a x",
            "open b 3:file write",
            "open b 3:file read write",
            "open b 3:file read truncate",
            "open b 3:file read create",
            "open b 3:link write",
            "open b 3:new write create",
            "open b 3:file write create exclusive",
            "open d 3:dir dir",
            "flags d",
            "open b d:file write",
            "mkdir d:new",
            "mkdir 3:new",
            "mkdir 3:dir",
            "rmdir 3:dir",
            "unlink 3:file",
            "unlink 3:no",
            "unlink d:file",
            "rename 3:file 3:other",
            "rename 3:file 4:other",
            "link 3:file 4:other",
            "link 3:file 3:other",
            "symlink file 3:other",
            "touch-path 3:file 1",
            "touch-path 3:dir 1",
            "stat 3:dir/file",
            "readlink 3:link",
        ],
        &[],
    );
    assert_eq!(case.tree(), before);
}

fn components_are_told_times_as_modules_are(case: &Case) {
    const TIME: u64 = 86_400_000_000_000;
    let config = captured()
        .clock(Clock::Fixed(TIME))
        .mount(Mount::memory("/m", 1 << 20));
    same_with(
        case,
        [&config; 2],
        &[
            "open a 3:a write create",
            "fstat a mtime",
            "touch a 1234567890123456789",
            "fstat a mtime",
            "touch-path 3:a 1000000000000000001",
            "stat 3:a mtime",
            "mkdir 3:d",
            "stat 3:d mtime",
            "touch-path 3:d 7",
            "stat 3:d mtime",
            "symlink a 3:l",
            "touch-path 3:l 9",
            "stat 3:a mtime",
            "lstat 3:l mtime",
            "touch-path 3:no 9",
        ],
        &[],
    );
}

fn components_find_no_room_as_modules_do(case: &Case) {
    let config = captured().mount(Mount::memory("/m", 8192));
    same_with(
        case,
        [&config; 2],
        &[
            "open a 3:a write create",
            "pwrite a 4095 xy",
            "pwrite a 8192 x",
            "seek a 8192 set",
            "write a x",
            "resize a 0",
            // There is room again.
            "write a x",
            "fstat a",
        ],
        &[],
    );
}

fn components_are_kept_inside_as_modules_are(case: &Case) {
    case.write("secret", "secret");
    case.write("data/sub/file", "inside");
    symlink("../secret", case.path("data/out")).expect("a link");
    symlink("../../secret", case.path("data/sub/out")).expect("a link");
    case.fifo("data/fifo");
    let config = captured()
        .map_dir(case.path("data"), "/d", Access::ReadWrite)
        .mount(Mount::memory("/m", 0));
    same_with(
        case,
        [&config; 2],
        &[
            "open a 3:../secret read",
            "open a 3:/etc/passwd read",
            "open a 3:sub/../../secret read",
            "open a 3:out read",
            "open a 3:sub/out read",
            "stat 3:out",
            "lstat 3:out",
            "readlink 3:out",
            "mkdir 3:../new",
            "rename 3:sub/file 3:../file",
            "link-followed 3:out 3:followed",
            "open d 3:sub dir",
            "open a d:../sub/file read",
            "open a 3:fifo read",
            "open a 3:fifo write",
            "stat 3:fifo",
            "symlink /etc 3:etc",
        ],
        &[],
    );
}
