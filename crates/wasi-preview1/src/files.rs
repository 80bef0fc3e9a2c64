//! What is read, written and known of an open file, or a standard stream.

use wasmrun_core::{Access, Control};
#[cfg(target_os = "linux")]
use wasmrun_fs::CutShort;
use wasmrun_fs::Errno::Spipe as NoPlaces;
use wasmrun_fs::{Advice, FileType, SetTime, SetTimes, Stat, within_files};
use wasmtime_wasi::p0::types as old;
use wasmtime_wasi::p1::types::{self, Errno, Fdflags, Filetype, Fstflags, Whence};
use wiggle::{GuestMemory, GuestPtr};

use crate::call::{Result, argument, count, fill, first_buffer, pointer};
use crate::descriptors::{Descriptor, Descriptors, OpenFile, filetype};
use crate::{Abi, Wasi};

pub(crate) fn fd_read(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    vectors: i32,
    number: i32,
    read: i32,
) -> Result<()> {
    let control = &wasi.control;
    let done = match wasi.descriptors.get(fd)? {
        Descriptor::Stream(stream) => {
            let buffer = first_buffer(memory, vectors, number)?;
            stream.read(control, memory, buffer)
        }
        Descriptor::File(file) => {
            let buffer = first_buffer(memory, vectors, number)?;
            let done = file.read(control, memory, buffer, None);
            if let Ok(done) = done {
                file.position += done as u64;
            }
            done
        }
        Descriptor::Directory(_) => return Err(Errno::Isdir.into()),
    };
    // It may have been cut short.
    wasi.running()?;
    count(memory, read, done?)
}

pub(crate) fn fd_pread(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    vectors: i32,
    number: i32,
    offset: i64,
    read: i32,
) -> Result<()> {
    let control = &wasi.control;
    let file = seekable(&mut wasi.descriptors, fd, Errno::Isdir)?;
    let buffer = first_buffer(memory, vectors, number)?;
    let offset = u64::try_from(offset).map_err(|_| Errno::Inval)?;
    let done = file.read(control, memory, buffer, Some(offset));
    wasi.running()?;
    count(memory, read, done?)
}

pub(crate) fn fd_write(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    vectors: i32,
    number: i32,
    written: i32,
) -> Result<()> {
    let control = &wasi.control;
    let done = match wasi.descriptors.get(fd)? {
        Descriptor::Stream(stream) => {
            let bytes = memory.as_cow(first_buffer(memory, vectors, number)?)?;
            stream.write(control, &bytes)
        }
        Descriptor::File(file) => {
            let bytes = memory.as_cow(first_buffer(memory, vectors, number)?)?;
            let done = file.write(control, &bytes, None);
            if let Ok(done) = done {
                let behind = file.position + done as u64;
                file.position = match file.appends() {
                    true => file.file.stat().map_or(behind, |stat| stat.size),
                    false => behind,
                };
            }
            done
        }
        Descriptor::Directory(_) => return Err(Errno::Badf.into()),
    };
    wasi.running()?;
    count(memory, written, done?)
}

pub(crate) fn fd_pwrite(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    vectors: i32,
    number: i32,
    offset: i64,
    written: i32,
) -> Result<()> {
    let control = &wasi.control;
    let file = seekable(&mut wasi.descriptors, fd, Errno::Badf)?;
    let bytes = memory.as_cow(first_buffer(memory, vectors, number)?)?;
    let offset = u64::try_from(offset).map_err(|_| Errno::Inval)?;
    let done = file.write(control, &bytes, Some(offset));
    wasi.running()?;
    count(memory, written, done?)
}

impl OpenFile {
    /// Has what may have to be waited for there be cut short when the guest is to end.
    #[cfg(target_os = "linux")]
    fn cut_short(&self, control: &Control) -> Option<CutShort> {
        (self.file_type != FileType::Regular).then(|| CutShort::by(control))
    }

    #[cfg(not(target_os = "linux"))]
    fn cut_short(&self, _: &Control) {}

    fn appends(&self) -> bool {
        self.flags.contains(Fdflags::APPEND)
    }

    /// Reads at an offset, or where it is.
    fn read(
        &self,
        control: &Control,
        memory: &mut GuestMemory<'_>,
        buffer: GuestPtr<[u8]>,
        offset: Option<u64>,
    ) -> Result<usize> {
        if !self.read {
            return Err(Errno::Badf.into());
        }
        let at = offset.unwrap_or(self.position);
        within_files(at, buffer.len() as usize)?;
        let _cut_short = self.cut_short(control);
        fill(memory, buffer, |bytes| match self.file.read_at(bytes, at) {
            Err(NoPlaces) if offset.is_none() => Ok(self.file.read_next(bytes)?),
            read => Ok(read?),
        })
    }

