//! The bytes of a file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::ranges::Ranges;
use super::space::Budget;
use crate::{Errno, Result};

pub(super) const PAGE_SIZE: usize = 4096;

/// The largest file: offsets are of 63 bits.
const SIZE_MAX: u64 = i64::MAX as u64;

type Page = [u8; PAGE_SIZE];

/// The bytes of a file.
///
/// A page is charged when it is first written or allocated, and takes memory only when it is written. So to allocate
/// costs as much for a terabyte as for a byte.
pub(super) struct Content {
    size: u64,
    /// The pages that were written. Their bytes behind the end of the file are zeros.
    pages: BTreeMap<u64, Box<Page>>,
    /// The pages that are paid for: at least those above.
    charged: Ranges,
    budget: Arc<Budget>,
}

impl Content {
    /// No bytes. The pages of those to come are charged to `budget`.
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        Content {
            size: 0,
            pages: BTreeMap::new(),
            charged: Ranges::default(),
            budget: Arc::clone(budget),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let length = at_most(buffer.len(), self.size.saturating_sub(offset));
        for (page, within, part) in parts(offset, length) {
            let part = &mut buffer[part];
            match self.pages.get(&page) {
                Some(page) => part.copy_from_slice(&page[within]),
                None => part.fill(0),
            }
        }
        length
    }

    /// Writes what there is room for: how many bytes, at least one. `bytes` is not empty.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> Result<usize> {
        let length = at_most(bytes.len(), SIZE_MAX.saturating_sub(offset));
        if length == 0 {
            return Err(Errno::Fbig);
        }
        let charged = self.charge(pages(offset, length as u64));
        let length = at_most(length, (charged * PAGE_SIZE as u64).saturating_sub(offset));
        if length == 0 {
            return Err(Errno::Nospc);
        }
        for (page, within, part) in parts(offset, length) {
            let page = self
                .pages
                .entry(page)
                .or_insert_with(|| Box::new([0; PAGE_SIZE]));
            page[within].copy_from_slice(&bytes[part]);
        }
        self.size = self.size.max(offset + length as u64);
        Ok(length)
    }

    /// Cuts it off, or adds zeros, which take no room.
    pub(super) fn set_size(&mut self, size: u64) -> Result<()> {
        if size > SIZE_MAX {
            return Err(Errno::Fbig);
        }
        let kept = size.div_ceil(PAGE_SIZE as u64);
        self.pages.split_off(&kept);
        self.budget.give(self.charged.truncate(kept));
        let (last, tail) = split(size);
        if let Some(page) = self.pages.get_mut(&last) {
            page[tail..].fill(0);
        }
        self.size = size;
        Ok(())
    }

    /// Charges all pages of these bytes, or none.
    pub(super) fn allocate(&mut self, offset: u64, length: u64) -> Result<()> {
        if length == 0 {
            return Err(Errno::Inval);
        }
        let end = offset
            .checked_add(length)
            .filter(|&end| end <= SIZE_MAX)
            .ok_or(Errno::Fbig)?;
        self.charge_all(pages(offset, length))?;
        self.size = self.size.max(end);
        Ok(())
    }

    fn charge_all(&mut self, pages: Range<u64>) -> Result<()> {
        self.budget.take(self.charged.missing(&pages))?;
        self.charged.insert(pages);
        Ok(())
    }

    /// Charges these pages as far as there is room: up to which one.
    fn charge(&mut self, pages: Range<u64>) -> u64 {
        if self.charge_all(pages.clone()).is_ok() {
            return pages.end;
        }
        let mut single = pages.clone().map(|page| page..page + 1);
        match single.find(|page| self.charge_all(page.clone()).is_err()) {
            Some(page) => page.start,
            None => pages.end,
        }
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.pages.clear();
        self.budget.give(self.charged.len());
    }
}

fn at_most(length: usize, limit: u64) -> usize {
    usize::try_from(limit).map_or(length, |limit| limit.min(length))
}

/// The page of an offset, and where in it.
fn split(offset: u64) -> (u64, usize) {
    let size = PAGE_SIZE as u64;
    (offset / size, (offset % size) as usize)
}

/// The pages of so many bytes, at least one, from an offset on.
fn pages(offset: u64, length: u64) -> Range<u64> {
    let size = PAGE_SIZE as u64;
    offset / size..(offset + length).div_ceil(size)
}

/// So many bytes from an offset on, page by page: the page, where in it, and which of the bytes.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, Range<usize>, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let (page, start) = split(offset + done as u64);
        let count = (length - done).min(PAGE_SIZE - start);
        let part = done..done + count;
        done += count;
        (count > 0).then_some((page, start..start + count, part))
    })
}
