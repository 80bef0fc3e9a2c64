//! Two runs that do the same: clocks that only the guest moves, listings by name, numbers by first sight.

use std::fs;

use wasmrun_core::{
    Access, Clock, Guest, Layer, MemoryMount, Mount, MountSource, Outcome, OverlayMount, Report,
    RunConfig, Stdin,
};

use super::directories::holds;
use crate::case::{Case, captured, pack, stdout};
use crate::guests::{Endless, component, wasi, world};

crate::suite::rules![
    clocks_move_by_a_step_each_time_they_are_read,
    clocks_that_take_no_step_stand_still,
    a_sleep_is_not_waited_for,
    the_first_of_several_times_has_come,
    what_is_ready_comes_before_a_time,
    a_guest_that_looks_until_a_time_has_come_is_told_so,
    a_time_limit_is_of_the_hosts_time,
    files_in_memory_have_the_guests_time,
    listings_are_by_name_whatever_they_are_of,
    a_sorted_directory_is_emptied_while_it_is_read,
    a_new_file_has_a_new_number,
    two_runs_do_the_same,
    two_runs_of_a_component_do_the_same,
    another_seed_gives_other_random_numbers,
];

/// In September 2001.
const START: u64 = 1_000_000_000_000_000_000;
const STEP: u64 = 7;
const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;

fn stepping(step: u64) -> RunConfig {
    let start = START;
    captured().clock(Clock::Virtual { start, step })
}

/// Writes what clock 0, the wall clock, and clock 1 tell, in this order, around a sleep of a day.
fn looks() -> Guest {
    wasi(
        r#"(func $tell (param $clock i32)
            (call $check (call $clock_time_get (local.get $clock) (i64.const 1) (i32.const 1024)))
            (call $print (i32.const 1024) (i32.const 8)))
        (func (export "_start")
            (call $tell (i32.const 0)) (call $tell (i32.const 1)) (call $tell (i32.const 0))
            (call $sleep (i64.const 86400000000000))
            (call $tell (i32.const 1)) (call $tell (i32.const 0)))"#,
    )
}

fn numbers(report: &Report) -> Vec<u64> {
    assert_eq!(report.outcome, Outcome::Exited(0));
    let (numbers, rest) = report.stdout.bytes.as_chunks::<8>();
    assert!(rest.is_empty() && !numbers.is_empty());
    let numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
    numbers.collect()
}

fn clocks_move_by_a_step_each_time_they_are_read(case: &Case) {
    if let Some(report) = case.run(&looks(), &stepping(STEP)) {
        let expected = [
            START,
            STEP,
            START + 2 * STEP,
            3 * STEP + DAY,
            START + 4 * STEP + DAY,
        ];
        assert_eq!(numbers(&report), expected);
    }
}

fn clocks_that_take_no_step_stand_still(case: &Case) {
    if let Some(report) = case.run(&looks(), &stepping(0)) {
        assert_eq!(numbers(&report), [START, 0, START, DAY, START + DAY]);
    }
}

/// It would take a thousand years.
fn a_sleep_is_not_waited_for(case: &Case) {
    let sleep = format!("(call $sleep (i64.const {}))", 365 * DAY).repeat(1000);
    let guest = wasi(&format!(
        r#"(func (export "_start")
            {sleep}
            (call $check (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 1024)))
            (call $print (i32.const 1024) (i32.const 8)))"#
    ));
    if let Some(report) = case.run(&guest, &stepping(0)) {
        // More than there is room for: time ends.
        assert_eq!(numbers(&report), [u64::MAX]);
    }
}

