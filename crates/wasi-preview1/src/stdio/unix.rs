//! Reading and writing a Unix descriptor without ever blocking on it.

use std::fs::File;
use std::io::{self, ErrorKind::WouldBlock, IsTerminal, Stderr, Stdin, Stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicBool;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, OFlags};
use rustix::io::retry_on_intr;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::CHUNK;
use crate::block;

/// Whether a guest that waits for a standard stream can be cut short. Where it cannot, an engine
/// must refuse time limits and kills.
pub const STDIO_IS_INTERRUPTIBLE: bool = true;

/// `PIPE_BUF`: what there is room for in a pipe that can be written to.
const PIPE_CHUNK: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// An open file, pipe, terminal or socket.
pub(crate) struct Descriptor {
    fd: Fd,
    mode: Mode,
    is_terminal: bool,
}

enum Fd {
    Owned(OwnedFd),
    // Our own standard streams, past the buffers that Rust keeps for them.
    Stdin(Stdin),
    Stdout(Stdout),
    Stderr(Stderr),
}

enum Mode {
    /// It never makes anybody wait: files and directories.
    Ready,
    /// It is ours alone, and set to return at once.
    NonBlocking,
    /// As that, and a pipe, perhaps one that nobody has opened to write to yet. To read from it
    /// looks like its end, then.
    Pipe,
    /// Others use the same open file, in other processes too, so its mode must stay as it is.
    Shared {
        /// Whether the system lets one operation alone return at once.
        nowait: AtomicBool,
    },
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Fd::Owned(fd) => fd.as_fd(),
            Fd::Stdin(stream) => stream.as_fd(),
            Fd::Stdout(stream) => stream.as_fd(),
            Fd::Stderr(stream) => stream.as_fd(),
        }
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Descriptor {
    pub(crate) fn stdin() -> Self {
        Self::inherited(Fd::Stdin(io::stdin()), OFlags::RDONLY)
    }

    pub(crate) fn stdout() -> Self {
        Self::inherited(Fd::Stdout(io::stdout()), OFlags::WRONLY)
    }

    pub(crate) fn stderr() -> Self {
        Self::inherited(Fd::Stderr(io::stderr()), OFlags::WRONLY)
    }

    fn inherited(stream: Fd, access: OFlags) -> Self {
        let (is_terminal, never_waits) = kind(stream.as_fd());
        if is_terminal && let Some(own) = reopen_nonblocking(stream.as_fd(), access) {
            return Descriptor {
                fd: Fd::Owned(own),
                mode: Mode::NonBlocking,
                is_terminal,
            };
        }
        let mode = if never_waits {
            Mode::Ready
        } else {
            Mode::Shared {
                nowait: AtomicBool::new(true),
            }
        };
        Descriptor {
            fd: stream,
            mode,
            is_terminal,
        }
    }

    /// A file that nobody else has open by the same open file description.
    pub(crate) fn owned(file: File) -> io::Result<Self> {
        let (is_terminal, never_waits) = kind(file.as_fd());
        let mode = if never_waits {
            Mode::Ready
        } else {
            let flags = rustix::fs::fcntl_getfl(&file)?;
            rustix::fs::fcntl_setfl(&file, flags | OFlags::NONBLOCK)?;
            match file_type(file.as_fd()) {
                Ok(FileType::Fifo) => Mode::Pipe,
                _ => Mode::NonBlocking,
            }
        };
        Ok(Descriptor {
            fd: Fd::Owned(file.into()),
            mode,
            is_terminal,
        })
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Reads what is there, or fails with [`WouldBlock`].
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.mode {
            Mode::Ready | Mode::NonBlocking => {
                Ok(retry_on_intr(|| rustix::io::read(self, &mut *buffer))?)
            }
            Mode::Pipe => {
                let read = retry_on_intr(|| rustix::io::read(self, &mut *buffer))?;
                if read == 0 && !buffer.is_empty() {
                    // There is an end only after a beginning.
                    self.ask(PollFlags::IN)?;
                }
                Ok(read)
            }
            Mode::Shared { nowait } => match read_nowait(self.as_fd(), nowait, buffer) {
                Some(read) => Ok(read?),
                None => {
                    self.ask(PollFlags::IN)?;
                    Ok(retry_on_intr(|| rustix::io::read(self, &mut *buffer))?)
                }
            },
        }
    }

    /// Writes what there is room for, or fails with [`WouldBlock`].
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &self.mode {
            Mode::Ready | Mode::NonBlocking | Mode::Pipe => {
                retry_on_intr(|| rustix::io::write(self, bytes))?
            }
            Mode::Shared { nowait } => match write_nowait(self.as_fd(), nowait, bytes) {
                Some(written) => written?,
                None => {
                    self.ask(PollFlags::OUT)?;
                    let bytes = &bytes[..bytes.len().min(PIPE_CHUNK)];
                    retry_on_intr(|| rustix::io::write(self, bytes))?
                }
            },
        };
        match written {
            0 if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            written => Ok(written),
        }
    }

    /// How much can be written at once; 0 if somebody has to read first.
    pub(crate) fn room(&self) -> io::Result<usize> {
        if matches!(self.mode, Mode::Ready) {
            return Ok(CHUNK);
        }
        match self.ask(PollFlags::OUT) {
            Ok(()) => Ok(PIPE_CHUNK),
            Err(error) if error.kind() == WouldBlock => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Whether what is written goes to the end, whoever else writes there. Only files have other places.
    pub(crate) fn appends(&self) -> bool {
        !matches!(self.mode, Mode::Ready)
            || rustix::fs::fcntl_getfl(self).is_ok_and(|flags| flags.contains(OFlags::APPEND))
    }

    /// Writes to the disk what is not there yet, if it is of a kind that goes there.
    #[cfg_attr(target_vendor = "apple", allow(unused_variables))]
    pub(crate) fn sync(&self, data_only: bool) -> io::Result<()> {
        #[cfg(not(target_vendor = "apple"))]
        if data_only {
            return Ok(rustix::fs::fdatasync(self)?);
        }
        Ok(rustix::fs::fsync(self)?)
    }

    /// Waits until there is something to read, or the end.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.ready(PollFlags::IN, Interest::READABLE).await
    }

    /// Waits until there is room to write, or nobody reads any longer.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.ready(PollFlags::OUT, Interest::WRITABLE).await
    }

    async fn ready(&self, events: PollFlags, interest: Interest) -> io::Result<()> {
        if matches!(self.mode, Mode::Ready) {
            return Ok(());
        }
        match self.ask(events) {
            Err(error) if error.kind() == WouldBlock => {}
            ready => return ready,
        }
        // A descriptor of its own, because two guests may wait for one stream.
        let own = self.as_fd().try_clone_to_owned()?;
        let waiting = {
            let reactor = block::reactor()?;
            reactor.start()?;
            let _context = reactor.enter();
            // SAFETY: it owns the only handle to the descriptor, so that stays open and the same.
            unsafe { AsyncFd::register_with_interest(own, interest)? }
        };
        // It is asked once, so what it remembers does not matter.
        waiting.ready(interest).await?.retain_ready();
        Ok(())
    }

    /// Fails with [`WouldBlock`] unless one of `events`, an end or an error is there.
    fn ask(&self, events: PollFlags) -> io::Result<()> {
        let mut asked = [PollFd::new(self, events)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match retry_on_intr(|| rustix::event::poll(&mut asked, Some(&at_once)))? {
            0 => Err(WouldBlock.into()),
            _ => Ok(()),
        }
    }
}

