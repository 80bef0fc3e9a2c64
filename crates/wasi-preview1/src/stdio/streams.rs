//! The standard streams as wasmtime-wasi has them: what components read and write, and what is polled.

use std::future::Future;
use std::io::{self, ErrorKind::WouldBlock};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::{CHUNK, Descriptor, Sink, Source, TooMuch};

impl IsTerminal for Source {
    fn is_terminal(&self) -> bool {
        self.descriptor().is_some_and(Descriptor::is_terminal)
    }
}

impl IsTerminal for Sink {
    fn is_terminal(&self) -> bool {
        self.descriptor().is_some_and(Descriptor::is_terminal)
    }
}

impl StdinStream for Source {
    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(Polled::new(self.clone()))
    }
}

#[async_trait]
impl Pollable for Source {
    async fn ready(&mut self) {
        // A descriptor that cannot be waited for says why when it is read.
        let _ = self.readable().await;
    }
}

#[async_trait]
impl InputStream for Source {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut bytes = vec![0; size.min(CHUNK)];
        match Source::read(self, &mut bytes) {
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
            let bytes = InputStream::read(self, size)?;
            if !bytes.is_empty() || size == 0 {
                return Ok(bytes);
            }
            self.readable().await.map_err(failed)?;
        }
    }
}

/// What a component wrote to its standard output and standard error and was told is written.
#[must_use = "what is pending is to be written before the guest's end"]
#[derive(Clone)]
pub struct Outputs {
    pub(crate) stdout: Writer,
    pub(crate) stderr: Writer,
}

impl Outputs {
    /// Waits until all of it is written, as far as it can be.
    pub async fn written(&self) {
        for output in [&self.stdout, &self.stderr] {
            // There is nobody left to tell of an error.
            let _ = output.0.drained().await;
        }
    }

    /// Standard output and standard error for who polls writes. They write behind what is pending.
    pub fn polled(&self) -> [Box<dyn AsyncWrite + Send + Sync>; 2] {
        [self.stdout.async_stream(), self.stderr.async_stream()]
    }
}

/// Whether a write failed because the guest wrote more than it may. Then it must not go on.
pub fn wrote_too_much(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<TooMuch>())
}

/// A standard output of a component. All clones write what they have in one order.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Ordered>);

struct Ordered {
    to: Sink,
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    /// What a write that must not wait could not get rid of.
    bytes: Bytes,
    /// What went wrong when nobody could be told.
    error: Option<io::Error>,
}

impl Writer {
    pub(crate) fn new(to: Sink) -> Self {
        Writer(Arc::new(Ordered {
            to,
            pending: Mutex::default(),
        }))
    }
}

impl Ordered {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        // No panic leaves half a write here.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is pending as far as that goes at once; whether that was all.
    fn drain(&self) -> io::Result<bool> {
        let mut pending = self.pending();
        if let Some(error) = pending.error.take() {
            return Err(error);
        }
        while !pending.bytes.is_empty() {
            match self.to.write(&pending.bytes) {
                Ok(written) => drop(pending.bytes.split_to(written)),
                Err(error) if error.kind() == WouldBlock => return Ok(false),
                Err(error) => {
                    pending.bytes.clear();
                    return Err(error);
                }
            }
        }
        Ok(true)
    }

    /// Waits until nothing is pending.
    async fn drained(&self) -> io::Result<()> {
        while !self.drain()? {
            self.to.writable().await?;
        }
        Ok(())
    }
}

impl Drop for Ordered {
    /// A guest that was cut short may have left something. It is not waited for.
    fn drop(&mut self) {
        let _ = self.drain();
    }
}

impl IsTerminal for Writer {
    fn is_terminal(&self) -> bool {
        self.0.to.is_terminal()
    }
}

impl StdoutStream for Writer {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Polled::new(self.clone()))
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        let ready = async {
            self.0.drained().await?;
            self.0.to.writable().await
        };
        if let Err(error) = ready.await {
            self.0.pending().error = Some(error);
        }
    }
}

#[async_trait]
impl OutputStream for Writer {
    fn check_write(&mut self) -> StreamResult<usize> {
        match self.0.drain().map_err(failed)? {
            true => self.0.to.room().map_err(failed),
            false => Ok(0),
        }
    }

    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut pending = self.0.pending();
        if !pending.bytes.is_empty() || bytes.len() > CHUNK {
            return Err(StreamError::trap("wrote more than check-write permitted"));
        }
        pending.bytes = bytes;
        drop(pending);
        self.flush()
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.0.drain().map_err(failed).map(|_| ())
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.drained().await.map_err(failed)?;
        self.0.pending().bytes = bytes;
        self.0.drained().await.map_err(failed)
    }

    /// The guest closes the stream.
    async fn cancel(&mut self) {
        // There is nobody left to tell of an error.
        let _ = self.0.drained().await;
    }
}

/// Most errors reach the guest as an errno.
fn failed(error: io::Error) -> StreamError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => StreamError::Closed,
        _ if wrote_too_much(&error) => StreamError::trap(&error.to_string()),
        _ => StreamError::LastOperationFailed(error.into()),
    }
}

/// A stream for who polls reads and writes, not readiness.
struct Polled<T> {
    stream: T,
    waiting: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl<T: Clone> Polled<T> {
    fn new(stream: T) -> Self {
        Polled {
            stream,
            waiting: None,
        }
    }

    /// Repeats `attempt`, waiting by `wait` in between, until it need not wait.
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&T) -> io::Result<R>,
        wait: impl Fn(T) -> W,
    ) -> Poll<io::Result<R>>
    where
        W: Future<Output = io::Result<()>> + Send + Sync + 'static,
    {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx))?;
                self.waiting = None;
            }
            match attempt(&self.stream) {
                Err(error) if error.kind() == WouldBlock => {
                    self.waiting = Some(Box::pin(wait(self.stream.clone())));
                }
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncRead for Polled<Source> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.poll(
            cx,
            |source| source.read(buffer.initialize_unfilled()),
            |source| async move { source.readable().await },
        ))?;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Polled<Writer> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(
            cx,
            |writer| match writer.0.drain()? {
                true => writer.0.to.write(bytes),
                false => Err(WouldBlock.into()),
            },
            |writer| async move { writer.0.to.writable().await },
        )
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
