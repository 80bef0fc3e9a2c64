//! The guest's standard streams as files of wasmer's virtual file system.
//!
//! They block the guest's thread, which is the only one it has.

use std::fs::File;
use std::io::{self, Cursor, Read, SeekFrom, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
use virtual_fs::{FsError, VirtualFile};
use wasmrun_core::stdio::{Capture, Input, Output};
use wasmrun_core::{Error, ErrorKind, Result};

/// The most that is moved at once.
const CHUNK: usize = 64 << 10;

/// A standard stream.
#[derive(Debug)]
pub(super) enum Stream {
    Null,
    Bytes(Cursor<Arc<[u8]>>),
    File(File),
    Capture(Capture),
}

impl Stream {
    pub(super) fn input(input: Input) -> Result<Self> {
        Ok(match input {
            Input::Null => Stream::Null,
            Input::Inherit => Stream::File(inherited(io::stdin())?),
            Input::Bytes(bytes) => Stream::Bytes(Cursor::new(bytes)),
            Input::File(file) => Stream::File(file),
            _ => return Err(unknown()),
        })
    }

    /// `ours` is what the guest inherits, if it does.
    pub(super) fn output(output: Output, ours: impl Inherit) -> Result<Self> {
        Ok(match output {
            Output::Null => Stream::Null,
            Output::Inherit => Stream::File(inherited(ours)?),
            Output::File(file) => Stream::File(file),
            Output::Capture(capture) => Stream::Capture(capture),
            _ => return Err(unknown()),
        })
    }
}

fn unknown() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "cannot use this kind of standard stream for a guest that uses WASIX",
    )
}

#[cfg(unix)]
pub(super) use std::os::fd::AsFd as Inherit;
#[cfg(windows)]
pub(super) use std::os::windows::io::AsHandle as Inherit;

/// A stream of ours, without the buffer that would take what the guest did not ask for.
fn inherited(stream: impl Inherit) -> Result<File> {
    #[cfg(unix)]
    let stream = stream.as_fd().try_clone_to_owned();
    #[cfg(windows)]
    let stream = stream.as_handle().try_clone_to_owned();
    stream.map(File::from).map_err(|source| {
        Error::new(
            ErrorKind::Io,
            "cannot share a standard stream with the guest",
        )
        .with_source(source)
    })
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wanted = buffer.remaining().min(CHUNK);
        let space = buffer.initialize_unfilled_to(wanted);
        let read = match self.get_mut() {
            Stream::Null | Stream::Capture(_) => Ok(0),
            Stream::Bytes(bytes) => bytes.read(space),
            Stream::File(file) => file.read(space),
        };
        Poll::Ready(read.map(|read| buffer.advance(read)))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(match self.get_mut() {
            Stream::Null => Ok(bytes.len()),
            Stream::Bytes(_) => Err(io::ErrorKind::PermissionDenied.into()),
            Stream::File(file) => file.write(bytes),
            Stream::Capture(capture) => {
                capture.push(bytes);
                Ok(bytes.len())
            }
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncSeek for Stream {
    fn start_seek(self: Pin<&mut Self>, _: SeekFrom) -> io::Result<()> {
        Err(io::ErrorKind::NotSeekable.into())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Err(io::ErrorKind::NotSeekable.into()))
    }
}

impl VirtualFile for Stream {
    fn last_accessed(&self) -> u64 {
        0
    }

    fn last_modified(&self) -> u64 {
        0
    }

    fn created_time(&self) -> u64 {
        0
    }

    fn size(&self) -> u64 {
        0
    }

    fn set_len(&mut self, _: u64) -> std::result::Result<(), FsError> {
        Err(FsError::PermissionDenied)
    }

    fn unlink(&mut self) -> std::result::Result<(), FsError> {
        Err(FsError::PermissionDenied)
    }

    fn poll_read_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(CHUNK))
    }

    fn poll_write_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(CHUNK))
    }
}
