//! The guest's standard streams: core's inputs and outputs as WASI streams.
//!
//! What can be read or written at once is, by one system call on the guest's own thread. What has
//! to wait does so in a future, so that it can be cut short together with the guest, and nothing is
//! read that the guest did not ask for.

use std::future::Future;
use std::io::{self, ErrorKind::WouldBlock, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmrun_core::stdio::{Capture, Input, Output};
use wasmrun_core::{Error, ErrorKind, Result};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

#[cfg_attr(unix, path = "stdio/unix.rs")]
#[cfg_attr(not(unix), path = "stdio/portable.rs")]
mod descriptor;

use descriptor::{Descriptor, Interest, Standard};

/// Whether a guest that waits for a standard stream can be cut short. Where it cannot, an engine
/// must refuse time limits and kills.
pub const STDIO_IS_INTERRUPTIBLE: bool = descriptor::IS_INTERRUPTIBLE;

/// The most that is moved at once: a guest that asks for gigabytes must not make us allocate them.
const CHUNK: usize = 64 << 10;

/// Gives `context` the guest's standard streams.
pub(crate) fn connect(
    context: &mut WasiCtxBuilder,
    stdin: Input,
    stdout: Output,
    stderr: Output,
) -> Result<()> {
    match stdin {
        Input::Bytes(bytes) => {
            context.stdin(MemoryInputPipe::new(Bytes::from_owner(bytes)));
        }
        Input::Inherit => {
            context.stdin(Stream::new(Descriptor::inherited(Standard::Input)));
        }
        Input::File(file) => {
            context.stdin(Stream::new(
                Descriptor::owned(file).map_err(unusable("standard input"))?,
            ));
        }
        Input::Null => {}
        other => return Err(unknown(&other)),
    }
    let stdout = output(stdout, Standard::Output, "standard output")?;
    let stderr = output(stderr, Standard::Error, "standard error")?;
    match stdout {
        Some(Sink::Stream(stream)) => drop(context.stdout(stream)),
        Some(Sink::Capture(capture)) => drop(context.stdout(capture)),
        None => {}
    }
    match stderr {
        Some(Sink::Stream(stream)) => drop(context.stderr(stream)),
        Some(Sink::Capture(capture)) => drop(context.stderr(capture)),
        None => {}
    }
    Ok(())
}
