//! Standard input, output and error.

use std::io::{self, Cursor, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

use wasmrun_core::{
    Attachments, ErrorKind, Event, Guest, Outcome, Overflow, Report, RunConfig, Stdin, Stdout,
};

use crate::case::{Case, captured, stderr, stdout};
use crate::guests::{self, Endless, cat, component, hello, wasi, with_memory};

crate::suite::rules![
    output_and_errors_are_kept_apart,
    output_passes_byte_by_byte,
    several_buffers_are_written_in_their_order,
    a_write_says_what_came_of_it_wherever_it_goes,
    a_stream_is_what_was_put_in_its_place,
    a_stream_says_what_it_is,
    captured_output_is_bounded_and_the_rest_counted,
    endless_output_is_kept_up_to_its_bound,
    output_beyond_its_bound_ends_the_guest_if_asked,
    output_within_its_bound_changes_nothing,
    output_goes_to_a_file,
    output_goes_nowhere_if_asked,
    output_can_be_taken_from_a_pipe,
    no_input_is_the_end_of_the_file,
    input_comes_from_bytes,
    input_comes_from_a_file,
    input_comes_from_a_pipe_until_it_is_closed,
    input_from_a_fifo_is_waited_for,
    input_that_nobody_reads_is_no_failure,
    large_input_and_output_do_not_block_each_other,
    a_guest_answers_while_it_runs,
    a_closed_reader_ends_a_guest_that_writes,
    how_far_a_write_came_is_told_before_why_no_further,
    a_stream_that_is_not_to_wait_does_not,
    captured_output_is_no_terminal,
    a_terminal_is_one,
    streams_have_one_direction,
    events_tell_what_is_written_and_then_the_end,
    a_pipe_nobody_could_use_is_refused,
    streams_come_from_and_go_to_anything,
    a_writer_that_takes_its_time_holds_the_guest_up,
    a_writer_that_fails_closes_the_output,
];

fn output_and_errors_are_kept_apart(case: &Case) {
    let guest = wasi(
        r#"(data (i32.const 1024) "out\nerr\n")
        (func (export "_start")
            (call $write (i32.const 1) (i32.const 1024) (i32.const 4))
            (call $write (i32.const 2) (i32.const 1028) (i32.const 4))
            (call $write (i32.const 1) (i32.const 1024) (i32.const 4)))"#,
    );
    if let Some(report) = case.run(&guest, &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "out\nout\n");
        assert_eq!(stderr(&report), "err\n");
    }
}

fn output_passes_byte_by_byte(case: &Case) {
    let guest = wasi(
        r#"(func (export "_start") (local $byte i32)
            (loop $each
                (i32.store8 (i32.add (i32.const 1024) (local.get $byte)) (local.get $byte))
                (local.set $byte (i32.add (local.get $byte) (i32.const 1)))
                (br_if $each (i32.lt_u (local.get $byte) (i32.const 256))))
            (call $write (i32.const 1) (i32.const 1024) (i32.const 256))
            (call $write (i32.const 2) (i32.const 1024) (i32.const 256)))"#,
    );
    let every: Vec<u8> = (0..=255).collect();
    if let Some(report) = case.run(&guest, &captured()) {
        assert_eq!(report.stdout.bytes, every);
        assert_eq!(report.stderr.bytes, every);
    }
}

fn several_buffers_are_written_in_their_order(case: &Case) {
    let guest = wasi(
        r#"(data (i32.const 1024) "abcdef")
        (data (i32.const 512)
            "\00\04\00\00\02\00\00\00" "\00\00\00\00\00\00\00\00"
            "\04\04\00\00\01\00\00\00" "\02\04\00\00\02\00\00\00")
        (func (export "_start") (local $sum i32)
            ;; One call may write less than all; what it says it wrote, it wrote.
            (call $check (call $fd_write (i32.const 1) (i32.const 512) (i32.const 4) (i32.const 8)))
            (call $put (i32.add (i32.const 0x30) (i32.load (i32.const 8)))))"#,
    );
    if let Some(report) = case.run(&guest, &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        let (all, written) = ("abecd", &report.stdout.bytes);
        let told = usize::from(written.last().expect("some output") - b'0');
        assert!((1..=5).contains(&told), "{}", stdout(&report));
        assert_eq!(written[..written.len() - 1], all.as_bytes()[..told]);
    }
}

