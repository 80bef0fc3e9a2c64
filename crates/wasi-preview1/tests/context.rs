//! What a guest sees and waits for: the host side, seen through the functions.

use std::fmt;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use wasmrun_core::{
    Access, Capability, Clock, Code, Compile, Control, Engine, EngineInfo, ErrorKind, Guest,
    Outcome, Overflow, Place, Program, Proposals, Ran, Random, Report, Result, Run, RunConfig,
    Stats, Stdin, Stdout, Support, Task,
};
use wasmrun_wasi_preview1::{GuestMemory, Stop, Wasi, preview1};

const ISDIR: i32 = 31;
const PIPE: i32 = 64;

/// What a guest has.
struct Guested {
    wasi: Wasi,
    memory: Vec<u8>,
}

impl Guested {
    /// Calls `fd_read` for up to `len` bytes and returns them.
    fn read(&mut self, fd: i32, len: u32) -> Result<Vec<u8>, Stop> {
        self.iovec(len);
        let mut memory = GuestMemory::Unshared(&mut self.memory);
        let errno = preview1::fd_read(&mut self.wasi, &mut memory, fd, 0, 1, 8)?;
        assert_eq!(errno, 0);
        let read = self.word(8) as usize;
        Ok(self.memory[1024..1024 + read].to_vec())
    }

    /// Calls `fd_write` and returns the errno.
    fn write(&mut self, fd: i32, bytes: &[u8]) -> Result<i32, Stop> {
        self.iovec(bytes.len() as u32);
        self.memory[1024..1024 + bytes.len()].copy_from_slice(bytes);
        let mut memory = GuestMemory::Unshared(&mut self.memory);
        preview1::fd_write(&mut self.wasi, &mut memory, fd, 0, 1, 8)
    }

    fn iovec(&mut self, len: u32) {
        self.memory[..4].copy_from_slice(&1024u32.to_le_bytes());
        self.memory[4..8].copy_from_slice(&len.to_le_bytes());
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.memory[at..at + 4].try_into().expect("four bytes"))
    }

    fn time(&mut self, clock: i32) -> u64 {
        let mut memory = GuestMemory::Unshared(&mut self.memory);
        let errno = preview1::clock_time_get(&mut self.wasi, &mut memory, clock, 0, 0)
            .expect("no end in sight");
        assert_eq!(errno, 0);
        u64::from_le_bytes(self.memory[..8].try_into().expect("eight bytes"))
    }

    fn random(&mut self, len: usize) -> Vec<u8> {
        let mut memory = GuestMemory::Unshared(&mut self.memory);
        let errno = preview1::random_get(&mut self.wasi, &mut memory, 0, len as i32)
            .expect("no end in sight");
        assert_eq!(errno, 0);
        self.memory[..len].to_vec()
    }

    /// Waits for standard input or `nanoseconds`, and returns the kinds of event there were.
    fn poll(&mut self, nanoseconds: u64) -> Result<Vec<u8>, Stop> {
        self.memory[..96].fill(0);
        // Subscriptions of 48 bytes: the kind at 8; a clock's id at 16 and time at 24; an fd at 16.
        self.memory[16..20].copy_from_slice(&1u32.to_le_bytes());
        self.memory[24..32].copy_from_slice(&nanoseconds.to_le_bytes());
        self.memory[48 + 8] = 1;
        let mut memory = GuestMemory::Unshared(&mut self.memory);
        let errno = preview1::poll_oneoff(&mut self.wasi, &mut memory, 0, 1024, 2, 2048)?;
        assert_eq!(errno, 0);
        let count = self.word(2048) as usize;
        Ok((0..count)
            .map(|at| self.memory[1024 + at * 32 + 10])
            .collect())
    }
}

/// An engine whose every guest does `act`.
struct Stage {
    info: EngineInfo,
    act: Arc<Act>,
}

type Act = dyn Fn(Task, &Control) -> Result<Outcome> + Send + Sync;

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.fmt(f)
    }
}

impl Engine for Stage {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        Capability {
            proposals: Proposals::WASM3,
            modules: Support::Native,
            preopens: Support::Native,
            mapped_preopens: Support::Native,
            read_only_preopens: Support::Native,
            timeout: Support::Native,
            kill: Support::Native,
            fixed_clock: Support::Native,
            virtual_clock: Support::Native,
            seeded_random: Support::Native,
            ..Capability::default()
        }
    }

    fn compile(&self, _: Compile<'_>) -> Result<Arc<dyn Code>> {
        Ok(Arc::new(Play(self.act.clone())))
    }
}

struct Play(Arc<Act>);

