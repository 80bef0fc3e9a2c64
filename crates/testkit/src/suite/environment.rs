//! What a guest sees of the world besides files: arguments, environment, clocks, random numbers.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use wasmrun_core::{Clock, Guest, InheritEnv, Outcome, Random, RunConfig};

use crate::case::{Case, captured, stdout};
use crate::guests::{self, wasi};

crate::suite::rules![
    the_environment_is_empty_unless_given,
    variables_arrive_as_given,
    blank_variables_arrive_or_are_refused,
    inherited_variables_are_those_named,
    all_variables_are_inherited_if_asked,
    given_variables_go_over_inherited_ones,
    arguments_arrive_as_given,
    arguments_that_look_like_options_reach_the_guest,
    many_arguments_arrive,
    a_long_argument_arrives,
    argv0_is_the_file_name,
    argv0_is_what_the_caller_sets,
    nothing_is_open_but_the_streams,
    the_wall_clock_is_the_hosts,
    a_fixed_clock_stands_still,
    the_monotonic_clock_never_goes_back,
    a_sleep_takes_its_time,
    random_numbers_differ,
    seeded_random_numbers_follow_from_the_seed,
];

fn strings(case: &Case, guest: &Guest, config: &RunConfig) -> Option<Vec<String>> {
    let report = case.run(guest, config)?;
    assert_eq!(report.outcome, Outcome::Exited(0));
    Some(split(&stdout(&report)))
}

/// What [`guests::args`] and [`guests::environ`] write.
fn split(text: &str) -> Vec<String> {
    let Some(text) = text.strip_suffix('.') else {
        panic!("no full stop at the end: {text:?}");
    };
    let mut strings: Vec<_> = text.split('\0').map(str::to_owned).collect();
    assert_eq!(strings.pop().as_deref(), Some(""), "each ends in NUL");
    strings
}

fn environment(case: &Case, config: RunConfig) -> Option<Vec<String>> {
    let mut variables = strings(case, &guests::environ(), &config)?;
    variables.sort();
    Some(variables)
}

fn the_environment_is_empty_unless_given(case: &Case) {
    if let Some(variables) = environment(case, captured()) {
        assert_eq!(variables, [""; 0]);
    }
}

/// Values that some layer in between might change.
const AWKWARD: &[&str] = &[
    "two words",
    "a=b=c",
    "\"quoted\" 'twice'",
    "back\\slash",
    "$HOME `id` $(id) %PATH% ${x}",
    "*?[a-z]~",
    "line\nbreak\ttab\rx",
    "ünïcødé 漢字 🦀",
    ",;:|&<>!#",
    "a::b",
    "/etc/passwd",
];

fn variables_arrive_as_given(case: &Case) {
    let mut config = captured();
    let mut expected = Vec::new();
    for (number, value) in AWKWARD.iter().enumerate() {
        let name = format!("V{number:02}");
        expected.push(format!("{name}={value}"));
        config = config.env(name, *value);
    }
    for name in [
        "lower",
        "WITH.DOT",
        "WITH-DASH",
        "ÜNICODE",
        "PATH",
        "HOME",
        "RUST_LOG",
    ] {
        expected.push(format!("{name}=x"));
        config = config.env(name, "x");
    }
    expected.sort();
    if let Some(variables) = environment(case, config) {
        assert_eq!(variables, expected);
    }
}

fn blank_variables_arrive_or_are_refused(case: &Case) {
    for value in ["", " ", " x", "x ", "x\r\n"] {
        let config = captured().env("A", "1").env("BLANK", value);
        if let Some(report) = case.run_or_refused(&guests::environ(), &config) {
            let mut variables = split(&stdout(&report));
            variables.sort();
            assert_eq!(variables, ["A=1", &format!("BLANK={value}")]);
        }
    }
}

fn inherited_variables_are_those_named(case: &Case) {
    let path = env::var("PATH").expect("tests run with a PATH");
    let config = captured().inherit_env(InheritEnv::Named(vec!["PATH".into()]));
    if let Some(variables) = environment(case, config) {
        assert_eq!(variables, [format!("PATH={path}")]);
    }
}

