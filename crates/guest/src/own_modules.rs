//! Whether a component makes an instance of a module once.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, Instance,
};

/// The modules that the outermost component itself has, as far as they tell what becomes of the one with data.
#[derive(Debug, Default)]
pub(crate) struct OwnModules {
    defined: u32,
    instantiated: Vec<u32>,
    with_data: Vec<u32>,
    /// Some are handed around, so that others may instantiate them, or numbers may be those of others.
    are_handed_around: bool,
    others_have_data: bool,
}

impl OwnModules {
    /// The next of them.
    pub(crate) fn define(&mut self) {
        self.defined += 1;
    }

    /// The last of them has data, or if it is not `own` one of an inner component.
    pub(crate) fn has_data(&mut self, own: bool) {
        match self.defined.checked_sub(1).filter(|_| own) {
            Some(last) => self.with_data.push(last),
            None => self.others_have_data = true,
        }
    }

    /// The component itself makes an instance.
    pub(crate) fn instance(&mut self, instance: &Instance<'_>) {
        if let Instance::Instantiate { module_index, .. } = instance {
            self.instantiated.push(*module_index);
        }
    }

    /// Any component gives something a name.
    pub(crate) fn alias(&mut self, alias: &ComponentAlias<'_>) {
        self.are_handed_around |= matches!(
            alias,
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Module,
                ..
            } | ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::CoreModule,
                ..
            }
        );
    }

    /// Any component makes an instance of a component.
    pub(crate) fn component_instance(&mut self, instance: &ComponentInstance<'_>) {
        let is_module = |kind| kind == ComponentExternalKind::Module;
        self.are_handed_around |= match instance {
            ComponentInstance::Instantiate { args, .. } => {
                args.iter().any(|arg| is_module(arg.kind))
            }
            ComponentInstance::FromExports(exports) => {
                exports.iter().any(|export| is_module(export.kind))
            }
        };
    }

    /// The component itself imports or exports something, which gives it one more of that kind.
    pub(crate) fn pass(&mut self, kind: ComponentExternalKind) {
        self.are_handed_around |= kind == ComponentExternalKind::Module;
    }

    /// Whether one of them alone has data, and just one instance is made of it.
    pub(crate) fn one_has_data_once(&self) -> bool {
        let [with_data] = self.with_data[..] else {
            return false;
        };
        let is_it = |module: &&u32| **module == with_data;
        !self.are_handed_around
            && !self.others_have_data
            && self.instantiated.iter().filter(is_it).count() == 1
    }
}
