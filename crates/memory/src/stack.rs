//! A stack, which is kept when it is dropped.

use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;

use rustix::param::page_size;

use crate::reservation::{Layout, Reservation};
use crate::spare::SPARE;

/// A stack for a guest's calls. Dropped, it is the thread's for its next guest.
#[derive(Debug)]
pub struct Stack(ManuallyDrop<Reservation>);

/// So much at its upper end is kept as a guest left it, which is all that most of them use.
const USED: usize = 64 << 10;

/// Larger ones are not kept.
const MOST: usize = 16 << 20;

impl Stack {
    /// Of at least so many bytes, which are not cleared if others had it before.
    ///
    /// # Errors
    ///
    /// What the system says where it has no more, or not as much in one piece.
    pub fn take(bytes: usize) -> io::Result<Self> {
        let page = page_size();
        let capacity = bytes.checked_next_multiple_of(page);
        let layout = Layout {
            before: page,
            capacity: capacity.ok_or(io::ErrorKind::OutOfMemory)?,
            behind: 0,
        };
        // A thread that is about to end has nothing any more.
        let spare = SPARE.try_with(|spare| spare.stack.take()).ok().flatten();
        let reservation = match spare.filter(|spare| spare.layout == layout) {
            Some(spare) => spare,
            None => {
                let mut new = Reservation::new(layout)?;
                new.set_accessible(layout.capacity)?;
                new
            }
        };
        Ok(Stack(ManuallyDrop::new(reservation)))
    }

    /// Where it is: whole pages. It grows downwards.
    pub fn range(&self) -> Range<*mut u8> {
        let lowest = self.0.start().cast::<u8>().as_ptr();
        lowest..lowest.wrapping_add(self.0.accessible)
    }

    /// What is right below it, whole pages, which cannot be accessed.
    pub fn guard(&self) -> Range<*mut u8> {
        let lowest = self.range().start;
        lowest.wrapping_sub(self.0.layout.before)..lowest
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: nothing looks at it after this.
        let stack = unsafe { ManuallyDrop::take(&mut self.0) };
        // A thread that is about to end keeps nothing more.
        let _ = SPARE.try_with(|spare| {
            let is_worth_it = stack.accessible <= MOST;
            let lower = 0..stack.accessible.saturating_sub(USED);
            if is_worth_it && spare.may_keep_stack() && stack.clear(lower) {
                spare.stack.set(Some(stack));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reservation::is_readable;

    fn bytes(stack: &mut Stack) -> &mut [u8] {
        let range = stack.range();
        // SAFETY: so much is accessible, and it is borrowed with the stack.
        unsafe {
            let length = range.end.offset_from_unsigned(range.start);
            std::slice::from_raw_parts_mut(range.start, length)
        }
    }

    #[test]
    fn what_is_dropped_is_taken_again_and_what_few_use_is_given_back() {
        let mut stack = Stack::take(1 << 20).expect("a stack");
        let range = stack.range();
        bytes(&mut stack).fill(0xff);
        drop(stack);
        let mut stack = Stack::take((1 << 20) - 1).expect("a stack");
        assert_eq!(stack.range(), range);
        let (lower, upper) = bytes(&mut stack).split_at((1 << 20) - USED);
        assert!(lower.iter().all(|byte| *byte == 0));
        assert!(upper.iter().all(|byte| *byte == 0xff));
    }

    #[test]
    fn another_size_is_another_stack() {
        drop(Stack::take(1 << 20).expect("a stack"));
        for bytes in [1, 2 << 20, MOST + 1] {
            let mut stack = Stack::take(bytes).expect("a stack");
            let length = self::bytes(&mut stack).len();
            assert_eq!(length, bytes.next_multiple_of(page_size()));
            self::bytes(&mut stack).fill(1);
        }
        assert!(SPARE.with(|spare| spare.stack.take()).is_none());
        for bytes in [1 << 60, usize::MAX] {
            assert!(Stack::take(bytes).is_err());
        }
    }

    #[test]
    fn a_guard_is_right_below() {
        let stack = Stack::take(1 << 20).expect("a stack");
        let guard = stack.guard();
        assert_eq!(guard.end, stack.range().start);
        assert!(is_readable(guard.end));
        assert!(!is_readable(guard.end.wrapping_sub(1)));
        assert!(!is_readable(guard.start));
    }
}
