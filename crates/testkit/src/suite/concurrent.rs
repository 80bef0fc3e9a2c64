//! Commands of WASI 0.3, whose functions, streams and futures are asynchronous: what is asked is kept for them as for others,
//! or they are refused by name.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use wasmrun_core::{
    Access, Clock, ErrorKind, Guest, HostFunctions, Limits, Mount, Network, NetworkRules, Outcome,
    Program, Random, Request, RunConfig, Stdin, TrapKind,
};

use crate::case::{Case, captured, stdout};
use crate::concurrent::{called_back, command, with_fields};

crate::suite::rules![
    a_concurrent_command_ends_with_its_result_or_its_code,
    a_concurrent_command_writes_through_streams,
    a_concurrent_command_ends_when_it_has_returned,
    a_concurrent_command_that_waits_for_itself_does_not_go_on,
    a_trap_of_a_concurrent_command_has_its_kind,
    input_comes_to_a_concurrent_command_to_its_end,
    input_flows_to_output_past_a_concurrent_command,
    a_concurrent_command_sees_its_arguments_and_environment,
    a_concurrent_command_reads_and_writes_files,
    a_concurrent_command_is_refused_what_is_read_only,
    a_concurrent_command_without_directories_has_none,
    memory_of_a_concurrent_command_grows_up_to_its_limit,
    fuel_ends_a_concurrent_command,
    time_ends_a_concurrent_command_whatever_it_does,
    a_kill_ends_a_concurrent_command_that_waits,
    instances_of_a_concurrent_command_are_counted,
    output_of_a_concurrent_command_is_bounded,
    a_concurrent_command_moves_its_own_time,
    concurrent_sleeps_end_in_order,
    random_numbers_of_a_concurrent_command_follow_from_a_seed,
    a_concurrent_command_connects_where_a_rule_says,
    the_entry_that_is_asked_for_is_run,
    a_concurrent_command_is_not_called,
    services_are_refused_by_name,
];

/// Long enough for a guest to get going, and short enough to wait for.
const SOON: Duration = Duration::from_millis(300);

fn limited(change: impl FnOnce(&mut Limits)) -> RunConfig {
    captured().limit(change)
}

/// What a guest comes to, and wrote. `None` if it was refused.
fn ended(case: &Case, guest: &Guest, config: &RunConfig) -> Option<(Outcome, String)> {
    let report = case.run(guest, config)?;
    let told = stdout(&report);
    Some((report.outcome, told))
}

// ---- how it ends -----------------------------------------------------------------------------------

fn a_concurrent_command_ends_with_its_result_or_its_code(case: &Case) {
    for (work, code) in [
        ("i32.const 0", 0),
        ("i32.const 1", 1),
        ("(call $exit (i32.const 7)) i32.const 0", 7),
        ("(call $exit (i32.const 0)) i32.const 1", 0),
    ] {
        if let Some((outcome, _)) = ended(case, &command(work), &captured()) {
            assert_eq!(outcome, Outcome::Exited(code), "{work}");
        }
    }
}

const HELLO: &str =
    "(call $put (i32.const 0x68)) (call $put (i32.const 0x69)) (call $put (i32.const 10))";

fn a_concurrent_command_writes_through_streams(case: &Case) {
    let guest = command(&format!("{HELLO} i32.const 0"));
    if let Some(ended) = ended(case, &guest, &captured()) {
        assert_eq!(ended, (Outcome::Exited(0), "hi\n".to_owned()));
    }
}

fn a_concurrent_command_ends_when_it_has_returned(case: &Case) {
    // It writes, returns and yields, and would write again when it is called back.
    let guest = called_back(
        &format!("{HELLO} (call $return (i32.const 1)) i32.const 1"),
        &format!("{HELLO} i32.const 0"),
    );
    if let Some(ended) = ended(case, &guest, &captured()) {
        assert_eq!(ended, (Outcome::Exited(1), "hi\n".to_owned()));
    }
}

fn a_concurrent_command_that_waits_for_itself_does_not_go_on(case: &Case) {
    // Both ends of a stream are its own.
    let guest = command(
        "(local.set $c (call $stdout_new))
        (local.set $a (i32.wrap_i64 (i64.shr_u (local.get $c) (i64.const 32))))
        (drop (call $come (local.get $a)
            (call $stdout_write (local.get $a) (i32.const 1024) (i32.const 1))))
        i32.const 0",
    );
    let config = limited(|limits| limits.timeout = Some(SOON));
    if let Some((outcome, _)) = ended(case, &guest, &config) {
        // A runtime may wait for it to the end of its time.
        let is_over = matches!(outcome, Outcome::Trapped(_) | Outcome::TimedOut);
        assert!(is_over, "{outcome:?}");
    }
}