impl Code for Play {
    fn run(&self, task: Task, control: &Control) -> Result<Ran> {
        Ok(Ran {
            outcome: (self.0)(task, control)?,
            stats: Stats::default(),
        })
    }
}

fn program(
    config: &RunConfig,
    act: impl Fn(Task, &Control) -> Result<Outcome> + Send + Sync + 'static,
) -> Program {
    let guest = Guest::from_bytes("guest", r#"(module (func (export "_start")))"#).expect("wasm");
    let stage = Stage {
        info: EngineInfo {
            name: "stage".into(),
            version: "1".into(),
            place: Place::InProcess,
        },
        act: Arc::new(act),
    };
    Program::compile(Arc::new(stage), &guest, config).expect("compiles")
}

/// A guest that exits with what `act` returns.
fn guest(
    config: &RunConfig,
    act: impl Fn(&mut Guested) -> Result<i32, Stop> + Send + Sync + 'static,
) -> Program {
    program(config, move |mut task, control| {
        let mut guest = Guested {
            wasi: Wasi::of(&mut task, control)?,
            memory: vec![0; 128 << 10],
        };
        Ok(match act(&mut guest) {
            Ok(code) => Outcome::Exited(code),
            Err(stop) => stop.outcome(),
        })
    })
}

fn run(
    config: &RunConfig,
    act: impl Fn(&mut Guested) -> Result<i32, Stop> + Send + Sync + 'static,
) -> Report {
    guest(config, act).run(config).expect("runs")
}

fn start(
    config: &RunConfig,
    act: impl Fn(&mut Guested) -> Result<i32, Stop> + Send + Sync + 'static,
) -> Run {
    guest(config, act).start(config).expect("starts")
}

fn soon() -> RunConfig {
    RunConfig::new().limit(|limits| limits.timeout = Some(Duration::from_millis(50)))
}

#[test]
fn bytes_are_read_up_to_their_end() {
    let report = run(
        &RunConfig::new().stdin(Stdin::Bytes(b"hello".to_vec())),
        |guest| {
            assert_eq!(guest.read(0, 3)?, b"hel");
            assert_eq!(guest.read(0, 3)?, b"lo");
            assert_eq!(guest.read(0, 3)?, b"");
            Ok(0)
        },
    );
    assert_eq!(report.outcome, Outcome::Exited(0));
}

#[test]
fn null_is_an_end_to_read_and_takes_what_is_written() {
    let config = RunConfig::new().stdout(Stdout::Null).stderr(Stdout::Null);
    let report = run(&config, |guest| {
        assert_eq!(guest.read(0, 3)?, b"");
        assert_eq!(guest.write(1, b"out")?, 0);
        guest.write(2, b"err")
    });
    assert_eq!(report.outcome, Outcome::Exited(0));
}

#[test]
fn each_output_is_captured_by_itself() {
    let config = RunConfig::new()
        .stdout(Stdout::Capture)
        .stderr(Stdout::Capture);
    let report = run(&config, |guest| {
        guest.write(1, b"out")?;
        guest.write(2, b"err")
    });
    assert_eq!(report.stdout.bytes, b"out");
    assert_eq!(report.stderr.bytes, b"err");
}

#[test]
fn a_file_is_read_from_where_it_is_and_written_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let (from, to) = (dir.path().join("in"), dir.path().join("out"));
    std::fs::write(&from, b"abcdef").expect("written");
    let config = RunConfig::new()
        .stdin(Stdin::File(from))
        .stdout(Stdout::File(to.clone()));
    let report = run(&config, |guest| {
        assert_eq!(guest.read(0, 4)?, b"abcd");
        assert_eq!(guest.read(0, 4)?, b"ef");
        assert_eq!(guest.read(0, 4)?, b"");
        guest.write(1, &[b'x'; 70_000])
    });
    assert_eq!(report.outcome, Outcome::Exited(0));
    assert_eq!(std::fs::read(to).expect("read"), [b'x'; 70_000]);
}

