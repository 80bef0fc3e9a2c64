//! The same guest on every engine: outcome, output and files are those of the first engine.
//!
//! The rules of the suite say what must come out where the specification or the contract does. Here
//! are scenarios in which it is enough that all engines agree, such as error numbers.

use std::sync::{Arc, OnceLock};

use libtest_mimic::Trial;
use wasmrun_core::{
    Access, Engine, Guest, GuestStr, HostCall, HostFunctions, MemoryError, Program, Report,
    Request, RunConfig, Stdin,
};

use crate::case::{Case, Shown, captured, stderr, stdout};
use crate::guests::{cat, files, hello, unstable};
use crate::suite::determinism::all_that_differs;
use crate::suite::directories::placed;
use crate::suite::within_patience;
use crate::{guests, known_differences};

/// What is run, and on what: the guest, the config, and the operations if the guest is
/// [`files`](crate::guests::files).
struct Scenario {
    name: &'static str,
    set_up: fn(&Case) -> (Guest, RunConfig),
}

macro_rules! scenarios {
    ($($name:ident,)*) => {
        &[$(Scenario { name: stringify!($name), set_up: $name },)*]
    };
}

const SCENARIOS: &[Scenario] = scenarios![
    says_hello,
    echoes_input,
    tells_its_arguments,
    is_unstable,
    finds_errors_on_its_streams,
    calls_the_host,
    traps_in_the_host,
    is_deterministic,
];

/// Those in which the guest has a directory, where it is as well to find the same in all ways to show one.
const OF_FILES: &[Scenario] = scenarios![
    finds_errors_in_a_writable_directory,
    finds_errors_on_open_files,
    finds_errors_in_a_read_only_directory,
    finds_no_way_out,
    changes_a_directory,
];

/// An archive shows what is read-only; other directories stay as they are.
const WAYS: &[(&str, Shown)] = &[
    ("differential", Shown::AsTheyAre),
    ("differential_in_memory", Shown::InMemory),
    ("differential_below_overlays", Shown::BelowOverlays),
    ("differential_in_archives", Shown::InArchives),
];

/// What was seen of a run, part by part.
type Seen = Vec<(String, String)>;

/// Every scenario as a trial of every engine, named `engine::differential::scenario`, and of every way to show a directory. What
/// is expected is what the first engine finds in directories of the host.
pub fn trials(engines: &[Arc<dyn Engine>]) -> Vec<Trial> {
    let Some(first) = engines.first() else {
        return Vec::new();
    };
    let mut trials = Vec::new();
    for (scenario, ways) in SCENARIOS
        .iter()
        .map(|scenario| (scenario, &WAYS[..1]))
        .chain(OF_FILES.iter().map(|scenario| (scenario, WAYS)))
    {
        let expected = Arc::new(OnceLock::new());
        for (number, engine) in engines.iter().enumerate() {
            for (topic, way) in ways {
                if number == 0 && *way == Shown::AsTheyAre {
                    continue;
                }
                let name = format!("{}::{topic}::{}", engine.info().name, scenario.name);
                let (first, engine, expected) = (first.clone(), engine.clone(), expected.clone());
                trials.push(Trial::test(name.clone(), move || {
                    within_patience(&name, move || {
                        let expected: &Option<Seen> =
                            expected.get_or_init(|| see(&Case::new(first), scenario));
                        let case = Case::new(engine).shown(*way);
                        if let (Some(expected), Some(seen)) = (expected, see(&case, scenario)) {
                            compare(case.name(), expected, &seen);
                        }
                    })
                }));
            }
        }
    }
    trials
}

fn see(case: &Case, scenario: &Scenario) -> Option<Seen> {
    let (guest, mut config) = (scenario.set_up)(case);
    let operations = config.args.clone();
    if guest.name() == files().name() {
        config.args = operations
            .iter()
            .map(|text| placed(text, &config))
            .collect();
    }
    let report = match guest.unknown_imports().is_empty() {
        true => case.run(&guest, &config)?,
        false => with_host(case, &guest, &config)?,
    };
    let mut seen = vec![
        ("outcome".to_owned(), report.outcome.to_string()),
        ("stderr".to_owned(), stderr(&report)),
        ("files".to_owned(), format!("{:?}", case.tree())),
    ];
    let stdout = stdout(&report);
    if guest.name() == files().name() {
        // One line an operation: they are compared one by one.
        let lines = stdout.lines().map(str::to_owned);
        seen.extend(operations.into_iter().zip(lines));
    } else {
        seen.push(("stdout".to_owned(), stdout));
    }
    Some(seen)
}