fn a_trap_of_a_concurrent_command_has_its_kind(case: &Case) {
    for (work, kind) in [
        ("unreachable", TrapKind::Unreachable),
        (
            "(i32.div_u (i32.const 1) (local.get $a))",
            TrapKind::DivideByZero,
        ),
    ] {
        let Some((outcome, _)) = ended(case, &command(work), &captured()) else {
            continue;
        };
        let Outcome::Trapped(trap) = outcome else {
            panic!("{work}: {outcome:?}");
        };
        assert_eq!(trap.kind, kind);
    }
}

// ---- what it sees ----------------------------------------------------------------------------------

/// Copies standard input to standard output, through its memory.
const CAT: &str = "(call $stdin (i32.const 16))
    (block $end (loop $more
        (local.set $a (call $come (i32.load (i32.const 16))
            (call $stdin_read (i32.load (i32.const 16)) (i32.const 0x10000) (i32.const 4096))))
        (call $print (i32.const 0x10000) (i32.shr_u (local.get $a) (i32.const 4)))
        (br_if $more (i32.eqz (i32.and (local.get $a) (i32.const 15))))))
    i32.const 0";

/// Has standard input written to standard output.
const PIPE: &str = "(call $stdin (i32.const 16))
    (local.set $a (call $stdout (i32.load (i32.const 16))))
    (drop (call $come (local.get $a) (call $stdout_told (local.get $a) (i32.const 32))))
    (i32.load8_u (i32.const 32))";

fn copies(case: &Case, work: &str) {
    let text = "0123456789abcdef\n".repeat(10_000);
    for text in ["", "hello\n", &text] {
        let config = captured().stdin(Stdin::Bytes(text.as_bytes().to_vec()));
        if let Some((outcome, copied)) = ended(case, &command(work), &config) {
            assert_eq!(outcome, Outcome::Exited(0));
            assert!(copied == text, "{} of {} bytes", copied.len(), text.len());
        }
    }
}

fn input_comes_to_a_concurrent_command_to_its_end(case: &Case) {
    copies(case, CAT);
}

fn input_flows_to_output_past_a_concurrent_command(case: &Case) {
    copies(case, PIPE);
}

fn a_concurrent_command_sees_its_arguments_and_environment(case: &Case) {
    let guest = command(
        "(call $get_arguments (i32.const 16))
        (call $print_all (i32.load (i32.const 16)) (i32.load (i32.const 20)))
        (call $get_environment (i32.const 16))
        (call $print_all (i32.load (i32.const 16)) (i32.mul (i32.const 2) (i32.load (i32.const 20))))
        i32.const 0",
    );
    let config = captured()
        .argv0("me")
        .args(["-a", "ä b"])
        .env("KEY", "value");
    if let Some(ended) = ended(case, &guest, &config) {
        let told = "me.-a.ä b.KEY.value.".to_owned();
        assert_eq!(ended, (Outcome::Exited(0), told));
    }
}