/// Arguments of `fd_write`, each with what comes of them: the error number or, if that is 0, how much was written.
const WRITES: &[([i32; 4], Result<u32, u32>)] = &[
    ([1, 1100, 1, 1400], Ok(3)),
    ([2, 1100, 1, 1400], Ok(3)),
    // How much goes to the very start, and to the very end.
    ([1, 1100, 1, 0], Ok(3)),
    ([1, 1100, 1, 0x2f_fffc], Ok(3)),
    // No vector, too many, and an empty one before another.
    ([1, 1100, -1, 1400], Err(TOO_MUCH)),
    ([1, 1100, 0, 1400], Ok(0)),
    ([1, 1108, 2, 1400], Ok(2)),
    // What is at the very start, and much.
    ([1, 1132, 1, 1400], Ok(8)),
    ([1, 1140, 1, 1400], Ok(0x18_0000)),
    ([0, 1100, 1, 1400], Err(BAD_DESCRIPTOR)),
    ([3, 1100, 1, 1400], Err(BAD_DESCRIPTOR)),
    ([33, 1100, 1, 1400], Err(BAD_DESCRIPTOR)),
    ([-1, 1100, 1, 1400], Err(BAD_DESCRIPTOR)),
];
const BAD_DESCRIPTOR: u32 = 8;
const TOO_MUCH: u32 = 48;

/// Some that lead beyond the memory, and some out of line.
const WRONG: &[[i32; 4]] = &[
    [1, 1100, 1, 0x30_0000],
    [1, 1100, 1, -4],
    [1, 1124, 1, 1400],
    [1, -8, 1, 1400],
    [1, 1100, 1, 1401],
    [1, 1149, 1, 1400],
];

fn writing(calls: &str) -> Guest {
    with_memory(
        r#"(memory (export "memory") 48)"#,
        &format!(
            r#"(data (i32.const 1500) "abcde") (data (i32.const 4) "<lowest>")
            (data (i32.const 1100) "\dc\05\00\00\03\00\00\00")
            (data (i32.const 1108) "\00\00\00\00\00\00\00\00\df\05\00\00\02\00\00\00")
            (data (i32.const 1124) "\f0\ff\ff\ff\08\00\00\00")
            (data (i32.const 1132) "\04\00\00\00\08\00\00\00")
            (data (i32.const 1140) "\00\00\10\00\00\00\18\00")
            (data (i32.const 1149) "\dc\05\00\00\01\00\00\00")
            (global $next (mut i32) (i32.const 2048))
            (func $note (param $errno i32) (param $written i32)
                (i32.store (global.get $next) (local.get $errno))
                (if (i32.eqz (local.get $errno))
                    (then (i32.store offset=4
                        (global.get $next) (i32.load (local.get $written)))))
                (global.set $next (i32.add (global.get $next) (i32.const 8))))
            (func (export "_start")
                {calls}
                (call $print (i32.const 2048)
                    (i32.sub (global.get $next) (i32.const 2048))))"#
        ),
    )
}

/// And notes what comes of it.
fn call_of(arguments: &[i32; 4]) -> String {
    let constants = arguments.map(|argument| format!("(i32.const {argument})"));
    let [fd, vectors, count, written] = constants;
    format!("(call $note (call $fd_write {fd} {vectors} {count} {written}) {written})")
}

