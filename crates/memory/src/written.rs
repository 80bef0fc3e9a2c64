//! Which pages of a memory were written to: Linux tells it from 6.7 on.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

use rustix::param::page_size;
use rustix::process::{Pid, getpid};

/// Of more bytes it is not told: they are given back faster than they are written over.
const MOST: usize = 1 << 20;

/// Nor of more ranges.
const MOST_RANGES: usize = 64;

/// What of `within`, addresses of whole pages, has pages of its own: neither those of a file nor those of zeros that all
/// share. `None` where the system does not tell, or where that is much.
pub(crate) fn pages(within: Range<usize>) -> Option<impl Iterator<Item = Range<usize>>> {
    let map = page_map()?;
    let mut found = [Region::default(); MOST_RANGES];
    let mut scan = Scan {
        size: size_of::<Scan>() as u64,
        start: within.start as u64,
        end: within.end as u64,
        found: found.as_mut_ptr().expose_provenance() as u64,
        most_found: MOST_RANGES as u64,
        most_pages: (MOST / page_size()) as u64,
        // None of these, ...
        inverted: FILE | ZEROS,
        all_of: FILE | ZEROS,
        // ... and one of those.
        any_of: PRESENT | SWAPPED,
        told: PRESENT | SWAPPED,
        ..Scan::default()
    };
    // SAFETY: the kernel reads and writes the structure, whose size it is told, and as many regions as there are. It
    // looks at page tables, and at nothing in memory.
    let count = unsafe { libc::ioctl(map.as_raw_fd(), PAGEMAP_SCAN, &mut scan) };
    let count = usize::try_from(count).ok()?;
    // It has stopped where there was no more room.
    let is_all = scan.walk_end == scan.end;
    let regions = found.into_iter().take(count);
    is_all.then(|| regions.map(|region| region.start as usize..region.end as usize))
}

/// That of this process: what a process has opened before it forked tells of its parent.
fn page_map() -> Option<&'static File> {
    static MAP: OnceLock<Option<(Pid, File)>> = OnceLock::new();
    let map = MAP.get_or_init(|| Some((getpid(), File::open("/proc/self/pagemap").ok()?)));
    let (of, file) = map.as_ref()?;
    (*of == getpid()).then_some(file)
}

// As `linux/fs.h` has them.

/// `_IOWR('f', 16, struct pm_scan_arg)`
const PAGEMAP_SCAN: libc::Ioctl =
    (3 << 30 | size_of::<Scan>() << 16 | (b'f' as usize) << 8 | 16) as libc::Ioctl;

const FILE: u64 = 1 << 2;
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;
const ZEROS: u64 = 1 << 5;

#[derive(Default)]
#[repr(C)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    found: u64,
    most_found: u64,
    most_pages: u64,
    inverted: u64,
    all_of: u64,
    any_of: u64,
    told: u64,
}

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Region {
    start: u64,
    end: u64,
    _categories: u64,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    #[test]
    fn pages_are_told_that_were_written_to_and_no_others() {
        let page = page_size();
        let memory: Vec<AtomicU8> = (0..300 * page).map(|_| AtomicU8::new(0)).collect();
        let first = memory.as_ptr().addr().next_multiple_of(page) - memory.as_ptr().addr();
        let told = |pages: Range<usize>| {
            let start = memory.as_ptr().addr() + first;
            let found = super::pages(start + pages.start * page..start + pages.end * page)?;
            let found =
                found.map(|range| ((range.start - start) / page, (range.end - start) / page));
            Some(found.collect::<Vec<_>>())
        };
        if told(0..1).is_none() {
            eprintln!("this system does not tell which pages were written to");
            return;
        }
        // The vector was filled.
        assert_eq!(told(1..250), Some(vec![(1, 250)]));
        assert_eq!(told(0..299), None, "too much");
        let start = memory[first..].as_ptr();
        // SAFETY: these are whole pages of the vector's, which nobody else looks at.
        let given_back = unsafe {
            rustix::mm::madvise(
                start.cast_mut().cast(),
                298 * page,
                rustix::mm::Advice::LinuxDontNeed,
            )
        };
        given_back.expect("they are whole pages");
        assert_eq!(told(0..298), Some(vec![]));
        let byte = |place: usize| &memory[first + place * page];
        assert_eq!(byte(7).load(Ordering::Relaxed), 0);
        for written in [3, 4, 200] {
            byte(written).store(1, Ordering::Relaxed);
        }
        assert_eq!(told(0..298), Some(vec![(3, 5), (200, 201)]));
        for place in (0..298).step_by(2) {
            byte(place).store(1, Ordering::Relaxed);
        }
        assert_eq!(told(0..298), None, "too many ranges");
    }
}