/// Writes `written` to the file `f` and prints what is read of it then. 1 is to create, 3 to read and write.
fn files() -> Guest {
    with_fields(
        r#"(data (i32.const 1024) "fwritten")
        (func (export "wasi:cli/run@0.3.0#run") (result i32)
            (local $file i32) (local $told i32) (local $ends i64) (local $to i32) (local $come i32)
            (local.set $file (call $open (i32.const 1024) (i32.const 1) (i32.const 1) (i32.const 3)))
            (if (i32.eq (local.get $file) (i32.const -1)) (then (return (i32.const 1))))
            (local.set $ends (call $stdout_new))
            (local.set $to (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
            (local.set $told (call $file_write_stream (local.get $file)
                (i32.wrap_i64 (local.get $ends)) (i64.const 2)))
            (drop (call $come (local.get $to)
                (call $stdout_write (local.get $to) (i32.const 1025) (i32.const 7))))
            (call $stdout_end (local.get $to))
            (drop (call $come (local.get $told) (call $file_told (local.get $told) (i32.const 48))))
            (if (i32.load8_u (i32.const 48)) (then (unreachable)))
            (call $file_read_stream (local.get $file) (i64.const 0) (i32.const 64))
            (local.set $come (call $come (i32.load (i32.const 64))
                (call $file_read (i32.load (i32.const 64)) (i32.const 0x10000) (i32.const 4096))))
            (call $print (i32.const 0x10000) (i32.shr_u (local.get $come) (i32.const 4)))
            i32.const 0)"#,
    )
}

fn a_concurrent_command_reads_and_writes_files(case: &Case) {
    let host = case.mkdir("host");
    fs::write(host.join("f"), "a file").expect("it is ours");
    let config = captured().map_dir(&host, "/d", Access::ReadWrite);
    if let Some(ended) = ended(case, &files(), &config) {
        assert_eq!(ended, (Outcome::Exited(0), "a written".to_owned()));
        assert_eq!(case.read("host/f"), "a written");
    }
    let config = captured().mount(Mount::memory("/d", 1 << 20));
    if let Some(ended) = ended(case, &files(), &config) {
        assert_eq!(ended, (Outcome::Exited(0), "\0\0written".to_owned()));
    }
}

fn a_concurrent_command_is_refused_what_is_read_only(case: &Case) {
    let host = case.mkdir("host");
    let config = captured().map_dir(&host, "/d", Access::ReadOnly);
    if let Some(ended) = ended(case, &files(), &config) {
        // `read-only`
        assert_eq!(ended, (Outcome::Exited(1), "32".to_owned()));
        assert!(!host.join("f").exists());
    }
}

fn a_concurrent_command_without_directories_has_none(case: &Case) {
    if let Some(ended) = ended(case, &files(), &captured()) {
        assert_eq!(ended, (Outcome::Exited(1), "-".to_owned()));
    }
}

// ---- what it may use -------------------------------------------------------------------------------

fn memory_of_a_concurrent_command_grows_up_to_its_limit(case: &Case) {
    // It has eight pages, and a table or two that count as less than one.
    let guest = command(
        "(loop $more (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then
            (local.set $a (i32.add (local.get $a) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $a) (i32.const 50))))))
        (call $put_number (i64.extend_i32_u (local.get $a))) i32.const 0",
    );
    let config = limited(|limits| limits.memory = Some((20 << 16) + 4096));
    if let Some(ended) = ended(case, &guest, &config) {
        assert_eq!(ended, (Outcome::Exited(0), "12".to_owned()));
    }
}

/// What never ends: a loop, tasks that yield, sleeps long and short, and waiting for input.
fn endless() -> Vec<(&'static str, Guest)> {
    let work = |work: &str| {
        command(&format!(
            "{HELLO} (loop $again {work} (br $again)) unreachable"
        ))
    };
    vec![
        ("loop", work("")),
        ("yield", work("(drop (call $yield))")),
        (
            "called back",
            called_back(&format!("{HELLO} i32.const 1"), "i32.const 1"),
        ),
        ("sleep", work("(call $sleep (i64.const 86400000000000))")),
        ("naps", work("(call $sleep (i64.const 1000000))")),
        ("tasks", work("(drop (call $begin_sleep (i64.const 1000)))")),
        (
            "write",
            work("(call $print (i32.const 0x10000) (i32.const 0x10000))"),
        ),
    ]
}

fn fuel_ends_a_concurrent_command(case: &Case) {
    let config = limited(|limits| limits.fuel = Some(1_000_000));
    for (name, guest) in endless() {
        // What sleeps uses no fuel, and what makes tasks may make too many before it has used it up.
        if ["sleep", "naps", "tasks", "write"].contains(&name) {
            continue;
        }
        if let Some((outcome, told)) = ended(case, &guest, &config) {
            assert_eq!((outcome, &*told), (Outcome::OutOfFuel, "hi\n"), "{name}");
        }
    }
}

fn time_ends_a_concurrent_command_whatever_it_does(case: &Case) {
    for (name, guest) in endless() {
        // Of tasks that have not ended there are no more than handles.
        if name == "tasks" {
            continue;
        }
        let config = limited(|limits| limits.timeout = Some(SOON));
        if let Some((outcome, _)) = ended(case, &guest, &config) {
            assert_eq!(outcome, Outcome::TimedOut, "{name}");
        }
    }
    // Nothing of it runs here: what it wants is done by its host.
    #[cfg(target_os = "linux")]
    {
        let config = captured()
            .stdin(Stdin::File("/dev/zero".into()))
            .limit(|limits| limits.timeout = Some(SOON));
        if let Some((outcome, _)) = ended(case, &command(PIPE), &config) {
            assert_eq!(outcome, Outcome::TimedOut);
        }
    }
}