fn a_write_says_what_came_of_it_wherever_it_goes(case: &Case) {
    let calls: String = WRITES
        .iter()
        .map(|(arguments, _)| call_of(arguments))
        .collect();
    let guest = writing(&calls);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("output");
    for stdout in [Stdout::Capture, Stdout::File(file.clone())] {
        let config = captured().stdout(stdout.clone());
        let config = config.limit(|limits| limits.output = Some(4 << 20));
        let Some(report) = case.run(&guest, &config) else {
            return;
        };
        assert_eq!(report.outcome, Outcome::Exited(0));
        let written = match stdout {
            Stdout::Capture => report.stdout.bytes,
            _ => fs::read(&file).expect("there"),
        };
        let (_, told) = written.split_at(written.len() - 8 * WRITES.len());
        for ((arguments, expected), told) in WRITES.iter().zip(told.chunks(8)) {
            let number = |at: usize| u32::from_le_bytes(told[at..at + 4].try_into().expect("four"));
            let told = match number(0) {
                0 => Ok(number(4)),
                errno => Err(errno),
            };
            assert_eq!(told, *expected, "{arguments:?}");
        }
    }
    for arguments in WRONG {
        let Some(report) = case.run(&writing(&call_of(arguments)), &captured()) else {
            return;
        };
        let trapped = matches!(report.outcome, Outcome::Trapped(_));
        assert!(trapped, "{arguments:?}: {}", report.outcome);
    }
}

fn a_stream_is_what_was_put_in_its_place(case: &Case) {
    // Prints `first`, has `change` done, sees that there is no descriptor `gone`, and prints `then`.
    let guest = |change: &str, gone: u32| {
        let fields = format!(
            r#"(data (i32.const 1024) "firstthen")
            (func (export "_start")
                (call $print (i32.const 1024) (i32.const 5))
                (call $check {change})
                (if (i32.ne (call $try_write (i32.const {gone}) (i32.const 1024) (i32.const 5))
                        (i32.const {BAD_DESCRIPTOR}))
                    (then unreachable))
                (if (i32.ne (call $fd_fdstat_get (i32.const {gone}) (i32.const 2048))
                        (i32.const {BAD_DESCRIPTOR}))
                    (then unreachable))
                (drop (call $try_write (i32.const 1) (i32.const 1029) (i32.const 4))))"#
        );
        let text = guests::source(r#"(memory (export "memory") 2)"#, &fields);
        let import = r#"(module (import "wasi_snapshot_preview1" "fd_renumber"
            (func $fd_renumber (param i32 i32) (result i32)))"#;
        let text = text.replacen("(module", import, 1);
        Guest::from_bytes("changing.wat", text).expect("a guest")
    };
    for (change, gone, then) in [
        ("(call $fd_close (i32.const 1))", 1, ""),
        ("(call $fd_renumber (i32.const 2) (i32.const 1))", 2, "then"),
    ] {
        if let Some(report) = case.run(&guest(change, gone), &captured()) {
            assert_eq!(report.outcome, Outcome::Exited(0), "{change}");
            assert_eq!(stdout(&report), "first", "{change}");
            assert_eq!(stderr(&report), then, "{change}");
        }
    }
}

