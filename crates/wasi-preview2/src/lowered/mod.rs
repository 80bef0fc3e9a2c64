//! WASI 0.2 as core functions, for flattened components on any engine.
//!
//! A flattened component is a module whose imports are those of the component, lowered by the canonical ABI. Here each is a
//! [`HostFunction`](wasmrun_core::HostFunction), which engines bind as they bind any: it takes its parameters from core
//! values and the guest's memory ([`lift`]), does what the component would be done on wasmtime, by the same traits of
//! wasmtime-wasi ([`list`]), and puts what came of it where the guest finds it ([`lower`]). What both sides need to know of a
//! function is in the [types](types::Type) of its parameters and its result, which follow from those traits.
//!
//! What the guest has to make room for goes by `[cabi] allocated` ([`allocation`]).

mod allocation;
mod call;
mod dynamic;
mod encoding;
mod handles;
mod imports;
mod lift;
mod list;
mod lower;
mod resources;
#[cfg(test)]
mod tests;
mod types;
mod wit;

use wasmrun_core::guest::{FuncSignature, Import, ImportKind, ValueType};
use wasmrun_core::{Error, ErrorKind, Guest, HostCall, HostFunctions, RawFunction, Result};
use wasmrun_flatten::{Caller, Encoding};
use wasmtime::{Trap, bail, format_err};

pub(crate) use call::State;
use call::{Function, allocated, call_dynamic, within};
use dynamic::Dynamic;
use handles::Kind;
pub(crate) use imports::check;
use resources::Operation;
use types::Resource;

/// The module that what is not WASI's is imported from: what a flattened component needs for the canonical ABI.
const CABI: &str = "[cabi]";

/// The functions that the module imports which a component was flattened to, and no others: of WASI, and of what the
/// caller has for components. They work on a run that has a [`State`].
///
/// # Errors
///
/// [`Unsupported`](ErrorKind::Unsupported), by the name of the first import that there is no function for, or that has
/// another type.
pub(crate) fn functions(
    module: &Guest,
    component: &Guest,
    host: &HostFunctions,
) -> Result<HostFunctions> {
    let mut functions = HostFunctions::new();
    for (place, import) in module.imports().iter().enumerate() {
        let refuse = |why: &str| {
            let message =
                format!("the guest imports {import}, which neither WASI 0.2 nor the host has{why}");
            Error::new(ErrorKind::Unsupported, message)
        };
        let named = Caller::of(&import.name);
        let found = named.and_then(|(name, caller)| {
            let found = find(import, name, caller);
            let found = found.or_else(|| of_host(import, name, component, host));
            found.map(|(signature, lowered)| (signature, lowered, caller))
        });
        let (signature, lowered, caller) = found.ok_or_else(|| refuse(""))?;
        // The length of a string in another encoding is not in bytes.
        let reads = lowered
            .reads()
            .filter(|_| caller.encoding == Encoding::Utf8);
        if module.import_type(place) != Some(&signature) {
            return Err(refuse(&format!(
                " with that type: there, it is {signature}"
            )));
        }
        if functions.of_import(import).is_some() {
            // A module may import a function twice.
            continue;
        }
        let mut function = RawFunction::new(signature, move |call, slots| {
            within(call, |call, state| {
                state.called_by(caller);
                lowered.call(call, state, slots)
            })
        });
        if caller.memory != 0 {
            function = function.on_memory(caller.memory_export());
        }
        if let Some(param) = reads {
            function = function.reading(param);
        }
        functions = functions.function(&import.module, &import.name, function);
    }
    Ok(functions)
}

/// A function that flattened components import.
enum Lowered {
    Wasi(&'static Function),
    /// Of the caller's.
    Host(Dynamic),
    /// Of handles.
    Handle(Operation, Kind, Caller),
    /// Of the canonical ABI's own.
    Own(fn(&mut HostCall<'_>, &mut State, &mut [u64]) -> wasmtime::Result<()>),
}

impl Lowered {
    fn reads(&self) -> Option<usize> {
        match self {
            Lowered::Wasi(function) => function.reads(),
            Lowered::Host(_) | Lowered::Handle(..) | Lowered::Own(_) => None,
        }
    }

    fn call(
        &self,
        call: &mut HostCall<'_>,
        state: &mut State,
        slots: &mut [u64],
    ) -> wasmtime::Result<()> {
        match self {
            Lowered::Wasi(function) => function.call(call, state, slots),
            Lowered::Host(function) => call_dynamic(function, call, state, slots),
            Lowered::Handle(operation, kind, caller) => {
                operation.call(&mut state.handles, caller.component, *kind, slots)
            }
            Lowered::Own(function) => function(call, state, slots),
        }
    }
}

/// The function of that name that is imported as this, and its type.
fn find(import: &Import, name: &str, caller: Caller) -> Option<(FuncSignature, Lowered)> {
    if import.kind != ImportKind::Function {
        return None;
    }
    let handles = |operation: Operation, kind| {
        let signature = operation.signature();
        (signature, Lowered::Handle(operation, kind, caller))
    };
    if import.module == CABI {
        let operation = Operation::of(name).and_then(|(operation, resource)| {
            let kind = Kind::Own(resource.parse().ok()?);
            Some(handles(operation, kind))
        });
        return operation.or_else(|| own(name));
    }
    let (interface, version) = import.module.split_once('@')?;
    if !version.starts_with("0.2.") {
        return None;
    }
    if let Some(function) = list::find(interface, name) {
        return Some((function.signature(), Lowered::Wasi(function)));
    }
    let (operation, name) = Operation::of(name)?;
    let resource = Resource::ALL
        .map(Kind::Host)
        .into_iter()
        .find(|kind| matches!(kind, Kind::Host(resource) if resource.name() == (interface, name)));
    Some(handles(operation, resource?))
}

/// The function of the caller's that a component imports as this.
fn of_host(
    import: &Import,
    name: &str,
    component: &Guest,
    host: &HostFunctions,
) -> Option<(FuncSignature, Lowered)> {
    let mut imports = component.imported_functions().iter();
    let of_component = imports.find(|of| *of.interface == *import.module && *of.name == *name)?;
    let dynamic = Dynamic {
        function: host.of_component(of_component)?.clone(),
        import: of_component.clone(),
    };
    Some((dynamic.signature()?, Lowered::Host(dynamic)))
}

fn own(name: &str) -> Option<(FuncSignature, Lowered)> {
    use ValueType::{I32, I64};
    let of = |params: &[ValueType], results: &[ValueType], own| {
        let signature = FuncSignature {
            params: params.to_vec(),
            results: results.to_vec(),
        };
        Some((signature, Lowered::Own(own)))
    };
    match name {
        "allocated" => of(&[I32], &[I64], allocated),
        "enter-call" => of(&[], &[], |_, state, _| {
            state.handles.enter();
            Ok(())
        }),
        "exit-call" => of(&[], &[], |_, state, _| state.handles.exit()),
        "invalid-string" => of(&[I32], &[], |_, _, slots| {
            let bits = slots.first().copied().unwrap_or_default() as u32;
            bail!("invalid utf{bits} encoding")
        }),
        "exit-err" => of(&[], &[], |call, _, _| {
            call.exit(1);
            Ok(())
        }),
        "trap" => of(&[I32], &[], |_, _, slots| {
            let code = slots.first().copied().unwrap_or_default() as u32;
            let trap = u8::try_from(code).ok().and_then(Trap::from_u8);
            Err(trap.map_or_else(|| format_err!("there is no trap {code}"), Into::into))
        }),
        _ => None,
    }
}
