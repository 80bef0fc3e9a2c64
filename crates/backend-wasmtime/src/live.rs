//! An instance, and calls of its functions.

use std::sync::Arc;

use wasmrun_core::guest::{FuncSignature, ValueType};
use wasmrun_core::{CallLimits, Control, Entries, HostMemory, Live, Outcome, Result, Stats, Value};
use wasmtime::{Func, Instance, Store, ValRaw};

use crate::store::{self, Host};
use crate::values::{from_wasmtime, give_all, take_all, to_wasmtime};
use crate::variant::Variant;
use crate::world::World;
use crate::{epoch, traps};

/// An instance that stays.
pub(crate) struct LiveModule {
    variant: Arc<Variant>,
    store: Store<Host<World>>,
    instance: Instance,
    functions: Vec<Function>,
    /// Room for what a call takes and gives back.
    values: Vec<ValRaw>,
    fuel_used: Option<u64>,
}

struct Function {
    function: Func,
    params: Vec<ValueType>,
    results: Vec<ValueType>,
}

impl LiveModule {
    pub(crate) fn new(
        variant: Arc<Variant>,
        store: Store<Host<World>>,
        instance: Instance,
    ) -> Self {
        LiveModule {
            variant,
            store,
            instance,
            functions: Vec::new(),
            values: Vec::new(),
            fuel_used: None,
        }
    }
}

impl Live for LiveModule {
    fn function(&mut self, name: &str, signature: &FuncSignature) -> Result<usize> {
        let function = self.instance.get_func(&mut self.store, name);
        self.functions.push(Function {
            function: function.ok_or_else(|| Entries::lost(name))?,
            params: signature.params.clone(),
            results: signature.results.clone(),
        });
        Ok(self.functions.len() - 1)
    }

    fn call(
        &mut self,
        function: usize,
        slots: &mut [u64],
        CallLimits { fuel, .. }: CallLimits,
        control: &Control,
    ) -> Result<Option<Outcome>> {
        let (store, values) = (&mut self.store, &mut self.values);
        let function = &self.functions[function];
        if let Some(fuel) = fuel {
            store::fill(store, fuel)?;
        }
        let interruptible = self.variant.is_interruptible();
        let _interruption = interruptible.then(|| epoch::end_on_interrupt(store, control, None));
        let room = function.params.len().max(function.results.len());
        if values.len() < room {
            values.resize(room, ValRaw::i32(0));
        }
        let given = give_all(&function.params, slots);
        values
            .iter_mut()
            .zip(given)
            .for_each(|(value, given)| *value = given);
        // SAFETY: the values are of the function's types, which core has seen, and there is room for its results.
        let called = unsafe {
            function
                .function
                .call_unchecked(&mut *store, &mut values[..])
        };
        self.fuel_used = store::fuel_used(store, fuel);
        match called {
            Ok(()) => {
                take_all(&function.results, values, slots);
                Ok(None)
            }
            Err(error) => Ok(Some(traps::outcome(&error, control))),
        }
    }

    fn memory(&mut self, name: &str) -> Result<HostMemory<'_>> {
        let memory = self.instance.get_memory(&mut self.store, name);
        let memory = memory.ok_or_else(|| Entries::lost(name))?;
        Ok(HostMemory::Bytes(memory.data_mut(&mut self.store)))
    }

    fn global(&mut self, name: &str, _: ValueType) -> Result<Value> {
        let global = self.instance.get_global(&mut self.store, name);
        let value = global.and_then(|global| from_wasmtime(&global.get(&mut self.store)));
        value.ok_or_else(|| Entries::lost(name))
    }

    fn set_global(&mut self, name: &str, value: Value) -> Result<()> {
        let global = self.instance.get_global(&mut self.store, name);
        let global = global.ok_or_else(|| Entries::lost(name))?;
        let set = global.set(&mut self.store, to_wasmtime(value));
        set.map_err(|source| Entries::lost(name).with_source(source))
    }

    fn stats(&mut self) -> Stats {
        let mut stats = Stats::default();
        stats.fuel_used = self.fuel_used;
        stats.peak_memory = Some(self.store.data().limiter.peak_memory());
        stats
    }
}