/// Waits for two hours, for one, and for standard input; and writes how many of these happened, which the first of
/// them was, and what the monotonic clock tells then.
fn waits() -> Guest {
    wasi(
        r#"(func $clock (param $at i32) (param $time i64)
            (i64.store (local.get $at) (i64.extend_i32_u (local.get $at)))
            (i32.store (i32.add (local.get $at) (i32.const 16)) (i32.const 1))
            (i64.store (i32.add (local.get $at) (i32.const 24)) (local.get $time)))
        (func (export "_start")
            (call $clock (i32.const 2048) (i64.const 7200000000000))
            (call $clock (i32.const 2096) (i64.const 3600000000000))
            (i64.store (i32.const 2144) (i64.const 2144))
            (i32.store8 (i32.const 2152) (i32.const 1))
            (call $check
                (call $poll_oneoff (i32.const 2048) (i32.const 4096) (i32.const 3) (i32.const 1024)))
            (i64.store (i32.const 1032) (i64.load (i32.const 4096)))
            (i32.store (i32.const 1028) (i32.const 0))
            (call $check (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 1040)))
            (call $print (i32.const 1024) (i32.const 24)))"#,
    )
}

fn the_first_of_several_times_has_come(case: &Case) {
    // Nobody writes to the pipe, and its end stays open.
    let config = stepping(STEP).stdin(Stdin::Pipe);
    if let Some(mut run) = case.start(&waits(), &config) {
        let input = run.stdin.take();
        let report = case.ran(run.wait());
        assert_eq!(numbers(&report), [1, 2096, 3600 * SECOND]);
        drop(input);
    }
}

fn what_is_ready_comes_before_a_time(case: &Case) {
    for stdin in [Stdin::Null, Stdin::Bytes(b"x".to_vec())] {
        if let Some(report) = case.run(&waits(), &stepping(STEP).stdin(stdin)) {
            // To wait in vain is a look at the clock.
            assert_eq!(numbers(&report), [1, 2144, STEP]);
        }
    }
}

fn a_guest_that_looks_until_a_time_has_come_is_told_so(case: &Case) {
    let config = captured().deterministic(0).args(["spin=1000"]);
    if let Some(report) = case.run(&world(), &config) {
        assert_eq!(stdout(&report), "looked 1000 times\n");
    }
}

fn a_time_limit_is_of_the_hosts_time(case: &Case) {
    for endless in [Endless::Sleep, Endless::Naps, Endless::Loop] {
        let has_begun = |report: &Report| stdout(report) == "ready\n";
        let _ = case.run_out_of_time(&endless.guest(), &stepping(STEP), has_begun);
    }
}

fn files_in_memory_have_the_guests_time(case: &Case) {
    let config = stepping(STEP).mount(Mount::memory("/m", 1 << 20));
    let start = format!("ok {START}");
    let _ = holds(
        case,
        &config,
        &[
            ("stat 3:. mtime", &start),
            ("open a 3:a write create", "ok"),
            ("fstat a mtime", &start),
            ("touch-path 3:a 5", "ok"),
            ("stat 3:a mtime", "ok 5"),
        ],
    );
    let args = [
        "make=/m/a",
        "sleep=5",
        "make=/m/b",
        "times=/m/a",
        "touch=/m/a",
        "times=/m/a",
    ];
    if let Some(report) = case.run(&world(), &config.args(args).sorted_listings(true)) {
        let (then, later) = ("1000000000.000000000", "1000000005.000000000");
        let expected = format!(
            "make /m/a: 1\nslept 5 s\nmake /m/b: 2\n\
             stat /m/a: 1:1 links 1 size 4 a {then} m {then} c {then}\n\
             touch /m/a: done\n\
             stat /m/a: 1:1 links 1 size 4 a {later} m {later} c {later}\n"
        );
        assert_eq!(stdout(&report), expected);
    }
}

/// More names than a guest lists by one call, and such that none of the usual orders is that of their bytes.
fn names() -> Vec<String> {
    let numbers = (0..300).map(|number| format!("n{number}"));
    let others = ["Z", "a.b", "a-b", "\u{e9}", ".hidden", "m\u{f6}"].map(str::to_owned);
    others.into_iter().chain(numbers).collect()
}

