//! Streams between a component and what the host has.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::sync::oneshot;
use wasmtime::component::{
    Destination, Source, StreamConsumer, StreamProducer, StreamResult, VecBuffer,
};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::p3::bindings::filesystem::types::{DirectoryEntry, ErrorCode};

use super::Served;
use super::filesystem::code;
use super::stat::descriptor_type;
use crate::descriptor::{CHUNK, OpenFile};
use crate::errors::Failure;
use crate::listing::Listing;

/// So much is moved at once where the host reads what it writes: it is kept for each such stream.
const BETWEEN: usize = 8 << 10;

/// What becomes of a stream. The component is told once, in a future: that all went well, if nothing else was said.
pub(super) struct Verdict<E>(Option<oneshot::Sender<Result<(), E>>>);

impl<E> Verdict<E> {
    /// One, and what is told.
    pub(super) fn new() -> (Self, oneshot::Receiver<Result<(), E>>) {
        let (to, told) = oneshot::channel();
        (Verdict(Some(to)), told)
    }

    pub(super) fn failed(&mut self, error: E) {
        self.tell(Err(error));
    }

    fn tell(&mut self, verdict: Result<(), E>) {
        if let Some(to) = self.0.take() {
            // The component need not listen.
            let _ = to.send(verdict);
        }
    }
}

impl<E> Drop for Verdict<E> {
    fn drop(&mut self) {
        self.tell(Ok(()));
    }
}

/// What follows from `failure`: the stream is over, or the run.
pub(super) fn failed(
    verdict: &mut Verdict<ErrorCode>,
    failure: Failure,
) -> Poll<Result<StreamResult>> {
    Poll::Ready(match failure {
        Failure::Errno(error) => {
            verdict.failed(code(error));
            Ok(StreamResult::Dropped)
        }
        Failure::End(error) => Err(error),
    })
}

/// Reads a file from a position on.
pub(super) struct Reader {
    pub(super) file: Arc<OpenFile>,
    pub(super) position: u64,
    pub(super) verdict: Verdict<ErrorCode>,
    pub(super) _served: Served,
}

impl<D> StreamProducer<D> for Reader {
    type Item = u8;
    type Buffer = BytesMut;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        to: Destination<'a, u8, BytesMut>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        // To ask whether there is something to read is to ask for nothing.
        if to.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut to = to.as_direct(store, BETWEEN);
        match self.file.read_to(to.remaining(), self.position) {
            Ok(0) => Poll::Ready(Ok(StreamResult::Dropped)),
            Ok(read) => {
                to.mark_written(read);
                self.position += read as u64;
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Err(failure) => failed(&mut self.verdict, failure),
        }
    }
}

/// Writes to a file.
pub(super) struct Writer {
    pub(super) file: Arc<OpenFile>,
    /// Where it goes on, or at the end of the file.
    pub(super) position: Option<u64>,
    pub(super) verdict: Verdict<ErrorCode>,
    pub(super) _served: Served,
}

impl Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        let bytes = &bytes[..bytes.len().min(CHUNK)];
        let Some(position) = &mut self.position else {
            return self.file.append(bytes);
        };
        let written = self.file.write(bytes, *position)?;
        *position += written as u64;
        Ok(written)
    }
}

impl<D> StreamConsumer<D> for Writer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        from: Source<'_, u8>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut from = from.as_direct(store);
        if from.remaining().is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.write(from.remaining()) {
            Ok(written) => {
                from.mark_read(written);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Err(failure) => failed(&mut self.verdict, failure),
        }
    }
}

/// Lists a directory.
pub(super) struct Entries {
    pub(super) listing: Listing,
    pub(super) verdict: Verdict<ErrorCode>,
    pub(super) _served: Served,
}

/// So many entries are given at once.
const ENTRIES: usize = 64;

impl<D> StreamProducer<D> for Entries {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut to: Destination<'a, DirectoryEntry, Self::Buffer>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let room = to.remaining(&mut store).unwrap_or(ENTRIES).min(ENTRIES);
        let mut entries = Vec::new();
        let mut result = StreamResult::Completed;
        while entries.len() < room {
            match self.listing.next_entry() {
                Ok(Some((file_type, name))) => entries.push(DirectoryEntry {
                    type_: descriptor_type(file_type),
                    name,
                }),
                Ok(None) => {
                    result = StreamResult::Dropped;
                    break;
                }
                Err(error) => {
                    self.verdict.failed(code(error));
                    result = StreamResult::Dropped;
                    break;
                }
            }
        }
        to.set_buffer(entries.into());
        Poll::Ready(Ok(result))
    }
}
