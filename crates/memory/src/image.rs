//! What memories begin with.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::param::page_size;

/// Data that any number of memories begin with, which share them until they write to them.
#[derive(Debug)]
pub struct Image {
    /// Tells it from all others of this process.
    pub(crate) number: u64,
    file: File,
    /// Where it is in the file: a whole number of pages from its start.
    from: u64,
    /// Where it is in a memory: whole pages.
    at: Range<usize>,
}

impl Image {
    /// These `data`, from the byte `at` of a memory on; zeros around them to whole pages.
    ///
    /// # Errors
    ///
    /// What the system says if it has no file in memory to put them into.
    pub fn new(at: usize, data: &[u8]) -> io::Result<Self> {
        let page = page_size();
        let begin = at - at % page;
        let end = at.checked_add(data.len());
        let end = end.and_then(|end| end.checked_next_multiple_of(page));
        let end = end.ok_or(io::ErrorKind::OutOfMemory)?;
        let file = File::from(memfd_create("wasmrun-data", MemfdFlags::CLOEXEC)?);
        file.set_len((end - begin) as u64)?;
        file.write_all_at(data, (at - begin) as u64)?;
        // SAFETY: nobody else has the file.
        unsafe { Image::in_file(file, 0, begin..end) }
    }

    /// What is in `file`, `from` there on, for the bytes `at` of a memory.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if these are not whole pages.
    ///
    /// # Safety
    ///
    /// The file has so much, and that part of it does not change as long as this image or a memory that
    /// began with it is there.
    pub unsafe fn in_file(file: File, from: u64, at: Range<usize>) -> io::Result<Self> {
        /// The number of the next.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let page = page_size();
        let is_page = |place: usize| place.is_multiple_of(page);
        if !is_page(at.start)
            || !is_page(at.end)
            || !from.is_multiple_of(page as u64)
            || at.is_empty()
        {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Image {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            file,
            from,
            at,
        })
    }

    /// Where it is in a memory, in bytes: whole pages.
    pub fn place(&self) -> Range<usize> {
        self.at.clone()
    }

    /// All of it.
    ///
    /// # Errors
    ///
    /// What the system says if it cannot be read.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.at.len()];
        self.file.read_exact_at(&mut bytes, self.from)?;
        Ok(bytes)
    }

    /// Puts it into the memory that begins at `start`.
    ///
    /// # Safety
    ///
    /// That memory is the caller's alone, and has bytes at [`Image::place`].
    pub(crate) unsafe fn map(&self, start: NonNull<c_void>) -> io::Result<()> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        // SAFETY: as the caller says, and what was mapped there was the caller's.
        unsafe {
            let at = start.byte_add(self.at.start).as_ptr();
            mmap(at, self.at.len(), access, flags, &self.file, self.from)?;
        }
        Ok(())
    }
}
