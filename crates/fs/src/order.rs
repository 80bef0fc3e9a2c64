//! What a guest is told of files in an order that does not hang on the file systems: names by their bytes, numbers by first
//! sight.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Errno, Result, Stat};

/// So many files are told apart by their numbers, which bounds the memory for that. A file that was met before as many
/// others gets another number.
const MOST_NUMBERED: usize = 1 << 20;

/// So many bytes may all listings of a world take that are not read to their end.
const MOST_LISTED: usize = 64 << 20;

/// What all directories and files of a world that is in order share. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Order(Arc<Shared>);

#[derive(Default)]
struct Shared {
    numbers: Mutex<Numbers>,
    listed: AtomicUsize,
}

#[derive(Default)]
struct Numbers {
    devices: Vec<u64>,
    /// By the numbers that the file systems have for their device and for them.
    inodes: HashMap<(u64, u64), u64>,
    next: u64,
}

impl Order {
    /// What is to be told of a file of which its file system tells this.
    pub(crate) fn told(&self, stat: Stat) -> Stat {
        let mut numbers = self.numbers();
        Stat {
            device: numbers.device(stat.device),
            inode: numbers.inode(stat.device, stat.inode),
            ..stat
        }
    }

    /// What is to be told in place of a number that a file has on a device.
    pub(crate) fn inode(&self, device: u64, inode: u64) -> u64 {
        self.numbers().inode(device, inode)
    }

    /// A file is gone, so that its file system may give its number to another, now or some day.
    pub(crate) fn forget(&self, stat: &Stat) {
        self.numbers().inodes.remove(&(stat.device, stat.inode));
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        // Nothing that can panic runs under this lock.
        let numbers = self.0.numbers.lock();
        numbers.unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for a listing, none yet.
    pub(crate) fn room(&self) -> Room {
        Room {
            order: self.clone(),
            bytes: 0,
        }
    }
}

impl Numbers {
    fn device(&mut self, device: u64) -> u64 {
        let known = self.devices.iter().position(|known| *known == device);
        let index = known.unwrap_or_else(|| {
            self.devices.push(device);
            self.devices.len() - 1
        });
        index as u64 + 1
    }

    fn inode(&mut self, device: u64, inode: u64) -> u64 {
        if let Some(number) = self.inodes.get(&(device, inode)) {
            return *number;
        }
        if self.inodes.len() == MOST_NUMBERED {
            self.inodes.clear();
        }
        self.next += 1;
        self.inodes.insert((device, inode), self.next);
        self.next
    }
}

/// The room that a listing takes as long as this is kept.
pub(crate) struct Room {
    order: Order,
    bytes: usize,
}

impl Room {
    /// Takes so many bytes more: [`Errno::Nomem`] if there are none left.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<()> {
        let within = |listed: usize| listed.checked_add(bytes).filter(|all| *all <= MOST_LISTED);
        let taken = self.order.0.listed.fetch_update(Relaxed, Relaxed, within);
        taken.map_err(|_| Errno::Nomem)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.order.0.listed.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileType;

    fn stat(device: u64, inode: u64) -> Stat {
        Stat {
            file_type: FileType::Regular,
            device,
            inode,
            links: 1,
            size: 0,
            accessed: 0,
            modified: 0,
            changed: 0,
        }
    }

    #[test]
    fn numbers_follow_from_the_order_of_sight() {
        let order = Order::default();
        let told = |device, inode| {
            let told = order.told(stat(device, inode));
            (told.device, told.inode)
        };
        assert_eq!(told(99, 70), (1, 1));
        assert_eq!(told(98, 70), (2, 2));
        assert_eq!(told(99, 5), (1, 3));
        assert_eq!(told(99, 70), (1, 1));
        order.forget(&stat(99, 70));
        assert_eq!(told(99, 70), (1, 4));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_no_number_comes_twice() {
        let mut numbers = Numbers::default();
        let first = numbers.inode(1, 0);
        for inode in 1..=MOST_NUMBERED as u64 {
            numbers.inode(1, inode);
        }
        assert!(numbers.inodes.len() < MOST_NUMBERED);
        assert!(numbers.inode(1, 0) > first);
    }

    #[test]
    fn room_is_given_back() {
        let order = Order::default();
        let (mut one, mut other) = (order.room(), order.room());
        assert_eq!(one.take(MOST_LISTED), Ok(()));
        assert_eq!(other.take(1), Err(Errno::Nomem));
        drop(one);
        assert_eq!(other.take(1), Ok(()));
    }
}
