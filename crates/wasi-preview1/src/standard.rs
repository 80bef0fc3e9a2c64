//! The standard streams of a preview1 guest, which are streams here and no files: they have no place to
//! seek to and no size, and a write is a success as far as it went.
//!
//! Each function is that of WASI by its name, for the descriptor of a standard stream. `None` says that
//! the descriptor is of something else.

use std::io::{self, ErrorKind::WouldBlock};

use wasmrun_core::Control;
use wasmtime_wasi::p1::types::{self, Advice, Errno, Fdflags, Fstflags};
use wiggle::{GuestMemory, GuestPtr};

use crate::call::{Failure, SUCCESS, counted, errno, pointer, running};
use crate::context::Streams;
use crate::stdio::{CHUNK, Sink, Source};
use crate::{HOSTCALL_FUEL, Stop, Wasi, block_on_ready};

/// The standard streams a guest has, by their descriptors.
#[derive(Default)]
pub(crate) struct Standard(Vec<Descriptor>);

struct Descriptor {
    number: i32,
    stream: Stream,
    flags: Fdflags,
    /// What ended a write that had begun well.
    error: Option<io::Error>,
}

enum Stream {
    Input(Source),
    Output(Sink),
}

impl Standard {
    pub(crate) fn of(streams: Streams) -> Self {
        let streams = [
            Stream::Input(streams.stdin),
            Stream::Output(streams.stdout),
            Stream::Output(streams.stderr),
        ];
        let numbered = streams.into_iter().zip(0..);
        let descriptors = numbered.map(|(stream, number)| Descriptor {
            number,
            stream,
            flags: Fdflags::empty(),
            error: None,
        });
        Standard(descriptors.collect())
    }

    fn find(&mut self, number: i32) -> Option<&mut Descriptor> {
        self.0.iter_mut().find(|stream| stream.number == number)
    }

    /// The guest has closed a descriptor.
    pub(crate) fn closed(&mut self, number: i32) {
        self.0.retain(|stream| stream.number != number);
    }

    /// The guest has given a descriptor another number.
    pub(crate) fn renumbered(&mut self, from: i32, to: i32) {
        if let Some(stream) = self.find(from) {
            stream.number = to;
        }
    }
}

// ---- what is read and written ----------------------------------------------------------------------

pub(crate) fn fd_read(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    [fd, vectors, count, read]: [i32; 4],
) -> Result<Option<i32>, Stop> {
    let Some(stream) = wasi.standard.find(fd) else {
        return Ok(None);
    };
    let done = match &stream.stream {
        Stream::Input(source) => first_buffer(memory, vectors, count).and_then(|buffer| {
            let waits = !stream.flags.contains(Fdflags::NONBLOCK);
            read_into(source, waits, &wasi.control, memory, buffer)
        }),
        Stream::Output(_) => Err(Errno::Badf.into()),
    };
    counted(memory, read, done)
}

pub(crate) fn fd_write(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    [fd, vectors, count, written]: [i32; 4],
) -> Result<Option<i32>, Stop> {
    let Some(stream) = wasi.standard.find(fd) else {
        return Ok(None);
    };
    let done = first_buffer(memory, vectors, count).and_then(|buffer| {
        let bytes = memory.as_cow(buffer)?;
        stream.write(&wasi.control, &bytes)
    });
    counted(memory, written, done)
}

fn read_into(
    source: &Source,
    waits: bool,
    control: &Control,
    memory: &mut GuestMemory<'_>,
    buffer: GuestPtr<[u8]>,
) -> Result<usize, Failure> {
    if buffer.len() == 0 {
        return Ok(0);
    }
    loop {
        running(control)?;
        let read = match memory.as_slice_mut(buffer)? {
            Some(bytes) => source.read(bytes),
            None => {
                let mut bytes = vec![0; CHUNK.min(buffer.len() as usize)];
                let read = source.read(&mut bytes);
                if let Ok(read) = read {
                    let to = buffer.as_ptr().as_array(read as u32);
                    memory.copy_from_slice(&bytes[..read], to)?;
                }
                read
            }
        };
        match read {
            Err(error) if error.kind() == WouldBlock && waits => {
                block_on_ready(control, source.readable())?.map_err(errno)?;
            }
            done => return Ok(done.map_err(errno)?),
        }
    }
}