fn with_host(case: &Case, guest: &Guest, config: &RunConfig) -> Option<Report> {
    if !case.can("host_functions") {
        return None;
    }
    let (host, engine) = (host(), case.engine().clone());
    let program = Program::compile(engine, guest, Request::new(config, &host));
    Some(case.ran(program.and_then(|program| program.run(config))))
}

/// The functions of the host that scenarios call.
fn host() -> HostFunctions {
    HostFunctions::new()
        .function(
            "host",
            "reversed",
            |call: &mut HostCall<'_>, text: GuestStr, to: u32| {
                let reversed: String = text.read(call)?.chars().rev().collect();
                call.write(to, reversed.as_bytes())?;
                Ok::<_, MemoryError>(reversed.len() as u32)
            },
        )
        .function("host", "mixed", |a: i32, b: i64, c: f32, d: f64| {
            (f64::from(a) * d, b.rotate_left(7) ^ i64::from(c.to_bits()))
        })
}

fn compare(engine: &str, expected: &Seen, seen: &Seen) {
    assert_eq!(expected.len(), seen.len(), "{expected:#?}\n{seen:#?}");
    let differences: Vec<_> = expected
        .iter()
        .zip(seen)
        .filter(|((_, expected), (_, seen))| expected != seen)
        .filter(|((part, expected), (_, seen))| {
            !known_differences::is_known(engine, part, expected, seen)
        })
        .map(|((part, expected), (_, seen))| format!("{part}: {seen:?}, expected {expected:?}"))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

// ---- scenarios -------------------------------------------------------------------------------------

fn says_hello(_: &Case) -> (Guest, RunConfig) {
    (hello(), captured())
}

fn echoes_input(_: &Case) -> (Guest, RunConfig) {
    (cat(), captured().stdin(Stdin::Bytes("a\0b\r\n".into())))
}

fn tells_its_arguments(_: &Case) -> (Guest, RunConfig) {
    (guests::args(), captured().args(["one", "two words", "'"]))
}

fn is_unstable(_: &Case) -> (Guest, RunConfig) {
    (
        unstable(guests::CAT),
        captured().stdin(Stdin::Bytes("x".into())),
    )
}

/// What a guest does to its streams that they cannot.
fn finds_errors_on_its_streams(_: &Case) -> (Guest, RunConfig) {
    let operations = [
        "preopen 1",
        "seek 1 0 cur",
        "read 1",
        "write 0 x",
        "write 99 x",
        "renumber 99 1",
        "close 2",
        "write 2 x",
    ];
    (files(), captured().args(operations))
}

fn prepared(case: &Case, access: Access) -> RunConfig {
    case.write("secret", "a secret outside");
    case.write("data/file", "content");
    case.write("data/dir/file", "nested");
    case.mkdir("data/empty");
    std::os::unix::fs::symlink("file", case.path("data/to-file")).expect("a symlink");
    std::os::unix::fs::symlink("nowhere", case.path("data/dangling")).expect("a symlink");
    std::os::unix::fs::symlink("../secret", case.path("data/out")).expect("a symlink");
    captured().map_dir(case.path("data"), "/data", access)
}

fn finds_errors_in_a_writable_directory(case: &Case) -> (Guest, RunConfig) {
    let config = prepared(case, Access::ReadWrite);
    let operations = [
        "open a 3:no/such read",
        "open a 3:file/x read",
        "open a 3:file/ read",
        "open a 3:file read dir",
        "open a 3:dir write",
        "open a 3:dir read",
        "open a 3:dangling read",
        "open a 3:to-file read dir",
        "open a 3:file write create exclusive",
        "open a 3: read",
        "open a 3:@256 write create",
        "open a 99:file read",
        "open a 0:file read",
        "mkdir 3:file",
        "mkdir 3:no/such",
        "mkdir 3:",
        "rmdir 3:file",
        "rmdir 3:dir",
        "rmdir 3:no",
        "rmdir 3:to-file",
        "unlink 3:no",
        "unlink 3:dir",
        "unlink 3:file/",
        "rename 3:no 3:else",
        "rename 3:dir 3:file",
        "rename 3:file 3:dir",
        "rename 3:dir 3:dir/inside",
        "link 3:no 3:else",
        "link 3:file 3:dir",
        "link 3:dir 3:else",
        "symlink x 3:file",
        "symlink x 3:no/such",
        "readlink 3:file",
        "readlink 3:no",
        "stat 3:dangling",
        "stat 3:file/",
        "touch-path 3:no 1",
    ];
    (files(), config.args(operations))
}

fn finds_errors_on_open_files(case: &Case) -> (Guest, RunConfig) {
    let config = prepared(case, Access::ReadWrite);
    let operations = [
        "open r 3:file read",
        "open w 3:file write",
        "open d 3:dir dir",
        "write r x",
        "pwrite r 0 x",
        "resize r 0",
        "allocate r 100",
        "read w",
        "pread w 0 1",
        "read d",
        "write d x",
        "seek d 0 set",
        "list r",
        "resize d 0",
        "seek r -1 set",
        "seek r 5 nonsense",
        "stat r:x",
        "open a r:x read",
        "close r",
        "read r",
        "close r",
        "renumber 50 60",
        "preopen w",
        "flags w",
        "set-append w",
        "flags w",
    ];
    (files(), config.args(operations))
}

fn finds_errors_in_a_read_only_directory(case: &Case) -> (Guest, RunConfig) {
    let config = prepared(case, Access::ReadOnly);
    let operations = [
        "open a 3:new write create",
        "open a 3:file write",
        "open a 3:file read truncate",
        "open a 3:no read",
        "mkdir 3:new",
        "rmdir 3:empty",
        "unlink 3:file",
        "rename 3:file 3:new",
        "link 3:file 3:new",
        "symlink file 3:new",
        "touch-path 3:file 1",
        "open r 3:file read",
        "write r x",
        "resize r 0",
        "touch r 1",
        "open d 3:dir dir",
        "unlink d:file",
    ];
    (files(), config.args(operations))
}

fn finds_no_way_out(case: &Case) -> (Guest, RunConfig) {
    let config = prepared(case, Access::ReadWrite);
    let operations = [
        "open a 3:../secret read",
        "open a 3:/etc/passwd read",
        "open a 3:out read",
        "open a 3:dir/../../secret read",
        "open a 3:.. dir",
        "stat 3:../secret",
        "lstat 3:out",
        "stat 3:out",
        "readlink 3:out",
        "mkdir 3:../new",
        "unlink 3:../secret",
        "link 3:../secret 3:stolen",
        "symlink /etc 3:absolute",
    ];
    (files(), config.args(operations))
}

fn changes_a_directory(case: &Case) -> (Guest, RunConfig) {
    let config = prepared(case, Access::ReadWrite);
    let operations = [
        "mkdir 3:new",
        "open a 3:new/file read write create",
        "write a 0123456789",
        "seek a 2 set",
        "write a xy",
        "pwrite a 20 end",
        "fstat a",
        "close a",
        "rename 3:new/file 3:dir/moved",
        "unlink 3:file",
        "open t 3:dir/file write truncate",
        "write t new",
        "list 3",
        "close t",
        "touch-path 3:dir/file 1000000000",
        "stat 3:dir/file mtime",
    ];
    (files(), config.args(operations))
}

/// What both scenarios of the host begin with.
const HOST: &str = r#"
    (import "host" "reversed" (func $reversed (param i32 i32 i32) (result i32)))
    (import "host" "mixed" (func $mixed (param i32 i64 f32 f64) (result f64 i64)))"#;

/// Texts and numbers, through the host and back, to standard output.
fn calls_the_host(_: &Case) -> (Guest, RunConfig) {
    let guest = guests::importing(
        HOST,
        r#"(data (i32.const 1024) "a text, with \c3\a4 and \e2\82\ac in it")
        (func (export "_start") (local $times i32) (local $mixed i64) (local $part f64)
            (loop $again
                (call $print (i32.const 2048)
                    (call $reversed (i32.const 1024)
                        (i32.sub (i32.const 29) (local.get $times)) (i32.const 2048)))
                (call $mixed (local.get $times) (local.get $mixed) (f32.const 0.1) (f64.const 0.3))
                (local.set $mixed)
                (local.set $part)
                (f64.store (i32.const 4096) (local.get $part))
                (i64.store (i32.const 4104) (local.get $mixed))
                (call $print (i32.const 4096) (i32.const 16))
                (br_if $again
                    (i32.lt_u
                        (local.tee $times (i32.add (local.get $times) (i32.const 1)))
                        (i32.const 7)))))"#,
    );
    (guest, captured())
}

/// Hands the host a text that is none, after some output.
fn traps_in_the_host(_: &Case) -> (Guest, RunConfig) {
    let guest = guests::importing(
        HOST,
        r#"(data (i32.const 1024) "before\n")
        (func (export "_start")
            (call $print (i32.const 1024) (i32.const 7))
            (drop (call $reversed (i32.const -10) (i32.const 20) (i32.const 0)))
            (call $print (i32.const 1024) (i32.const 7)))"#,
    );
    (guest, captured())
}

/// Tells all that differs from one run to the next, and from one engine to the next.
fn is_deterministic(case: &Case) -> (Guest, RunConfig) {
    (guests::world(), all_that_differs(case, 3, "data"))
}
