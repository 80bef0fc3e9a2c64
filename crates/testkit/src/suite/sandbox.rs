//! Nothing leads out of a directory that a guest is shown.
//!
//! Every rule compares what is outside of it before and after, whatever the guest was told.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use wasmrun_core::{Access, Outcome, RunConfig};

use crate::case::{Case, captured, stdout};
use crate::guests::{component, files};
use crate::suite::directories::{assert_failed, holds, outcomes, placed, shown};

crate::suite::rules![
    parent_and_absolute_paths_lead_nowhere,
    an_opened_directory_is_no_way_up,
    symlinks_that_point_out_are_not_followed,
    symlinks_the_guest_makes_do_not_lead_out,
    nothing_is_created_through_a_symlink_that_points_out,
    links_and_renames_do_not_reach_out,
    moving_a_directory_away_opens_nothing,
    a_symlink_swapped_while_the_guest_runs_never_leads_out,
    a_directory_swapped_while_the_guest_runs_never_leads_out,
    no_directory_means_no_files,
    a_fifo_or_socket_in_a_directory_holds_nobody_up,
    a_fifo_in_a_directory_holds_no_component_up_beyond_its_time,
];

const SECRET: &str = "a secret outside";

/// A directory `data` to be shown, between a secret above it and one beside it.
fn sandbox(case: &Case) -> RunConfig {
    case.write("secret", SECRET);
    case.write("outside/secret", SECRET);
    case.write("data/sub/file", "inside");
    shown(case.mkdir("data"), Access::ReadWrite)
}

/// Does operations and asserts that each of them fails and that nothing outside changes.
fn all_fail(case: &Case, config: &RunConfig, operations: &[&str]) {
    let before = case.tree().without("data");
    if let Some(outcomes) = outcomes(case, config, operations) {
        assert_failed(case, operations, &outcomes);
    }
    assert_eq!(case.tree().without("data"), before);
}

fn parent_and_absolute_paths_lead_nowhere(case: &Case) {
    let config = sandbox(case);
    let absolute = case.path("secret");
    let absolute = absolute.to_str().expect("a temporary path is UTF-8");
    let absolute_read = format!("open a 3:{absolute} read");
    let absolute_stat = format!("stat 3:{absolute}");
    let absolute_unlink = format!("unlink 3:{absolute}");
    all_fail(
        case,
        &config,
        &[
            "open a 3:../secret read",
            "open a 3:../data/sub/file read",
            "open a 3:sub/../../secret read",
            "open a 3:sub/../../data/sub/file read",
            "open a 3:./.././secret read",
            "open a 3:no-such/../../secret read",
            "open a 3:../new write create",
            "open a 3:.. read dir",
            "open a 3:sub/../.. read dir",
            "open a 3:/etc/passwd read",
            "open a 3:/ read dir",
            "open a 3:/data/sub/file read",
            &absolute_read,
            &absolute_stat,
            &absolute_unlink,
            "stat 3:../secret",
            "lstat 3:../secret",
            "stat 3:..",
            "mkdir 3:../new",
            "rmdir 3:../data",
            "unlink 3:../secret",
            "readlink 3:../secret",
            "touch-path 3:../secret 1000000000000000000",
            "open a 3: read",
        ],
    );
}

fn an_opened_directory_is_no_way_up(case: &Case) {
    let config = sandbox(case);
    let before = case.tree().without("data");
    let operations = [
        "open d 3:sub dir",
        "open e d:. dir",
        "open a d:../../secret read",
        "open a e:../../secret read",
        "open a d:../../data/sub/file read",
        "stat d:../../secret",
        "unlink d:../../secret",
        "mkdir d:../../new",
    ];
    if let Some(outcomes) = outcomes(case, &config, &operations) {
        assert_eq!(outcomes[..2], ["ok", "ok"]);
        assert_failed(case, &operations[2..], &outcomes[2..]);
    }
    assert_eq!(case.tree().without("data"), before);
}