#[test]
fn a_guest_that_writes_more_than_it_may_is_stopped_if_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("out");
    let limited = |stdout: Stdout, overflow| {
        RunConfig::new().stdout(stdout).limit(|limits| {
            limits.output = Some(10);
            limits.overflow = overflow;
        })
    };
    for stdout in [Stdout::Capture, Stdout::File(file.clone()), Stdout::Null] {
        // Just as much as it may, and a byte more.
        for (more, outcome) in [
            (&b""[..], Outcome::Exited(7)),
            (b"x", Outcome::TooMuchOutput),
            (b"xyz", Outcome::TooMuchOutput),
        ] {
            let report = run(&limited(stdout.clone(), Overflow::Stop), move |guest| {
                guest.write(1, b"0123")?;
                guest.write(1, b"456789")?;
                guest.write(1, more)?;
                assert_eq!(more, b"", "it went on");
                Ok(7)
            });
            assert_eq!(report.outcome, outcome, "{stdout:?}");
            match &stdout {
                Stdout::Capture => assert_eq!(report.stdout.bytes, b"0123456789"),
                Stdout::File(file) => {
                    assert_eq!(std::fs::read(file).expect("read"), b"0123456789");
                }
                _ => {}
            }
        }
    }
    let report = run(&limited(Stdout::Capture, Overflow::Truncate), |guest| {
        guest.write(1, b"0123456789abc")?;
        Ok(7)
    });
    assert_eq!(report.outcome, Outcome::Exited(7));
    assert_eq!(report.stdout.dropped, 3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_fifo_as_input_is_waited_for_until_somebody_writes_to_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let fifo = dir.path().join("fifo");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0)
        .expect("a FIFO");
    let config = RunConfig::new().stdin(Stdin::File(fifo.clone()));
    let read = |guest: &mut Guested| {
        assert_eq!(guest.read(0, 8)?, b"late");
        assert_eq!(guest.read(0, 8)?, b"");
        Ok(0)
    };
    let started = start(&config, read);
    thread::sleep(Duration::from_millis(30));
    std::fs::write(&fifo, b"late").expect("the guest reads");
    assert_eq!(started.wait().expect("runs").outcome, Outcome::Exited(0));

    // Nobody comes.
    let report = run(&soon().stdin(Stdin::File(fifo)), |guest| {
        guest.read(0, 8)?;
        Ok(0)
    });
    assert_eq!(report.outcome, Outcome::TimedOut);
}

#[test]
fn a_directory_as_input_is_an_errno() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = RunConfig::new().stdin(Stdin::File(dir.path().to_owned()));
    let report = run(&config, |guest| {
        guest.iovec(8);
        let mut memory = GuestMemory::Unshared(&mut guest.memory);
        preview1::fd_read(&mut guest.wasi, &mut memory, 0, 0, 1, 8)
    });
    assert_eq!(report.outcome, Outcome::Exited(ISDIR));
}

#[test]
fn a_pipe_is_waited_for_and_read_up_to_its_end() {
    let config = RunConfig::new().stdin(Stdin::Pipe);
    let mut run = start(&config, |guest| {
        let mut all = Vec::new();
        loop {
            match guest.read(0, 4)? {
                end if end.is_empty() => break,
                bytes => all.extend(bytes),
            }
        }
        assert_eq!(all, b"one two");
        Ok(0)
    });
    let mut stdin = run.stdin.take().expect("a pipe");
    for part in [&b"one "[..], b"two"] {
        thread::sleep(Duration::from_millis(20));
        stdin.write_all(part).expect("the guest reads");
    }
    drop(stdin);
    assert_eq!(run.wait().expect("runs").outcome, Outcome::Exited(0));
}

#[test]
fn a_read_from_a_silent_pipe_is_cut_short() {
    let mut run = start(&soon().stdin(Stdin::Pipe), |guest| {
        guest.read(0, 8)?;
        Ok(0)
    });
    let _silent = run.stdin.take();
    assert_eq!(run.wait().expect("runs").outcome, Outcome::TimedOut);
}

#[test]
fn a_write_to_a_full_pipe_is_cut_short() {
    let mut run = start(&soon().stdout(Stdout::Pipe), |guest| {
        loop {
            assert_eq!(guest.write(1, &[0; 10_000])?, 0);
        }
    });
    let _unread = run.stdout.take();
    assert_eq!(run.wait().expect("runs").outcome, Outcome::TimedOut);
}

#[test]
fn a_full_pipe_is_waited_for_and_nothing_is_lost() {
    let mut run = start(&RunConfig::new().stdout(Stdout::Pipe), |guest| {
        for number in 0..100u8 {
            assert_eq!(guest.write(1, &[number; 10_001])?, 0);
        }
        Ok(0)
    });
    thread::sleep(Duration::from_millis(20));
    let mut all = Vec::new();
    let mut stdout = run.stdout.take().expect("a pipe");
    stdout.read_to_end(&mut all).expect("read");
    let expected: Vec<u8> = (0..100).flat_map(|number| [number; 10_001]).collect();
    assert!(all == expected, "{} bytes arrived", all.len());
    assert_eq!(run.wait().expect("runs").outcome, Outcome::Exited(0));
}