fn all_variables_are_inherited_if_asked(case: &Case) {
    let mut expected: Vec<_> = env::vars()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    expected.sort();
    assert!(!expected.is_empty());
    // One of them may be a value that the engine cannot pass on.
    let config = captured().inherit_env(InheritEnv::All);
    if let Some(report) = case.run_or_refused(&guests::environ(), &config) {
        let mut variables = split(&stdout(&report));
        variables.sort();
        assert_eq!(variables, expected);
    }
}

fn given_variables_go_over_inherited_ones(case: &Case) {
    let config = captured()
        .inherit_env(InheritEnv::Named(vec!["PATH".into()]))
        .env("PATH", "/guest/bin");
    if let Some(variables) = environment(case, config) {
        assert_eq!(variables, ["PATH=/guest/bin"]);
    }
}

fn arguments(case: &Case, args: &[&str]) {
    let config = captured().args(args.iter().copied());
    if let Some(got) = strings(case, &guests::args(), &config) {
        assert_eq!(got[1..], *args);
    }
}

fn arguments_arrive_as_given(case: &Case) {
    arguments(case, &[AWKWARD, &[" ", " x "]].concat());
}

fn arguments_that_look_like_options_reach_the_guest(case: &Case) {
    let looks: &[&str] = &[
        "",
        "-",
        "--",
        "-h",
        "--help",
        "--version",
        "-V",
        "--dir",
        "/",
        "--dir=/",
        "--env",
        "A=B",
        "--env=A=B",
        "-env",
        "--invoke",
        "x",
        "--fuel",
        "1",
        "-W",
        "fuel=1",
        "--",
        "run",
        "",
    ];
    arguments(case, looks);
    for first in looks {
        arguments(case, &[first]);
    }
}

fn many_arguments_arrive(case: &Case) {
    let args: Vec<_> = (0..5000)
        .map(|number| format!("argument{number}"))
        .collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    arguments(case, &args);
}

fn a_long_argument_arrives(case: &Case) {
    arguments(case, &[&"x".repeat(100_000), "short"]);
}

fn argv0_is_the_file_name(case: &Case) {
    let in_memory = guests::args();
    let file = case.write("folder/program name.wasm", in_memory.bytes());
    let on_disk = Guest::open(file).expect("the file just written");
    let in_text = case.write("folder/text.wat", "(module) ;; replaced below");
    std::fs::write(
        &in_text,
        format!("(module binary {})", quoted(in_memory.bytes())),
    )
    .expect("the file just written");
    let in_text = Guest::open(in_text).expect("text that holds the same module");
    for (guest, name) in [
        (in_memory, "guest.wasm"),
        (on_disk, "program name.wasm"),
        (in_text, "text.wat"),
    ] {
        if let Some(args) = strings(case, &guest, &captured().arg("x")) {
            assert_eq!(args[1..], ["x"]);
            let right = args[0] == name || case.known("argv[0]", name, &args[0]);
            assert!(right, "{:?}, expected {name:?}", args[0]);
        }
    }
}

/// Bytes as a string of the text format.
fn quoted(bytes: &[u8]) -> String {
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!("\"{escaped}\"")
}

fn argv0_is_what_the_caller_sets(case: &Case) {
    for argv0 in ["tool", "with space", "ünïcødé"] {
        let config = captured().argv0(argv0).arg("x");
        if let Some(args) = strings(case, &guests::args(), &config) {
            assert_eq!(args, [argv0, "x"]);
        }
    }
    // No name that a file could have.
    for argv0 in ["", "-dash", "/bin/tool", "..", "a/../b"] {
        let config = captured().argv0(argv0).arg("x");
        if let Some(report) = case.run_or_refused(&guests::args(), &config) {
            assert_eq!(split(&stdout(&report)), [argv0, "x"]);
        }
    }
}

fn nothing_is_open_but_the_streams(case: &Case) {
    // 8 is the number of "bad descriptor".
    let guest = wasi(
        r#"(func (export "_start") (local $fd i32)
            (local.set $fd (i32.const 3))
            (loop $each
                (if (i32.ne (call $fd_fdstat_get (local.get $fd) (i32.const 1024)) (i32.const 8))
                    (then (call $proc_exit (local.get $fd))))
                (if (i32.ne (call $fd_prestat_get (local.get $fd) (i32.const 1024)) (i32.const 8))
                    (then (call $proc_exit (local.get $fd))))
                (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
                (br_if $each (i32.lt_u (local.get $fd) (i32.const 100))))
            (call $proc_exit (i32.const 101)))"#,
    );
    if let Some(report) = case.run(&guest, &captured()) {
        let seen = report.outcome.to_string();
        assert!(
            report.outcome == Outcome::Exited(101) || case.known("open descriptor", "none", &seen),
            "a descriptor is open: {seen}"
        );
    }
}

