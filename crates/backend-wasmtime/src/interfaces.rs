//! Functions of the host for components.

use wasmrun_core::guest::ComponentFunction;
use wasmrun_core::{Compile, InterfaceFunction};
use wasmrun_wasi_preview1::Stop;
use wasmtime::StoreContextMut;
use wasmtime::component::Val;

use crate::component::{Linker, World};
use crate::component_values::{NoResources, from_wasmtime, to_wasmtime};
use crate::store::Host;

/// Offers what the component imports of the host.
pub(crate) fn offer(linker: &mut Linker, compile: Compile<'_>) -> wasmtime::Result<()> {
    for import in compile.guest.imported_functions() {
        let Some(function) = compile.host.of_component(import) else {
            continue;
        };
        let mut instance = match &*import.interface {
            "" => linker.root(),
            interface => linker.instance(interface)?,
        };
        let (function, of) = (function.clone(), import.clone());
        instance.func_new(&import.name, move |store, _, params, results| {
            call(&function, &of, store, params, results)
        })?;
    }
    Ok(())
}

fn call(
    function: &InterfaceFunction,
    import: &ComponentFunction,
    mut store: StoreContextMut<'_, Host<World>>,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let types = import.signature.params.iter();
    let params = params.iter().zip(types).map(|(value, (_, ty))| {
        from_wasmtime(value.clone(), ty, &mut NoResources).ok_or_else(|| {
            wasmtime::Error::msg(format!("{import} was given a value of another type"))
        })
    });
    let params = params.collect::<wasmtime::Result<_>>()?;
    let host = &mut store.data_mut().world.host;
    let result = function.call(host, import, params).map_err(Stop::from)?;
    if let (Some(value), Some(ty), [to]) = (result, &import.signature.result, results) {
        *to = to_wasmtime(&value, ty, &mut NoResources).map_err(wasmtime::Error::new)?;
    }
    Ok(())
}