fn a_stream_says_what_it_is(case: &Case) {
    const BYTES: usize = 24;
    const READS: u64 = 1 << 1;
    const WRITES: u64 = 1 << 6;
    // Somewhere, near the start, and at the very end.
    let asked = [(0, 2048, READS), (1, 16, WRITES), (2, 0x1_ffe8, WRITES)];
    let calls: String = asked
        .iter()
        .map(|(fd, address, _)| {
            format!(
                "(call $check (call $fd_fdstat_get (i32.const {fd}) (i32.const {address})))
                (call $print (i32.const {address}) (i32.const {BYTES}))"
            )
        })
        .collect();
    let guest = wasi(&format!(r#"(func (export "_start") {calls})"#));
    if let Some(report) = case.run(&guest, &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        let stats = report.stdout.bytes.chunks(BYTES);
        assert_eq!(stats.len(), asked.len());
        for ((fd, _, rights), stat) in asked.iter().zip(stats) {
            let number =
                |at: usize| u64::from_le_bytes(stat[at..at + 8].try_into().expect("eight"));
            assert_eq!(stat[2..4], [0, 0], "the flags of {fd}");
            assert_eq!((number(8), number(16)), (*rights, *rights), "of {fd}");
        }
    }
    for address in [4, 0x1_fff0, -8] {
        let call = format!("(drop (call $fd_fdstat_get (i32.const 1) (i32.const {address})))");
        let guest = wasi(&format!(r#"(func (export "_start") {call})"#));
        if let Some(report) = case.run(&guest, &captured()) {
            let trapped = matches!(report.outcome, Outcome::Trapped(_));
            assert!(trapped, "{address}: {}", report.outcome);
        }
    }
}

/// Writes 1 MiB, 64 KiB at a time, and exits with 7.
const MEBIBYTE: &str = r#"
    (func (export "_start") (local $left i32)
        (memory.fill (i32.const 0x10000) (i32.const 0x78) (i32.const 0x10000))
        (local.set $left (i32.const 16))
        (loop $more
            (call $print (i32.const 0x10000) (i32.const 0x10000))
            (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $proc_exit (i32.const 7)))"#;

fn captured_output_is_bounded_and_the_rest_counted(case: &Case) {
    for bound in [0, 1, 1000, 1 << 20] {
        let config = captured().limit(|limits| limits.output = Some(bound));
        let Some(report) = case.run(&wasi(MEBIBYTE), &config) else {
            return;
        };
        assert_eq!(report.outcome, Outcome::Exited(7), "the guest goes on");
        assert_eq!(report.stdout.bytes.len() as u64, bound);
        assert!(report.stdout.bytes.iter().all(|byte| *byte == b'x'));
        assert_eq!(report.stdout.dropped, (1 << 20) - bound);
        assert_eq!(report.stderr.dropped, 0);
    }
}

fn endless_output_is_kept_up_to_its_bound(case: &Case) {
    const BOUND: u64 = 100_000;
    let config = captured().limit(|limits| limits.output = Some(BOUND));
    let went_on = |report: &Report| report.stdout.dropped > 0;
    if let Some(report) = case.run_out_of_time(&Endless::Write.guest(), &config, went_on) {
        assert_eq!(report.stdout.bytes.len() as u64, BOUND);
    }
}

/// To a file that is there, and to nobody, too: what is not captured may have the same end.
fn stopped_at(bound: u64, file: PathBuf) -> [RunConfig; 3] {
    [Stdout::Capture, Stdout::File(file), Stdout::Null].map(|stdout| {
        captured().stdout(stdout).limit(|limits| {
            limits.output = Some(bound);
            limits.overflow = Overflow::Stop;
        })
    })
}

fn output_beyond_its_bound_ends_the_guest_if_asked(case: &Case) {
    for (guest, bound) in [
        (wasi(MEBIBYTE), (1 << 20) - 1),
        (wasi(MEBIBYTE), 0),
        (Endless::Write.guest(), 100_000),
        (component(&wasi(MEBIBYTE)), 100_000),
    ] {
        for config in stopped_at(bound, case.path("output")) {
            let Some(report) = case.run_or_refused(&guest, &config) else {
                continue;
            };
            assert_eq!(
                report.outcome,
                Outcome::TooMuchOutput,
                "{:?}",
                config.stdout
            );
            let kept = match config.stdout {
                Stdout::Capture => report.stdout.bytes.len(),
                Stdout::File(_) => case.read("output").len(),
                _ => continue,
            };
            assert_eq!(kept as u64, bound, "{:?}", config.stdout);
        }
    }
}

fn output_within_its_bound_changes_nothing(case: &Case) {
    for config in stopped_at(1 << 20, case.path("output")) {
        if let Some(report) = case.run_or_refused(&wasi(MEBIBYTE), &config) {
            assert_eq!(report.outcome, Outcome::Exited(7), "{:?}", config.stdout);
            assert_eq!(report.stdout.dropped, 0);
        }
    }
}

fn output_goes_to_a_file(case: &Case) {
    let (out, err) = (case.write("out", "older and longer"), case.path("err"));
    let config = RunConfig::new()
        .stdout(Stdout::File(out))
        .stderr(Stdout::File(err));
    if let Some(report) = case.run(&hello(), &config) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(case.read("out"), "hello\n");
        assert_eq!(case.read("err"), "");
        assert!(report.stdout.bytes.is_empty());
    }
}

fn output_goes_nowhere_if_asked(case: &Case) {
    let config = RunConfig::new().stdout(Stdout::Null).stderr(Stdout::Null);
    if let Some(report) = case.run(&wasi(MEBIBYTE), &config) {
        assert_eq!(report.outcome, Outcome::Exited(7));
        assert!(report.stdout.bytes.is_empty());
        assert_eq!(report.stdout.dropped, 0);
    }
}

fn output_can_be_taken_from_a_pipe(case: &Case) {
    let config = captured().stdout(Stdout::Pipe);
    let Some(mut run) = case.start(&wasi(MEBIBYTE), &config) else {
        return;
    };
    let mut output = Vec::new();
    let mut pipe = run.stdout.take().expect("the pipe that was asked for");
    pipe.read_to_end(&mut output).expect("a pipe reads");
    assert_eq!(output.len(), 1 << 20);
    assert_eq!(case.ran(run.wait()).outcome, Outcome::Exited(7));
}

fn no_input_is_the_end_of_the_file(case: &Case) {
    let guest = wasi(
        r#"(data (i32.const 1024) "nothing\n")
        (func (export "_start")
            (if (call $read (i32.const 0) (i32.const 2048) (i32.const 100)) (then unreachable))
            (if (call $read (i32.const 0) (i32.const 2048) (i32.const 100)) (then unreachable))
            (call $print (i32.const 1024) (i32.const 8)))"#,
    );
    for stdin in [Stdin::Null, Stdin::Bytes(Vec::new())] {
        if let Some(report) = case.run(&guest, &captured().stdin(stdin)) {
            assert_eq!(report.outcome, Outcome::Exited(0));
            assert_eq!(stdout(&report), "nothing\n");
        }
    }
}

fn input_comes_from_bytes(case: &Case) {
    for input in [&b""[..], b"\0\xff\n", b"line\nno newline at the end"] {
        let config = captured().stdin(Stdin::Bytes(input.to_vec()));
        let Some(report) = case.run(&cat(), &config) else {
            return;
        };
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(report.stdout.bytes, input);
    }
}

fn input_comes_from_a_file(case: &Case) {
    let file = case.write("input", "from a file\n");
    if let Some(report) = case.run(&cat(), &captured().stdin(Stdin::File(file))) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "from a file\n");
    }
    let missing = captured().stdin(Stdin::File(case.path("missing")));
    if let Some(program) = case.compile(&cat(), &missing) {
        let error = program.run(&missing).expect_err("there is no such file");
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("missing"), "{error}");
    }
}

fn input_comes_from_a_pipe_until_it_is_closed(case: &Case) {
    let Some(mut run) = case.start(&cat(), &captured().stdin(Stdin::Pipe)) else {
        return;
    };
    let mut stdin = run.stdin.take().expect("the pipe that was asked for");
    for word in ["one ", "two ", "three"] {
        stdin.write_all(word.as_bytes()).expect("the guest reads");
    }
    drop(stdin);
    let report = case.ran(run.wait());
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(stdout(&report), "one two three");
}

fn input_from_a_fifo_is_waited_for(case: &Case) {
    let fifo = case.fifo("fifo");
    let silent = captured()
        .stdin(Stdin::File(fifo.clone()))
        .limit(|limits| limits.timeout = Some(Duration::from_millis(300)));
    if let Some(report) = case.run(&cat(), &silent) {
        assert_eq!(report.outcome, Outcome::TimedOut, "nobody wrote");
    }
    let Some(run) = case.start(&cat(), &captured().stdin(Stdin::File(fifo.clone()))) else {
        return;
    };
    thread::sleep(Duration::from_millis(50));
    fs::write(fifo, "late").expect("the guest reads");
    let report = case.ran(run.wait());
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(stdout(&report), "late");
}

fn input_that_nobody_reads_is_no_failure(case: &Case) {
    let config = captured().stdin(Stdin::Bytes(vec![b'x'; 1 << 20]));
    if let Some(report) = case.run(&hello(), &config) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(stdout(&report), "hello\n");
    }
}

