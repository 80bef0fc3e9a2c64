//! Address space.

use std::ffi::c_void;
use std::io;
use std::ops::Range;
use std::ptr::{NonNull, null_mut};

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap,
};

use crate::image::Mapped;
use crate::{Image, written};

/// Where a guest's memory is to be within what is reserved for it, in bytes. All are whole pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// So much before it is never accessible.
    pub before: usize,
    /// So much it may grow to.
    pub capacity: usize,
    /// So much behind that is never accessible.
    pub behind: usize,
}

impl Layout {
    fn total(self) -> Option<usize> {
        self.before
            .checked_add(self.capacity)?
            .checked_add(self.behind)
    }
}

/// What the system has reserved. What of a memory is accessible is its image, and zeros around that, while nobody
/// has it.
#[derive(Debug)]
pub(crate) struct Reservation {
    base: NonNull<c_void>,
    /// From there.
    total: usize,
    pub(crate) layout: Layout,
    pub(crate) accessible: usize,
    pub(crate) image: Option<Mapped>,
    /// More may have been accessible for a moment.
    pub(crate) is_soiled: bool,
}

// SAFETY: it is owned, like a box of bytes.
unsafe impl Send for Reservation {}
// SAFETY: without `&mut` it gives only numbers away.
unsafe impl Sync for Reservation {}

/// So much is cleared by writing zeros to all of it, which concerns nobody else. To take pages back and to find others
/// takes the system longer, and holds up all threads that do the like.
const MOST_WRITTEN: usize = 128 << 10;

/// Pages are the system's to find once they are written to, as wasmtime has it for its own.
const FLAGS: MapFlags = MapFlags::PRIVATE.union(MapFlags::NORESERVE);

