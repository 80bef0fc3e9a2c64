//! The streams of a connection, counted.

use bytes::Bytes;
use wasmrun_core::Usage;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamResult,
};

/// A stream, and where is told what goes through it.
struct Counted<S> {
    stream: S,
    usage: Usage,
}

/// Has what goes through the streams of a connection counted, and the connection.
pub(crate) fn connection<T: 'static>(
    table: &mut ResourceTable,
    usage: &Usage,
    socket: &Resource<T>,
    (input, output): (Resource<DynInputStream>, Resource<DynOutputStream>),
) -> Result<(Resource<DynInputStream>, Resource<DynOutputStream>), ResourceTableError> {
    usage.traffic().connected();
    let (stream, usage) = (table.delete(input)?, usage.clone());
    let input = Counted {
        stream,
        usage: usage.clone(),
    };
    let input = table.push_child(Box::new(input) as DynInputStream, socket)?;
    let stream = table.delete(output)?;
    let output = Counted { stream, usage };
    let output = table.push_child(Box::new(output) as DynOutputStream, socket)?;
    Ok((input, output))
}

#[async_trait]
impl<S: Pollable> Pollable for Counted<S> {
    async fn ready(&mut self) {
        self.stream.ready().await;
    }
}

#[async_trait]
impl InputStream for Counted<DynInputStream> {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self.stream.read(size)?;
        self.usage.traffic().received(bytes.len());
        Ok(bytes)
    }

    async fn cancel(&mut self) {
        self.stream.cancel().await;
    }
}

#[async_trait]
impl OutputStream for Counted<DynOutputStream> {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let length = bytes.len();
        self.stream.write(bytes)?;
        self.usage.traffic().sent(length);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.stream.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.stream.check_write()
    }

    async fn cancel(&mut self) {
        self.stream.cancel().await;
    }
}
