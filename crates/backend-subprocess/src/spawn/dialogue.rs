//! A run whose standard input and output are a wire to us.

use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
#[cfg(target_os = "linux")]
use rustix::net::SendFlags;
use rustix::process::Pid;
use wasmrun_core::{Control, Hook, Result};

use super::leader::{Leader, STRAGGLERS, TICK};
use super::start::{Streams, start};
use super::starter;
use crate::spawn::launch::{Launch, Status};

/// As much as is kept of what a runtime says itself.
const MOST_WORDS: usize = 1 << 20;

/// So long the next message is looked for before this thread sleeps, while messages come thick: to be woken takes
/// longer than most guests do to go on.
const LOOK: Duration = Duration::from_micros(30);

/// A message that woke this thread was so soon that the next may be looked for.
const SOON: Duration = Duration::from_micros(100);

/// A runtime that runs, and both ends of the wire to the guest in it. Dropping it kills it.
pub(crate) struct Dialogue {
    /// A socket rather than a pipe: what writes to a pipe that nobody reads any more may be ended for it.
    stdin: UnixStream,
    stdout: BufReader<PipeReader>,
    stderr: Option<PipeReader>,
    words: Vec<u8>,
    /// The last message came soon.
    thick: bool,
    _hook: Hook,
    leader: Leader,
}

impl Dialogue {
    /// Starts a runtime, to be killed when `control` is interrupted. It also ends with the thread that calls this.
    pub(crate) fn start(launch: &Launch, control: &Control) -> Result<Self> {
        Self::start_by(launch, control, start)
    }

    /// As [`start`](Dialogue::start), for one that ends with this process.
    pub(crate) fn start_lasting(launch: &Launch, control: &Control) -> Result<Self> {
        Self::start_by(launch, control, starter::start)
    }

    fn start_by(
        launch: &Launch,
        control: &Control,
        start: fn(&Launch, Streams) -> io::Result<Pid>,
    ) -> Result<Self> {
        let failed = |source| launch.cannot_start(source);
        let (stdin, its_stdin) = UnixStream::pair().map_err(failed)?;
        let (stdout, its_stdout) = io::pipe().map_err(failed)?;
        let (stderr, its_stderr) = io::pipe().map_err(failed)?;
        let streams = [its_stdin.into(), its_stdout.into(), its_stderr.into()];
        let pid = start(launch, streams).map_err(failed)?;
        let leader = Leader::new(pid, &launch.usage);
        let group = leader.group.clone();
        Ok(Dialogue {
            stdin,
            stdout: BufReader::new(stdout),
            stderr: Some(stderr),
            words: Vec::new(),
            thick: false,
            _hook: control.on_interrupt(move || group.kill()),
            leader,
        })
    }

    /// Fills `bytes` with what the guest sends.
    pub(crate) fn receive(&mut self, mut bytes: &mut [u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.stdout.buffer().is_empty() && !self.finds_soon()? {
                let began = Instant::now();
                self.listen()?;
                self.thick = began.elapsed() < SOON;
            }
            match self.stdout.read(bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => bytes = &mut bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends to the guest, which waits for it.
    pub(crate) fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match send_quietly(&self.stdin, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the guest has sent something, or does within a moment if it did the last time.
    fn finds_soon(&mut self) -> io::Result<bool> {
        if !self.thick {
            return Ok(false);
        }
        let began = Instant::now();
        let mut stdout = [PollFd::new(self.stdout.get_ref(), PollFlags::IN)];
        while began.elapsed() < LOOK {
            if retry_on_intr(|| poll(&mut stdout, Some(&Timespec::default())))? > 0 {
                return Ok(true);
            }
        }
        self.thick = false;
        Ok(false)
    }

    /// Waits until the guest sends something or has ended. Meanwhile the runtime may speak.
    fn listen(&mut self) -> io::Result<()> {
        loop {
            let mut fds = vec![PollFd::new(self.stdout.get_ref(), PollFlags::IN)];
            if let Some(exit) = &self.leader.exit {
                fds.push(PollFd::new(exit, PollFlags::IN));
            }
            if let Some(stderr) = &self.stderr {
                fds.push(PollFd::new(stderr, PollFlags::IN));
            }
            match poll(&mut fds, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
            let sends = ready.next() == Some(true);
            let ended = self.leader.exit.is_some() && ready.next() == Some(true);
            let speaks = self.stderr.is_some() && ready.next() == Some(true);
            if speaks {
                self.overhear_stderr();
            }
            if sends {
                return Ok(());
            }
            if ended {
                // It may have sent its last between the looks at its output and at its end. To wait for
                // more, whoever else holds the other end would hold us up.
                let mut stdout = [PollFd::new(self.stdout.get_ref(), PollFlags::IN)];
                return match retry_on_intr(|| poll(&mut stdout, Some(&Timespec::default())))? {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    _ => Ok(()),
                };
            }
        }
    }

    fn overhear_stderr(&mut self) {
        let mut buffer = [0; 4 << 10];
        let read = self.stderr.as_mut().map(|stderr| stderr.read(&mut buffer));
        match read {
            Some(Ok(count)) if count > 0 => self.overhear(&buffer[..count]),
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => self.stderr = None,
        }
    }

    /// Keeps what turned out to be the runtime's words.
    pub(crate) fn overhear(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(MOST_WORDS - self.words.len());
        self.words.extend(&bytes[..kept]);
    }

    /// Lets a runtime whose guest has ended say what it has to, and end. Tells how it ended, and what
    /// it said.
    pub(crate) fn end(mut self) -> io::Result<(Status, String)> {
        let mut stdout = true;
        let mut quiet = 0;
        let mut exit = self.leader.exit.take();
        while stdout || self.stderr.is_some() {
            let mut fds = Vec::with_capacity(3);
            fds.extend(
                stdout.then(|| {
                    PollFd::from_borrowed_fd(self.stdout.get_ref().as_fd(), PollFlags::IN)
                }),
            );
            fds.extend(
                self.stderr
                    .as_ref()
                    .map(|stderr| PollFd::new(stderr, PollFlags::IN)),
            );
            fds.extend(exit.as_ref().map(|exit| PollFd::new(exit, PollFlags::IN)));
            let tick = Timespec {
                tv_sec: 0,
                tv_nsec: TICK.subsec_nanos().into(),
            };
            let timeout = exit.is_none().then_some(&tick);
            match poll(&mut fds, timeout) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
            let sends = stdout && ready.next() == Some(true);
            let speaks = self.stderr.is_some() && ready.next() == Some(true);
            let ended = exit.is_some() && ready.next() == Some(true);
            if ended {
                exit = None;
                self.leader.group.kill();
            }
            if sends {
                let heard = self.stdout.fill_buf()?.to_vec();
                self.stdout.consume(heard.len());
                stdout = !heard.is_empty();
                self.overhear(&heard);
            }
            if speaks {
                self.overhear_stderr();
            }
            // Only a process that left the group can still hold them open.
            quiet = if exit.is_none() && !sends && !speaks {
                quiet + 1
            } else {
                0
            };
            if quiet == STRAGGLERS {
                break;
            }
        }
        let status = self.leader.end()?;
        let words = String::from_utf8_lossy(&self.words);
        Ok((status, words.trim_end().to_owned()))
    }
}

/// Sends without the signal that comes when nobody is there to receive.
#[cfg(target_os = "linux")]
fn send_quietly(socket: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?)
}

#[cfg(not(target_os = "linux"))]
fn send_quietly(mut socket: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    io::Write::write(&mut socket, bytes)
}
