//! Fuel: what the guest may use of it, and the slices it comes in so that the guest can be ended.
//!
//! wasmi has no other way to look up from a loop. Without fuel it pauses the guest and can resume it
//! at the same place; that is when a guest that is to end does.

use wasmi::Store;
use wasmrun_core::{Control, Error, ErrorKind, Outcome, Result};

use crate::wasi::Host;

/// The fuel of a slice: a millisecond or less.
const SLICE: u64 = 1 << 17;

/// The fuel of one run.
pub(crate) struct Fuel<'a> {
    /// What the guest may use in all.
    limit: Option<u64>,
    /// What of it the store was not given yet.
    left: u64,
    /// What may end the guest.
    control: Option<&'a Control>,
}

impl<'a> Fuel<'a> {
    /// Gives the store its first fuel. `control` is for code that is to be interruptible.
    pub(crate) fn fill(
        store: &mut Store<Host>,
        limit: Option<u64>,
        control: Option<&'a Control>,
    ) -> Result<Self> {
        let mut fuel = Fuel {
            limit,
            left: limit.unwrap_or(u64::MAX),
            control,
        };
        if limit.is_some() || control.is_some() {
            let slice = fuel.slice(0);
            fuel.give(store, slice)?;
        }
        Ok(fuel)
    }

    /// Gives the store, which has run out of fuel, the next slice: what the guest `needs` to go on, at
    /// least. How the guest ended, if it is not to go on.
    pub(crate) fn refill(
        &mut self,
        store: &mut Store<Host>,
        needs: u64,
    ) -> Result<Option<Outcome>> {
        if let Some(reason) = self.control.and_then(Control::interrupted) {
            return Ok(Some(reason.outcome()));
        }
        let unused = store.get_fuel().map_err(not_counted)?;
        // Without a limit there is always more.
        self.left = match self.limit {
            None => u64::MAX,
            Some(limit) => {
                let left = self.left.saturating_add(unused);
                store.data().limiter.tell_fuel(limit.saturating_sub(left));
                left
            }
        };
        if needs > self.left {
            return Ok(Some(Outcome::OutOfFuel));
        }
        let slice = self.slice(needs);
        self.give(store, slice)?;
        Ok(None)
    }

    fn slice(&self, needs: u64) -> u64 {
        match self.control {
            None => self.left,
            Some(_) => self.left.min(needs.max(SLICE)),
        }
    }

    fn give(&mut self, store: &mut Store<Host>, slice: u64) -> Result<()> {
        store.set_fuel(slice).map_err(not_counted)?;
        self.left -= slice;
        Ok(())
    }

    /// What a guest that ended like that, or a call that returned, has used of its limit.
    pub(crate) fn used(&self, store: &Store<Host>, ended: Option<&Outcome>) -> Option<u64> {
        let limit = self.limit?;
        if ended == Some(&Outcome::OutOfFuel) {
            // The rest was too little for anything.
            return Some(limit);
        }
        let unused = store.get_fuel().ok()?;
        limit.checked_sub(self.left.saturating_add(unused))
    }
}

fn not_counted(source: wasmi::Error) -> Error {
    Error::new(ErrorKind::Engine, "cannot count the guest's fuel").with_source(source)
}
