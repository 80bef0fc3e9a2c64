//! An instance, and calls of its functions.

use wasmer::{Function, Instance, Store};
use wasmer_middlewares::metering::{MeteringPoints, get_remaining_points, set_remaining_points};
use wasmrun_core::guest::{FuncSignature, ValueType};
use wasmrun_core::{
    CallLimits, Control, Entries, HostMemory, Live, Outcome, Result, Stats, Usage, Value,
};

use crate::interrupt::Interruption;
use crate::values::{from_wasmer, to_wasmer};
use crate::{growth, traps};

/// Where an instance is.
pub(crate) struct Place {
    /// Goes before the store.
    pub(crate) interruption: Option<Interruption>,
    pub(crate) store: Store,
    /// What the guest has, without what its tables [grow](crate::growth) by.
    pub(crate) usage: Usage,
}

/// An instance that stays.
pub(crate) struct LiveModule {
    place: Place,
    instance: Instance,
    functions: Vec<(Function, Vec<ValueType>)>,
    fuel_used: Option<u64>,
}

// SAFETY: wasmer's store only lacks this for callbacks that are set by asynchronous calls, of which there are none here,
// and for pointers to what it owns itself. What wasmer keeps for a thread (the store it is in, its signal stack) is
// there for the length of a call, and one thread at a time has the instance.
unsafe impl Send for LiveModule {}

impl LiveModule {
    pub(crate) fn new(place: Place, instance: Instance) -> Self {
        LiveModule {
            place,
            instance,
            functions: Vec::new(),
            fuel_used: None,
        }
    }
}

impl Live for LiveModule {
    fn function(&mut self, name: &str, signature: &FuncSignature) -> Result<usize> {
        let function = self.instance.exports.get_function(name);
        let function = function.map_err(|source| Entries::lost(name).with_source(source))?;
        let params = signature.params.clone();
        self.functions.push((function.clone(), params));
        Ok(self.functions.len() - 1)
    }

    fn call(
        &mut self,
        function: usize,
        slots: &mut [u64],
        CallLimits { fuel, .. }: CallLimits,
        control: &Control,
    ) -> Result<Option<Outcome>> {
        let Place {
            interruption,
            store,
            ..
        } = &mut self.place;
        let interruption = interruption.as_ref();
        let _hook = interruption.map(|interruption| interruption.by(control));
        let (function, params) = &self.functions[function];
        let params: Vec<_> = Value::all(params, slots).map(to_wasmer).collect();
        let (ended, used) = with_fuel(store, &self.instance, fuel, |store| {
            Ok(match function.call(store, &params) {
                Ok(results) => {
                    Value::put_all(results.iter().filter_map(from_wasmer), slots);
                    None
                }
                Err(error) => Some(traps::outcome(error)),
            })
        })?;
        self.fuel_used = used;
        Ok(ended)
    }

    fn memory(&mut self, name: &str) -> Result<HostMemory<'_>> {
        let memory = self.instance.exports.get_memory(name);
        let memory = memory.map_err(|source| Entries::lost(name).with_source(source))?;
        // SAFETY: nothing of the guest runs, and whoever has this has the instance to itself.
        Ok(HostMemory::Bytes(unsafe {
            let view = memory.view(&self.place.store);
            &mut *std::ptr::from_mut(view.data_unchecked_mut())
        }))
    }

    fn global(&mut self, name: &str, _: ValueType) -> Result<Value> {
        let global = self.instance.exports.get_global(name);
        let global = global.map_err(|source| Entries::lost(name).with_source(source))?;
        let value = from_wasmer(&global.get(&mut self.place.store));
        value.ok_or_else(|| Entries::lost(name))
    }

    fn set_global(&mut self, name: &str, value: Value) -> Result<()> {
        let global = self.instance.exports.get_global(name);
        let global = global.map_err(|source| Entries::lost(name).with_source(source))?;
        let set = global.set(&mut self.place.store, to_wasmer(value));
        set.map_err(|source| Entries::lost(name).with_source(source))
    }

    fn stats(&mut self) -> Stats {
        let tables_grown = growth::grown_bytes(&mut self.place.store, &self.instance);
        let mut stats = Stats::default();
        stats.fuel_used = self.fuel_used;
        stats.peak_memory = Some(self.place.usage.account().bytes() + tables_grown);
        stats
    }
}

/// Does `work` with so much fuel, if it is counted. How the guest ended then, and what was used.
pub(crate) fn with_fuel(
    store: &mut Store,
    instance: &Instance,
    fuel: Option<u64>,
    work: impl FnOnce(&mut Store) -> Result<Option<Outcome>>,
) -> Result<(Option<Outcome>, Option<u64>)> {
    let Some(fuel) = fuel else {
        return Ok((work(store)?, None));
    };
    set_remaining_points(store, instance, fuel);
    let ended = work(store)?;
    Ok(match get_remaining_points(store, instance) {
        MeteringPoints::Remaining(left) => (ended, Some(fuel - left)),
        MeteringPoints::Exhausted => (Some(Outcome::OutOfFuel), Some(fuel)),
    })
}
