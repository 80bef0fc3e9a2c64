//! The numbers of files.

use std::collections::HashMap;

use crate::{Stat, device};

/// A number has this many bits of that in the layer, and above them the number of the layer's device among those met.
const LAYER_BITS: u32 = 56;

/// So many devices are told apart that way, and the numbers above are for what does not fit.
const DEVICES: usize = 126;

/// The numbers of files: one device for all, and a number for each file of each layer.
pub(super) struct Numbers {
    device: u64,
    devices: Vec<u64>,
    /// Those that do not follow from the layer's: of files that were copied from a lower, and of what does not fit.
    others: HashMap<(u64, u64), u64>,
    next: u64,
}

impl Numbers {
    pub(super) fn new() -> Self {
        Numbers {
            device: device::next(),
            devices: Vec::new(),
            others: HashMap::new(),
            next: (DEVICES as u64 + 1) << LAYER_BITS,
        }
    }

    /// The number of a file of a layer.
    pub(super) fn of(&mut self, device: u64, inode: u64) -> u64 {
        if let Some(number) = self.others.get(&(device, inode)) {
            return *number;
        }
        match self.device_number(device) {
            Some(device) if inode >> LAYER_BITS == 0 => device << LAYER_BITS | inode,
            _ => {
                self.next += 1;
                self.others.insert((device, inode), self.next);
                self.next
            }
        }
    }

    fn device_number(&mut self, device: u64) -> Option<u64> {
        let known = self.devices.iter().position(|known| *known == device);
        let index = known.or_else(|| {
            let index = self.devices.len();
            (index < DEVICES).then(|| self.devices.push(device))?;
            Some(index)
        })?;
        Some(index as u64 + 1)
    }

    /// What a layer tells of a file, with the number it has here.
    pub(super) fn told(&mut self, stat: Stat) -> Stat {
        let inode = self.of(stat.device, stat.inode);
        Stat {
            device: self.device,
            inode,
            ..stat
        }
    }

    /// Gives a copy the number of what it was copied from.
    pub(super) fn copied(&mut self, from: &Stat, copy: &Stat) {
        let number = self.of(from.device, from.inode);
        self.others.insert((copy.device, copy.inode), number);
    }

    /// A file is gone, so that the layer may give its number to another.
    pub(super) fn forget(&mut self, stat: &Stat) {
        self.others.remove(&(stat.device, stat.inode));
    }

    pub(super) fn device(&self) -> u64 {
        self.device
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_number_of_its_origin_until_it_is_gone() {
        let file = |device, inode| Stat {
            file_type: crate::FileType::Regular,
            device,
            inode,
            links: 1,
            size: 0,
            accessed: 0,
            modified: 0,
            changed: 0,
        };
        let mut numbers = Numbers::new();
        let (origin, copy) = (file(1, 5), file(2, 9));
        numbers.copied(&origin, &copy);
        assert_eq!(numbers.told(copy), numbers.told(origin));
        numbers.forget(&copy);
        assert_ne!(numbers.told(copy).inode, numbers.told(origin).inode);
    }

    #[test]
    fn files_of_different_layers_have_different_numbers() {
        let mut numbers = Numbers::new();
        let mut all = std::collections::HashSet::new();
        for device in 0..300 {
            for inode in [0, 1, (1 << LAYER_BITS) - 1, 1 << LAYER_BITS, u64::MAX] {
                let number = numbers.of(device, inode);
                assert!(all.insert(number));
                assert_eq!(numbers.of(device, inode), number);
            }
        }
    }
}
