//! A session of its own for each run, killed whole; one thread that does all the talking.

#[cfg(target_os = "linux")]
mod exit_code;

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use wasmrun_core::stdio::{Capture, Input, Output};
use wasmrun_core::{Control, Error, ErrorKind, Result};

use super::{Ended, KEPT_VARIABLES, Launch, Status, Streams};
use crate::stderr::Splitter;

/// How long the start of a possible diagnostic is kept from the reader of the guest's stderr.
const UNDECIDED: Duration = Duration::from_millis(20);

/// How often a wait that nothing may ever end looks whether it still makes sense.
const TICK: Duration = Duration::from_millis(50);

/// How long output may keep coming, or its pipe stay open, without a byte, after all processes of
/// the group were killed: only one that left the group can still hold it.
const STRAGGLERS: u32 = 20;

/// Runs an executable until it ends.
pub(crate) fn execute(launch: Launch, streams: Streams, control: &Control) -> Result<Ended> {
    let mut command = command(&launch);
    let mut pump = Pump::attach(&mut command, streams)?;
    let child = command
        .spawn()
        .map_err(|source| cannot_start(&launch, source))?;
    // It holds our ends of the guest's files and pipes.
    drop(command);
    let mut leader = Leader::new(child);
    pump.connect(&mut leader.child)
        .map_err(|source| cannot_talk(&launch, source))?;

    let group = leader.group.clone();
    let _hook = control.on_interrupt(move || group.kill());
    pump.run(&leader, control)
        .map_err(|source| cannot_talk(&launch, source))?;
    let status = leader
        .end()
        .map_err(|source| cannot_talk(&launch, source))?;
    let status = match status {
        Status::Signal(signal) if launch.passes_large_exit_codes && is_large_code(signal) => {
            Status::LargeCode
        }
        status => status,
    };
    Ok(Ended {
        status,
        words: pump.finish(control),
    })
}

/// Makes the file `link` show what is at `target`.
pub(crate) fn link(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Keeps other users out of a directory.
pub(crate) fn make_private(builder: &mut tempfile::Builder<'_, '_>) {
    builder.permissions(std::fs::Permissions::from_mode(0o700));
}

fn command(launch: &Launch) -> Command {
    let mut command = Command::new(&launch.executable);
    command
        .args(&launch.args)
        .env_clear()
        .current_dir(launch.directory.as_deref().unwrap_or(Path::new("/")));
    for name in KEPT_VARIABLES {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let parent = rustix::process::getpid();
    let large_codes = launch.passes_large_exit_codes;
    let prepare = move || {
        detach(parent)?;
        if large_codes {
            limit_exit_code()
        } else {
            Ok(())
        }
    };
    // SAFETY: it only makes system calls, which is allowed between fork and exec.
    unsafe { command.pre_exec(prepare) };
    command
}

/// Called in the child before it becomes the runtime.
fn detach(parent: Pid) -> io::Result<()> {
    // A session rather than a process group: a background group that reads from the terminal is
    // stopped, a process without a terminal of its own is not.
    rustix::process::setsid()?;
    // A runtime that aborts leaves no file behind.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none)?;
    // A closed reader is an error the guest sees, as it is in an engine of this process.
    // SAFETY: ignoring a signal installs no handler.
    if unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    die_with(parent)
}

/// Ties the child's life to that of the thread that started it, which waits for it.
#[cfg(target_os = "linux")]
fn die_with(parent: Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before.
    if rustix::process::getppid() != Some(parent) {
        return Err(Errno::SRCH.into());
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn die_with(_: Pid) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn limit_exit_code() -> io::Result<()> {
    exit_code::limit()
}

#[cfg(target_os = "linux")]
fn is_large_code(signal: i32) -> bool {
    signal == exit_code::TOO_LARGE
}

#[cfg(not(target_os = "linux"))]
fn limit_exit_code() -> io::Result<()> {
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn is_large_code(_: i32) -> bool {
    false
}

fn cannot_start(launch: &Launch, source: io::Error) -> Error {
    let executable = launch.executable.display();
    if source.raw_os_error() == Some(Errno::TOOBIG.raw_os_error()) {
        return Error::new(
            ErrorKind::Unsupported,
            "the arguments and environment variables are too long for a command line; use an engine that is built in",
        );
    }
    let kind = match source.kind() {
        io::ErrorKind::NotFound => ErrorKind::EngineNotFound,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("cannot start {executable}")).with_source(source)
}

fn cannot_talk(launch: &Launch, source: io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("lost contact with {}", launch.executable.display()),
    )
    .with_source(source)
}

/// The process at the head of the session. Dropping it kills the session.
struct Leader {
    child: Child,
    group: Arc<Group>,
    /// Readable once the process has ended; `None` where the system has no such thing.
    exit: Option<OwnedFd>,
}

impl Leader {
    fn new(child: Child) -> Self {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Leader {
            child,
            group: Arc::new(Group(Mutex::new(pid))),
            exit: pid.and_then(exit_of),
        }
    }

    /// Ends what is left of the group, and waits for its leader.
    fn end(&mut self) -> io::Result<Status> {
        // Until it is waited for, the leader's number stays its own, so that the group's does too.
        self.group.await_leader();
        self.group.kill();
        let mut leader = self.group.leader();
        let status = self.child.wait();
        *leader = None;
        let status = status?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Status::Code(code),
            (None, signal) => Status::Signal(signal.unwrap_or_default()),
        })
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.group.kill();
        let mut leader = self.group.leader();
        if leader.take().is_some() {
            // Killed, so it ends; how is of no interest any more.
            let _ = self.child.wait();
        }
    }
}

/// The process group of a run, until its leader is waited for.
struct Group(Mutex<Option<Pid>>);

impl Group {
    fn leader(&self) -> MutexGuard<'_, Option<Pid>> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill(&self) {
        if let Some(leader) = *self.leader() {
            // It fails only if there is nobody left.
            let _ = rustix::process::kill_process_group(leader, Signal::KILL);
        }
    }

    /// Waits for the leader to end, and leaves it to be waited for again.
    fn await_leader(&self) {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let Some(leader) = *self.leader() else { return };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(leader), options).is_err_and(|error| error == Errno::INTR) {}
    }
}