fn a_kill_ends_a_concurrent_command_that_waits(case: &Case) {
    for (name, guest) in endless() {
        if !["yield", "called back", "sleep"].contains(&name) {
            continue;
        }
        let config = captured().killable(true);
        let Some(run) = case.start(&guest, &config) else {
            continue;
        };
        thread::sleep(SOON);
        run.kill().expect("it was started killable");
        let report = run.wait().expect("it is observed");
        assert_eq!(report.outcome, Outcome::Killed, "{name}");
    }
}

fn instances_of_a_concurrent_command_are_counted(case: &Case) {
    let guest = command("i32.const 0");
    let config = limited(|limits| limits.instances = Some(0));
    if let Some(report) = case.run_or_refused(&guest, &config) {
        assert_eq!(report.outcome, Outcome::OutOfMemory);
    }
    let config = limited(|limits| limits.instances = Some(1000));
    if let Some((outcome, _)) = ended(case, &guest, &config) {
        assert_eq!(outcome, Outcome::Exited(0));
    }
}

fn output_of_a_concurrent_command_is_bounded(case: &Case) {
    let guest = command("(call $print (i32.const 0x10000) (i32.const 0x40000)) i32.const 0");
    let config = limited(|limits| limits.output = Some(1000));
    if let Some(report) = case.run(&guest, &config) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(report.stdout.bytes.len(), 1000);
        assert_eq!(report.stdout.dropped, 0x40000 - 1000);
    }
}

// ---- clocks, random numbers, the network -----------------------------------------------------------

fn a_concurrent_command_moves_its_own_time(case: &Case) {
    // Two hours, and it says how many seconds that were.
    let guest = command(
        "(local.set $c (call $now))
        (call $sleep (i64.const 7200000000000))
        (call $put_number
            (i64.div_u (i64.sub (call $now) (local.get $c)) (i64.const 1000000000)))
        i32.const 0",
    );
    let config = captured().clock(Clock::Virtual { start: 0, step: 1 });
    if let Some(ended) = ended(case, &guest, &config) {
        assert_eq!(ended, (Outcome::Exited(0), "7200".to_owned()));
    }
}

fn concurrent_sleeps_end_in_order(case: &Case) {
    // Three begin together; whose number is larger sleeps longer. What comes of them is told as it comes.
    let guest = with_fields(
        r#"(func $begin (param $hours i64)
            (call $join
                (i32.shr_u (call $begin_sleep
                    (i64.mul (local.get $hours) (i64.const 3600000000000))) (i32.const 4))
                (global.get $set)))
        (func (export "wasi:cli/run@0.3.0#run") (result i32) (local $left i32) (local $first i32)
            (global.set $set (call $set_new))
            (call $begin (i64.const 3)) (call $begin (i64.const 1)) (call $begin (i64.const 2))
            (local.set $left (i32.const 3))
            (loop $more
                (drop (call $set_wait (global.get $set) (i32.const 0)))
                (i32.store8 (i32.sub (i32.const 1027) (local.get $left)) (i32.load (i32.const 0)))
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (br_if $more (local.get $left)))
            ;; By how much their handles are larger than that of the first that was begun.
            (local.set $first (i32.load8_u (i32.const 1026)))
            (global.set $set (i32.const 0))
            (call $put_number (i64.extend_i32_u
                (i32.sub (i32.load8_u (i32.const 1024)) (local.get $first))))
            (call $put_number (i64.extend_i32_u
                (i32.sub (i32.load8_u (i32.const 1025)) (local.get $first))))
            i32.const 0)"#,
    );
    let config = captured().clock(Clock::Virtual { start: 0, step: 1 });
    if let Some(ended) = ended(case, &guest, &config) {
        assert_eq!(ended, (Outcome::Exited(0), "12".to_owned()));
    }
}

fn random_numbers_of_a_concurrent_command_follow_from_a_seed(case: &Case) {
    let guest = command("(call $put_number (call $random)) i32.const 0");
    let told = |seed| ended(case, &guest, &captured().random(Random::Seeded(seed)));
    if let (Some(one), Some(again), Some(other)) = (told(1), told(1), told(2)) {
        assert_eq!(one, again);
        assert_ne!(one, other);
    }
}

/// Connects to a port of loopback, and returns the number of the error, and one.
fn connects(port: u16) -> Guest {
    command(&format!(
        "(call $tcp_create (i32.const 0) (i32.const 16))
        (if (i32.load8_u (i32.const 16)) (then (call $put (i32.const 0x78)) (return (i32.const 1))))
        (call $tcp_connect (i32.load (i32.const 20)) (i32.const 0) (i32.const {port})
            (i32.const 127) (i32.const 0) (i32.const 0) (i32.const 1)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 32))
        (if (i32.load8_u (i32.const 32)) (then
            (call $put_number (i64.load8_u (i32.const 36)))
            (return (i32.const 1))))
        ;; What comes is written as it comes.
        (call $tcp_receive (i32.load (i32.const 20)) (i32.const 48))
        (local.set $a (call $stdout (i32.load (i32.const 48))))
        (drop (call $come (local.get $a) (call $stdout_told (local.get $a) (i32.const 64))))
        i32.const 0"
    ))
}