impl Reservation {
    pub(crate) fn new(layout: Layout) -> io::Result<Self> {
        let total = layout.total().ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: it is put where nothing is yet.
        let base = unsafe { mmap_anonymous(null_mut(), total, ProtFlags::empty(), FLAGS)? };
        let base = NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Reservation {
            base,
            total,
            layout,
            accessible: 0,
            image: None,
            is_soiled: false,
        })
    }

    /// Makes it what a guest begins with.
    pub(crate) fn begin(&mut self, accessible: usize, image: Option<&Image>) -> io::Result<()> {
        if image.is_some_and(|image| image.place().end > accessible) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let is_there = match (&self.image, image) {
            (None, None) => true,
            (Some(mapped), Some(image)) => mapped.is_of(image),
            _ => false,
        };
        if is_there {
            return self.set_accessible(accessible);
        }
        if let Some(mapped) = self.image.take() {
            self.map_zeros(mapped.place)?;
        }
        self.set_accessible(accessible)?;
        if let Some(image) = image {
            // SAFETY: nobody else has it, and the image's place is within what is accessible.
            self.image = unsafe { image.put(self.start())? };
        }
        Ok(())
    }

    /// Replaces an image.
    fn map_zeros(&mut self, range: Range<usize>) -> io::Result<()> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the range is within what is reserved and accessible, and nobody else has it.
        unsafe {
            let at = self.start().byte_add(range.start).as_ptr();
            mmap_anonymous(at, range.len(), access, FLAGS | MapFlags::FIXED)?;
        }
        Ok(())
    }

    pub(crate) fn start(&self) -> NonNull<c_void> {
        // SAFETY: it is within what is reserved.
        unsafe { self.base.byte_add(self.layout.before) }
    }

    pub(crate) fn set_accessible(&mut self, bytes: usize) -> io::Result<()> {
        if bytes > self.layout.capacity {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if bytes < self.accessible {
            self.protect(bytes..self.accessible, MprotectFlags::empty())?;
        } else if bytes > self.accessible {
            let more = self.accessible..bytes;
            let read_write = MprotectFlags::READ | MprotectFlags::WRITE;
            if let Err(error) = self.protect(more.clone(), read_write) {
                // A part of it may be accessible now: mprotect(2) goes from mapping to mapping.
                self.is_soiled = true;
                let undone = self.protect(more, MprotectFlags::empty());
                undone.expect("a guest must not go on with more memory than it knows of");
                return Err(error);
            }
        }
        self.accessible = bytes;
        Ok(())
    }

    fn protect(&mut self, range: Range<usize>, access: MprotectFlags) -> io::Result<()> {
        debug_assert!(range.end <= self.layout.capacity);
        // SAFETY: the range is within what is reserved, which nobody else has. No reference into it is
        // alive: a guest's memory grows while nothing else looks at it.
        unsafe {
            mprotect(
                self.start().byte_add(range.start).as_ptr(),
                range.len(),
                access,
            )?
        };
        Ok(())
    }

    /// Whether all that is accessible could be made what it began with.
    pub(crate) fn clear_all(&mut self) -> bool {
        let all = 0..self.accessible;
        if self.image.is_none() && self.accessible <= MOST_WRITTEN {
            self.bytes(all).fill(0);
            return true;
        }
        let start = self.start().addr().get();
        let written = written::pages(start + all.start..start + all.end);
        let restored = written.map(|mut pages| {
            pages.try_for_each(|pages| self.restore(pages.start - start..pages.end - start))
        });
        matches!(restored, Some(Ok(()))) || self.clear(all)
    }

    /// Writes to the range of what is accessible what was there in the beginning.
    fn restore(&mut self, range: Range<usize>) -> io::Result<()> {
        let place = self.image.as_ref().map(|image| image.place.clone());
        let place = place.unwrap_or(range.end..range.end);
        let begin = place.start.clamp(range.start, range.end);
        let end = place.end.clamp(begin, range.end);
        self.bytes(range.start..begin).fill(0);
        self.bytes(end..range.end).fill(0);
        let Some(image) = self.image.take_if(|_| begin < end) else {
            return Ok(());
        };
        let read = image.read(begin, self.bytes(begin..end));
        self.image = Some(image);
        read
    }

    fn bytes(&mut self, range: Range<usize>) -> &mut [u8] {
        debug_assert!(range.start <= range.end && range.end <= self.accessible);
        // SAFETY: the range is within what is accessible, and nobody else has it.
        unsafe {
            let start = self.start().cast::<u8>().add(range.start);
            std::slice::from_raw_parts_mut(start.as_ptr(), range.len())
        }
    }

    /// Whether what is in the range of what is accessible could be made what it began with.
    pub(crate) fn clear(&self, range: Range<usize>) -> bool {
        debug_assert!(range.end <= self.accessible);
        // SAFETY: the range is within what is reserved, which nobody else has. Linux promises zeros for the
        // next access to private anonymous pages after this, and the file's content for those of an image:
        // madvise(2), MADV_DONTNEED.
        let cleared = unsafe {
            madvise(
                self.start().byte_add(range.start).as_ptr(),
                range.len(),
                Advice::LinuxDontNeed,
            )
        };
        cleared.is_ok()
    }

    /// Whether an image of more than `most` bytes could be replaced by zeros, if there is one.
    pub(crate) fn forget_image_beyond(&mut self, most: usize) -> bool {
        let large = self.image.take_if(|image| image.place.len() > most);
        large.is_none_or(|image| self.map_zeros(image.place).is_ok())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: it was mapped by `new`, and nobody has it any more.
        let gone = unsafe { munmap(self.base.as_ptr(), self.total) };
        debug_assert!(gone.is_ok(), "{gone:?}");
    }
}

/// Whether the byte can be read, as the kernel says it.
#[cfg(test)]
pub(crate) fn is_readable(byte: *const u8) -> bool {
    use std::io::Write;
    let (_reader, mut writer) = io::pipe().expect("a pipe");
    // SAFETY: the kernel looks whether it is accessible, and nobody else does.
    let byte = unsafe { std::slice::from_raw_parts(byte, 1) };
    let written = writer.write(byte).map_err(|error| error.raw_os_error());
    assert!(
        matches!(written, Ok(1) | Err(Some(libc::EFAULT))),
        "{written:?}"
    );
    written.is_ok()
}