fn large_input_and_output_do_not_block_each_other(case: &Case) {
    let input: Vec<u8> = (0..4 << 20)
        .map(|n: u32| (n.wrapping_mul(2654435761) >> 24) as u8)
        .collect();
    let config = captured().stdin(Stdin::Bytes(input.clone()));
    if let Some(report) = case.run(&cat(), &config) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert!(report.stdout.bytes == input, "4 MiB came back changed");
    }
}

fn a_guest_answers_while_it_runs(case: &Case) {
    let config = captured().stdin(Stdin::Pipe).stdout(Stdout::Pipe);
    let Some(mut run) = case.start(&cat(), &config) else {
        return;
    };
    let mut stdin = run.stdin.take().expect("the pipe that was asked for");
    let mut stdout = run.stdout.take().expect("the pipe that was asked for");
    for question in ["first", "second", "third"] {
        stdin
            .write_all(question.as_bytes())
            .expect("the guest reads");
        let mut answer = vec![0; question.len()];
        stdout.read_exact(&mut answer).expect("the guest answers");
        assert_eq!(answer, question.as_bytes());
    }
    drop(stdin);
    assert_eq!(case.ran(run.wait()).outcome, Outcome::Exited(0));
}

fn a_closed_reader_ends_a_guest_that_writes(case: &Case) {
    // Exits with the number of the error that a write returns.
    let guest = wasi(
        r#"(func (export "_start") (local $errno i32)
            (loop $more
                (local.set $errno
                    (call $try_write (i32.const 1) (i32.const 0x10000) (i32.const 0x10000)))
                (br_if $more (i32.eqz (local.get $errno))))
            (call $proc_exit (local.get $errno)))"#,
    );
    let Some(mut run) = case.start(&guest, &captured().stdout(Stdout::Pipe)) else {
        return;
    };
    let mut pipe = run.stdout.take().expect("the pipe that was asked for");
    pipe.read_exact(&mut [0; 100]).expect("the guest writes");
    drop(pipe);
    let report = case.ran(run.wait());
    // A process that is told by a signal never gets to see the number.
    assert!(
        matches!(report.outcome, Outcome::Exited(code) if code != 0),
        "{}",
        report.outcome
    );
    assert_eq!(stderr(&report), "");
}

