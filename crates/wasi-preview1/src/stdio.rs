//! The guest's standard streams: core's inputs and outputs as WASI streams.
//!
//! What can be read or written at once is, by one system call on the guest's own thread. What has
//! to wait does so in a future, so that it can be cut short together with the guest; and nothing is
//! read that the guest did not ask for.

use std::future::Future;
use std::io::{self, ErrorKind::WouldBlock, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, empty};
use wasmrun_core::stdio::{Capture, Input, Meter, Output};
use wasmrun_core::{Error, ErrorKind, Result};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

#[cfg_attr(unix, path = "stdio/unix.rs")]
#[cfg_attr(not(unix), path = "stdio/portable.rs")]
mod descriptor;

use descriptor::Descriptor;
pub use descriptor::STDIO_IS_INTERRUPTIBLE;

/// The most that is moved at once: a guest that asks for gigabytes must not make us allocate them.
const CHUNK: usize = 64 << 10;

/// A guest's standard input.
pub(crate) fn input(stdin: Input) -> Result<Box<dyn StdinStream + Sync>> {
    Ok(match stdin {
        Input::Null => Box::new(empty()),
        Input::Bytes(bytes) => Box::new(MemoryInputPipe::new(Bytes::from_owner(bytes))),
        Input::Inherit => Box::new(Stream::new(Descriptor::stdin())),
        Input::File(file) => Box::new(Stream::new(
            Descriptor::owned(file).map_err(|source| unusable("standard input", source))?,
        )),
        other => return Err(unknown(&other)),
    })
}

/// A guest's standard output, called `name` in errors, that goes to our `own` where it is inherited.
pub(crate) fn output(
    output: Output,
    name: &str,
    own: fn() -> Descriptor,
) -> Result<Box<dyn StdoutStream + Sync>> {
    Ok(match output {
        Output::Metered(meter, to) => Box::new(Metered {
            meter,
            to: self::output(*to, name, own)?.into(),
        }),
        Output::Null => Box::new(empty()),
        Output::Inherit => Box::new(Stream::new(own())),
        Output::Capture(capture) => Box::new(Captured(capture)),
        Output::File(file) => Box::new(Stream::new(
            Descriptor::owned(file).map_err(|source| unusable(name, source))?,
        )),
        other => return Err(unknown(&other)),
    })
}

/// Our own standard output. What we printed ourselves goes first.
pub(crate) fn own_stdout() -> Descriptor {
    // An error here shows again when the guest writes.
    let _ = io::stdout().flush();
    Descriptor::stdout()
}

/// Our own standard error.
pub(crate) fn own_stderr() -> Descriptor {
    Descriptor::stderr()
}

fn unusable(name: &str, source: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot use the guest's {name}")).with_source(source)
}

fn unknown(stream: &dyn std::fmt::Debug) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{stream:?} is not known here as a standard stream"),
    )
}

/// A stream over a descriptor. All clones read or write the same bytes.
#[derive(Clone)]
struct Stream {
    descriptor: Arc<Descriptor>,
}

impl Stream {
    fn new(descriptor: Descriptor) -> Self {
        Stream {
            descriptor: Arc::new(descriptor),
        }
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        self.descriptor.is_terminal()
    }
}

impl StdinStream for Stream {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(Reader(self.descriptor.clone()))
    }

    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(Polled::new(self.descriptor.clone()))
    }
}

impl StdoutStream for Stream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Writer::new(self.descriptor.clone()))
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Polled::new(self.descriptor.clone()))
    }
}

struct Reader(Arc<Descriptor>);

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        // A descriptor that cannot be waited for says why when it is read.
        let _ = self.0.readable().await;
    }
}

#[async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut bytes = vec![0; size.min(CHUNK)];
        match self.0.read(&mut bytes) {
            Ok(0) if size > 0 => Err(StreamError::Closed),
            Ok(read) => {
                bytes.truncate(read);
                Ok(bytes.into())
            }
            Err(error) if error.kind() == WouldBlock => Ok(Bytes::new()),
            Err(error) => Err(failed(error)),
        }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        loop {
            let bytes = self.read(size)?;
            if !bytes.is_empty() || size == 0 {
                return Ok(bytes);
            }
            self.0.readable().await.map_err(failed)?;
        }
    }
}

struct Writer {
    to: Arc<Descriptor>,
    /// What a write that must not wait could not get rid of.
    pending: Bytes,
    /// What went wrong when nobody could be told.
    error: Option<io::Error>,
}

impl Writer {
    fn new(to: Arc<Descriptor>) -> Self {
        Writer {
            to,
            pending: Bytes::new(),
            error: None,
        }
    }