fn symlinks_that_point_out_are_not_followed(case: &Case) {
    let config = sandbox(case);
    let link = |target: &str, name: &str| {
        symlink(target, case.path(&format!("data/{name}"))).expect("a symlink");
    };
    link("../secret", "relative");
    link(case.path("secret").to_str().expect("UTF-8"), "absolute");
    link("relative", "chained");
    link("..", "up");
    link(case.path("outside").to_str().expect("UTF-8"), "directory");
    link("sub/../..", "roundabout");
    link("/", "root");
    all_fail(
        case,
        &config,
        &[
            "open a 3:relative read",
            "open a 3:absolute read",
            "open a 3:chained read",
            "open a 3:up/secret read",
            "open a 3:up/outside/secret read",
            "open a 3:directory/secret read",
            "open a 3:directory dir",
            "open a 3:roundabout/secret read",
            "open a 3:root/etc/passwd read",
            "open a 3:relative write truncate",
            "stat 3:relative",
            "stat 3:directory/secret",
            "unlink 3:directory/secret",
            "unlink 3:up/secret",
            "mkdir 3:directory/new",
            "open a 3:directory/new write create",
            "rename 3:directory/secret 3:stolen",
            "rename 3:sub/file 3:directory/planted",
            "link 3:directory/secret 3:stolen",
            "link-followed 3:relative 3:stolen",
            "symlink x 3:directory/planted",
            "touch-path 3:relative 1000000000000000000",
            "readlink 3:directory/secret",
            "open a 3:up/data/sub/file read",
        ],
    );
}

fn symlinks_the_guest_makes_do_not_lead_out(case: &Case) {
    let config = sandbox(case);
    let absolute = case.path("secret");
    let absolute = format!("symlink {} 3:absolute", absolute.display());
    let operations = [
        // Making them may be refused or not: following them must be.
        "symlink ../secret 3:relative",
        &absolute,
        "symlink .. 3:sub/up",
        "mkdir 3:deep",
        "symlink ../.. 3:deep/up",
        "open a 3:relative read",
        "open a 3:absolute read",
        "open a 3:sub/up/../secret read",
        "open a 3:deep/up/secret read",
        // A directory moved up takes its symlink out of where it was harmless.
        "rename 3:sub/up 3:up",
        "open a 3:up/secret read",
        "open a 3:up/outside/secret read",
    ];
    if let Some(outcomes) = outcomes(case, &config, &operations) {
        for (operation, outcome) in operations.iter().zip(&outcomes) {
            let opened = operation.starts_with("open") && outcome.starts_with("ok");
            assert!(!opened, "{operation}: {outcome}");
        }
        assert_eq!(case.read("secret"), SECRET);
    }
}

fn nothing_is_created_through_a_symlink_that_points_out(case: &Case) {
    let config = sandbox(case);
    symlink("../created", case.path("data/dangling")).expect("a symlink");
    symlink(case.path("outside/created"), case.path("data/absolute")).expect("a symlink");
    all_fail(
        case,
        &config,
        &[
            "open a 3:dangling write create",
            "open a 3:dangling write create truncate",
            "open a 3:absolute write create",
            "mkdir 3:dangling",
            "mkdir 3:absolute",
        ],
    );
}

fn links_and_renames_do_not_reach_out(case: &Case) {
    let config = sandbox(case);
    all_fail(
        case,
        &config,
        &[
            "link 3:../secret 3:stolen",
            "link 3:sub/file 3:../planted",
            "rename 3:../secret 3:stolen",
            "rename 3:sub/file 3:../planted",
            "rename 3:sub/file 3:../secret",
            "rename 3:sub 3:../planted",
            "rename 3:../outside 3:stolen",
            "symlink x 3:../planted",
        ],
    );
}

fn moving_a_directory_away_opens_nothing(case: &Case) {
    let config = sandbox(case);
    // Inside and then outside of what is shown: `..` of the moved directory is the data directory.
    let operations = [
        "mkdir 3:a",
        "mkdir 3:a/b",
        "open d 3:a/b dir",
        "rename 3:a/b 3:b",
        "open e d:.. dir",
        "open f d:../../secret read",
        "stat d:../../secret",
    ];
    if let Some(outcomes) = outcomes(case, &config, &operations) {
        assert_eq!(outcomes[..4], ["ok", "ok", "ok", "ok"]);
        assert_failed(case, &operations[4..], &outcomes[4..]);
    }
}