fn how_far_a_write_came_is_told_before_why_no_further(case: &Case) {
    const WANTED: u32 = 0x18_0000;
    const READ: usize = 100_000;
    const PIPE: u32 = 64;
    // Says on standard error what comes of two writes: the error number and the count of each.
    let guest = with_memory(
        r#"(memory (export "memory") 32)"#,
        &format!(
            r#"(func $note (param $at i32)
                (i32.store (local.get $at)
                    (call $try_write (i32.const 1) (i32.const 0x10000) (i32.const {WANTED})))
                (i32.store offset=4 (local.get $at) (i32.load (i32.const 8))))
            (func (export "_start")
                (call $note (i32.const 1024))
                (call $note (i32.const 1032))
                (call $write (i32.const 2) (i32.const 1024) (i32.const 16)))"#
        ),
    );
    let Some(mut run) = case.start(&guest, &captured().stdout(Stdout::Pipe)) else {
        return;
    };
    let mut pipe = run.stdout.take().expect("the pipe that was asked for");
    pipe.read_exact(&mut [0; READ]).expect("the guest writes");
    drop(pipe);
    let report = case.ran(run.wait());
    assert_eq!(report.outcome, Outcome::Exited(0));
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four"));
    let told: Vec<u32> = report.stderr.bytes.chunks(4).map(number).collect();
    let [first, count, second, _] = told[..] else {
        panic!("{told:?}");
    };
    assert_eq!((first, second), (0, PIPE), "{told:?}");
    assert!(
        (READ..WANTED as usize).contains(&(count as usize)),
        "{told:?}"
    );
}

