//! The standard streams of a preview1 guest, which are streams here and no files: they have no place to
//! seek to and no size, and a write is a success as far as it went.

use std::io::{self, ErrorKind::WouldBlock};

use wasmrun_core::Control;
use wasmtime_wasi::cli::IsTerminal;
use wasmtime_wasi::p1::types::{Errno, Fdflags, Filetype, Rights};
use wiggle::{GuestMemory, GuestPtr};

use crate::block_on_ready;
use crate::call::{Result, errno, fill, running};
use crate::context::Streams;
use crate::stdio::{Sink, Source};

/// A standard stream of a guest.
pub(crate) struct Stream {
    end: End,
    flags: Fdflags,
    /// What ended a write that had begun well.
    error: Option<io::Error>,
}

pub(crate) enum End {
    Input(Source),
    Output(Sink),
}

impl Stream {
    /// Those of a guest, in the order of their descriptors.
    pub(crate) fn all(streams: Streams) -> [Stream; 3] {
        [
            End::Input(streams.stdin),
            End::Output(streams.stdout),
            End::Output(streams.stderr),
        ]
        .map(|end| Stream {
            end,
            flags: Fdflags::empty(),
            error: None,
        })
    }

    pub(crate) fn end(&self) -> &End {
        &self.end
    }

    pub(crate) fn rights(&self) -> Rights {
        match self.end {
            End::Input(_) => Rights::FD_READ,
            End::Output(_) => Rights::FD_WRITE,
        }
    }

    pub(crate) fn filetype(&self) -> Filetype {
        let is_terminal = match &self.end {
            End::Input(source) => source.is_terminal(),
            End::Output(sink) => sink.is_terminal(),
        };
        match is_terminal {
            true => Filetype::CharacterDevice,
            false => Filetype::Unknown,
        }
    }

    pub(crate) fn flags(&self) -> Fdflags {
        self.flags
    }

    pub(crate) fn set_flags(&mut self, flags: Fdflags) -> Result<()> {
        if !(Fdflags::APPEND | Fdflags::NONBLOCK).contains(flags) {
            return Err(Errno::Inval.into());
        }
        if flags.contains(Fdflags::APPEND)
            && let End::Output(sink) = &self.end
            && !sink.appends()
        {
            return Err(Errno::Notsup.into());
        }
        self.flags = flags;
        Ok(())
    }

    fn waits(&self) -> bool {
        !self.flags.contains(Fdflags::NONBLOCK)
    }

    pub(crate) fn sync(&self, data_only: bool) -> Result<()> {
        match &self.end {
            End::Input(source) => source.sync(data_only),
            End::Output(sink) => sink.sync(data_only),
        }
        .map_err(|error| errno(error).into())
    }

    /// Reads what is there. Waits until something is.
    pub(crate) fn read(
        &self,
        control: &Control,
        memory: &mut GuestMemory<'_>,
        buffer: GuestPtr<[u8]>,
    ) -> Result<usize> {
        let End::Input(source) = &self.end else {
            return Err(Errno::Badf.into());
        };
        if buffer.len() == 0 {
            return Ok(0);
        }
        loop {
            running(control)?;
            let mut must_wait = false;
            let read = fill(memory, buffer, |bytes| match source.read(bytes) {
                Err(error) if error.kind() == WouldBlock && self.waits() => {
                    must_wait = true;
                    Ok(0)
                }
                read => Ok(read.map_err(errno)?),
            })?;
            if !must_wait {
                return Ok(read);
            }
            block_on_ready(control, source.readable())?.map_err(errno)?;
        }
    }

    /// Writes all, unless something comes between. What then is not written is told by the count, and
    /// why it is not by the next write.
    pub(crate) fn write(&mut self, control: &Control, bytes: &[u8]) -> Result<usize> {
        let End::Output(sink) = &self.end else {
            return Err(Errno::Badf.into());
        };
        if let Some(error) = self.error.take_if(|_| !bytes.is_empty()) {
            return Err(errno(error).into());
        }
        let mut written = 0;
        loop {
            running(control)?;
            let attempt = match sink.write(&bytes[written..]) {
                // There is always room for nothing.
                Err(error) if error.kind() == WouldBlock && bytes.is_empty() => Ok(0),
                Err(error) if error.kind() == WouldBlock && self.waits() => {
                    block_on_ready(control, sink.writable())?.map(|()| 0)
                }
                done => done,
            };
            match attempt {
                Ok(more) => written += more,
                Err(error) => {
                    // It wrote more than it may.
                    running(control)?;
                    if written == 0 {
                        return Err(errno(error).into());
                    }
                    if error.kind() != WouldBlock {
                        self.error = Some(error);
                    }
                    return Ok(written);
                }
            }
            if written == bytes.len() {
                return Ok(written);
            }
        }
    }
}
