//! Directories that a guest is shown: what it can do in one it may write, and cannot in one it may
//! only read.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use wasmrun_core::{Access, ErrorKind, Guest, Outcome, RunConfig, SamePath, guest_path};

use crate::case::{Case, captured, stdout};
use crate::guests::{files, hello};

crate::suite::rules![
    preopens_carry_their_guest_paths_in_their_order,
    guest_paths_are_normalised,
    a_preopen_may_keep_its_host_path,
    two_preopens_on_one_guest_path_are_an_error,
    a_later_preopen_takes_the_place_of_an_earlier_one_if_allowed,
    a_preopen_that_is_no_directory_is_an_error,
    awkward_host_paths_are_shown,
    files_are_created_written_and_read,
    files_are_truncated_and_appended_to,
    what_is_appended_goes_to_the_end,
    files_are_read_and_written_anywhere,
    creating_exclusively_takes_nothing_that_exists,
    directories_are_made_and_removed,
    directories_list_all_their_names,
    files_and_directories_are_renamed,
    files_are_renamed_across_preopens,
    links_share_a_file,
    symlinks_inside_are_followed,
    times_are_set,
    descriptors_are_renumbered_and_closed,
    awkward_names_are_kept,
    errors_are_told_apart,
    many_files_may_be_open,
    what_is_read_only_can_be_read,
    read_only_refuses_every_change,
    read_only_refuses_changes_through_nested_directories_and_symlinks,
    read_only_refuses_changes_through_an_open_file,
    read_only_refuses_renaming_and_linking_out_of_it_and_into_it,
    read_only_and_read_write_may_show_one_directory,
];

/// Does `operations` (see `guests/files.c`) and returns what came of each. In an operation `3:`, `4:`
/// … stand for the directories of the config, in their order.
pub(super) fn outcomes(
    case: &Case,
    config: &RunConfig,
    operations: &[&str],
) -> Option<Vec<String>> {
    outcomes_of(case, &files(), config, operations)
}

/// As [`outcomes`], by a guest of the caller's that does them.
pub(super) fn outcomes_of(
    case: &Case,
    guest: &Guest,
    config: &RunConfig,
    operations: &[&str],
) -> Option<Vec<String>> {
    let config = config
        .clone()
        .args(operations.iter().map(|text| placed(text, config)));
    let report = case.run(guest, &config)?;
    let text = stdout(&report);
    assert_eq!(report.outcome, Outcome::Exited(0), "{text}");
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), operations.len(), "{text}");
    Some(lines)
}

/// Names the mapped directories by their paths in the guest.
pub(crate) fn placed(operation: &str, config: &RunConfig) -> String {
    let mut operation = operation.to_owned();
    for (number, mount) in config.mounts.iter().enumerate() {
        let path = guest_path::normalise(&mount.path).unwrap_or_default();
        if path.contains(' ') {
            continue;
        }
        let fd = number + 3;
        operation = operation.replace(&format!(" {fd}:"), &format!(" {path}:"));
        if operation == format!("list {fd}") {
            operation = format!("list {path}");
        }
    }
    operation
}

