//! Files that are read and written as streams.
//!
//! A file never makes a guest wait for another, so a stream is always ready, and does what it is asked at once.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::descriptor::{CHUNK, OpenFile};

/// Reads a file from a position on.
pub(crate) struct Reader {
    file: Arc<OpenFile>,
    position: u64,
}

impl Reader {
    pub(crate) fn new(file: Arc<OpenFile>, position: u64) -> Self {
        Reader { file, position }
    }
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {}
}

#[async_trait]
impl InputStream for Reader {
    /// At the end the stream is closed, until there is more in the file.
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self.file.read(size as u64, self.position)?;
        if bytes.is_empty() && size > 0 {
            return Err(StreamError::Closed);
        }
        self.position += bytes.len() as u64;
        Ok(bytes.into())
    }
}

/// Writes to a file.
pub(crate) struct Writer {
    file: Arc<OpenFile>,
    /// Where it goes on, or at the end of the file.
    position: Option<u64>,
}

impl Writer {
    pub(crate) fn at(file: Arc<OpenFile>, position: u64) -> Self {
        Writer {
            file,
            position: Some(position),
        }
    }

    pub(crate) fn at_the_end(file: Arc<OpenFile>) -> Self {
        Writer {
            file,
            position: None,
        }
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Writer {
    /// Writes all of it. What was written before an error stays, but the guest cannot be told how much.
    fn write(&mut self, mut bytes: Bytes) -> StreamResult<()> {
        while !bytes.is_empty() {
            let written = match &mut self.position {
                Some(position) => {
                    let written = self.file.write(&bytes, *position)?;
                    *position += written as u64;
                    written
                }
                None => self.file.append(&bytes)?,
            };
            drop(bytes.split_to(written));
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}
