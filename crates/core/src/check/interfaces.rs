//! What a component imports of interfaces, and what the host has of them.

use super::{Refusals, shorten};
use crate::guest::{ComponentFunction, Import, ImportKind, nearest, shown};
use crate::{Capability, Guest, HostFunctions, HostInterface};

/// The name that the host has, and that is nearly that of what a component imports.
pub(super) fn nearest_to(import: &Import, host: &HostFunctions) -> Option<String> {
    let names = match import.kind {
        ImportKind::Instance => host.interfaces(),
        ImportKind::ComponentFunction => host.get_interface("").map(HostInterface::names)?,
        _ => return None,
    };
    nearest(&import.module, &names).map(shown)
}

/// What the interfaces of the host stand in the way of.
pub(super) fn unmet(
    found: &mut Refusals,
    capability: &Capability,
    guest: &Guest,
    host: &HostFunctions,
) {
    if !host.has_interfaces() {
        return;
    }
    for (interface, resource) in guest.imported_resources() {
        if host.get_interface(interface).is_some() {
            let of = match interface {
                "" => String::new(),
                interface => format!(" of {}", shown(interface)),
            };
            let reason = format!(
                "the guest imports the resource {}{of}, which functions of the host cannot make",
                shown(resource)
            );
            found.never("imports", reason);
        }
    }
    for import in guest.imported_functions() {
        let Some(interface) = host.get_interface(&import.interface) else {
            continue;
        };
        found.unless(capability.host_functions, "host_functions", || {
            format!("cannot offer functions of the host, and the guest imports {import}")
        });
        if let Some(why) = differs(import, interface) {
            found.never("imports", format!("the guest imports {import}{why}"));
        }
    }
}

/// Why an interface does not have what a component imports of it.
fn differs(import: &ComponentFunction, interface: &HostInterface) -> Option<String> {
    let wanted = &import.signature;
    let Some(function) = interface.get(&import.name) else {
        let names = interface.names();
        return match nearest(&import.name, &names) {
            // It was told already, as an import that nobody has.
            _ if import.interface.is_empty() => None,
            Some(near) => {
                let near = shown(near);
                Some(format!(", which the host does not have: was {near} meant?"))
            }
            None => {
                let names: Vec<_> = names.into_iter().map(str::to_owned).collect();
                let has = shorten(&names);
                Some(format!(
                    ", which the host does not have; of that interface it has {has}"
                ))
            }
        };
    };
    match function.signature() {
        Some(has) if !has.is_as(wanted) => {
            Some(format!(" as {wanted}, and the host has it as {has}"))
        }
        None if wanted.is_opaque => Some(format!(
            " as {wanted}, and functions of the host take no resources, streams and the like"
        )),
        _ => None,
    }
}