#[test]
fn writing_to_a_pipe_that_nobody_reads_any_longer_is_an_errno() {
    let mut run = start(&RunConfig::new().stdout(Stdout::Pipe), |guest| {
        loop {
            match guest.write(1, &[0; 1000])? {
                0 => thread::sleep(Duration::from_millis(1)),
                errno => return Ok(errno),
            }
        }
    });
    drop(run.stdout.take());
    assert_eq!(run.wait().expect("runs").outcome, Outcome::Exited(PIPE));
}

#[test]
fn waiting_for_a_silent_pipe_and_a_clock_ends_with_the_clock() {
    let mut run = start(&RunConfig::new().stdin(Stdin::Pipe), |guest| {
        assert_eq!(guest.poll(20_000_000)?, [0]);
        Ok(0)
    });
    let _silent = run.stdin.take();
    assert_eq!(run.wait().expect("runs").outcome, Outcome::Exited(0));
}

#[test]
fn waiting_for_a_pipe_and_a_distant_clock_ends_with_the_pipe() {
    let mut run = start(&RunConfig::new().stdin(Stdin::Pipe), |guest| {
        assert_eq!(guest.poll(u64::MAX / 2)?, [1]);
        assert_eq!(guest.read(0, 8)?, b"now");
        Ok(0)
    });
    let mut stdin = run.stdin.take().expect("a pipe");
    thread::sleep(Duration::from_millis(20));
    stdin.write_all(b"now").expect("the guest waits");
    assert_eq!(run.wait().expect("runs").outcome, Outcome::Exited(0));
}

#[test]
fn waiting_for_a_pipe_and_a_clock_is_cut_short() {
    let mut run = start(&soon().stdin(Stdin::Pipe), |guest| {
        guest.poll(u64::MAX / 2)?;
        Ok(0)
    });
    let _silent = run.stdin.take();
    assert_eq!(run.wait().expect("runs").outcome, Outcome::TimedOut);
}

#[test]
fn many_guests_wait_at_the_same_time_and_one_is_killed() {
    let config = RunConfig::new().stdin(Stdin::Pipe).killable(true);
    let mut runs: Vec<Run> = (0..20)
        .map(|_| {
            start(&config, |guest| {
                assert_eq!(guest.read(0, 8)?, b"go");
                Ok(0)
            })
        })
        .collect();
    let killed = runs.pop().expect("a run");
    killed.kill().expect("killable");
    for run in &mut runs {
        let stdin = run.stdin.as_mut().expect("a pipe");
        stdin.write_all(b"go").expect("the guest waits");
    }
    for run in runs {
        assert_eq!(run.wait().expect("runs").outcome, Outcome::Exited(0));
    }
    assert_eq!(killed.wait().expect("runs").outcome, Outcome::Killed);
}

#[test]
fn a_fixed_wall_clock_stands_still_and_the_other_runs() {
    let config = RunConfig::new().clock(Clock::Fixed(1_234_567_890_123_456_789));
    let report = run(&config, |guest| {
        for _ in 0..3 {
            assert_eq!(guest.time(0), 1_234_567_890_123_456_789);
        }
        let before = guest.time(1);
        thread::sleep(Duration::from_millis(1));
        assert!(guest.time(1) > before);
        Ok(0)
    });
    assert_eq!(report.outcome, Outcome::Exited(0));
}

#[test]
fn seeded_random_numbers_repeat_and_differ_by_seed() {
    let drawn = |random: Random| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let see = seen.clone();
        run(&RunConfig::new().random(random), move |guest| {
            let mut bytes = guest.random(40);
            bytes.extend(guest.random(7));
            *see.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
            Ok(0)
        });
        std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner))
    };
    assert_eq!(drawn(Random::Seeded(1)), drawn(Random::Seeded(1)));
    assert_ne!(drawn(Random::Seeded(1)), drawn(Random::Seeded(2)));
    assert_ne!(drawn(Random::Host), drawn(Random::Host));
    // What a seed gives is part of the promise: recorded runs replay on later versions.
    assert_eq!(drawn(Random::Seeded(1))[..8], FIRST_OF_SEED_1);
}

const FIRST_OF_SEED_1: [u8; 8] = [127, 50, 87, 159, 75, 202, 149, 201];

#[test]
fn a_directory_that_went_away_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let gone = dir.path().join("gone");
    std::fs::create_dir(&gone).expect("made");
    let config = RunConfig::new().map_dir(&gone, "/data", Access::ReadOnly);
    let remove = gone.clone();
    let error = program(&config, move |mut task, control| {
        std::fs::remove_dir(&remove).expect("removed");
        Wasi::of(&mut task, control).map(|_| Outcome::Exited(0))
    })
    .run(&config)
    .expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::Preopen);
    assert!(error.to_string().contains("gone"), "{error}");
    assert!(error.to_string().contains("/data"), "{error}");
}
