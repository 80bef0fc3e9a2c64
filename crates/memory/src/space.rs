//! A guest's memory, whose address space is kept when it is dropped.

use std::io;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use crate::Image;
use crate::reservation::{Layout, Reservation};
use crate::spare::SPARE;

/// So much may have been accessible of what is kept: its page tables are kept with it.
const MOST_ACCESSIBLE: usize = 64 << 20;

/// So much of what a guest began with is kept with it, which keeps the memory or the file that it is in, though
/// the guest be gone for good.
const MOST_DATA: usize = 4 << 20;

/// A guest's memory. It never moves, and it grows. Dropped, it is given back, and its address space is the
/// thread's for its next guest.
#[derive(Debug)]
pub struct Space(ManuallyDrop<Reservation>);

impl Space {
    /// Of which `accessible` bytes, whole pages, are accessible. It begins with the `image`, if any, and zeros
    /// around it.
    ///
    /// # Errors
    ///
    /// What the system says where it has no more, or not as much in one piece;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the image goes beyond what is accessible.
    pub fn take(layout: Layout, accessible: usize, image: Option<&Image>) -> io::Result<Self> {
        // A thread that is about to end has nothing any more.
        let spare = SPARE.try_with(|spare| spare.memory.take());
        let spare = spare.ok().flatten();
        let mut reservation = match spare.filter(|spare| spare.layout == layout) {
            Some(spare) => spare,
            None => Reservation::new(layout)?,
        };
        reservation.begin(accessible, image)?;
        Ok(Space(ManuallyDrop::new(reservation)))
    }

    /// Where it begins.
    pub fn start(&self) -> NonNull<u8> {
        self.0.start().cast()
    }

    /// So many bytes are accessible.
    pub fn accessible(&self) -> usize {
        self.0.accessible
    }

    /// Where it is within what is reserved for it.
    pub fn layout(&self) -> Layout {
        self.0.layout
    }

    /// Makes `accessible` bytes, whole pages, accessible, if they are not.
    ///
    /// # Errors
    ///
    /// What the system says where it has no more. Nothing has changed then.
    pub fn grow(&mut self, accessible: usize) -> io::Result<()> {
        // What is given up would have to be cleared.
        let accessible = accessible.max(self.0.accessible);
        self.0.set_accessible(accessible)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // SAFETY: nothing looks at it after this.
        keep(unsafe { ManuallyDrop::take(&mut self.0) });
    }
}

/// Keeps it for the thread's next guest, if that is worth while.
fn keep(mut memory: Reservation) {
    // A thread that is about to end keeps nothing more.
    let _ = SPARE.try_with(|spare| {
        let is_worth_it = memory.accessible <= MOST_ACCESSIBLE && !memory.is_soiled;
        if is_worth_it
            && spare.may_keep_memory()
            && memory.clear_all()
            && memory.forget_image_beyond(MOST_DATA)
        {
            spare.memory.set(Some(memory));
        }
    });
}

#[cfg(test)]
mod tests {
    use rustix::mm::{MapFlags, ProtFlags};

    use super::*;
    use crate::reservation;

    const LAYOUT: Layout = Layout {
        before: 64 << 10,
        capacity: 16 << 20,
        behind: 64 << 10,
    };

    fn bytes(space: &mut Space) -> &mut [u8] {
        // SAFETY: so much is accessible, and it is borrowed with the space.
        unsafe { std::slice::from_raw_parts_mut(space.start().as_ptr(), space.accessible()) }
    }

    fn is_kept() -> bool {
        SPARE.with(|spare| spare.memory.take()).is_some()
    }

    #[test]
    fn what_is_dropped_is_taken_again_and_empty() {
        let mut space = Space::take(LAYOUT, 128 << 10, None).expect("space");
        let start = space.start();
        bytes(&mut space).fill(0xff);
        space.grow(256 << 10).expect("more");
        assert!(bytes(&mut space)[128 << 10..].iter().all(|byte| *byte == 0));
        bytes(&mut space).fill(0xff);
        drop(space);
        for accessible in [64 << 10, 0, 1 << 20] {
            let mut space = Space::take(LAYOUT, accessible, None).expect("space");
            assert_eq!((space.start(), space.accessible()), (start, accessible));
            assert!(bytes(&mut space).iter().all(|byte| *byte == 0));
            bytes(&mut space).fill(0xff);
        }
    }

    /// Of the byte at `at` on, one page before it and one behind.
    fn image(at: usize, byte: u8) -> Image {
        Image::new(at, &[byte; 5000]).expect("an image")
    }

    #[test]
    fn a_memory_begins_with_its_image_whatever_was_written_to_the_last() {
        let images = [
            None,
            Some(image(70_000, 1)),
            Some(image(10, 2)),
            Some(image(130_000, 3).copied()),
        ];
        let mut begins = Vec::new();
        // Each after each, and after itself.
        for next in [0, 0, 1, 1, 0, 2, 2, 1, 3, 3, 2, 0, 3, 1, 2, 3, 0] {
            let image = images[next].as_ref();
            let mut expected = vec![0; 192 << 10];
            if let Some(image) = image {
                let place = image.place();
                assert_eq!((place.start % 4096, place.end % 4096), (0, 0));
                expected[place].copy_from_slice(&image.bytes().expect("readable"));
            }
            let mut space = Space::take(LAYOUT, 192 << 10, image).expect("space");
            begins.push(space.start());
            assert!(*bytes(&mut space) == *expected, "{next}");
            space.grow(256 << 10).expect("more");
            bytes(&mut space).fill(0xff);
        }
        assert!(begins.iter().all(|begin| *begin == begins[0]));
        let first = images[1].as_ref().expect("an image");
        assert_eq!(
            first.bytes().expect("readable")[70_000 % 4096..][..5000],
            [1; 5000]
        );
    }