/// Whether it is a terminal, and whether it is of a kind that never makes anybody wait.
fn kind(fd: BorrowedFd<'_>) -> (bool, bool) {
    match file_type(fd) {
        Ok(FileType::CharacterDevice) => (fd.is_terminal(), false),
        Ok(FileType::RegularFile | FileType::Directory | FileType::BlockDevice) => (false, true),
        _ => (false, false),
    }
}

fn file_type(fd: BorrowedFd<'_>) -> rustix::io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode))
}

/// Opens the terminal behind `fd` anew, so that the mode can be set without others noticing. A
/// terminal that was stopped takes part of a write and holds the writer up with the rest.
#[cfg(target_os = "linux")]
fn reopen_nonblocking(fd: BorrowedFd<'_>, access: OFlags) -> Option<OwnedFd> {
    use std::os::fd::AsRawFd;

    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, rustix::fs::Mode::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn reopen_nonblocking(_: BorrowedFd<'_>, _: OFlags) -> Option<OwnedFd> {
    None
}

/// Reads without waiting, if the system can do that for one operation.
#[cfg(target_os = "linux")]
fn read_nowait(
    fd: BorrowedFd<'_>,
    nowait: &AtomicBool,
    buffer: &mut [u8],
) -> Option<rustix::io::Result<usize>> {
    use rustix::io::{IoSliceMut, ReadWriteFlags, preadv2};

    unless_unsupported(nowait, || {
        let mut buffers = [IoSliceMut::new(buffer)];
        preadv2(fd, &mut buffers, u64::MAX, ReadWriteFlags::NOWAIT)
    })
}

/// Writes without waiting, if the system can do that for one operation.
#[cfg(target_os = "linux")]
fn write_nowait(
    fd: BorrowedFd<'_>,
    nowait: &AtomicBool,
    bytes: &[u8],
) -> Option<rustix::io::Result<usize>> {
    use rustix::io::{IoSlice, ReadWriteFlags, pwritev2};

    unless_unsupported(nowait, || {
        pwritev2(fd, &[IoSlice::new(bytes)], u64::MAX, ReadWriteFlags::NOWAIT)
    })
}

#[cfg(target_os = "linux")]
fn unless_unsupported(
    nowait: &AtomicBool,
    attempt: impl FnMut() -> rustix::io::Result<usize>,
) -> Option<rustix::io::Result<usize>> {
    use std::sync::atomic::Ordering;

    use rustix::io::Errno;

    if !nowait.load(Ordering::Relaxed) {
        return None;
    }
    match retry_on_intr(attempt) {
        // The kind of file does not know it, the kernel does not, or a sandbox forbids it.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {
            nowait.store(false, Ordering::Relaxed);
            None
        }
        done => Some(done),
    }
}

#[cfg(not(target_os = "linux"))]
fn read_nowait(
    _: BorrowedFd<'_>,
    _: &AtomicBool,
    _: &mut [u8],
) -> Option<rustix::io::Result<usize>> {
    None
}

#[cfg(not(target_os = "linux"))]
fn write_nowait(_: BorrowedFd<'_>, _: &AtomicBool, _: &[u8]) -> Option<rustix::io::Result<usize>> {
    None
}
