//! The handles of a component: numbers for what it has of the host's.

use wasmtime::{Result, bail};

use super::types::Resource;

/// The handles that a component has. They are counted from 1, and a number is used again once its handle is dropped, as
/// the canonical ABI says.
///
/// What a handle stands for is in a [table](wasmtime::component::ResourceTable), whose bound is one of handles as well:
/// each has its own entry there.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    slots: Vec<Slot>,
    /// The place of the first that is free.
    free: usize,
    /// How many there are.
    live: usize,
}

#[derive(Debug, Clone, Copy)]
enum Slot {
    /// And the place of the next that is.
    Free(usize),
    /// The entry in the table, and its kind.
    Own(Resource, u32),
}

/// So many handles a store of wasmtime has at most, those that are lent for a call counted again.
const MOST: usize = 100_000;

impl Handles {
    /// A handle of what is at `entry` in the table.
    pub(crate) fn insert(&mut self, resource: Resource, entry: u32) -> Result<u32> {
        if self.live >= MOST {
            bail!("cannot allocate another handle: store handle limit exceeded");
        }
        let place = self.free;
        let own = Slot::Own(resource, entry);
        match self.slots.get_mut(place) {
            Some(slot) => {
                if let Slot::Free(next) = *slot {
                    self.free = next;
                }
                *slot = own;
            }
            None => {
                self.slots.push(own);
                self.free = self.slots.len();
            }
        }
        self.live += 1;
        // There are no more than `MOST`.
        Ok(place as u32 + 1)
    }

    /// The entry that a handle stands for, lent for a call for which so many were lent before.
    pub(crate) fn lend(&self, resource: Resource, handle: u32, lent: usize) -> Result<u32> {
        let (_, entry) = self.find(resource, handle)?;
        if self.live + lent >= MOST {
            bail!("cannot lend resource: store handle limit exceeded");
        }
        Ok(entry)
    }

    /// Drops a handle: the entry that it stood for.
    pub(crate) fn remove(&mut self, resource: Resource, handle: u32) -> Result<u32> {
        let (place, entry) = self.find(resource, handle)?;
        self.slots[place] = Slot::Free(self.free);
        self.free = place;
        self.live -= 1;
        Ok(entry)
    }

    /// Its place, which there is, and its entry.
    fn find(&self, resource: Resource, handle: u32) -> Result<(usize, u32)> {
        let place = (handle as usize).wrapping_sub(1);
        match self.slots.get(place) {
            None | Some(Slot::Free(_)) => bail!("unknown handle index {handle}"),
            Some(Slot::Own(kind, entry)) if *kind == resource => Ok((place, *entry)),
            Some(Slot::Own(other, _)) => {
                let (expected, found) = (resource.name().1, other.name().1);
                bail!(
                    "handle index {handle} used with the wrong type, expected {expected} but found {found}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.expect_err("it traps").to_string()
    }

    #[test]
    fn numbers_begin_with_1_and_are_used_again() {
        let mut handles = Handles::default();
        let mut insert = |entry| handles.insert(Resource::Pollable, entry).expect("room");
        assert_eq!([insert(7), insert(8), insert(9)], [1, 2, 3]);
        for (handle, entry) in [(2, 8), (1, 7)] {
            let removed = handles.remove(Resource::Pollable, handle);
            assert_eq!(removed.expect("there"), entry);
        }
        let mut insert = |entry| handles.insert(Resource::Error, entry).expect("room");
        assert_eq!([insert(1), insert(2), insert(3)], [1, 2, 4]);
    }

    #[test]
    fn what_is_no_handle_of_the_kind_traps() {
        let mut handles = Handles::default();
        let handle = handles.insert(Resource::Error, 0).expect("room");
        for unknown in [0, 2, u32::MAX] {
            let told = words(handles.lend(Resource::Error, unknown, 0));
            assert_eq!(told, format!("unknown handle index {unknown}"));
        }
        let told = words(handles.remove(Resource::Pollable, handle));
        assert!(told.contains("wrong type, expected pollable but found error"));
        handles.remove(Resource::Error, handle).expect("there");
        let told = words(handles.remove(Resource::Error, handle));
        assert_eq!(told, "unknown handle index 1");
    }

    #[test]
    fn handles_and_what_is_lent_of_them_are_bounded() {
        let mut handles = Handles::default();
        for entry in 0..MOST as u32 {
            handles.insert(Resource::Error, entry).expect("room");
        }
        assert!(words(handles.insert(Resource::Error, 0)).contains("limit exceeded"));
        handles.remove(Resource::Error, 5).expect("there");
        assert!(handles.lend(Resource::Error, 6, 0).is_ok());
        assert!(words(handles.lend(Resource::Error, 6, 1)).contains("limit exceeded"));
    }
}