fn make<'a>(case: &Case, directory: &str, names: impl IntoIterator<Item = &'a String>) {
    for name in names {
        case.write(&format!("{directory}/{name}"), name);
    }
}

/// The names that a guest told of a directory it listed, in its order.
fn listed(report: &Report) -> Vec<String> {
    assert_eq!(report.outcome, Outcome::Exited(0));
    let text = stdout(report);
    let entries = text.lines().filter_map(|line| line.strip_prefix("- "));
    let names = entries.map(|entry| entry.split(' ').next().unwrap_or_default().to_owned());
    names.collect()
}

/// These names as a directory lists them.
fn sorted(names: &[String]) -> Vec<String> {
    let mut sorted = names.to_vec();
    sorted.sort();
    let dots = [".", ".."].map(str::to_owned);
    dots.into_iter().chain(sorted).collect()
}

fn in_memory() -> MountSource {
    MountSource::Memory(MemoryMount::default())
}

/// What is in a directory of the host, and changed in memory, at `/o`.
fn overlay(case: &Case, lower: &str) -> Mount {
    Mount {
        path: "/o".into(),
        source: MountSource::Overlay(OverlayMount {
            lower: vec![MountSource::Bind(case.path(lower))],
            upper: Box::new(in_memory()),
        }),
        access: Access::ReadWrite,
    }
}

fn listings_are_by_name_whatever_they_are_of(case: &Case) {
    let names = names();
    make(case, "half", &names[..150]);
    make(case, "whole", names.iter().rev());
    pack(&case.path("whole"), &case.path("whole.tar"));
    let makes = |names: Vec<&String>, at: &str| -> Vec<String> {
        let make = |name: &String| format!("make={at}/{name}");
        names.into_iter().map(make).collect()
    };
    let memory = || Mount::memory("/m", 4 << 20);
    for (mount, made) in [
        (
            Mount::bind(case.path("whole"), "/h", Access::ReadOnly),
            vec![],
        ),
        (Mount::tar(case.path("whole.tar"), "/t"), vec![]),
        (memory(), makes(names.iter().collect(), "/m")),
        (memory(), makes(names.iter().rev().collect(), "/m")),
        (
            overlay(case, "half"),
            makes(names[150..].iter().collect(), "/o"),
        ),
    ] {
        let (path, what) = (mount.path.clone(), mount.source.to_string());
        // Something is mounted in it as well.
        let config = captured().sorted_listings(true).mount(mount);
        let config = config.mount(Mount::memory(format!("{path}/mounted"), 0));
        let config = config.args(made).arg(format!("list={path}"));
        if let Some(report) = case.run(&world(), &config) {
            let all = [&names[..], &["mounted".to_owned()]].concat();
            assert_eq!(listed(&report), sorted(&all), "{what}");
        }
    }
}

fn a_sorted_directory_is_emptied_while_it_is_read(case: &Case) {
    let names = names();
    make(case, "data", &names);
    let config = captured()
        .sorted_listings(true)
        .map_dir(case.path("data"), "/d", Access::ReadWrite)
        .args(["empty=/d", "list=/d"]);
    if let Some(report) = case.run(&world(), &config) {
        let expected = [sorted(&names), sorted(&[])].concat();
        assert_eq!(listed(&report), expected);
    }
}

/// The file system of the host gives a new file the number of one that is gone, or not.
fn a_new_file_has_a_new_number(case: &Case) {
    let config = captured()
        .sorted_listings(true)
        .map_dir(case.mkdir("data"), "/d", Access::ReadWrite)
        .args(["make=/d/a", "remove=/d/a", "make=/d/b", "remove=/d/b"])
        .args(["mkdir=/d/c", "stat=/d", "make=/d/c/d", "stat=/d/c/d"]);
    if let Some(report) = case.run(&world(), &config) {
        let told = stdout(&report);
        let numbers: Vec<_> = ["make /d/a: 1\n", "make /d/b: 2\n", "make /d/c/d: 4\n"]
            .into_iter()
            .filter(|line| !told.contains(line))
            .collect();
        assert_eq!(numbers, [""; 0], "{told}");
        assert!(told.contains("stat /d: 1:3 "), "{told}");
        assert!(told.contains("stat /d/c/d: 1:4 "), "{told}");
    }
}

