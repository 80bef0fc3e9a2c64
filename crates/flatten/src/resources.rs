//! What a component asks of its host for handles: of resources of its own, and of the host's where several of its
//! components have them.

use std::collections::BTreeSet;

use wasm_encoder::ValType;
use wasmrun_guest::Result;
use wasmtime_environ::EntityType;
use wasmtime_environ::component::{
    CoreDef, DefinedResourceIndex, RuntimeComponentInstanceIndex, TrampolineIndex,
    TypeResourceTable, TypeResourceTableIndex,
};

use crate::caller::Caller;
use crate::glue::CABI;
use crate::plan::{Given, Planner, Signature};
use crate::transfers::transfers;
use crate::{Import, invalid, refuse};

/// What is done with a handle, or to have one.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    /// Makes a handle that owns.
    New,
    /// Tells what it stands for.
    Rep,
    /// Drops it.
    Drop,
    /// Takes it away from a component, and tells what it stood for.
    Take,
    /// Lends it until the call returns, and tells what it stands for.
    Lend,
    /// Makes a handle of what was lent.
    Borrow,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::New => "[resource-new]",
            Operation::Rep => "[resource-rep]",
            Operation::Drop => "[resource-drop]",
            Operation::Take => "[resource-take]",
            Operation::Lend => "[resource-lend]",
            Operation::Borrow => "[resource-borrow]",
        }
    }
}

/// How a handle gets from one component to another.
#[derive(Clone)]
pub(crate) struct Move {
    /// The table that it is in, and the one that it comes to, as an adapter calls them.
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// The import that makes of the handle what it stands for.
    pub(crate) take: usize,
    /// The import that makes a handle of that, unless the component is to have just that.
    pub(crate) give: Option<usize>,
}

/// A table of handles: of one resource, in one component.
struct Table {
    component: RuntimeComponentInstanceIndex,
    /// The component that the resource is of, and its number there; `None` if it is the host's.
    defined: Option<(RuntimeComponentInstanceIndex, DefinedResourceIndex)>,
    /// The interface and the name of the host's; of another, the module and the name that functions for it have.
    interface: String,
    name: String,
}

impl<'a> Planner<'a, '_> {
    /// The function of the host that does this with handles in a table: its place among the imports.
    pub(crate) fn operation(
        &mut self,
        operation: Operation,
        table: TypeResourceTableIndex,
    ) -> Result<usize> {
        let table = self.table(table)?;
        let results: &[ValType] = match (operation, table.defined) {
            (Operation::Drop, None) => &[],
            // What it stood for, doubled, and 1 if it is no more.
            (Operation::Drop, Some(_)) => &[ValType::I64],
            _ => &[ValType::I32],
        };
        let import = Import {
            interface: table.interface,
            name: format!("{}{}", operation.name(), table.name),
            caller: Caller {
                component: self.handling(table.component),
                ..Caller::default()
            },
            allocates: false,
        };
        self.import(import, Signature::of(&[ValType::I32], results))
    }

    /// What drops a handle.
    pub(crate) fn drop(
        &mut self,
        caller: RuntimeComponentInstanceIndex,
        table: TypeResourceTableIndex,
    ) -> Result<Given<'a>> {
        let import = self.operation(Operation::Drop, table)?;
        let Some((_, resource)) = self.table(table)?.defined else {
            return Ok(Given::Host {
                import,
                caller: Some(caller),
                realloc: None,
            });
        };
        let destructor = self.destructors.get(&resource.as_u32()).copied();
        if let Some(destructor) = destructor {
            self.give(destructor)?;
        }
        Ok(Given::Drop {
            import,
            caller,
            destructor,
        })
    }

    /// What moves handles between components: by one function of the host, and another.
    pub(crate) fn transfer(
        &mut self,
        trampoline: TrampolineIndex,
        take: Operation,
        give: Operation,
    ) -> Result<Given<'a>> {
        let mut moves: Vec<Move> = Vec::new();
        for (from, to) in self.transfers(trampoline)? {
            let [from_table, to_table] = [from, to].map(TypeResourceTableIndex::from_u32);
            let destination = self.table(to_table)?;
            let is_at_home = destination
                .defined
                .is_some_and(|(component, _)| component == destination.component);
            let give = match give {
                // The component that a resource is of is lent what it made the resource of.
                Operation::Borrow if is_at_home => None,
                give => Some(self.operation(give, to_table)?),
            };
            moves.push(Move {
                from,
                to,
                take: self.operation(take, from_table)?,
                give,
            });
        }
        Ok(Given::Transfer(moves))
    }

    /// Between which tables adapters have that function move handles.
    fn transfers(&self, trampoline: TrampolineIndex) -> Result<BTreeSet<(u32, u32)>> {
        let mut all = BTreeSet::new();
        for instance in &self.instances {
            let translation = &self.translated.modules[instance.module];
            // An adapter imports functions, memories and globals, and this is one of the functions.
            let functions = instance.args.iter().zip(translation.module.imports());
            let mut functions =
                functions.filter(|(_, (_, _, ty))| matches!(ty, EntityType::Function(_)));
            let is_it =
                |arg: &CoreDef| matches!(arg, CoreDef::Trampoline(own) if *own == trampoline);
            let Some(function) = functions.position(|(arg, _)| is_it(arg)) else {
                continue;
            };
            let found = transfers(translation.wasm, function as u32).map_err(invalid)?;
            let found = found.ok_or_else(|| refuse("it passes resources in no known way"))?;
            all.extend(found);
        }
        Ok(all)
    }

    fn table(&self, table: TypeResourceTableIndex) -> Result<Table> {
        let component = &self.translated.component;
        let TypeResourceTable::Concrete { ty, instance } = self.translated.types[table] else {
            return Err(refuse("it has handles of a resource that nobody has"));
        };
        if let Some(import) = component.imported_resources.get(ty) {
            let (interface, name) = self.named(*import)?;
            return Ok(Table {
                component: instance,
                defined: None,
                interface,
                name,
            });
        }
        let defined = component.defined_resource_index(ty);
        let home = defined.and_then(|resource| {
            let home = component.defined_resource_instances.get(resource)?;
            Some((*home, resource))
        });
        let Some((home, resource)) = home else {
            return Err(refuse("it has a resource that is nobody's"));
        };
        Ok(Table {
            component: instance,
            defined: Some((home, resource)),
            interface: CABI.to_owned(),
            name: resource.as_u32().to_string(),
        })
    }
}
