//! A run whose streams are the guest's own: one thread does all the talking.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use wasmrun_core::stdio::{Input, Output};
use wasmrun_core::{Control, Error, ErrorKind, Result};

use super::leader::{Leader, STRAGGLERS, TICK};
use super::start::{self, start};
use crate::spawn::launch::{Launch, Status, Streams};
use crate::stderr::{End, Splitter};

/// How long the start of a possible diagnostic is kept from the reader of the guest's stderr.
const UNDECIDED: Duration = Duration::from_millis(20);

/// Runs an executable until it ends: how it ended, and what it may have said itself on its standard error.
pub(crate) fn execute(
    launch: Launch,
    streams: Streams,
    control: &Control,
) -> Result<(Status, Words)> {
    let (mut pump, its) = Pump::new(streams, &launch)?;
    let pid = start(&launch, its).map_err(|source| launch.cannot_start(source))?;
    let mut leader = Leader::new(pid, &launch.usage);
    let group = leader.group.clone();
    let _hook = control.on_interrupt(move || group.kill());
    pump.run(&leader, control)
        .map_err(|source| launch.lost_contact(source))?;
    let status = leader.end().map_err(|source| launch.lost_contact(source))?;
    Ok((status, pump.finish(control)))
}

/// Moves bytes between the guest and whoever feeds and reads it.
struct Pump {
    stdin: Option<(PipeWriter, Arc<[u8]>, usize)>,
    /// `None` where the guest writes to the right place itself.
    stdout: Option<PipeReader>,
    out: Sink,
    stderr: Option<PipeReader>,
    splitter: Splitter,
    err: Sink,
}

/// What the pump waits for.
#[derive(Clone, Copy)]
enum Wait {
    Exit,
    Stdin,
    Stdout,
    Out,
    Stderr,
    Err,
}

impl Pump {
    /// With the guest's own ends.
    fn new(streams: Streams, launch: &Launch) -> Result<(Self, start::Streams)> {
        let failed = |source| launch.cannot_start(source);
        let null = |options: &OpenOptions| {
            let null = options.open("/dev/null");
            null.map(OwnedFd::from).map_err(failed)
        };
        let own = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(failed);
        let mut stdin = None;
        let its_stdin = match streams.stdin {
            Input::Null => null(File::options().read(true))?,
            Input::Inherit => own(rustix::stdio::stdin())?,
            Input::File(file) => file.into(),
            Input::Bytes(bytes) => {
                let (its, ours) = io::pipe().map_err(failed)?;
                // Only our end of the pipe: the guest's is a file description of its own.
                rustix::io::ioctl_fionbio(&ours, true).map_err(|error| failed(error.into()))?;
                stdin = Some((ours, bytes, 0));
                its.into()
            }
            other => return Err(unknown_stream(&other)),
        };
        let mut stdout = None;
        let mut out = Output::Null;
        let its_stdout = match streams.stdout {
            Output::Null => null(File::options().write(true))?,
            Output::Inherit => own(rustix::stdio::stdout())?,
            Output::File(file) => file.into(),
            measured @ (Output::Capture(_) | Output::Metered(..)) => {
                out = measured;
                let (ours, its) = io::pipe().map_err(failed)?;
                stdout = Some(ours);
                its.into()
            }
            other => return Err(unknown_stream(&other)),
        };
        let (stderr, its_stderr) = io::pipe().map_err(failed)?;
        let pump = Pump {
            stdin,
            stdout,
            out: Sink::new(out, rustix::stdio::stdout()),
            stderr: Some(stderr),
            splitter: streams.splitter,
            err: Sink::new(streams.stderr, rustix::stdio::stderr()),
        };
        Ok((pump, [its_stdin, its_stdout, its_stderr.into()]))
    }

    /// Until the leader has ended and nothing more comes.
    fn run(&mut self, leader: &Leader, control: &Control) -> io::Result<()> {
        let mut exit = leader.exit.as_ref();
        while exit.is_some() || (leader.exit.is_none() && self.is_connected()) {
            let timeout = self.splitter.is_undecided().then_some(UNDECIDED);
            let ready = self.wait(exit, timeout)?;
            if ready.is_empty() {
                let guests = self.splitter.settle();
                self.err.accept(&guests);
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
        while self.is_connected() || self.out.is_waiting() || self.err.is_waiting() {
            let ready = self.wait(None, Some(TICK))?;
            if !ready.is_empty() {
                quiet = 0;
            } else if self.out.is_waiting() || self.err.is_waiting() {
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
        // One who writes faster than the reader reads is held up, as by any pipe.
        match (&self.stdout, self.out.waiting()) {
            (_, Some(out)) => add(Wait::Out, out, PollFlags::OUT),
            (Some(stdout), None) => add(Wait::Stdout, stdout.as_fd(), PollFlags::IN),
            (None, None) => {}
        }
        match (&self.stderr, self.err.waiting()) {
            (_, Some(err)) => add(Wait::Err, err, PollFlags::OUT),
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
                if let Some(stdout) = &mut self.stdout {
                    match stdout.read(&mut buffer)? {
                        0 => self.stdout = None,
                        count => self.out.accept(&buffer[..count]),
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
                            self.err.accept(&guests);
                        }
                    }
                }
            }
            Wait::Out => self.out.write(),
            Wait::Err => self.err.write(),
        }
        // The guest is to find its reader gone too.
        if self.out.closed {
            self.stdout = None;
        }
        if self.err.closed {
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
            splitter,
            mut out,
            mut err,
            ..
        } = self;
        let End {
            guests,
            message,
            passed,
        } = splitter.finish();
        err.accept(&guests);
        out.flush(control);
        err.flush(control);
        Words {
            message,
            passed,
            sink: err,
        }
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
    /// How many bytes of it the guest's reader has.
    passed: usize,
    sink: Sink,
}

impl Words {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.message).trim_end().to_owned()
    }

    /// They were the guest's after all.
    pub(crate) fn release(mut self, control: &Control) {
        self.sink.accept(&self.message[self.passed..]);
        self.sink.flush(control);
    }
}

/// Where an output of the guest goes.
#[derive(Debug)]
struct Sink {
    to: Output,
    /// Our own stream of that kind.
    own: BorrowedFd<'static>,
    pending: Vec<u8>,
    closed: bool,
}

impl Sink {
    fn new(to: Output, own: BorrowedFd<'static>) -> Self {
        Sink {
            to,
            own,
            pending: Vec::new(),
            closed: false,
        }
    }

    fn accept(&mut self, bytes: &[u8]) {
        let accepted = match &self.to {
            Output::Capture(capture) => return capture.push(bytes),
            Output::Metered(meter, _) => {
                let allowed = meter.allows(bytes.len());
                meter.count(&bytes[..allowed]);
                if allowed < bytes.len() {
                    meter.stop();
                }
                allowed
            }
            _ => bytes.len(),
        };
        if !self.closed && self.fd().is_some() {
            self.pending.extend_from_slice(&bytes[..accepted]);
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
        let to = match &self.to {
            Output::Metered(_, to) => to,
            to => to,
        };
        match to {
            Output::File(file) => Some(file.as_fd()),
            Output::Inherit => Some(self.own),
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
