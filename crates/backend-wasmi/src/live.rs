//! An instance, and calls of its functions.

use wasmi::{Func, Instance, ResumableCall, Store, Val};
use wasmrun_core::guest::{FuncSignature, ValueType};
use wasmrun_core::{CallLimits, Control, Entries, HostMemory, Live, Outcome, Result, Stats, Value};

use crate::fuel::Fuel;
use crate::traps;
use crate::values::{from_wasmi, to_wasmi};
use crate::wasi::Host;

/// An instance that stays.
pub(crate) struct LiveModule {
    store: Store<Host>,
    instance: Instance,
    functions: Vec<Function>,
    interruptible: bool,
    fuel_used: Option<u64>,
}

struct Function {
    function: Func,
    params: Vec<ValueType>,
    /// Room for what it takes and gives back.
    values: (Vec<Val>, Vec<Val>),
}

impl LiveModule {
    pub(crate) fn new(store: Store<Host>, instance: Instance, interruptible: bool) -> Self {
        LiveModule {
            store,
            instance,
            functions: Vec::new(),
            interruptible,
            fuel_used: None,
        }
    }
}

impl Live for LiveModule {
    fn function(&mut self, name: &str, signature: &FuncSignature) -> Result<usize> {
        let function = self.instance.get_func(&self.store, name);
        self.functions.push(Function {
            function: function.ok_or_else(|| Entries::lost(name))?,
            params: signature.params.clone(),
            values: (Vec::new(), vec![Val::I32(0); signature.results.len()]),
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
        let control = self.interruptible.then_some(control);
        let mut fuel = Fuel::fill(&mut self.store, fuel, control)?;
        let Function {
            function,
            params,
            values: (inputs, outputs),
        } = &mut self.functions[function];
        inputs.clear();
        inputs.extend(Value::all(params, slots).map(to_wasmi));
        let ended = call(&mut self.store, *function, inputs, outputs, &mut fuel)?;
        self.fuel_used = fuel.used(&self.store, ended.as_ref());
        if ended.is_none() {
            Value::put_all(outputs.iter().filter_map(from_wasmi), slots);
        }
        Ok(ended)
    }

    fn memory(&mut self, name: &str) -> Result<HostMemory<'_>> {
        let memory = self.instance.get_memory(&self.store, name);
        let memory = memory.ok_or_else(|| Entries::lost(name))?;
        Ok(HostMemory::Bytes(memory.data_mut(&mut self.store)))
    }

    fn global(&mut self, name: &str, _: ValueType) -> Result<Value> {
        let global = self.instance.get_global(&self.store, name);
        let value = global.and_then(|global| from_wasmi(&global.get(&self.store)));
        value.ok_or_else(|| Entries::lost(name))
    }

    fn set_global(&mut self, name: &str, value: Value) -> Result<()> {
        let global = self.instance.get_global(&self.store, name);
        let global = global.ok_or_else(|| Entries::lost(name))?;
        let set = global.set(&mut self.store, to_wasmi(value));
        set.map_err(|source| Entries::lost(name).with_source(source))
    }

    fn stats(&mut self) -> Stats {
        let mut stats = Stats::default();
        stats.fuel_used = self.fuel_used;
        stats.peak_memory = Some(self.store.data().limiter.peak_memory());
        stats
    }
}

/// Calls a function to its end. How the guest ended, unless the function returned.
pub(crate) fn call(
    store: &mut Store<Host>,
    function: Func,
    inputs: &[Val],
    outputs: &mut [Val],
    fuel: &mut Fuel<'_>,
) -> Result<Option<Outcome>> {
    let mut called = function.call_resumable(&mut *store, inputs, outputs);
    loop {
        called = match called {
            Ok(ResumableCall::Finished) => return Ok(None),
            Ok(ResumableCall::OutOfFuel(paused)) => {
                if let Some(outcome) = fuel.refill(store, paused.required_fuel())? {
                    return Ok(Some(outcome));
                }
                paused.resume(&mut *store, outputs)
            }
            Ok(ResumableCall::HostTrap(stopped)) => {
                return traps::outcome_of(stopped.host_error()).map(Some);
            }
            Err(error) => return traps::outcome(error).map(Some),
        };
    }
}