    /// Writes at an offset or where it is, or at the end of a file that is appended to: so does Linux.
    fn write(&self, control: &Control, bytes: &[u8], offset: Option<u64>) -> Result<usize> {
        if !self.write {
            return Err(Errno::Badf.into());
        }
        let at = offset.unwrap_or(self.position);
        within_files(at, bytes.len())?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let _cut_short = self.cut_short(control);
        if self.appends() {
            return Ok(self.file.append(bytes)?);
        }
        match self.file.write_at(bytes, at) {
            Err(NoPlaces) if offset.is_none() => Ok(self.file.write_next(bytes)?),
            written => Ok(written?),
        }
    }
}

/// A file, as what has places to seek to. `directory` is what is wrong about a directory.
fn seekable(descriptors: &mut Descriptors, fd: i32, directory: Errno) -> Result<&mut OpenFile> {
    match descriptors.get(fd)? {
        Descriptor::File(file) => Ok(file),
        Descriptor::Stream(_) => Err(Errno::Spipe.into()),
        Descriptor::Directory(_) => Err(directory.into()),
    }
}

pub(crate) fn fd_seek(
    abi: Abi,
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    offset: i64,
    whence: i32,
    position: i32,
) -> Result<()> {
    let whence = match abi {
        Abi::Preview1 => argument(whence)?,
        Abi::Unstable => match argument(whence)? {
            old::Whence::Set => Whence::Set,
            old::Whence::Cur => Whence::Cur,
            old::Whence::End => Whence::End,
        },
    };
    let file = seekable(&mut wasi.descriptors, fd, Errno::Badf)?;
    let from = match whence {
        Whence::Set => 0,
        Whence::Cur => file.position,
        Whence::End => file.file.stat()?.size,
    };
    // No offset is more than `off_t` can say.
    let sought = from.checked_add_signed(offset);
    let sought = sought.filter(|sought| i64::try_from(*sought).is_ok());
    file.position = sought.ok_or(Errno::Inval)?;
    Ok(memory.write(pointer::<types::Filesize>(position), file.position)?)
}

pub(crate) fn fd_tell(
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    position: i32,
) -> Result<()> {
    let told = seekable(&mut wasi.descriptors, fd, Errno::Badf)?.position;
    Ok(memory.write(pointer::<types::Filesize>(position), told)?)
}

pub(crate) fn fd_advise(
    wasi: &mut Wasi,
    _: &mut GuestMemory<'_>,
    fd: i32,
    offset: i64,
    length: i64,
    advice: i32,
) -> Result<()> {
    let descriptor = wasi.descriptors.get(fd);
    let advice = match argument(advice)? {
        types::Advice::Normal => Advice::Normal,
        types::Advice::Sequential => Advice::Sequential,
        types::Advice::Random => Advice::Random,
        types::Advice::Willneed => Advice::WillNeed,
        types::Advice::Dontneed => Advice::DontNeed,
        types::Advice::Noreuse => Advice::NoReuse,
    };
    let (offset, length) = (offset.cast_unsigned(), length.cast_unsigned());
    match descriptor? {
        Descriptor::Stream(_) => Err(Errno::Spipe.into()),
        Descriptor::File(file) => Ok(file.file.advise(offset, length, advice)?),
        Descriptor::Directory(_) => Ok(()),
    }
}

pub(crate) fn fd_allocate(
    wasi: &mut Wasi,
    _: &mut GuestMemory<'_>,
    fd: i32,
    offset: i64,
    length: i64,
) -> Result<()> {
    let file = seekable(&mut wasi.descriptors, fd, Errno::Badf)?;
    if !file.write {
        return Err(Errno::Badf.into());
    }
    let offset = u64::try_from(offset).map_err(|_| Errno::Inval)?;
    let length = u64::try_from(length).map_err(|_| Errno::Inval)?;
    if length == 0 {
        return Err(Errno::Inval.into());
    }
    Ok(file.file.allocate(offset, length)?)
}

pub(crate) fn fd_sync(wasi: &mut Wasi, _: &mut GuestMemory<'_>, fd: i32) -> Result<()> {
    sync(wasi, fd, false)
}

pub(crate) fn fd_datasync(wasi: &mut Wasi, _: &mut GuestMemory<'_>, fd: i32) -> Result<()> {
    sync(wasi, fd, true)
}