/// Does operations and asserts what comes of each. False if the engine refused, as it should.
#[must_use]
pub(super) fn holds(case: &Case, config: &RunConfig, steps: &[(&str, &str)]) -> bool {
    let operations: Vec<_> = steps.iter().map(|(operation, _)| *operation).collect();
    let Some(outcomes) = outcomes(case, config, &operations) else {
        return false;
    };
    let wrong: Vec<_> = steps
        .iter()
        .zip(&outcomes)
        .filter(|((_, expected), outcome)| expected != outcome)
        .filter(|((operation, expected), outcome)| !case.known(operation, expected, outcome))
        .map(|((operation, expected), outcome)| {
            format!("{operation}: {outcome:.100}, expected {expected:.100}")
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    true
}

/// Does operations and asserts that each of them fails and that nothing in the trial's directory
/// changes.
pub(super) fn all_fail(case: &Case, config: &RunConfig, operations: &[&str]) {
    let before = case.tree();
    let Some(outcomes) = outcomes(case, config, operations) else {
        return;
    };
    assert_failed(case, operations, &outcomes);
    assert_eq!(case.tree(), before);
}

/// Asserts that none of these operations was done.
pub(super) fn assert_failed(case: &Case, operations: &[&str], outcomes: &[String]) {
    let done: Vec<_> = operations
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| outcome.starts_with("ok"))
        .filter(|(operation, outcome)| !case.known(operation, "an error", outcome))
        .map(|(operation, outcome)| format!("{operation}: {outcome:.100}"))
        .collect();
    assert!(done.is_empty(), "{}", done.join("\n"));
}

pub(super) fn shown(host: impl AsRef<Path>, access: Access) -> RunConfig {
    captured().map_dir(host.as_ref(), "/data", access)
}

fn writable(case: &Case) -> RunConfig {
    shown(case.mkdir("data"), Access::ReadWrite)
}

// ---- what is shown ---------------------------------------------------------------------------------

fn preopens_carry_their_guest_paths_in_their_order(case: &Case) {
    let config = captured()
        .map_dir(case.mkdir("one"), "/z", Access::ReadWrite)
        .map_dir(case.mkdir("two"), "/a/deep/er", Access::ReadWrite)
        .map_dir(case.mkdir("three"), "rel", Access::ReadWrite)
        .map_dir(case.mkdir("four"), "/with space", Access::ReadWrite);
    let _ = holds(
        case,
        &config,
        &[
            ("preopen 3", "ok /z"),
            ("preopen 4", "ok /a/deep/er"),
            ("preopen 5", "ok rel"),
            ("preopen 6", "ok /with space"),
            ("preopen 7", "BADF"),
            ("flags 3", "ok dir"),
        ],
    );
}

fn guest_paths_are_normalised(case: &Case) {
    case.write("data/file", "content");
    let mapped = |asked| captured().map_dir(case.path("data"), asked, Access::ReadWrite);
    for (asked, shown) in [
        ("/data/", "/data"),
        ("//a/./b/../c", "/a/c"),
        ("/..a/b//", "/..a/b"),
    ] {
        let shown = format!("ok {shown}");
        let _ = holds(
            case,
            &mapped(asked),
            &[("preopen 3", &shown), ("stat 3:file", "ok file 7")],
        );
    }
    // Some runtimes have something of their own in these places.
    for asked in [".", "/", "/a/..", "a/..//bee"] {
        let config = mapped(asked);
        let config = config.clone().arg(placed("stat 3:file", &config));
        if let Some(report) = case.run_or_refused(&files(), &config) {
            assert_eq!(stdout(&report), "ok file 7\n", "mapped to {asked}");
        }
    }
    for asked in ["", "..", "/..", "/a/../..", "a\0b"] {
        let config = captured().map_dir(case.mkdir("data"), asked, Access::ReadWrite);
        if let Some(program) = case.compile(&hello(), &config) {
            let error = program.run(&config).expect_err(asked);
            assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        }
    }
}

fn a_preopen_may_keep_its_host_path(case: &Case) {
    case.write("data/file", "content");
    let host = case.path("data");
    let guest = host.to_str().expect("a temporary path is UTF-8");
    let config = captured().map_dir(&host, guest, Access::ReadWrite);
    let shown = format!("ok {guest}");
    let done = holds(
        case,
        &config,
        &[
            ("preopen 3", &shown),
            ("open a 3:file read", "ok"),
            ("read a", "ok content"),
            ("open b 3:new write create", "ok"),
            ("write b written", "ok 7"),
        ],
    );
    if done {
        assert_eq!(case.read("data/new"), "written");
    }
}

fn two_preopens_on_one_guest_path_are_an_error(case: &Case) {
    let config = captured()
        .map_dir(case.mkdir("one"), "/data", Access::ReadWrite)
        .map_dir(case.mkdir("two"), "/data/.", Access::ReadWrite);
    if let Some(program) = case.compile(&hello(), &config) {
        let error = program.run(&config).expect_err("two on one path");
        assert_eq!(error.kind(), ErrorKind::Preopen, "{error:?}");
    }
}

fn a_later_preopen_takes_the_place_of_an_earlier_one_if_allowed(case: &Case) {
    case.write("one/file", "one");
    case.write("two/file", "two");
    let config = captured()
        .map_dir(case.path("one"), "/data", Access::ReadWrite)
        .map_dir(case.path("two"), "/data", Access::ReadWrite)
        .same_path(SamePath::Replace);
    let _ = holds(
        case,
        &config,
        &[
            ("open a 3:file read", "ok"),
            ("read a", "ok two"),
            ("preopen 4", "BADF"),
        ],
    );
}

fn a_preopen_that_is_no_directory_is_an_error(case: &Case) {
    for host in [case.write("file", ""), case.path("missing")] {
        let config = captured().map_dir(&host, "/data", Access::ReadWrite);
        if let Some(program) = case.compile(&hello(), &config) {
            let error = program.run(&config).expect_err("no directory");
            assert_eq!(error.kind(), ErrorKind::Preopen, "{error:?}");
            assert!(
                error.to_string().contains(&*host.to_string_lossy()),
                "{error}"
            );
        }
    }
}

/// Characters that runtimes give a meaning in their `--dir`, and others.
fn awkward_host_paths_are_shown(case: &Case) {
    for name in [
        "with space",
        "ünïcødé",
        "a,b",
        "--dash",
        "a=b",
        "$HOME",
        "a'b\"c",
    ] {
        case.write(&format!("{name}/file"), "content");
        let config = shown(case.path(name), Access::ReadWrite);
        let _ = holds(
            case,
            &config,
            &[
                ("preopen 3", "ok /data"),
                ("open a 3:file read", "ok"),
                ("read a", "ok content"),
            ],
        );
    }
    // A colon separates the parts of such an option: what cannot be said that way must fail.
    case.write("a:b/file", "content");
    case.write("a/file", "another");
    let config =
        shown(case.path("a:b"), Access::ReadWrite).args(["open a /data:file read", "read a"]);
    if let Some(report) = case.run_or_refused(&files(), &config) {
        assert_eq!(stdout(&report), "ok\nok content\n");
    }
}

// ---- reading and writing ---------------------------------------------------------------------------

fn files_are_created_written_and_read(case: &Case) {
    let done = holds(
        case,
        &writable(case),
        &[
            ("open a 3:file read", "NOENT"),
            ("open a 3:file write create", "ok"),
            ("write a hello", "ok 5"),
            ("write a  world", "ok 6"),
            ("fstat a", "ok file 11"),
            ("close a", "ok"),
            ("open b 3:file read", "ok"),
            ("read b", "ok hello world"),
            ("read b", "ok "),
            ("close b", "ok"),
            ("read b", "BADF"),
            ("stat 3:file", "ok file 11"),
            ("unlink 3:file", "ok"),
            ("stat 3:file", "NOENT"),
            ("open c 3:kept write create", "ok"),
            ("write c kept", "ok 4"),
            ("sync c", "ok"),
        ],
    );
    if done {
        assert_eq!(case.read("data/kept"), "kept");
        assert!(!case.path("data/file").exists());
    }
}

fn files_are_truncated_and_appended_to(case: &Case) {
    case.write("data/file", "0123456789");
    let done = holds(
        case,
        &writable(case),
        &[
            ("open a 3:file write append", "ok"),
            ("write a ab", "ok 2"),
            ("close a", "ok"),
            ("stat 3:file", "ok file 12"),
            ("open b 3:file read write", "ok"),
            ("resize b 3", "ok"),
            ("read b", "ok 012"),
            ("open c 3:file write truncate", "ok"),
            ("stat 3:file", "ok file 0"),
            ("write c new", "ok 3"),
            ("resize c 5", "ok"),
            ("stat 3:file", "ok file 5"),
        ],
    );
    if done {
        assert_eq!(case.read("data/file"), "new\0\0");
    }
}

fn what_is_appended_goes_to_the_end(case: &Case) {
    case.write("data/file", "0123456789");
    let _ = holds(
        case,
        &writable(case),
        &[
            ("open a 3:file write append", "ok"),
            ("write a ab", "ok 2"),
            ("write a cd", "ok 2"),
            ("seek a 0 set", "ok 0"),
            ("write a ef", "ok 2"),
            ("close a", "ok"),
            ("open b 3:file read", "ok"),
            ("read b", "ok 0123456789abcdef"),
            ("open c 3:other write create", "ok"),
            ("write c 01", "ok 2"),
            ("seek c 0 set", "ok 0"),
            ("set-append c", "ok"),
            ("flags c", "ok file append"),
            ("write c 23", "ok 2"),
            ("close c", "ok"),
            ("open b 3:other read", "ok"),
            ("read b", "ok 0123"),
        ],
    );
}

fn files_are_read_and_written_anywhere(case: &Case) {
    case.write("data/file", "0123456789");
    let done = holds(
        case,
        &writable(case),
        &[
            ("open a 3:file read write", "ok"),
            ("seek a 4 set", "ok 4"),
            ("write a XY", "ok 2"),
            ("seek a 0 cur", "ok 6"),
            ("read a", "ok 6789"),
            ("seek a -2 end", "ok 8"),
            ("read a", "ok 89"),
            ("seek a -1 set", "INVAL"),
            ("pread a 3 4", "ok 3XY6"),
            ("pread a 100 4", "ok "),
            ("pwrite a 1 ab", "ok 2"),
            ("seek a 0 cur", "ok 10"),
            ("pwrite a 12 end", "ok 3"),
        ],
    );
    if done {
        assert_eq!(case.read("data/file"), "0ab3XY6789\0\0end");
    }
}

fn creating_exclusively_takes_nothing_that_exists(case: &Case) {
    case.write("data/file", "content");
    symlink("nowhere", case.path("data/dangling")).expect("a symlink");
    let done = holds(
        case,
        &writable(case),
        &[
            ("open a 3:file write create exclusive truncate", "EXIST"),
            ("open a 3:dangling write create exclusive", "EXIST"),
            ("open a 3:new write create exclusive", "ok"),
            ("open b 3:new write create exclusive", "EXIST"),
        ],
    );
    if done {
        assert_eq!(case.read("data/file"), "content");
    }
}

fn directories_are_made_and_removed(case: &Case) {
    case.mkdir("data/empty");
    let _ = holds(
        case,
        &writable(case),
        &[
            ("mkdir 3:a", "ok"),
            ("mkdir 3:a", "EXIST"),
            ("mkdir 3:a/b", "ok"),
            ("mkdir 3:no/such", "NOENT"),
            ("stat 3:a/b", "ok dir"),
            ("stat 3:a/b/", "ok dir"),
            ("stat 3:a/../a/./b", "ok dir"),
            ("open d 3:a dir", "ok"),
            ("list d", "ok b/"),
            ("mkdir d:c", "ok"),
            ("list d", "ok b/ c/"),
            ("rmdir 3:a", "NOTEMPTY"),
            ("rmdir 3:a/b", "ok"),
            ("rmdir d:c", "ok"),
            ("list d", "ok"),
            ("rmdir 3:a", "ok"),
            ("stat 3:a", "NOENT"),
            ("list 3", "ok empty/"),
            ("rmdir 3:empty", "ok"),
        ],
    );
}

fn directories_list_all_their_names(case: &Case) {
    let mut names: Vec<_> = (0..500)
        .map(|number| format!("file-number-{number:04}"))
        .collect();
    for name in &names {
        case.write(&format!("data/many/{name}"), "");
    }
    case.mkdir("data/many/sub");
    symlink("sub", case.path("data/many/to-sub")).expect("a symlink");
    names.extend(["sub/".into(), "to-sub@".into()]);
    let all = format!("ok {}", names.join(" "));
    let _ = holds(
        case,
        &writable(case),
        &[
            ("open d 3:many dir", "ok"),
            ("list d 65536", &all),
            ("list d 4096", &all),
            // Hardly room for one name at a time.
            ("list d 64", &all),
        ],
    );
}

// ---- names -----------------------------------------------------------------------------------------

fn files_and_directories_are_renamed(case: &Case) {
    case.write("data/file", "file");
    case.write("data/other", "other");
    case.write("data/dir/inside", "inside");
    case.mkdir("data/empty");
    let done = holds(
        case,
        &writable(case),
        &[
            ("rename 3:file 3:renamed", "ok"),
            ("rename 3:file 3:again", "NOENT"),
            ("rename 3:renamed 3:other", "ok"),
            ("rename 3:dir 3:moved", "ok"),
            ("rename 3:moved 3:empty", "ok"),
            ("rename 3:other 3:empty/other", "ok"),
            ("rename 3:empty 3:empty/into/itself", "NOENT"),
            ("rename 3:empty 3:empty/itself", "INVAL"),
            ("list 3", "ok empty/"),
        ],
    );
    if done {
        assert_eq!(case.read("data/empty/inside"), "inside");
        assert_eq!(case.read("data/empty/other"), "file");
    }
}

fn files_are_renamed_across_preopens(case: &Case) {
    case.write("one/file", "content");
    let config = captured()
        .map_dir(case.path("one"), "/one", Access::ReadWrite)
        .map_dir(case.mkdir("two"), "/two", Access::ReadWrite);
    let done = holds(
        case,
        &config,
        &[
            ("rename 3:file 4:file", "ok"),
            ("stat 3:file", "NOENT"),
            ("stat 4:file", "ok file 7"),
        ],
    );
    if done {
        assert_eq!(case.read("two/file"), "content");
    }
}

fn links_share_a_file(case: &Case) {
    case.write("data/file", "content");
    let _ = holds(
        case,
        &writable(case),
        &[
            ("link 3:file 3:link", "ok"),
            ("stat 3:file links", "ok 2"),
            ("link 3:file 3:link", "EXIST"),
            ("open a 3:link write", "ok"),
            ("write a CON", "ok 3"),
            ("unlink 3:file", "ok"),
            ("stat 3:link links", "ok 1"),
            ("open b 3:link read", "ok"),
            ("read b", "ok CONtent"),
        ],
    );
}

fn symlinks_inside_are_followed(case: &Case) {
    case.write("data/dir/file", "content");
    let _ = holds(
        case,
        &writable(case),
        &[
            ("symlink dir/file 3:to-file", "ok"),
            ("symlink ../dir 3:dir/to-dir", "ok"),
            ("symlink to-file 3:to-link", "ok"),
            ("symlink loop 3:loop", "ok"),
            ("readlink 3:to-file", "ok dir/file"),
            ("stat 3:to-file", "ok file 7"),
            ("lstat 3:to-file", "ok symlink"),
            ("stat 3:dir/to-dir/to-dir/file", "ok file 7"),
            ("open a 3:to-link read", "ok"),
            ("read a", "ok content"),
            ("open b 3:loop read", "LOOP"),
            ("open b 3:to-file read nofollow", "LOOP"),
            ("unlink 3:to-link", "ok"),
            ("stat 3:to-file", "ok file 7"),
        ],
    );
}

fn times_are_set(case: &Case) {
    case.write("data/file", "content");
    let _ = holds(
        case,
        &writable(case),
        &[
            ("touch-path 3:file 1000000000000000000", "ok"),
            ("stat 3:file mtime", "ok 1000000000000000000"),
            ("open a 3:file read write", "ok"),
            ("touch a 1234567890000000000", "ok"),
            ("fstat a mtime", "ok 1234567890000000000"),
            ("stat 3:file mtime", "ok 1234567890000000000"),
        ],
    );
}

fn descriptors_are_renumbered_and_closed(case: &Case) {
    case.write("data/one", "1");
    case.write("data/two", "2");
    let _ = holds(
        case,
        &writable(case),
        &[
            ("open a 3:one read", "ok"),
            ("open b 3:two read", "ok"),
            ("renumber a b", "ok"),
            ("read b", "ok 1"),
            ("read a", "BADF"),
            ("close b", "ok"),
            ("close b", "BADF"),
            ("close 99", "BADF"),
            ("renumber 99 3", "BADF"),
        ],
    );
}

fn awkward_names_are_kept(case: &Case) {
    let names = [
        "ünïcødé",
        "-dash",
        "a:b",
        "back\\slash",
        "...",
        ".hidden",
        "new\nline",
        "*",
    ];
    let creations: Vec<_> = names
        .iter()
        .map(|name| format!("open a 3:{name} write create"))
        .collect();
    let steps: Vec<_> = creations.iter().map(|step| (step.as_str(), "ok")).collect();
    if holds(case, &writable(case), &steps) {
        for name in names {
            assert!(case.path(&format!("data/{name}")).is_file(), "{name:?}");
        }
    }
}

fn errors_are_told_apart(case: &Case) {
    case.write("data/file", "");
    case.write("data/dir/file", "");
    let _ = holds(
        case,
        &writable(case),
        &[
            ("open a 3:no/such read", "NOENT"),
            ("open a 3:file/x read", "NOTDIR"),
            ("open a 3:file read dir", "NOTDIR"),
            ("open a 3:dir write", "ISDIR"),
            ("unlink 3:no", "NOENT"),
            ("rmdir 3:file", "NOTDIR"),
            ("rmdir 3:dir", "NOTEMPTY"),
            ("mkdir 3:file", "EXIST"),
            ("readlink 3:file", "INVAL"),
            ("stat 3:@255", "NOENT"),
            ("stat 3:@256", "NAMETOOLONG"),
            ("stat 3:@20000", "NAMETOOLONG"),
            ("stat 99:file", "BADF"),
            ("open a 3:file read", "ok"),
            ("rename 3:dir 3:file", "NOTDIR"),
            ("rename 3:file 3:dir", "ISDIR"),
        ],
    );
}

fn many_files_may_be_open(case: &Case) {
    case.write("data/file", "content");
    let operations: Vec<_> = std::iter::repeat_n("open a 3:file read", 200).collect();
    if let Some(outcomes) = outcomes(case, &writable(case), &operations) {
        assert!(
            outcomes.iter().all(|outcome| outcome == "ok"),
            "{outcomes:?}"
        );
    }
}

// ---- read-only -------------------------------------------------------------------------------------

fn read_only(case: &Case) -> RunConfig {
    case.write("data/file", "content");
    case.write("data/sub/file", "nested");
    case.mkdir("data/empty");
    symlink("file", case.path("data/to-file")).expect("a symlink");
    symlink("sub", case.path("data/to-sub")).expect("a symlink");
    shown(case.path("data"), Access::ReadOnly)
}

fn what_is_read_only_can_be_read(case: &Case) {
    let config = read_only(case);
    let before = case.tree();
    let _ = holds(
        case,
        &config,
        &[
            ("preopen 3", "ok /data"),
            ("list 3", "ok empty/ file sub/ to-file@ to-sub@"),
            ("open a 3:file read", "ok"),
            ("read a", "ok content"),
            ("pread a 3 3", "ok ten"),
            ("fstat a", "ok file 7"),
            ("open b 3:sub/file read", "ok"),
            ("read b", "ok nested"),
            ("open c 3:to-sub/file read", "ok"),
            ("read c", "ok nested"),
            ("open d 3:sub dir", "ok"),
            ("list d", "ok file"),
            ("readlink 3:to-file", "ok file"),
            ("stat 3:to-file", "ok file 7"),
        ],
    );
    assert_eq!(case.tree(), before);
}

fn mtime(path: &Path) -> (i64, i64) {
    let metadata = fs::symlink_metadata(path).expect("the file is still there");
    (metadata.mtime(), metadata.mtime_nsec())
}

fn read_only_refuses_every_change(case: &Case) {
    let config = read_only(case);
    let before = mtime(&case.path("data/file"));
    all_fail(
        case,
        &config,
        &[
            "open a 3:new write create",
            "open a 3:new read create",
            "open a 3:file write",
            "open a 3:file read write",
            "open a 3:file append",
            "open a 3:file read truncate",
            "open a 3:file write truncate",
            "mkdir 3:new",
            "rmdir 3:empty",
            "unlink 3:file",
            "unlink 3:to-file",
            "rename 3:file 3:renamed",
            "rename 3:file 3:to-file",
            "rename 3:empty 3:renamed",
            "link 3:file 3:link",
            "symlink file 3:link",
            "touch-path 3:file 1000000000000000000",
            "touch-path 3:empty 1000000000000000000",
        ],
    );
    assert_eq!(mtime(&case.path("data/file")), before);
}

fn read_only_refuses_changes_through_nested_directories_and_symlinks(case: &Case) {
    let config = read_only(case);
    let before = mtime(&case.path("data/sub/file"));
    all_fail(
        case,
        &config,
        &[
            "open a 3:sub/new write create",
            "open a 3:sub/file write",
            "open a 3:sub/../file write",
            "open a 3:to-file write",
            "open a 3:to-file read truncate",
            "open a 3:to-sub/file write",
            "open a 3:to-sub/new write create",
            "mkdir 3:to-sub/new",
            "unlink 3:to-sub/file",
            "rename 3:sub/file 3:sub/renamed",
            "rename 3:sub/file 3:file",
            "touch-path 3:to-sub/file 1000000000000000000",
        ],
    );
    let through_a_descriptor = [
        "open a d:new write create",
        "open a d:file write",
        "mkdir d:new",
        "unlink d:file",
        "rename d:file d:renamed",
        "rename d:file 3:moved",
        "link d:file d:link",
        "symlink file d:link",
        "touch-path d:file 1000000000000000000",
        "touch d 1000000000000000000",
    ];
    let mut operations = vec!["open d 3:sub dir"];
    operations.extend(through_a_descriptor);
    let tree = case.tree();
    if let Some(outcomes) = outcomes(case, &config, &operations) {
        // Whether the directory opens with rights that it cannot grant is up to the engine.
        assert_failed(case, &operations[1..], &outcomes[1..]);
    }
    assert_eq!(case.tree(), tree);
    assert_eq!(mtime(&case.path("data/sub/file")), before);
}

fn read_only_refuses_changes_through_an_open_file(case: &Case) {
    let config = read_only(case);
    let (tree, before) = (case.tree(), mtime(&case.path("data/file")));
    let operations = [
        "open a 3:file read",
        "write a x",
        "pwrite a 0 x",
        "resize a 0",
        "resize a 100",
        "allocate a 100",
        "touch a 1000000000000000000",
    ];
    if let Some(outcomes) = outcomes(case, &config, &operations) {
        assert_eq!(outcomes[0], "ok");
        assert_failed(case, &operations[1..], &outcomes[1..]);
    }
    assert_eq!(case.tree(), tree);
    assert_eq!(mtime(&case.path("data/file")), before);
}

fn read_only_refuses_renaming_and_linking_out_of_it_and_into_it(case: &Case) {
    let config = read_only(case).map_dir(case.mkdir("other"), "/other", Access::ReadWrite);
    case.write("other/file", "other");
    all_fail(
        case,
        &config,
        &[
            "rename 3:file 4:stolen",
            "rename 4:file 3:planted",
            "rename 4:file 3:file",
            // A link in a writable place would be a way to write to the file.
            "link 3:file 4:link",
            "link-followed 3:to-file 4:link",
            "link 4:file 3:link",
        ],
    );
}

fn read_only_and_read_write_may_show_one_directory(case: &Case) {
    case.write("data/file", "content");
    let config = captured()
        .map_dir(case.path("data"), "/ro", Access::ReadOnly)
        .map_dir(case.path("data"), "/rw", Access::ReadWrite);
    let Some(outcomes) = outcomes(
        case,
        &config,
        &[
            "open a 3:file write",
            "open b 4:file write",
            "write b CON",
            "open c 3:file read",
            "read c",
        ],
    ) else {
        return;
    };
    assert!(!outcomes[0].starts_with("ok"), "{}", outcomes[0]);
    assert_eq!(outcomes[1..], ["ok", "ok 3", "ok", "ok CONtent"]);
}