fn a_concurrent_command_connects_where_a_rule_says(case: &Case) {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback");
    let port = server.local_addr().expect("it is bound").port();
    let answers = thread::spawn(move || {
        // Until nobody is to be answered.
        for stream in server.incoming() {
            let Ok(mut stream) = stream else { break };
            if stream.write_all(b"welcome").is_err() {
                break;
            }
            let mut over = [0];
            let _ = stream.set_read_timeout(Some(SOON));
            if matches!(stream.read(&mut over), Ok(1)) {
                break;
            }
        }
    });
    let guest = connects(port);
    let rules = |texts: &[String]| {
        let rules = texts.iter().map(|text| text.parse().expect("a rule"));
        Network::Rules(rules.fold(NetworkRules::new(), NetworkRules::connect))
    };
    for (network, told) in [
        (None, (1, "x")),
        (Some(Network::Host), (0, "welcome")),
        (
            Some(rules(&[format!("tcp:127.0.0.1:{port}")])),
            (0, "welcome"),
        ),
        // `access-denied`
        (Some(rules(&["tcp:127.0.0.1:1".to_owned()])), (1, "0")),
    ] {
        let config = match &network {
            Some(network) => captured().network(network.clone()),
            None => captured(),
        };
        if let Some((outcome, text)) = ended(case, &guest, &config) {
            // A runtime may let it have a socket that it then cannot connect.
            let told = match (&network, &*text) {
                (None, "0") => (1, "0"),
                _ => told,
            };
            assert_eq!(
                (outcome, &*text),
                (Outcome::Exited(told.0), told.1),
                "{network:?}"
            );
        }
    }
    let over = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    over.and_then(|mut over| over.write_all(b"!"))
        .expect("the server is there");
    answers.join().expect("it does not panic");
}

// ---- entries ---------------------------------------------------------------------------------------

fn the_entry_that_is_asked_for_is_run(case: &Case) {
    // One of each version, which end with other codes.
    let guest = crate::guests::text(
        "both.wasm",
        r#"(component
            (core module $m
                (func (export "earlier") (result i32) i32.const 1)
                (func (export "later") (result i32) i32.const 0))
            (core instance $i (instantiate $m))
            (type $earlier (func (result (result))))
            (type $later (func async (result (result))))
            (func $earlier (type $earlier) (canon lift (core func $i "earlier")))
            (func $later (type $later) (canon lift (core func $i "later")))
            (instance $e (export "run" (func $earlier)))
            (instance $l (export "run" (func $later)))
            (export "wasi:cli/run@0.2.0" (instance $e))
            (export "wasi:cli/run@0.3.0" (instance $l)))"#,
    );
    for (entry, code) in [
        (None, 0),
        (Some("wasi:cli/run@0.3.0"), 0),
        (Some("wasi:cli/run@0.2.0"), 1),
    ] {
        let config = match entry {
            Some(entry) => captured().entry(entry),
            None => captured(),
        };
        if let Some((outcome, _)) = ended(case, &guest, &config) {
            assert_eq!(outcome, Outcome::Exited(code), "{entry:?}");
        }
    }
}

// ---- what is refused -------------------------------------------------------------------------------

fn a_concurrent_command_is_not_called(case: &Case) {
    let (config, host) = (captured(), HostFunctions::new());
    let request = Request::new(&config, &host).live();
    let refused = Program::compile(case.engine().clone(), &command("i32.const 0"), request);
    let error = refused.expect_err("nobody has instances of it");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
}

fn services_are_refused_by_name(case: &Case) {
    let service = crate::guests::text(
        "service.wasm",
        r#"(component
            (core module $m (func (export "handle")))
            (core instance $i (instantiate $m))
            (func $handle async (canon lift (core func $i "handle")))
            (instance $h (export "handle" (func $handle)))
            (export "wasi:http/handler@0.3.0" (instance $h)))"#,
    );
    case.assert_refused(&["entry"], &service, &captured());
    let refused = Program::compile(case.engine().clone(), &service, &captured());
    let error = refused.expect_err("it is no command").to_string();
    assert!(
        !case.can("preview3") || error.contains("wasi:http"),
        "{error}"
    );
}