    /// Writes what is pending as far as that goes at once.
    fn drain(&mut self) -> io::Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        while !self.pending.is_empty() {
            match self.to.write(&self.pending) {
                Ok(written) => drop(self.pending.split_to(written)),
                Err(error) if error.kind() == WouldBlock => break,
                Err(error) => {
                    self.pending.clear();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Waits until nothing is pending.
    async fn drained(&mut self) -> io::Result<()> {
        loop {
            self.drain()?;
            if self.pending.is_empty() {
                return Ok(());
            }
            self.to.writable().await?;
        }
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        let ready = async {
            self.drained().await?;
            self.to.writable().await
        };
        if let Err(error) = ready.await {
            self.error = Some(error);
        }
    }
}

#[async_trait]
impl OutputStream for Writer {
    fn check_write(&mut self) -> StreamResult<usize> {
        self.drain().map_err(failed)?;
        if self.pending.is_empty() {
            self.to.room().map_err(failed)
        } else {
            Ok(0)
        }
    }

    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if !self.pending.is_empty() || bytes.len() > CHUNK {
            return Err(StreamError::trap("wrote more than check-write permitted"));
        }
        self.pending = bytes;
        self.drain().map_err(failed)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.drain().map_err(failed)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.drained().await.map_err(failed)?;
        self.pending = bytes;
        self.drained().await.map_err(failed)
    }

    /// The guest closes the stream.
    async fn cancel(&mut self) {
        // There is nobody left to tell of an error.
        let _ = self.drained().await;
    }
}

/// `EPIPE` and the like reach the guest as an errno.
fn failed(error: io::Error) -> StreamError {
    StreamError::LastOperationFailed(error.into())
}

/// A descriptor for who polls reads and writes, not readiness.
struct Polled {
    descriptor: Arc<Descriptor>,
    waiting: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl Polled {
    fn new(descriptor: Arc<Descriptor>) -> Self {
        Polled {
            descriptor,
            waiting: None,
        }
    }

    /// Repeats `attempt`, waiting by `wait` in between, until it need not wait.
    fn poll<T, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&Descriptor) -> io::Result<T>,
        wait: impl Fn(Arc<Descriptor>) -> W,
    ) -> Poll<io::Result<T>>
    where
        W: Future<Output = io::Result<()>> + Send + Sync + 'static,
    {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx))?;
                self.waiting = None;
            }
            match attempt(&self.descriptor) {
                Err(error) if error.kind() == WouldBlock => {
                    self.waiting = Some(Box::pin(wait(self.descriptor.clone())));
                }
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for Polled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.poll(
            cx,
            |descriptor| descriptor.read(buffer.initialize_unfilled()),
            |descriptor| async move { descriptor.readable().await },
        ))?;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Polled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(
            cx,
            |descriptor| descriptor.write(bytes),
            |descriptor| async move { descriptor.writable().await },
        )
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Output into memory.
#[derive(Clone)]
struct Captured(Capture);

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Captured {
    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }

    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.push(&bytes);
        if self.0.has_stopped() {
            return Err(too_much());
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write(bytes)
    }
}

impl AsyncWrite for Captured {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Ends a guest at once that is ended for what it wrote: it must not go on after the call.
fn too_much() -> StreamError {
    StreamError::trap("the guest wrote more than it may")
}

/// Output as far as a meter allows.
#[derive(Clone)]
struct Metered {
    meter: Meter,
    to: Arc<dyn StdoutStream + Sync>,
}

impl IsTerminal for Metered {
    fn is_terminal(&self) -> bool {
        self.to.is_terminal()
    }
}

impl StdoutStream for Metered {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(MeteredWriter {
            meter: self.meter.clone(),
            to: self.to.p2_stream(),
        })
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(MeteredPolled {
            meter: self.meter.clone(),
            to: Box::into_pin(self.to.async_stream()),
        })
    }
}

struct MeteredWriter {
    meter: Meter,
    to: Box<dyn OutputStream>,
}

#[async_trait]
impl Pollable for MeteredWriter {
    async fn ready(&mut self) {
        self.to.ready().await;
    }
}

#[async_trait]
impl OutputStream for MeteredWriter {
    fn check_write(&mut self) -> StreamResult<usize> {
        self.to.check_write()
    }

    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let allowed = self.meter.allows(bytes.len());
        self.to.write(bytes.slice(..allowed))?;
        self.counted(allowed, bytes.len())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.to.flush()
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        let allowed = self.meter.allows(bytes.len());
        self.to
            .blocking_write_and_flush(bytes.slice(..allowed))
            .await?;
        self.counted(allowed, bytes.len())
    }

    async fn cancel(&mut self) {
        self.to.cancel().await;
    }
}

impl MeteredWriter {
    fn counted(&self, written: usize, wanted: usize) -> StreamResult<()> {
        self.meter.count(written);
        if written == wanted {
            return Ok(());
        }
        self.meter.stop();
        Err(too_much())
    }
}

struct MeteredPolled {
    meter: Meter,
    to: Pin<Box<dyn AsyncWrite + Send + Sync>>,
}

impl AsyncWrite for MeteredPolled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let allowed = self.meter.allows(bytes.len());
        if allowed == 0 && !bytes.is_empty() {
            self.meter.stop();
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        let written = ready!(self.to.as_mut().poll_write(cx, &bytes[..allowed]))?;
        self.meter.count(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.to.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.to.as_mut().poll_shutdown(cx)
    }
}
