//! An instance of a component, and calls of its functions.

use std::collections::HashMap;
use std::sync::Arc;

use wasmrun_core::guest::{ComponentFunction, FuncSignature, ResourceType, ValueType};
use wasmrun_core::{
    CallLimits, ComponentValue, Control, Entries, Error, ErrorKind, HostMemory, Live, Outcome,
    Resource, Result, Stats, Value,
};
use wasmrun_wasi_preview1::{Outputs, block_on};
use wasmtime::Store;
use wasmtime::component::{Func, Instance, ResourceAny, Val};

use crate::component::World;
use crate::component_values::{Resources, from_wasmtime, to_wasmtime};
use crate::store::{self, Host};
use crate::variant::Variant;
use crate::{epoch, traps};

/// An instance of a component that stays.
pub(crate) struct LiveComponent {
    variant: Arc<Variant>,
    store: Store<Host<World>>,
    instance: Instance,
    outputs: Outputs,
    functions: Vec<(Func, ComponentFunction)>,
    handles: Handles,
    fuel_used: Option<u64>,
}

impl LiveComponent {
    pub(crate) fn new(
        variant: Arc<Variant>,
        store: Store<Host<World>>,
        instance: Instance,
        outputs: Outputs,
    ) -> Self {
        LiveComponent {
            variant,
            store,
            instance,
            outputs,
            functions: Vec::new(),
            handles: Handles::default(),
            fuel_used: None,
        }
    }

    /// Does what calls into the guest, within the limits of a call. How the guest ended, if it did.
    fn attend(
        &mut self,
        CallLimits { fuel, .. }: CallLimits,
        control: &Control,
        work: impl AsyncFnOnce(&mut Store<Host<World>>) -> wasmtime::Result<()>,
    ) -> Result<Option<Outcome>> {
        let (store, outputs) = (&mut self.store, &self.outputs);
        if let Some(fuel) = fuel {
            store::fill(store, fuel)?;
        }
        let interruptible = self.variant.is_interruptible();
        let _interruption = interruptible.then(|| epoch::end_on_interrupt(store, control, None));
        let ended = block_on(control, async {
            let ended = work(&mut *store).await;
            outputs.written().await;
            ended
        });
        self.fuel_used = store::fuel_used(&self.store, fuel);
        Ok(match ended {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(traps::outcome(&error, control)),
            Err(reason) => Some(reason.outcome()),
        })
    }
}

impl Live for LiveComponent {
    fn component_function(&mut self, function: &ComponentFunction) -> Result<usize> {
        let lost = || Entries::lost(&function.to_string());
        let interface = match &*function.interface {
            "" => None,
            name => {
                let interface = self.instance.get_export_index(&mut self.store, None, name);
                Some(interface.ok_or_else(lost)?)
            }
        };
        let found =
            self.instance
                .get_export_index(&mut self.store, interface.as_ref(), &function.name);
        let found = found.and_then(|index| self.instance.get_func(&mut self.store, index));
        self.functions
            .push((found.ok_or_else(lost)?, function.clone()));
        Ok(self.functions.len() - 1)
    }

    fn call_component(
        &mut self,
        function: usize,
        params: &[ComponentValue],
        limits: CallLimits,
        control: &Control,
    ) -> Result<Result<Option<ComponentValue>, Outcome>> {
        let (func, function) = self.functions[function].clone();
        let types = function.signature.params.iter();
        let mut given = Given::of(&self.handles);
        let params = params
            .iter()
            .zip(types)
            .map(|(value, (_, ty))| to_wasmtime(value, ty, &mut given));
        let params = params.collect::<Result<Vec<_>>>()?;
        let used_up = given.used_up();
        self.handles.forget(&used_up);
        let ty = function.signature.result.as_ref();
        let mut results = vec![Val::Bool(false); ty.iter().count()];
        let ended = self.attend(limits, control, async |store| {
            func.call_async(store, &params, &mut results).await
        })?;
        if let Some(outcome) = ended {
            return Ok(Err(outcome));
        }
        let result = results.pop().zip(ty).map(|(value, ty)| {
            from_wasmtime(value, ty, &mut self.handles).ok_or_else(|| {
                let message = format!("{function} returned a value that is not of its type");
                Error::new(ErrorKind::Engine, message)
            })
        });
        result.transpose().map(Ok)
    }

    fn drop_resource(
        &mut self,
        resource: &Resource,
        limits: CallLimits,
        control: &Control,
    ) -> Result<Option<Outcome>> {
        let dropped = Given::of(&self.handles).give(resource, false)?;
        self.handles.forget(&[resource.number()]);
        self.attend(limits, control, async |store| {
            dropped.resource_drop_async(store).await
        })
    }

    fn function(&mut self, name: &str, _: &FuncSignature) -> Result<usize> {
        Err(Entries::lost(name))
    }

    fn call(
        &mut self,
        _: usize,
        _: &mut [u64],
        _: CallLimits,
        _: &Control,
    ) -> Result<Option<Outcome>> {
        Err(Entries::lost("a function of a module"))
    }

    fn memory(&mut self, name: &str) -> Result<HostMemory<'_>> {
        Err(Entries::lost(name))
    }

    fn global(&mut self, name: &str, _: ValueType) -> Result<Value> {
        Err(Entries::lost(name))
    }

    fn set_global(&mut self, name: &str, _: Value) -> Result<()> {
        Err(Entries::lost(name))
    }

    fn stats(&mut self) -> Stats {
        let mut stats = Stats::default();
        stats.fuel_used = self.fuel_used;
        let limiter = &self.store.data().limiter;
        stats.peak_memory = Some(limiter.peak_memory());
        stats.network = limiter.network();
        stats
    }
}

/// What the host has of the guest's resources, by the numbers of its handles.
#[derive(Default)]
struct Handles(HashMap<u64, ResourceAny>);

impl Handles {
    fn forget(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.0.remove(number);
        }
    }
}

impl Resources for Handles {
    fn give(&mut self, handle: &Resource, is_lent: bool) -> Result<ResourceAny> {
        Given::of(self).give(handle, is_lent)
    }

    fn take(&mut self, resource: ResourceAny, ty: &ResourceType) -> Option<Resource> {
        let handle = Resource::new(ty.clone());
        self.0.insert(handle.number(), resource);
        Some(handle)
    }
}

/// What a call is given of them. Nothing is used up before all of it is there.
struct Given<'a> {
    handles: &'a Handles,
    /// The numbers, and whether they are lent.
    given: Vec<(u64, bool)>,
}

impl<'a> Given<'a> {
    fn of(handles: &'a Handles) -> Self {
        Given {
            handles,
            given: Vec::new(),
        }
    }

    fn used_up(self) -> Vec<u64> {
        let used_up = self.given.into_iter().filter(|(_, is_lent)| !is_lent);
        used_up.map(|(number, _)| number).collect()
    }
}

impl Resources for Given<'_> {
    fn give(&mut self, handle: &Resource, is_lent: bool) -> Result<ResourceAny> {
        let number = handle.number();
        let is_there =
            |(given, was_lent): &(u64, bool)| *given == number && !(is_lent && *was_lent);
        let found = self.handles.0.get(&number);
        match found.filter(|_| !self.given.iter().any(is_there)) {
            Some(resource) => {
                self.given.push((number, is_lent));
                Ok(*resource)
            }
            None => {
                let message = format!(
                    "a handle of the resource {} was given away before, or is another instance's",
                    handle.ty().name()
                );
                Err(Error::new(ErrorKind::Config, message))
            }
        }
    }

    fn take(&mut self, _: ResourceAny, _: &ResourceType) -> Option<Resource> {
        None
    }
}
