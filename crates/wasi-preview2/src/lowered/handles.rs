//! The handles of a component: numbers for what it has of the host's, and of other components in it.

use wasmtime::{Result, bail, format_err};

use super::types::Resource;

/// The handles that the components in a component have: each has a table of its own. They are counted from 1, and a number is
/// used again once its handle is dropped, as the canonical ABI says.
///
/// What a handle of the host's stands for is in a [table](wasmtime::component::ResourceTable), whose bound is one of handles
/// as well: each has its own entry there.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    tables: Vec<Table>,
    /// The component that calls.
    caller: u32,
    /// How many there are, and how often any is lent.
    live: usize,
    /// The calls from component to component that lend and have not returned, the latest last.
    calls: Vec<Call>,
}

#[derive(Debug, Default)]
struct Table {
    slots: Vec<Slot>,
    /// The place of the first that is free.
    free: usize,
}

#[derive(Debug, Clone, Copy)]
enum Slot {
    /// And the place of the next that is.
    Free(usize),
    Own {
        of: Kind,
        /// What it stands for: the entry in the host's table, or what the component knows it by.
        entry: u32,
        /// How often it is lent.
        lent: u32,
    },
    Borrow {
        of: Kind,
        entry: u32,
        /// The place of the call that it was lent for.
        call: usize,
    },
}

/// What a handle is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Host(Resource),
    /// A resource of the component's own, by its number.
    Own(u32),
}

/// A call from component to component.
#[derive(Debug, Default)]
struct Call {
    /// What is lent until it returns: the component and the handle.
    lenders: Vec<(u32, u32)>,
    /// How many handles were made for it of what was lent, and are not dropped.
    borrows: usize,
}

/// So many handles a store of wasmtime has at most, those that are lent for a call counted again.
const MOST: usize = 100_000;

/// What is no number of a component: there are fewer instances in one.
const MOST_COMPONENTS: usize = 1 << 16;

impl Handles {
    /// From now on this component calls.
    pub(crate) fn called_by(&mut self, component: u32) {
        self.caller = component;
    }

    // ---- of the component that calls ----------------------------------------------------------------

    /// A handle of what is at `entry` in the table.
    pub(crate) fn insert(&mut self, resource: Resource, entry: u32) -> Result<u32> {
        self.new_own(self.caller, Kind::Host(resource), entry)
    }

    /// The entry that a handle stands for, lent for a call for which so many were lent before; and whether this is one
    /// more.
    pub(crate) fn lend(&self, resource: Resource, handle: u32, lent: usize) -> Result<(u32, bool)> {
        let (_, slot) = self.find(self.caller, handle)?;
        let entry = slot.entry(Kind::Host(resource), handle)?;
        let is_own = matches!(slot, Slot::Own { .. });
        if is_own && self.live + lent >= MOST {
            bail!("cannot lend resource: store handle limit exceeded");
        }
        Ok((entry, is_own))
    }

    /// Drops a handle: the entry that it stood for, if it owned that.
    pub(crate) fn remove(&mut self, resource: Resource, handle: u32) -> Result<Option<u32>> {
        self.drop(self.caller, Kind::Host(resource), handle)
    }

    // ---- of any component ---------------------------------------------------------------------------

    /// A handle that owns.
    pub(crate) fn new_own(&mut self, component: u32, of: Kind, entry: u32) -> Result<u32> {
        let slot = Slot::Own { of, entry, lent: 0 };
        self.add(component, slot)
    }

    /// What a handle stands for.
    pub(crate) fn entry(&self, component: u32, of: Kind, handle: u32) -> Result<u32> {
        self.find(component, handle)?.1.entry(of, handle)
    }

    /// Drops a handle: what it stood for, if it owned that.
    pub(crate) fn drop(&mut self, component: u32, of: Kind, handle: u32) -> Result<Option<u32>> {
        let (place, slot) = self.find(component, handle)?;
        if let Slot::Own { lent: 1.., .. } = slot {
            bail!("cannot remove owned resource while borrowed");
        }
        let entry = slot.entry(of, handle)?;
        let table = self.table(component)?;
        table.slots[place] = Slot::Free(table.free);
        table.free = place;
        self.live -= 1;
        if let Slot::Borrow { call, .. } = slot {
            let call = self.calls.get_mut(call);
            let call = call.ok_or_else(|| format_err!("the call has returned"))?;
            call.borrows -= 1;
            return Ok(None);
        }
        Ok(Some(entry))
    }

    /// Takes a handle away: what it stood for.
    pub(crate) fn take(&mut self, component: u32, of: Kind, handle: u32) -> Result<u32> {
        match self.drop(component, of, handle)? {
            Some(entry) => Ok(entry),
            None => bail!("cannot lift own resource from a borrow"),
        }
    }

    /// Lends a handle until the call returns: what it stands for.
    pub(crate) fn lend_for_call(&mut self, component: u32, of: Kind, handle: u32) -> Result<u32> {
        let (place, slot) = self.find(component, handle)?;
        let entry = slot.entry(of, handle)?;
        if let Slot::Own { lent, .. } = slot {
            let Some(lent) = lent.checked_add(1) else {
                bail!("cannot lend resource: too many active lends");
            };
            if self.live >= MOST {
                bail!("cannot lend resource: store handle limit exceeded");
            }
            self.call()?.lenders.push((component, handle));
            self.table(component)?.slots[place] = Slot::Own { of, entry, lent };
            self.live += 1;
        }
        Ok(entry)
    }