#[cfg(target_os = "linux")]
fn exit_of(pid: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn exit_of(_: Pid) -> Option<OwnedFd> {
    None
}

/// Moves bytes between the guest and whoever feeds and reads it.
struct Pump {
    input: Option<Arc<[u8]>>,
    stdin: Option<(ChildStdin, Arc<[u8]>, usize)>,
    capture: Option<Capture>,
    stdout: Option<(ChildStdout, Capture)>,
    stderr: Option<ChildStderr>,
    splitter: Splitter,
    sink: Sink,
}

/// What the pump waits for.
#[derive(Clone, Copy)]
enum Wait {
    Exit,
    Stdin,
    Stdout,
    Stderr,
    Sink,
}

impl Pump {
    fn attach(command: &mut Command, streams: Streams) -> Result<Self> {
        let mut input = None;
        command.stdin(match streams.stdin {
            Input::Null => Stdio::null(),
            Input::Inherit => Stdio::inherit(),
            Input::File(file) => file.into(),
            Input::Bytes(bytes) => {
                input = Some(bytes);
                Stdio::piped()
            }
            other => return Err(unknown_stream(&other)),
        });
        let mut capture = None;
        command.stdout(match streams.stdout {
            Output::Null => Stdio::null(),
            Output::Inherit => Stdio::inherit(),
            Output::File(file) => file.into(),
            Output::Capture(to) => {
                capture = Some(to);
                Stdio::piped()
            }
            other => return Err(unknown_stream(&other)),
        });
        command.stderr(Stdio::piped());
        Ok(Pump {
            input,
            stdin: None,
            capture,
            stdout: None,
            stderr: None,
            splitter: streams.splitter,
            sink: Sink {
                to: streams.stderr,
                pending: Vec::new(),
                closed: false,
            },
        })
    }

    fn connect(&mut self, child: &mut Child) -> io::Result<()> {
        if let (Some(stdin), Some(bytes)) = (child.stdin.take(), self.input.take()) {
            // Only our end of the pipe: the guest's is a file description of its own.
            rustix::io::ioctl_fionbio(&stdin, true)?;
            self.stdin = Some((stdin, bytes, 0));
        }
        self.stdout = child.stdout.take().zip(self.capture.take());
        self.stderr = child.stderr.take();
        Ok(())
    }

    /// Until the leader has ended and nothing more comes.
    fn run(&mut self, leader: &Leader, control: &Control) -> io::Result<()> {
        let mut exit = leader.exit.as_ref();
        while exit.is_some() || (leader.exit.is_none() && self.is_connected()) {
            let timeout = self.splitter.is_undecided().then_some(UNDECIDED);
            let ready = self.wait(exit, timeout)?;
            if ready.is_empty() {
                let guests = self.splitter.settle();
                self.sink.accept(&guests);
            }
            for wait in ready {
                match wait {
                    Wait::Exit => exit = None,
                    wait => self.serve(wait)?,
                }
            }
        }
        self.stdin = None;
        leader.group.await_leader();
        leader.group.kill();
        self.drain(control)
    }

    /// What is still in the pipes.
    fn drain(&mut self, control: &Control) -> io::Result<()> {
        let mut quiet = 0;
        while self.is_connected() || self.sink.is_waiting() {
            let ready = self.wait(None, Some(TICK))?;
            if !ready.is_empty() {
                quiet = 0;
            } else if self.sink.is_waiting() {
                // A slow reader may take its time, but not more than the guest has.
                if control.interrupted().is_some() {
                    break;
                }
            } else {
                quiet += 1;
                if quiet == STRAGGLERS {
                    break;
                }
            }
            for wait in ready {
                self.serve(wait)?;
            }
        }
        Ok(())
    }

    fn is_connected(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }

    fn wait(&self, exit: Option<&OwnedFd>, timeout: Option<Duration>) -> io::Result<Vec<Wait>> {
        let mut waits = Vec::with_capacity(5);
        let mut fds = Vec::with_capacity(5);
        let mut add = |wait, fd, flags| {
            waits.push(wait);
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        };
        if let Some(exit) = exit {
            add(Wait::Exit, exit.as_fd(), PollFlags::IN);
        }
        if let Some((stdin, ..)) = &self.stdin {
            add(Wait::Stdin, stdin.as_fd(), PollFlags::OUT);
        }
        if let Some((stdout, _)) = &self.stdout {
            add(Wait::Stdout, stdout.as_fd(), PollFlags::IN);
        }
        match (&self.stderr, self.sink.waiting()) {
            // One who writes faster than the reader reads is held up, as by any pipe.
            (_, Some(sink)) => add(Wait::Sink, sink, PollFlags::OUT),
            (Some(stderr), None) => add(Wait::Stderr, stderr.as_fd(), PollFlags::IN),
            (None, None) => {}
        }
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: 0,
            tv_nsec: timeout.subsec_nanos().into(),
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            // As if nothing had been said: whoever asked asks again.
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let ready = waits
            .into_iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty());
        Ok(ready.map(|(wait, _)| wait).collect())
    }

    fn serve(&mut self, wait: Wait) -> io::Result<()> {
        match wait {
            Wait::Exit => {}
            Wait::Stdin => self.feed(),
            Wait::Stdout => {
                let mut buffer = [0; 64 << 10];
                if let Some((stdout, capture)) = &mut self.stdout {
                    match stdout.read(&mut buffer)? {
                        0 => self.stdout = None,
                        count => capture.push(&buffer[..count]),
                    }
                }
            }
            Wait::Stderr => {
                let mut buffer = [0; 4 << 10];
                if let Some(stderr) = &mut self.stderr {
                    match stderr.read(&mut buffer)? {
                        0 => self.stderr = None,
                        count => {
                            let guests = self.splitter.push(&buffer[..count]);
                            self.sink.accept(&guests);
                        }
                    }
                }
            }
            Wait::Sink => self.sink.write(),
        }
        if self.sink.closed {
            // The guest is to find its reader gone too.
            self.stderr = None;
        }
        Ok(())
    }

    fn feed(&mut self) {
        let Some((stdin, bytes, written)) = &mut self.stdin else {
            return;
        };
        match stdin.write(&bytes[*written..]) {
            Ok(count) => *written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The guest reads no more; that is its own affair.
            Err(_) => *written = bytes.len(),
        }
        if *written == bytes.len() {
            self.stdin = None;
        }
    }

    fn finish(self, control: &Control) -> Words {
        let Pump {
            splitter, mut sink, ..
        } = self;
        let (guests, message) = splitter.finish();
        sink.accept(&guests);
        sink.flush(control);
        Words { message, sink }
    }
}