/// Asks [`world`] for all that differs from one run to the next, with the names that are in a directory of the trial's.
pub(crate) fn all_that_differs(case: &Case, seed: u64, of: &str) -> RunConfig {
    let names = names();
    // One that is there may have been made in another order.
    if !case.path(of).exists() {
        make(case, of, &names);
    }
    captured()
        .deterministic(seed)
        .map_dir(case.path(of), "/h", Access::ReadOnly)
        .mount(Mount::memory("/m", 1 << 20))
        .mount(overlay(case, of))
        .stdin(Stdin::Bytes(b"input".to_vec()))
        .args(["clocks", "random", "list=/h", "stat=/h/n7", "stat=/h"])
        .args(["make=/m/b", "mkdir=/m/a", "clocks", "make=/m/a/c"])
        .args(["times=/m", "times=/m/a", "times=/m/a/c", "list=/m"])
        .args(["sleep=100000", "touch=/m/b", "times=/m/b", "remove=/m/a/c"])
        .args(["make=/o/new", "remove=/o/n0", "touch=/o/n1", "read=/o/n1"])
        .args(["list=/o", "stat=/o/n1", "stat=/o/n2", "times=/o/new"])
        .args(["wait=1000", "spin=20", "random", "clocks"])
}

/// What a guest says of its world, and what it leaves.
fn told(case: &Case, guest: &Guest, seed: u64, of: &str) -> Option<(String, Vec<Layer>)> {
    let report = case.run(guest, &all_that_differs(case, seed, of))?;
    assert_eq!(report.outcome, Outcome::Exited(0));
    Some((stdout(&report), report.layers))
}

fn do_the_same(case: &Case, guest: &Guest) {
    for name in names().iter().rev() {
        let gone = case.write(&format!("two/{name}.gone"), "");
        case.write(&format!("two/{name}"), name);
        fs::remove_file(gone).expect("a file just made");
    }
    let [Some((first, left)), Some((second, left_again))] =
        ["one", "two"].map(|of| told(case, guest, 7, of))
    else {
        return;
    };
    assert_eq!(first, second);
    for what in [
        "wall 946684800.000000000",
        "slept 100000 s",
        "waited: input",
    ] {
        assert!(first.contains(what), "{first}");
    }
    let exported = |layer: &Layer| {
        let mut tar = Vec::new();
        layer.export(&mut tar).expect("it is written to memory");
        tar
    };
    assert_eq!(left.len(), 2);
    for (left, again) in left.iter().zip(&left_again) {
        let changes = left.changes().expect("they are read");
        assert_eq!(changes, again.changes().expect("they are read"));
        assert!(changes.len() >= 2);
        assert_eq!(exported(left), exported(again));
    }
}

fn two_runs_do_the_same(case: &Case) {
    do_the_same(case, &world());
}

fn two_runs_of_a_component_do_the_same(case: &Case) {
    do_the_same(case, &component(&world()));
}

fn another_seed_gives_other_random_numbers(case: &Case) {
    let random = |seed| {
        let (told, _) = told(case, &world(), seed, "one")?;
        let lines = told.lines().filter(|line| line.starts_with("random:"));
        Some(lines.map(str::to_owned).collect::<Vec<_>>())
    };
    if let Some(first) = random(1) {
        assert_eq!(first.len(), 2);
        assert_ne!(first[0], first[1]);
        assert_ne!(random(2).as_ref(), Some(&first));
    }
}