fn a_stream_that_is_not_to_wait_does_not(case: &Case) {
    const NONBLOCK: i32 = 4;
    const AGAIN: i32 = 6;
    // Reads what is not there yet, says `ready`, waits, and copies what then comes.
    let fields = format!(
        r#"(import "wasi_snapshot_preview1" "fd_fdstat_set_flags"
            (func $set_flags (param i32 i32) (result i32)))
        (data (i32.const 1024) "ready\n")
        (func $read_error (result i32)
            (i32.store (i32.const 0) (i32.const 2048))
            (i32.store (i32.const 4) (i32.const 1024))
            (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (func (export "_start")
            (call $check (call $set_flags (i32.const 0) (i32.const {NONBLOCK})))
            (call $check (call $fd_fdstat_get (i32.const 0) (i32.const 1600)))
            (if (i32.ne (i32.load16_u (i32.const 1602)) (i32.const {NONBLOCK}))
                (then unreachable))
            (if (i32.ne (call $read_error) (i32.const {AGAIN})) (then unreachable))
            (call $print (i32.const 1024) (i32.const 6))
            (call $check (call $set_flags (i32.const 0) (i32.const 0)))
            (call $check (call $read_error))
            (call $print (i32.const 2048) (i32.load (i32.const 8))))"#
    );
    // Imports come first.
    let (import, fields) = fields.split_at(fields.find("(data").expect("data"));
    let text = guests::source(r#"(memory (export "memory") 2)"#, fields);
    let text = text.replacen("(module", &format!("(module {import}"), 1);
    let guest = Guest::from_bytes("waiting.wat", text).expect("a guest");
    let config = captured().stdin(Stdin::Pipe).stdout(Stdout::Pipe);
    let Some(mut run) = case.start(&guest, &config) else {
        return;
    };
    let mut stdin = run.stdin.take().expect("the pipe that was asked for");
    let mut stdout = run.stdout.take().expect("the pipe that was asked for");
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).expect("the guest goes on");
    assert_eq!(&ready, b"ready\n");
    stdin.write_all(b"now").expect("the guest reads");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("the guest writes");
    assert_eq!(rest, "now");
    assert_eq!(case.ran(run.wait()).outcome, Outcome::Exited(0));
}

fn captured_output_is_no_terminal(case: &Case) {
    // The file type is the first byte of an fdstat; 2 is a character device.
    let guest = wasi(
        r#"(func (export "_start")
            (call $check (call $fd_fdstat_get (i32.const 1) (i32.const 1024)))
            (call $put (i32.add (i32.const 0x30) (i32.load8_u (i32.const 1024)))))"#,
    );
    if let Some(report) = case.run(&guest, &captured()) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        assert_eq!(report.stdout.bytes.len(), 1);
        let terminal = stdout(&report) == "2";
        assert!(
            !terminal || case.known("file type of a stream", "any", "a terminal"),
            "a character device"
        );
    }
}

fn a_terminal_is_one(case: &Case) {
    let guest = wasi(
        r#"(func (export "_start")
            (call $check (call $fd_fdstat_get (i32.const 1) (i32.const 1024)))
            (call $check (call $fd_fdstat_get (i32.const 2) (i32.const 1048)))
            (call $write (i32.const 2) (i32.const 1024) (i32.const 48)))"#,
    );
    // The other end of one that nobody has opened.
    let config = captured().stdout(Stdout::File("/dev/ptmx".into()));
    if let Some(report) = case.run(&guest, &config) {
        assert_eq!(report.outcome, Outcome::Exited(0));
        let types = [report.stderr.bytes[0], report.stderr.bytes[24]];
        assert_eq!(types, [2, 0], "a character device, and captured");
    }
}

