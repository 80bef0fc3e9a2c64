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
mod handles;
mod imports;
mod lift;
mod list;
mod lower;
#[cfg(test)]
mod tests;
mod types;
mod wit;

use wasmrun_core::guest::{FuncSignature, Import, ImportKind, ValueType};
use wasmrun_core::{Error, ErrorKind, Guest, HostCall, HostFunctions, RawFunction, Result};
use wasmtime::{Trap, format_err};

pub(crate) use call::State;
use call::{Function, allocated, call_dynamic, within};
use dynamic::Dynamic;
pub(crate) use imports::check;

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
        let found = find(import).or_else(|| of_host(import, component, host));
        let (signature, lowered) = found.ok_or_else(|| refuse(""))?;
        let reads = lowered.reads();
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
            within(call, |call, state| lowered.call(call, state, slots))
        });
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
    /// Of the canonical ABI's own.
    Own(fn(&mut HostCall<'_>, &mut State, &mut [u64]) -> wasmtime::Result<()>),
}

impl Lowered {
    fn reads(&self) -> Option<usize> {
        match self {
            Lowered::Wasi(function) => function.reads(),
            Lowered::Host(_) | Lowered::Own(_) => None,
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
            Lowered::Own(function) => function(call, state, slots),
        }
    }
}

/// The function that is imported as this, and its type.
fn find(import: &Import) -> Option<(FuncSignature, Lowered)> {
    if import.kind != ImportKind::Function {
        return None;
    }
    if import.module == CABI {
        return own(&import.name);
    }
    let (interface, version) = import.module.split_once('@')?;
    let function = list::find(interface, &import.name)?;
    version
        .starts_with("0.2.")
        .then(|| (function.signature(), Lowered::Wasi(function)))
}

/// The function of the caller's that a component imports as this.
fn of_host(
    import: &Import,
    component: &Guest,
    host: &HostFunctions,
) -> Option<(FuncSignature, Lowered)> {
    let mut imports = component.imported_functions().iter();
    let of_component =
        imports.find(|of| *of.interface == *import.module && *of.name == *import.name)?;
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
