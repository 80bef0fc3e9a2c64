//! What memories begin with.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::param::page_size;

/// Data that any number of memories begin with.
#[derive(Debug)]
pub struct Image {
    /// Tells it from all others of this process.
    number: u64,
    /// Where it is in a memory: whole pages.
    place: Range<usize>,
    data: Data,
}

#[derive(Debug)]
enum Data {
    /// So far from the start of a file, a whole number of pages. Memories share them until they write to them.
    Shared(Arc<File>, u64),
    /// For each memory to have a copy of.
    Copied(Vec<u8>),
}

impl Image {
    /// These `data`, from the byte `at` of a memory on; zeros around them to whole pages. They are shared if the
    /// system lets us have a file in memory to put them into, and otherwise copied.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](io::ErrorKind::OutOfMemory) if they would go beyond any memory.
    pub fn new(at: usize, data: &[u8]) -> io::Result<Self> {
        let page = page_size();
        let begin = at - at % page;
        let end = at.checked_add(data.len());
        let end = end.and_then(|end| end.checked_next_multiple_of(page));
        let place = begin..end.ok_or(io::ErrorKind::OutOfMemory)?;
        let before = at - begin;
        let data = match in_memory(place.len(), before, data) {
            Ok(file) => Data::Shared(file.into(), 0),
            Err(_) => {
                let mut copy = vec![0; place.len()];
                copy[before..][..data.len()].copy_from_slice(data);
                Data::Copied(copy)
            }
        };
        Ok(Image::of(place, data))
    }

    /// What is in `file`, `from` there on, for the bytes of a memory at `place`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if these are not whole pages.
    ///
    /// # Safety
    ///
    /// The file has so much, and that part of it does not change as long as this image or a memory that
    /// began with it is there.
    pub unsafe fn in_file(file: File, from: u64, place: Range<usize>) -> io::Result<Self> {
        let page = page_size();
        let is_page = |byte: usize| byte.is_multiple_of(page);
        let are_pages = is_page(place.start) && is_page(place.end) && !place.is_empty();
        if !are_pages || !from.is_multiple_of(page as u64) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Image::of(place, Data::Shared(file.into(), from)))
    }

    fn of(place: Range<usize>, data: Data) -> Self {
        /// The number of the next.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Image {
            number,
            place,
            data,
        }
    }

    /// Where it is in a memory, in bytes: whole pages.
    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    /// All of it.
    ///
    /// # Errors
    ///
    /// What the system says if it cannot be read.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        match &self.data {
            Data::Shared(file, from) => {
                let mut bytes = vec![0; self.place.len()];
                file.read_exact_at(&mut bytes, *from)?;
                Ok(bytes)
            }
            Data::Copied(bytes) => Ok(bytes.clone()),
        }
    }

    /// Puts it into the memory that begins at `start`. What is mapped there, if something is.
    ///
    /// # Safety
    ///
    /// That memory is the caller's alone, and its bytes at [`Image::place`] are accessible.
    pub(crate) unsafe fn put(&self, start: NonNull<c_void>) -> io::Result<Option<Mapped>> {
        // SAFETY: as the caller says.
        let at = unsafe { start.byte_add(self.place.start) };
        match &self.data {
            Data::Shared(file, from) => {
                let access = ProtFlags::READ | ProtFlags::WRITE;
                let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
                // SAFETY: as the caller says, and what was mapped there was the caller's.
                unsafe { mmap(at.as_ptr(), self.place.len(), access, flags, &**file, *from)? };
                Ok(Some(Mapped {
                    number: self.number,
                    place: self.place(),
                    file: file.clone(),
                    from: *from,
                }))
            }
            Data::Copied(bytes) => {
                // SAFETY: as the caller says.
                unsafe {
                    let at = at.cast::<u8>().as_ptr();
                    at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                };
                Ok(None)
            }
        }
    }
}

/// An image that is mapped in a memory.
#[derive(Debug)]
pub(crate) struct Mapped {
    number: u64,
    /// Within the memory.
    pub(crate) place: Range<usize>,
    file: Arc<File>,
    from: u64,
}

impl Mapped {
    /// Whether it is of that image.
    pub(crate) fn is_of(&self, image: &Image) -> bool {
        self.number == image.number
    }

    /// Reads what is `at` that byte of the memory, which is within the image's place, into `bytes`.
    pub(crate) fn read(&self, at: usize, bytes: &mut [u8]) -> io::Result<()> {
        let at = (at - self.place.start) as u64;
        self.file.read_exact_at(bytes, self.from + at)
    }
}

/// A file in memory of so many bytes, with `data` behind some zeros. Nobody can change it any more.
fn in_memory(length: usize, before: usize, data: &[u8]) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("wasmrun-data", flags)?);
    file.set_len(length as u64)?;
    file.write_all_at(data, before as u64)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&file, seals)?;
    Ok(file)
}

#[cfg(test)]
impl Image {
    /// As one that could not have a file.
    pub(crate) fn copied(&self) -> Self {
        let bytes = self.bytes().expect("readable");
        Image::of(self.place(), Data::Copied(bytes))
    }
}