    #[test]
    fn a_large_memory_of_which_little_was_written_to_begins_anew() {
        let image = image((1 << 20) + 100, 1);
        let place = image.place();
        let mut expected = vec![0; 3 << 20];
        expected[place.clone()].copy_from_slice(&image.bytes().expect("readable"));
        let edges = [place.start, place.end].map(|edge| edge - 1..edge + 1);
        for written in [vec![], vec![0..1, (3 << 20) - 1..3 << 20], edges.into()] {
            let mut space = Space::take(LAYOUT, 3 << 20, Some(&image)).expect("space");
            assert!(*bytes(&mut space) == *expected);
            for range in written {
                bytes(&mut space)[range].fill(0xff);
            }
        }
        let mut space = Space::take(LAYOUT, 3 << 20, Some(&image)).expect("space");
        assert!(*bytes(&mut space) == *expected);
    }

    #[test]
    fn an_image_is_within_what_is_accessible_and_goes_with_its_memory() {
        let image = image(100 << 10, 1);
        for _ in 0..2 {
            assert!(Space::take(LAYOUT, 64 << 10, Some(&image)).is_err());
            drop(Space::take(LAYOUT, 128 << 10, Some(&image)).expect("space"));
        }
        let mut less = Space::take(LAYOUT, 64 << 10, None).expect("space");
        less.grow(128 << 10).expect("more");
        assert!(bytes(&mut less).iter().all(|byte| *byte == 0));
        assert!(Image::new(usize::MAX - 1, b"ab").is_err());
    }

    #[test]
    fn a_large_image_goes_and_its_address_space_stays() {
        for (length, stays) in [(MOST_DATA, true), (MOST_DATA + 1, false)] {
            let image = Image::new(0, &vec![1; length]).expect("an image");
            drop(Space::take(LAYOUT, 8 << 20, Some(&image)).expect("space"));
            let spare = SPARE.with(|spare| spare.memory.take());
            let spare = spare.expect("it is kept");
            assert_eq!(spare.image.is_some(), stays);
            keep(spare);
            let mut space = Space::take(LAYOUT, 8 << 20, None).expect("space");
            assert!(bytes(&mut space).iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn what_was_very_large_is_not_kept() {
        let capacity = 2 * MOST_ACCESSIBLE;
        let layout = Layout { capacity, ..LAYOUT };
        drop(Space::take(layout, MOST_ACCESSIBLE + 4096, None).expect("space"));
        assert!(!is_kept());
    }

    #[test]
    fn what_was_laid_out_otherwise_is_not_taken() {
        drop(Space::take(LAYOUT, 64 << 10, None).expect("space"));
        let behind = 2 * LAYOUT.behind;
        let other = Layout { behind, ..LAYOUT };
        let space = Space::take(other, 64 << 10, None).expect("space");
        assert_eq!(space.0.layout, other);
    }

    #[test]
    fn no_more_is_accessible_than_there_is_and_nothing_around_it() {
        let mut space = Space::take(LAYOUT, LAYOUT.capacity, None).expect("space");
        assert!(space.grow(LAYOUT.capacity + 4096).is_err());
        assert_eq!(space.accessible(), LAYOUT.capacity);
        assert!(is_readable(&space, 0));
        assert!(is_readable(&space, LAYOUT.capacity as isize - 1));
        assert!(!is_readable(&space, -1));
        assert!(!is_readable(&space, LAYOUT.capacity as isize));
    }

    #[test]
    fn more_than_there_can_be_is_an_error() {
        for capacity in [usize::MAX, 1 << 60] {
            assert!(Space::take(Layout { capacity, ..LAYOUT }, 0, None).is_err());
        }
    }

    fn is_readable(space: &Space, at: isize) -> bool {
        reservation::is_readable(space.start().as_ptr().wrapping_offset(at))
    }

    #[test]
    fn growth_that_fails_half_way_leaves_nothing_accessible_and_nothing_to_keep() {
        let mut space = Space::take(LAYOUT, 1 << 20, None).expect("space");
        bytes(&mut space).fill(0xff);
        drop(space);
        let mut space = Space::take(LAYOUT, 64 << 10, None).expect("space");
        assert!(!is_readable(&space, 128 << 10));
        // What is mapped for reading alone from a file that others write cannot be made writable.
        let file = std::env::current_exe().and_then(std::fs::File::open);
        // SAFETY: it replaces what nobody has.
        unsafe {
            rustix::mm::mmap(
                space.start().byte_add(2 << 20).as_ptr().cast(),
                4096,
                ProtFlags::empty(),
                MapFlags::SHARED | MapFlags::FIXED,
                file.expect("this program"),
                0,
            )
            .expect("a mapping in the way");
        }
        assert!(space.grow(4 << 20).is_err());
        assert_eq!(space.accessible(), 64 << 10);
        assert!(is_readable(&space, 0));
        assert!(!is_readable(&space, 128 << 10));
        drop(space);
        assert!(!is_kept());
    }
}