fn streams_have_one_direction(case: &Case) {
    let guest = wasi(
        r#"(data (i32.const 1024) "x")
        (func $read_error (param $fd i32) (result i32)
            (i32.store (i32.const 0) (i32.const 2048))
            (i32.store (i32.const 4) (i32.const 1))
            (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
        (func (export "_start")
            (if (i32.eqz (call $try_write (i32.const 0) (i32.const 1024) (i32.const 1)))
                (then (call $proc_exit (i32.const 1))))
            (if (i32.eqz (call $read_error (i32.const 1)))
                (then (call $proc_exit (i32.const 2))))
            (if (i32.eqz (call $read_error (i32.const 2)))
                (then (call $proc_exit (i32.const 3))))
            (call $proc_exit (i32.const 7)))"#,
    );
    let config = captured().stdin(Stdin::Bytes(b"input".to_vec()));
    if let Some(report) = case.run(&guest, &config) {
        assert_eq!(report.outcome, Outcome::Exited(7));
        assert_eq!(
            (stdout(&report), stderr(&report)),
            (String::new(), String::new())
        );
    }
}

fn events_tell_what_is_written_and_then_the_end(case: &Case) {
    let config = RunConfig::new().stdout(Stdout::Pipe).stderr(Stdout::Pipe);
    let guest = wasi(
        r#"(data (i32.const 1024) "out\nerr\n")
        (func (export "_start")
            (call $write (i32.const 1) (i32.const 1024) (i32.const 4))
            (call $write (i32.const 2) (i32.const 1028) (i32.const 4))
            (call $proc_exit (i32.const 5)))"#,
    );
    let Some(run) = case.start(&guest, &config) else {
        return;
    };
    let (mut out, mut err, mut outcome) = (Vec::new(), Vec::new(), None);
    for event in run.events() {
        assert_eq!(outcome, None, "something came after the end");
        match event {
            Event::Stdout(bytes) => out.extend(bytes),
            Event::Stderr(bytes) => err.extend(bytes),
            Event::Ended(report) => outcome = Some(case.ran(report).outcome),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((&*out, &*err), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(outcome, Some(Outcome::Exited(5)));
}

fn a_pipe_nobody_could_use_is_refused(case: &Case) {
    let config = captured().stdout(Stdout::Pipe);
    if let Some(program) = case.compile(&hello(), &config) {
        let error = program.run(&config).expect_err("nobody reads the pipe");
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

/// A reader and writers of the caller's own.
fn streams_come_from_and_go_to_anything(case: &Case) {
    let config = captured();
    let Some(program) = case.compile(&cat(), &config) else {
        return;
    };
    let input: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let (seen, said) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let attachments = Attachments::new()
        .stdin(Cursor::new(input.clone()))
        .stdout_chunks({
            let seen = seen.clone();
            move |bytes| {
                seen.lock()
                    .expect("nothing panics")
                    .extend_from_slice(bytes)
            }
        })
        .stderr_chunks({
            let said = said.clone();
            move |bytes| *said.lock().expect("nothing panics") += bytes.len()
        });
    let report = case.ran(program.run_with(&config, attachments));
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert!(*seen.lock().expect("nothing panics") == input);
    assert_eq!(*said.lock().expect("nothing panics"), 0);
    assert_eq!(report.stdout.bytes, b"");
}

/// Takes so long for each piece, and counts.
struct Slow(Duration, Arc<AtomicUsize>);

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        thread::sleep(self.0);
        self.1.fetch_add(bytes.len(), Ordering::SeqCst);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn a_writer_that_takes_its_time_holds_the_guest_up(case: &Case) {
    // Ends by its time, far ahead of what the writer could take.
    let flood = wasi(
        r#"(func (export "_start")
             (loop (call $print (i32.const 1024) (i32.const 4096)) (br 0)))"#,
    );
    let config = captured().limit(|limits| limits.timeout = Some(Duration::from_millis(500)));
    let Some(program) = case.compile(&flood, &config) else {
        return;
    };
    let written = Arc::new(AtomicUsize::new(0));
    let slow = Slow(Duration::from_millis(50), written.clone());
    let report = case.ran(program.run_with(&config, Attachments::new().stdout(slow)));
    assert_eq!(report.outcome, Outcome::TimedOut);
    let written = written.load(Ordering::SeqCst);
    assert!((1..=2 << 20).contains(&written), "{written}");
}

struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn a_writer_that_fails_closes_the_output(case: &Case) {
    // `print` traps where it cannot write.
    let flood = wasi(
        r#"(func (export "_start")
             (loop (call $print (i32.const 1024) (i32.const 4096)) (br 0)))"#,
    );
    let config = captured().limit(|limits| limits.timeout = Some(Duration::from_secs(60)));
    let Some(program) = case.compile(&flood, &config) else {
        return;
    };
    let report = case.ran(program.run_with(&config, Attachments::new().stdout(Broken)));
    assert!(
        matches!(report.outcome, Outcome::Trapped(_)),
        "{:?}",
        report.outcome
    );
}
