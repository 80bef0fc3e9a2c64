//! What people call the functions of the one module.

use wasm_encoder::{NameMap, NameSection};

use crate::module::Module;

/// Names of functions, in the order of their numbers.
#[derive(Default)]
pub(crate) struct Names(NameMap);

impl Names {
    pub(crate) fn add(&mut self, function: u32, name: &str) {
        self.0.append(function, name);
    }

    /// Adds those of an instance's own functions. Where there are several, they come with the name of the module, as
    /// engines put it: `module!function`.
    pub(crate) fn add_own(
        &mut self,
        module: &Module<'_>,
        instance: Option<usize>,
        functions: &[u32],
    ) {
        let imported = functions.len() - module.functions.len();
        let mut name = match (instance, module.name) {
            (None, _) => String::new(),
            (Some(_), Some(module)) => format!("{module}!"),
            (Some(instance), None) => format!("module {instance}!"),
        };
        let prefix = name.len();
        let mut names = module.names.clone();
        names.sort_by_key(|(function, _)| *function);
        names.dedup_by_key(|(function, _)| *function);
        for (function, own) in names {
            let function = function as usize;
            if let Some(number) = functions.get(function)
                && function >= imported
            {
                name.truncate(prefix);
                name.push_str(own);
                self.add(*number, &name);
            }
        }
    }

    pub(crate) fn section(&self) -> NameSection {
        let mut section = NameSection::new();
        section.functions(&self.0);
        section
    }
}
