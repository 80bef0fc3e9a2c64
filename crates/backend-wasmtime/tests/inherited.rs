//! Standard streams that are those of this process: pipes and terminals that others use too.
//!
//! Each trial starts this very program once more with streams of the trial's choice. That process
//! runs a guest on them and tells on standard error how the guest ended.

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::time::Duration;

use common::{command, module, outcome};
use libtest_mimic::{Arguments, Failed, Trial};
use wasmrun_core::{Outcome, RunConfig, Stdin};

const GUEST: &str = "WASMRUN_TEST_GUEST";

fn main() -> ExitCode {
    if let Ok(body) = std::env::var(GUEST) {
        run_guest(&body);
        return ExitCode::SUCCESS;
    }
    let trials = [
        Trial::test(
            "a_read_of_a_silent_pipe_is_cut_short_and_eats_nothing",
            || a_read_is_cut_short_and_eats_nothing(Stdio::piped()),
        ),
        Trial::test("a_write_to_a_full_pipe_is_cut_short", || {
            let child = start(WRITE, Stdio::null(), Stdio::piped());
            ends(child, &Outcome::TimedOut)
        }),
        Trial::test("a_pipe_that_nobody_reads_is_an_errno", || {
            let mut child = start(WRITE, Stdio::null(), Stdio::piped());
            drop(child.stdout.take());
            ends(child, &Outcome::Exited(64))
        }),
        Trial::test(
            "what_the_host_printed_goes_first",
            what_the_host_printed_goes_first,
        ),
        #[cfg(unix)]
        Trial::test("a_terminal_is_one", terminal::a_terminal_is_one),
        #[cfg(unix)]
        Trial::test(
            "a_read_of_a_silent_terminal_is_cut_short",
            terminal::a_read_of_a_silent_terminal_is_cut_short,
        ),
        #[cfg(unix)]
        Trial::test(
            "a_write_to_a_stopped_terminal_is_cut_short",
            terminal::a_write_to_a_stopped_terminal_is_cut_short,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

/// The other process: runs the guest, tells its end, and passes on what is left of the input.
fn run_guest(body: &str) {
    let guest = module(&command(&format!(r#"(func (export "_start") {body})"#)));
    let config = RunConfig::new()
        .stdin(Stdin::Inherit)
        .limit(|limits| limits.timeout = Some(Duration::from_millis(200)));
    print!("host ");
    let outcome = outcome(&guest, &config);
    #[cfg(target_os = "linux")]
    for fd in 0..3 {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).expect("a stream");
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.expect("flags").trim(), 8).expect("octal");
        const NONBLOCK: u32 = 0o4000;
        assert_eq!(flags & NONBLOCK, 0, "the mode of stream {fd} was changed");
    }
    eprintln!("{outcome}");
    let mut left = String::new();
    std::io::stdin().read_to_string(&mut left).expect("input");
    eprintln!("{left}");
}

const READ: &str = "(drop (call $read (i32.const 100) (i32.const 8)))";

/// Writes for ever, or until that fails, and exits with the errno.
const WRITE: &str = r#"
    (local $errno i32)
    (i32.store (i32.const 0) (i32.const 100))
    (i32.store (i32.const 4) (i32.const 10000))
    (loop $again
        (local.set $errno
            (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br_if $again (i32.eqz (local.get $errno))))
    (call $proc_exit (local.get $errno))"#;

fn start(body: &str, stdin: Stdio, stdout: Stdio) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .env(GUEST, body)
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts")
}

/// The next line on the other process's standard error.
fn next_line(stderr: &mut impl BufRead) -> String {
    let mut line = String::new();
    stderr.read_line(&mut line).expect("told");
    line.trim().to_owned()
}

fn ends(mut child: Child, expected: &Outcome) -> Result<(), Failed> {
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let told = next_line(&mut stderr);
    child.wait().expect("ends");
    if told == expected.to_string() {
        Ok(())
    } else {
        Err(format!("{told}, not {expected}").into())
    }
}

fn a_read_is_cut_short_and_eats_nothing(stdin: Stdio) -> Result<(), Failed> {
    let mut child = start(READ, stdin, Stdio::null());
    let mut input: ChildStdin = child.stdin.take().expect("a pipe");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    assert_eq!(next_line(&mut stderr), Outcome::TimedOut.to_string());
    input.write_all(b"for the host").expect("somebody reads");
    drop(input);
    assert_eq!(next_line(&mut stderr), "for the host");
    assert!(child.wait().expect("ends").success());
    Ok(())
}

fn what_the_host_printed_goes_first() -> Result<(), Failed> {
    let hello = r#"
        (i32.store (i32.const 100) (i32.const 0x0a6968))
        (call $write (i32.const 100) (i32.const 3))"#;
    let output = start(hello, Stdio::null(), Stdio::piped())
        .wait_with_output()
        .expect("ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "host hi\n");
    Ok(())
}

#[cfg(unix)]
mod terminal {
    use std::os::fd::{FromRawFd, OwnedFd};

    use super::*;

    /// Both ends of a new terminal: ours, and that of who sits in it.
    fn open() -> (File, OwnedFd) {
        let (mut ours, mut theirs) = (0, 0);
        let null = std::ptr::null_mut();
        // SAFETY: both descriptors are written to where they are declared; nothing else is asked.
        let opened =
            unsafe { libc::openpty(&mut ours, &mut theirs, null, null.cast(), null.cast()) };
        assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: they were opened just now, for us alone.
        unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
    }

    fn twice(end: OwnedFd) -> (Stdio, Stdio) {
        let other = end.try_clone().expect("a descriptor");
        (end.into(), other.into())
    }

    pub fn a_terminal_is_one() -> Result<(), Failed> {
        // What fd_fdstat_get says standard input is: 2, a character device.
        let (mut ours, theirs) = open();
        let (stdin, stdout) = twice(theirs);
        let ask = r#"
            (drop (call $fd_fdstat_get (i32.const 0) (i32.const 200)))
            (call $proc_exit (i32.load8_u (i32.const 200)))"#;
        let child = start(ask, stdin, stdout);
        ours.write_all(b"\x04").expect("a terminal");
        ends(child, &Outcome::Exited(2))
    }

    pub fn a_read_of_a_silent_terminal_is_cut_short() -> Result<(), Failed> {
        let (mut ours, theirs) = open();
        let mut child = start(READ, theirs.into(), Stdio::null());
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        assert_eq!(next_line(&mut stderr), Outcome::TimedOut.to_string());
        // A line, and the end of the input.
        ours.write_all(b"for the host\n\x04").expect("a terminal");
        assert_eq!(next_line(&mut stderr), "for the host");
        assert!(child.wait().expect("ends").success());
        Ok(())
    }

    pub fn a_write_to_a_stopped_terminal_is_cut_short() -> Result<(), Failed> {
        // Nobody reads at our end, so it fills up.
        let (_ours, theirs) = open();
        ends(
            start(WRITE, Stdio::null(), theirs.into()),
            &Outcome::TimedOut,
        )
    }
}
