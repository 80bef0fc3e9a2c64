//! `wasi:cli/stdout` and `wasi:cli/stderr`.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmrun_core::Control;
use wasmrun_wasi_preview1::wrote_too_much;
use wasmtime::component::{
    Access, FutureReader, Source, StreamConsumer, StreamReader, StreamResult,
};
use wasmtime::{Error, Result, StoreContextMut};
use wasmtime_wasi::p3::bindings::cli::types::ErrorCode;
use wasmtime_wasi::p3::bindings::cli::{stderr, stdout};

use super::streams::Verdict;
use super::{HasSystem, Served};
use crate::System;
use crate::errors::{Failure, running};

type Told = FutureReader<Result<(), ErrorCode>>;

impl stdout::Host for &mut System {}
impl stderr::Host for &mut System {}

impl<T: 'static> stdout::HostWithStore<T> for HasSystem {
    fn write_via_stream(mut store: Access<'_, T, Self>, data: StreamReader<u8>) -> Result<Told> {
        let [stdout, _] = store.get().outputs.polled();
        write(store, data, stdout.into())
    }
}

impl<T: 'static> stderr::HostWithStore<T> for HasSystem {
    fn write_via_stream(mut store: Access<'_, T, Self>, data: StreamReader<u8>) -> Result<Told> {
        let [_, stderr] = store.get().outputs.polled();
        write(store, data, stderr.into())
    }
}

type Output = Pin<Box<dyn AsyncWrite + Send + Sync>>;

/// Has what the component writes to `data` written `to` an output.
fn write<T>(
    mut store: Access<'_, T, HasSystem>,
    mut data: StreamReader<u8>,
    to: Output,
) -> Result<Told> {
    let (mut verdict, told) = Verdict::new();
    let files = &store.get().files;
    match (files.served.another(), files.control.clone()) {
        (Ok(served), control) => data.pipe(
            &mut store,
            Writer {
                to,
                verdict,
                control,
                _served: served,
            },
        )?,
        (Err(_), _) => {
            verdict.failed(ErrorCode::Io);
            data.close(&mut store)?;
        }
    }
    FutureReader::new(&mut store, told)
}

/// Writes to a standard output.
struct Writer {
    to: Output,
    verdict: Verdict<ErrorCode>,
    control: Control,
    _served: Served,
}

impl Writer {
    fn failed(&mut self, error: io::Error) -> Result<StreamResult> {
        if wrote_too_much(&error) {
            return Err(Error::new(error));
        }
        self.verdict.failed(match error.kind() {
            ErrorKind::BrokenPipe => ErrorCode::Pipe,
            _ => ErrorCode::Io,
        });
        Ok(StreamResult::Dropped)
    }
}

impl<D> StreamConsumer<D> for Writer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        from: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        // What comes may be the host's as well.
        if let Err(Failure::End(error)) = running(&self.control) {
            return Poll::Ready(Err(error));
        }
        let mut from = from.as_direct(store);
        // To ask whether there is room is to write nothing.
        if from.remaining().is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match self.to.as_mut().poll_write(cx, from.remaining()) {
            Poll::Ready(Ok(written)) => {
                from.mark_read(written);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => Poll::Ready(self.failed(error)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