/// Writes the wall clock to standard output twice, with some work in between.
fn wall_clock() -> Guest {
    wasi(
        r#"(func $tell
            (call $check (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 1024)))
            (call $print (i32.const 1024) (i32.const 8)))
        (func (export "_start")
            (call $tell) (call $sleep (i64.const 2000000)) (call $tell))"#,
    )
}

fn times(case: &Case, guest: &Guest, config: &RunConfig) -> Option<Vec<u64>> {
    let report = case.run(guest, config)?;
    assert_eq!(report.outcome, Outcome::Exited(0));
    let (times, rest) = report.stdout.bytes.as_chunks::<8>();
    assert!(rest.is_empty() && times.len() >= 2);
    Some(times.iter().map(|time| u64::from_le_bytes(*time)).collect())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.expect("a clock after 1970").as_nanos()).expect("a clock before 2554")
}

fn the_wall_clock_is_the_hosts(case: &Case) {
    // Clocks may be coarse, but not by a second.
    const COARSE: u64 = 1_000_000_000;
    let before = now();
    if let Some(times) = times(case, &wall_clock(), &captured()) {
        let after = now();
        for time in times {
            assert!(
                (before - COARSE..=after + COARSE).contains(&time),
                "{before} {time} {after}"
            );
        }
    }
}

fn a_fixed_clock_stands_still(case: &Case) {
    for at in [0, 1, 1_500_000_000_123_456_789] {
        let config = captured().clock(Clock::Fixed(at));
        if let Some(times) = times(case, &wall_clock(), &config) {
            assert_eq!(times, [at, at]);
        }
    }
}

fn the_monotonic_clock_never_goes_back(case: &Case) {
    let guest = wasi(
        r#"(func (export "_start") (local $left i32)
            (local.set $left (i32.const 1000))
            (loop $more
                (call $check (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 1024)))
                (call $print (i32.const 1024) (i32.const 8))
                (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))"#,
    );
    for config in [captured(), captured().clock(Clock::Fixed(5))] {
        if let Some(times) = times(case, &guest, &config) {
            assert_eq!(times.len(), 1000);
            assert!(times.is_sorted());
            assert!(times[0] < times[999], "the monotonic clock always runs");
        }
    }
}

fn a_sleep_takes_its_time(case: &Case) {
    let guest = wasi(
        r#"(func $tell
            (call $check (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 1024)))
            (call $print (i32.const 1024) (i32.const 8)))
        (func (export "_start")
            (call $tell) (call $sleep (i64.const 20000000)) (call $tell))"#,
    );
    if let Some(times) = times(case, &guest, &captured()) {
        assert!(times[1] - times[0] >= 20_000_000, "{times:?}");
    }
}

/// Writes 64 random bytes, drawn in two calls.
fn random() -> Guest {
    wasi(
        r#"(func (export "_start")
            (call $check (call $random_get (i32.const 1024) (i32.const 32)))
            (call $check (call $random_get (i32.const 1056) (i32.const 32)))
            (call $print (i32.const 1024) (i32.const 64)))"#,
    )
}

fn drawn(case: &Case, config: &RunConfig) -> Option<Vec<u8>> {
    let report = case.run(&random(), config)?;
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(report.stdout.bytes.len(), 64);
    Some(report.stdout.bytes)
}

fn random_numbers_differ(case: &Case) {
    if let Some(first) = drawn(case, &captured()) {
        assert_ne!(first[..32], first[32..]);
        let second = drawn(case, &captured()).expect("the same request again");
        assert_ne!(first, second);
    }
}

fn seeded_random_numbers_follow_from_the_seed(case: &Case) {
    let seeded = |seed| drawn(case, &captured().random(Random::Seeded(seed)));
    if let Some(first) = seeded(1) {
        assert_ne!(first[..32], first[32..]);
        assert_eq!(seeded(1).as_ref(), Some(&first));
        assert_ne!(seeded(2).as_ref(), Some(&first));
        assert_ne!(seeded(u64::MAX).as_ref(), Some(&first));
    }
}
