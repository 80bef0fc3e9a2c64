//! What lies between the streams of a component and those of a socket: it counts what goes through, and ends with the run.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use wasmrun_core::Control;
use wasmtime::component::{Destination, Source, StreamConsumer, StreamProducer, StreamResult};
use wasmtime::{Result, StoreContextMut};

use super::Served;
use super::streams::BETWEEN;
use crate::errors::{Failure, running};

/// The two ends of a relay: one takes what is written to it, the other has that read, and counts it. A write is complete when
/// all that was taken of it was read, and more is asked for: until then it may not have got where it goes.
pub(super) fn relay(
    control: Control,
    served: Served,
    count: impl Fn(usize) + Send + Sync + 'static,
) -> (Intake, Outlet) {
    let shared = Arc::new(Mutex::new(Way {
        bytes: BytesMut::new(),
        is_taken_over: true,
        no_more: false,
        is_cut: false,
        waker: None,
    }));
    let intake = Intake {
        way: shared.clone(),
        is_waiting: false,
        control,
        _served: served,
    };
    let count = Box::new(count);
    (intake, Outlet { way: shared, count })
}

struct Way {
    /// What was taken.
    bytes: BytesMut,
    /// All that was taken has gone on.
    is_taken_over: bool,
    /// Nothing is written any longer.
    no_more: bool,
    /// Nothing is read any longer.
    is_cut: bool,
    /// Of whichever end waits for the other: never both do.
    waker: Option<Waker>,
}

impl Way {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn locked(way: &Mutex<Way>) -> MutexGuard<'_, Way> {
    // Nothing that can panic runs under this lock.
    way.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what it is written.
pub(super) struct Intake {
    way: Arc<Mutex<Way>>,
    /// For what it took to be taken over.
    is_waiting: bool,
    control: Control,
    _served: Served,
}

impl Drop for Intake {
    fn drop(&mut self) {
        let mut way = locked(&self.way);
        way.no_more = true;
        way.wake();
    }
}

impl<D> StreamConsumer<D> for Intake {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        from: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        if let Err(Failure::End(error)) = running(&self.control) {
            return Poll::Ready(Err(error));
        }
        let Intake {
            way, is_waiting, ..
        } = &mut *self;
        let mut way = locked(way);
        if way.is_cut {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        if !*is_waiting {
            let mut from = from.as_direct(store);
            let bytes = from.remaining();
            if bytes.is_empty() {
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            // What was taken of a write that was then given up may still be there.
            if way.is_taken_over {
                let taken = bytes.len().min(BETWEEN);
                way.bytes.extend_from_slice(&bytes[..taken]);
                from.mark_read(taken);
                way.is_taken_over = false;
                *is_waiting = true;
                way.wake();
            } else if finish {
                return Poll::Ready(Ok(StreamResult::Cancelled));
            }
        } else if way.is_taken_over || finish {
            *is_waiting = false;
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        way.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Has what was taken read.
pub(super) struct Outlet {
    way: Arc<Mutex<Way>>,
    count: Box<dyn Fn(usize) + Send + Sync>,
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let mut way = locked(&self.way);
        way.is_cut = true;
        way.wake();
    }
}

impl<D> StreamProducer<D> for Outlet {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut to: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut way = locked(&self.way);
        let wanted = to.remaining(&mut store);
        if !way.bytes.is_empty() {
            let given = wanted.unwrap_or(BETWEEN).min(way.bytes.len());
            (self.count)(given);
            to.set_buffer(way.bytes.split_to(given).freeze());
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        if way.no_more {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        way.is_taken_over = true;
        way.wake();
        if finish {
            return Poll::Ready(Ok(StreamResult::Cancelled));
        }
        way.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