fn sync(wasi: &mut Wasi, fd: i32, data_only: bool) -> Result<()> {
    match wasi.descriptors.get(fd)? {
        Descriptor::Stream(stream) => stream.sync(data_only),
        Descriptor::File(file) => Ok(file.file.sync(data_only)?),
        Descriptor::Directory(directory) => Ok(directory.place.sync()?),
    }
}

pub(crate) fn fd_filestat_get(
    abi: Abi,
    wasi: &mut Wasi,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    stat: i32,
) -> Result<()> {
    let told = match wasi.descriptors.get(fd)? {
        Descriptor::Stream(stream) => filestat_of_stream(stream.filetype()),
        Descriptor::File(file) => filestat(&file.file.stat()?),
        Descriptor::Directory(directory) => filestat(&directory.place.stat()?),
    };
    write_filestat(abi, memory, stat, told)
}

fn filestat_of_stream(filetype: Filetype) -> types::Filestat {
    types::Filestat {
        dev: 0,
        ino: 0,
        filetype,
        nlink: 0,
        size: 0,
        atim: 0,
        mtim: 0,
        ctim: 0,
    }
}

pub(crate) fn filestat(stat: &Stat) -> types::Filestat {
    types::Filestat {
        dev: stat.device,
        ino: stat.inode,
        filetype: filetype(stat.file_type),
        nlink: stat.links,
        size: stat.size,
        atim: stat.accessed,
        mtim: stat.modified,
        ctim: stat.changed,
    }
}

pub(crate) fn write_filestat(
    abi: Abi,
    memory: &mut GuestMemory<'_>,
    at: i32,
    stat: types::Filestat,
) -> Result<()> {
    match abi {
        Abi::Preview1 => memory.write(pointer(at), stat)?,
        Abi::Unstable => memory.write(pointer(at), older(stat))?,
    }
    Ok(())
}

fn older(stat: types::Filestat) -> old::Filestat {
    old::Filestat {
        dev: stat.dev,
        ino: stat.ino,
        filetype: match stat.filetype {
            Filetype::RegularFile => old::Filetype::RegularFile,
            Filetype::Directory => old::Filetype::Directory,
            Filetype::SymbolicLink => old::Filetype::SymbolicLink,
            Filetype::CharacterDevice => old::Filetype::CharacterDevice,
            Filetype::BlockDevice => old::Filetype::BlockDevice,
            _ => old::Filetype::Unknown,
        },
        nlink: u32::try_from(stat.nlink).unwrap_or(u32::MAX),
        size: stat.size,
        atim: stat.atim,
        mtim: stat.mtim,
        ctim: stat.ctim,
    }
}

pub(crate) fn fd_filestat_set_size(
    wasi: &mut Wasi,
    _: &mut GuestMemory<'_>,
    fd: i32,
    size: i64,
) -> Result<()> {
    match wasi.descriptors.get(fd)? {
        Descriptor::File(file) if file.write => {
            let size = u64::try_from(size).map_err(|_| Errno::Inval)?;
            Ok(file.file.set_size(size)?)
        }
        // A stream that leads to a file is no less a stream: what is in the file already is not the guest's.
        _ => Err(Errno::Inval.into()),
    }
}

pub(crate) fn fd_filestat_set_times(
    wasi: &mut Wasi,
    _: &mut GuestMemory<'_>,
    fd: i32,
    accessed: i64,
    modified: i64,
    flags: i32,
) -> Result<()> {
    let descriptor = wasi.descriptors.get(fd)?;
    let times = times(accessed, modified, flags)?;
    match descriptor {
        Descriptor::Stream(_) => Err(Errno::Notsup.into()),
        Descriptor::File(file) if file.access == Access::ReadOnly => Err(Errno::Rofs.into()),
        Descriptor::File(file) => Ok(file.file.set_times(times)?),
        Descriptor::Directory(directory) => Ok(directory.place.set_times(times)?),
    }
}

pub(crate) fn times(accessed: i64, modified: i64, flags: i32) -> Result<SetTimes> {
    let flags: Fstflags = argument(flags)?;
    let time = |to, time: i64, now| match (flags.contains(to), flags.contains(now)) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(SetTime::To(time.cast_unsigned())),
        (false, true) => Ok(SetTime::Now),
        (false, false) => Ok(SetTime::Keep),
    };
    Ok(SetTimes {
        accessed: time(Fstflags::ATIM, accessed, Fstflags::ATIM_NOW)?,
        modified: time(Fstflags::MTIM, modified, Fstflags::MTIM_NOW)?,
    })
}