fn unknown_stream(stream: &dyn std::fmt::Debug) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("cannot connect a guest to {stream:?}"),
    )
}

/// What a runtime may have said itself, at the end of its standard error.
#[derive(Debug)]
pub(crate) struct Words {
    message: Vec<u8>,
    sink: Sink,
}

impl Words {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.message).trim_end().to_owned()
    }

    /// They were the guest's after all.
    pub(crate) fn release(mut self, control: &Control) {
        self.sink.accept(&self.message);
        self.sink.flush(control);
    }
}

/// Where the guest's standard error goes.
#[derive(Debug)]
struct Sink {
    to: Output,
    pending: Vec<u8>,
    closed: bool,
}

impl Sink {
    fn accept(&mut self, bytes: &[u8]) {
        match &self.to {
            Output::Null => {}
            Output::Capture(capture) => capture.push(bytes),
            _ if self.closed => {}
            _ => self.pending.extend_from_slice(bytes),
        }
    }

    fn is_waiting(&self) -> bool {
        self.waiting().is_some()
    }

    /// What has to be writable before anything else can happen.
    fn waiting(&self) -> Option<BorrowedFd<'_>> {
        if self.pending.is_empty() {
            return None;
        }
        self.fd()
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.to {
            Output::File(file) => Some(file.as_fd()),
            Output::Inherit => Some(rustix::stdio::stderr()),
            _ => None,
        }
    }

    /// Writes as much as a pipe that is ready takes without blocking.
    fn write(&mut self) {
        const PIPE_BUF: usize = 4 << 10;
        let Some(fd) = self.waiting() else { return };
        let some = &self.pending[..self.pending.len().min(PIPE_BUF)];
        match rustix::io::write(fd, some) {
            Ok(count) => drop(self.pending.drain(..count)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => {
                self.closed = true;
                self.pending.clear();
            }
        }
    }

    /// Until all is written, unless the guest's time is up.
    fn flush(&mut self, control: &Control) {
        let tick = Timespec {
            tv_sec: 0,
            tv_nsec: TICK.subsec_nanos().into(),
        };
        while let Some(fd) = self.waiting() {
            let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
            match poll(&mut fds, Some(&tick)) {
                Ok(0) | Err(Errno::INTR) if control.interrupted().is_some() => return,
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => self.write(),
                Err(_) => return,
            }
        }
    }
}