impl Descriptor {
    /// Writes all, unless something comes between. What then is not written is told by the count, and
    /// why it is not by the next write.
    fn write(&mut self, control: &Control, bytes: &[u8]) -> Result<usize, Failure> {
        let Stream::Output(sink) = &self.stream else {
            return Err(Errno::Badf.into());
        };
        if let Some(error) = self.error.take_if(|_| !bytes.is_empty()) {
            return Err(errno(error).into());
        }
        let waits = !self.flags.contains(Fdflags::NONBLOCK);
        let mut written = 0;
        loop {
            running(control)?;
            let attempt = match sink.write(&bytes[written..]) {
                // There is always room for nothing.
                Err(error) if error.kind() == WouldBlock && bytes.is_empty() => Ok(0),
                Err(error) if error.kind() == WouldBlock && waits => {
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

/// The buffer that the I/O vectors lead to: the first that is not empty, as for files.
fn first_buffer(
    memory: &GuestMemory<'_>,
    vectors: i32,
    count: i32,
) -> Result<GuestPtr<[u8]>, Failure> {
    let vectors = pointer::<types::Iovec>(vectors).as_array(count.cast_unsigned());
    let bytes = vectors.len().checked_mul(size_of::<types::Iovec>() as u32);
    let left = bytes.and_then(|bytes| HOSTCALL_FUEL.checked_sub(bytes));
    let left = left.ok_or(Errno::Nomem)?;
    for vector in vectors.iter() {
        let vector = memory.read(vector?)?;
        if vector.buf_len > left {
            return Err(Errno::Nomem.into());
        }
        if vector.buf_len > 0 {
            return Ok(vector.buf.as_array(vector.buf_len));
        }
    }
    Ok(GuestPtr::new((0, 0)))
}

/// What a read comes to: wasmtime-wasi calls it interrupted if there was nothing to be read to.
pub(crate) fn unless_empty(
    errno: i32,
    memory: &mut GuestMemory<'_>,
    [vectors, count, read]: [i32; 3],
) -> Result<i32, Stop> {
    if errno == Errno::Intr as i32
        && let Ok(buffer) = first_buffer(memory, vectors, count)
        && buffer.len() == 0
    {
        let written = memory.write(pointer::<types::Size>(read), 0);
        return written.map_err(Stop::trap).map(|()| SUCCESS);
    }
    Ok(errno)
}

/// Adds what was set of the descriptor's flags to what it is said to be.
pub(crate) fn add_flags(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    [fd, stat]: [i32; 2],
) -> Result<(), Stop> {
    const FLAGS: u32 = 2;
    match wasi.standard.find(fd) {
        Some(stream) if !stream.flags.is_empty() => memory
            .write(GuestPtr::new(stat.cast_unsigned() + FLAGS), stream.flags)
            .map_err(Stop::trap),
        _ => Ok(()),
    }
}

// ---- what else can be asked ------------------------------------------------------------------------

type Answer = Result<Option<i32>, Stop>;

/// Answers for a standard stream, if the descriptor is one.
fn answer(
    wasi: &mut Wasi,
    fd: i32,
    answer: impl FnOnce(&mut Descriptor) -> Result<(), Errno>,
) -> Answer {
    running(&wasi.control)?;
    Ok(wasi
        .standard
        .find(fd)
        .map(|stream| answer(stream).map_or_else(|errno| errno as i32, |()| SUCCESS)))
}

pub(crate) fn fd_advise(wasi: &mut Wasi, fd: i32, _: i64, _: i64, advice: i32) -> Answer {
    answer(wasi, fd, |_| {
        Advice::try_from(advice).map_err(|_| Errno::Inval)?;
        Err(Errno::Spipe)
    })
}

pub(crate) fn fd_allocate(wasi: &mut Wasi, fd: i32, _: i64, _: i64) -> Answer {
    answer(wasi, fd, |_| Err(Errno::Spipe))
}

pub(crate) fn fd_datasync(wasi: &mut Wasi, fd: i32) -> Answer {
    answer(wasi, fd, |stream| stream.sync(true))
}

pub(crate) fn fd_sync(wasi: &mut Wasi, fd: i32) -> Answer {
    answer(wasi, fd, |stream| stream.sync(false))
}

impl Descriptor {
    fn sync(&self, data_only: bool) -> Result<(), Errno> {
        match &self.stream {
            Stream::Input(source) => source.sync(data_only),
            Stream::Output(sink) => sink.sync(data_only),
        }
        .map_err(errno)
    }
}

pub(crate) fn fd_fdstat_set_flags(wasi: &mut Wasi, fd: i32, flags: i32) -> Answer {
    answer(wasi, fd, |stream| {
        let flags = Fdflags::try_from(flags).map_err(|_| Errno::Inval)?;
        if !(Fdflags::APPEND | Fdflags::NONBLOCK).contains(flags) {
            return Err(Errno::Inval);
        }
        if flags.contains(Fdflags::APPEND)
            && let Stream::Output(sink) = &stream.stream
            && !sink.appends()
        {
            return Err(Errno::Notsup);
        }
        stream.flags = flags;
        Ok(())
    })
}

pub(crate) fn fd_fdstat_set_rights(wasi: &mut Wasi, fd: i32, _: i64, _: i64) -> Answer {
    answer(wasi, fd, |_| Err(Errno::Notsup))
}

/// A stream that leads to a file is no less a stream: what is in the file already is not the guest's.
pub(crate) fn fd_filestat_set_size(wasi: &mut Wasi, fd: i32, _: i64) -> Answer {
    answer(wasi, fd, |_| Err(Errno::Inval))
}

pub(crate) fn fd_filestat_set_times(
    wasi: &mut Wasi,
    fd: i32,
    _: i64,
    _: i64,
    flags: i32,
) -> Answer {
    answer(wasi, fd, |_| {
        Fstflags::try_from(flags).map_err(|_| Errno::Inval)?;
        Err(Errno::Notsup)
    })
}

pub(crate) fn fd_pread(wasi: &mut Wasi, fd: i32, _: i32, _: i32, _: i64, _: i32) -> Answer {
    answer(wasi, fd, |_| Err(Errno::Spipe))
}

pub(crate) fn fd_pwrite(wasi: &mut Wasi, fd: i32, _: i32, _: i32, _: i64, _: i32) -> Answer {
    answer(wasi, fd, |_| Err(Errno::Spipe))
}