    /// A handle of what was lent for the call.
    pub(crate) fn borrow(&mut self, component: u32, of: Kind, entry: u32) -> Result<u32> {
        self.call()?.borrows += 1;
        let call = self.calls.len() - 1;
        self.add(component, Slot::Borrow { of, entry, call })
    }

    /// A call from component to component begins.
    pub(crate) fn enter(&mut self) {
        self.calls.push(Call::default());
    }

    /// The latest returns.
    pub(crate) fn exit(&mut self) -> Result<()> {
        if self.call()?.borrows > 0 {
            bail!("borrow handles still remain at the end of the call");
        }
        let lenders = self.calls.pop().unwrap_or_default().lenders;
        for (component, handle) in lenders {
            let (place, slot) = self.find(component, handle)?;
            if let Slot::Own { of, entry, lent } = slot {
                let lent = lent.saturating_sub(1);
                self.table(component)?.slots[place] = Slot::Own { of, entry, lent };
                self.live -= 1;
            }
        }
        Ok(())
    }

    fn call(&mut self) -> Result<&mut Call> {
        let call = self.calls.last_mut();
        call.ok_or_else(|| format_err!("no component calls another"))
    }

    fn table(&mut self, component: u32) -> Result<&mut Table> {
        let place = component as usize;
        if place >= MOST_COMPONENTS {
            bail!("there is no component {component}");
        }
        if place >= self.tables.len() {
            self.tables.resize_with(place + 1, Table::default);
        }
        Ok(&mut self.tables[place])
    }

    fn add(&mut self, component: u32, slot: Slot) -> Result<u32> {
        if self.live >= MOST {
            bail!("cannot allocate another handle: store handle limit exceeded");
        }
        let table = self.table(component)?;
        let place = table.free;
        match table.slots.get_mut(place) {
            Some(free) => {
                if let Slot::Free(next) = *free {
                    table.free = next;
                }
                *free = slot;
            }
            None => {
                table.slots.push(slot);
                table.free = table.slots.len();
            }
        }
        self.live += 1;
        // There are no more than `MOST`.
        Ok(place as u32 + 1)
    }

    /// The place of a handle, which there is, and what is there.
    fn find(&self, component: u32, handle: u32) -> Result<(usize, Slot)> {
        let place = (handle as usize).wrapping_sub(1);
        let table = self.tables.get(component as usize);
        match table.and_then(|table| table.slots.get(place)) {
            None | Some(Slot::Free(_)) => bail!("unknown handle index {handle}"),
            Some(slot) => Ok((place, *slot)),
        }
    }
}

impl Slot {
    /// What it stands for, if it is of that kind.
    fn entry(self, of: Kind, handle: u32) -> Result<u32> {
        let (kind, entry) = match self {
            Slot::Own { of, entry, .. } | Slot::Borrow { of, entry, .. } => (of, entry),
            Slot::Free(_) => bail!("unknown handle index {handle}"),
        };
        if kind != of {
            let name = |kind| match kind {
                Kind::Host(resource) => Resource::name(resource).1,
                Kind::Own(_) => "a resource of the guest's own",
            };
            let (expected, found) = (name(of), name(kind));
            bail!(
                "handle index {handle} used with the wrong type, expected {expected} but found {found}"
            );
        }
        Ok(entry)
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
            assert_eq!(removed.expect("there"), Some(entry));
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

    const OWN: Kind = Kind::Own(0);

    #[test]
    fn each_component_has_handles_of_its_own() {
        let mut handles = Handles::default();
        for component in [0, 3] {
            let handle = handles.new_own(component, OWN, component + 10);
            assert_eq!(handle.expect("room"), 1);
        }
        assert_eq!(handles.entry(3, OWN, 1).expect("there"), 13);
        assert_eq!(words(handles.entry(1, OWN, 1)), "unknown handle index 1");
        assert!(words(handles.entry(0, Kind::Own(1), 1)).contains("wrong type"));
        assert_eq!(handles.take(0, OWN, 1).expect("there"), 10);
        assert_eq!(words(handles.take(0, OWN, 1)), "unknown handle index 1");
    }

    #[test]
    fn what_is_lent_is_neither_dropped_nor_kept() {
        let mut handles = Handles::default();
        handles.new_own(0, OWN, 7).expect("room");
        handles.enter();
        assert_eq!(handles.lend_for_call(0, OWN, 1).expect("there"), 7);
        let borrowed = handles.borrow(1, OWN, 7).expect("room");
        assert!(words(handles.drop(0, OWN, 1)).contains("while borrowed"));
        assert!(words(handles.exit()).contains("still remain"));
        assert_eq!(handles.drop(1, OWN, borrowed).expect("there"), None);
        handles.exit().expect("nothing remains");
        assert_eq!(handles.drop(0, OWN, 1).expect("there"), Some(7));
        assert_eq!(handles.live, 0);
    }

    #[test]
    fn what_is_lent_can_be_lent_on_but_not_taken() {
        let mut handles = Handles::default();
        handles.new_own(0, OWN, 7).expect("room");
        handles.enter();
        let entry = handles.lend_for_call(0, OWN, 1).expect("there");
        handles.borrow(1, OWN, entry).expect("room");
        handles.enter();
        assert_eq!(handles.lend_for_call(1, OWN, 1).expect("there"), 7);
        handles.borrow(2, OWN, 7).expect("room");
        assert_eq!(handles.drop(2, OWN, 1).expect("there"), None);
        handles.exit().expect("nothing remains");
        assert!(words(handles.take(1, OWN, 1)).contains("from a borrow"));
        assert!(words(Handles::default().lend_for_call(0, OWN, 1)).contains("unknown"));
        assert!(Handles::default().exit().is_err());
    }
}