/// Has the guest read a file again and again while `swap` moves things around it, and asserts that
/// it never reads anything but what is inside. Where the guest looks is at times there, at times
/// not, at times a way out.
fn never_leads_out(
    case: &Case,
    path: &str,
    swap: impl Fn(&dyn Fn(&str) -> std::path::PathBuf) + Sync,
) {
    let operation = format!("hammer 2000 3:{path} inside");
    let config = shown(case.path("data"), Access::ReadWrite);
    let operation = placed(&operation, &config);
    let config = config.arg(operation);
    let Some(program) = case.compile(&files(), &config) else {
        return;
    };
    let done = AtomicBool::new(false);
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                swap(&|name| case.path(name));
            }
        });
        let report = program.run(&config);
        done.store(true, Ordering::Relaxed);
        report
    });
    assert_eq!(
        stdout(&case.ran(report)),
        "ok 0\n",
        "something else was read"
    );
}

fn a_symlink_swapped_while_the_guest_runs_never_leads_out(case: &Case) {
    sandbox(case);
    fs::write(case.path("data/target"), "inside").expect("a file");
    never_leads_out(case, "swapped", |path| {
        for target in ["target", "../secret"] {
            // What fails at a bad moment succeeds at the next.
            let _ = symlink(target, path("data/next"));
            let _ = fs::rename(path("data/next"), path("data/swapped"));
        }
    });
}

fn a_directory_swapped_while_the_guest_runs_never_leads_out(case: &Case) {
    sandbox(case);
    case.write("data/real/secret", "inside");
    symlink("../outside", case.path("data/link")).expect("a symlink");
    never_leads_out(case, "swapped/secret", |path| {
        let _ = fs::rename(path("data/real"), path("data/swapped"));
        let _ = fs::rename(path("data/swapped"), path("data/real"));
        let _ = fs::rename(path("data/link"), path("data/swapped"));
        let _ = fs::rename(path("data/swapped"), path("data/link"));
    });
}

fn a_fifo_or_socket_in_a_directory_holds_nobody_up(case: &Case) {
    let config = sandbox(case);
    case.fifo("data/fifo");
    symlink("../fifo", case.path("data/sub/link")).expect("a symlink");
    let _socket = UnixListener::bind(case.path("data/socket")).expect("a socket");
    let operations = [
        "open a 3:fifo read",
        "open a 3:fifo write",
        "open a 3:fifo write create",
        "open a 3:fifo read dir",
        "open a 3:sub/link read",
        "open a 3:socket read",
        "open a 3:socket write",
    ];
    all_fail(case, &config, &operations);
    let steps = [("open a 3:sub/file read", "ok"), ("read a", "ok inside")];
    let _ = holds(case, &config, &steps);
    // What is said of them differs; that they are looked at ends nobody.
    let _ = outcomes(case, &config, &["stat 3:fifo", "stat 3:socket", "list 3"]);
}

fn a_fifo_in_a_directory_holds_no_component_up_beyond_its_time(case: &Case) {
    let config = sandbox(case).limit(|limits| limits.timeout = Some(Duration::from_secs(3)));
    case.fifo("data/fifo");
    for mode in ["read", "write"] {
        let config = config.clone().arg(format!("open a /data:fifo {mode}"));
        if let Some(report) = case.run(&component(&files()), &config) {
            let refused =
                report.outcome == Outcome::Exited(0) && !stdout(&report).starts_with("ok");
            // A process of its own may wait, but not for ever.
            let ended = report.outcome == Outcome::TimedOut;
            assert!(refused || ended, "{}: {}", report.outcome, stdout(&report));
        }
    }
    let config = config.args(["open a /data:sub/file read", "read a"]);
    if let Some(report) = case.run(&component(&files()), &config) {
        assert_eq!(stdout(&report), "ok\nok inside\n");
    }
}

fn no_directory_means_no_files(case: &Case) {
    all_fail(
        case,
        &captured(),
        &[
            "open a 3:etc/passwd read",
            "open a 3:. dir",
            "open a 0:etc/passwd read",
            "open a 4:. dir",
            "preopen 3",
            "stat 3:.",
            "stat 1:.",
            "mkdir 3:new",
        ],
    );
}
