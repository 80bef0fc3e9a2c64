//! How much a component becomes once its components are instantiated in each other, and its types written out.
//!
//! A component that has two instances of another that has two of a third, and so on, is a kilobyte for
//! millions of instances; an instance that exports another twice, and a type that has another twice, double in
//! the same way. Whoever makes code of a component writes all of that out. So it is gone through here before,
//! as an engine would, but with what doubles as a number, and not further than what real components come
//! nowhere near.
//!
//! Each component is gone through at least once, as its imports are declared, because it is validated even if
//! nobody instantiates it; the outermost one is then gone through with all that it instantiates.
//!
//! Nothing here is valid yet. What is not there, or of another kind than it should be, counts as one thing:
//! validating it tells what is wrong.

use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentDefinedType, ComponentExport,
    ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentType,
    ComponentTypeDeclaration, ComponentTypeRef, ComponentValType, Instance,
    InstanceTypeDeclaration, PrimitiveValType, TypeBounds,
};

use crate::components::{Component, Section};
use crate::malformed::Malformed;
use crate::parser::MAX_NESTING;

/// The most instances, of modules and of components, that a component may consist of. It is what wasmtime
/// lets a store have unless told otherwise; real components have some dozens.
const MAX_INSTANCES: u32 = 10_000;

/// The most things that a component may consist of once all is written out: items of index spaces, and for
/// each time that one is named all that it consists of itself. Real components have some ten thousand.
const MAX_ITEMS: u32 = 1_000_000;

/// So many bytes of a section count as an item: to read them takes as long, each time.
const BYTES: usize = 64;

/// Refuses components that become too much. The first is the outermost.
pub(crate) fn check(components: &[Component<'_>]) -> Result<(), Malformed> {
    if !components.is_empty() {
        for instantiates in [false, true] {
            Expansion::new(components, instantiates).run(0, None, None)?;
        }
    }
    Ok(())
}

/// Something in an index space.
#[derive(Clone, Copy)]
struct Item {
    /// How many things it consists of, itself included.
    size: u32,
    is: Is,
}

#[derive(Clone, Copy)]
enum Is {
    Other,
    /// An instance, or the type of one, with these exports.
    Instance(Exports),
    /// A component of the guest, and where it was defined.
    Component {
        component: u32,
        scope: u32,
    },
    /// The type of a component, or a component of which only that is known; an instance has these exports.
    ComponentType(Exports),
}

impl Item {
    const ONE: Item = Item::of_size(1);

    const fn of_size(size: u32) -> Item {
        Item {
            size,
            is: Is::Other,
        }
    }
}

/// A part of [`Expansion::exports`], sorted by name.
#[derive(Clone, Copy)]
struct Exports {
    begin: u32,
    end: u32,
}

/// The index spaces of a component that is being instantiated, or of a type that has declarations.
#[derive(Default)]
struct Scope {
    outer: Option<u32>,
    types: Vec<Item>,
    funcs: Vec<Item>,
    instances: Vec<Item>,
    components: Vec<Item>,
}

impl Scope {
    fn space(&mut self, kind: ComponentExternalKind) -> Option<&mut Vec<Item>> {
        match kind {
            ComponentExternalKind::Type => Some(&mut self.types),
            ComponentExternalKind::Func => Some(&mut self.funcs),
            ComponentExternalKind::Instance => Some(&mut self.instances),
            ComponentExternalKind::Component => Some(&mut self.components),
            ComponentExternalKind::Module | ComponentExternalKind::Value => None,
        }
    }
}

struct Expansion<'a, 'b> {
    components: &'b [Component<'a>],
    /// Components are gone through where they are instantiated, and not where they are defined.
    instantiates: bool,
    /// What an instance of each component exports, as far as its imports' declarations tell.
    declared: Vec<Exports>,
    scopes: Vec<Scope>,
    exports: Vec<(&'a str, Item)>,
    depth: usize,
    instances: u32,
    items: u32,
}

type Named<'a> = Vec<(&'a str, Item)>;

impl<'a, 'b> Expansion<'a, 'b> {
    fn new(components: &'b [Component<'a>], instantiates: bool) -> Self {
        Expansion {
            components,
            instantiates,
            declared: vec![Exports { begin: 0, end: 0 }; components.len()],
            scopes: Vec::new(),
            exports: Vec::new(),
            depth: 0,
            instances: 0,
            items: 0,
        }
    }

    /// Goes through a component that was defined in `outer`. Its imports are `given`, or what they are
    /// declared as.
    fn run(
        &mut self,
        component: usize,
        outer: Option<u32>,
        given: Option<Exports>,
    ) -> Result<Item, Malformed> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(Malformed::new(
                "components are instantiated in each other too deep",
            ));
        }
        let scope = self.scope(outer);
        let mut exported = Named::new();
        let components = self.components;
        let Component {
            sections, bytes, ..
        } = &components[component];
        self.spend((sections.len() + bytes / BYTES) as u32)?;
        for section in sections {
            match section.clone() {
                Section::Items(items) => self.spend(items)?,
                Section::Component(component) => {
                    if !self.instantiates
                        && let Is::Instance(exports) = self.run(component, Some(scope), None)?.is
                    {
                        self.declared[component] = exports;
                    }
                    let component = self.component(scope, component);
                    self.add(scope, ComponentExternalKind::Component, component)?;
                }
                Section::CoreInstances(instances) => {
                    for instance in instances {
                        match instance? {
                            Instance::Instantiate { args, .. } => {
                                self.instantiate()?;
                                self.spend(args.len() as u32)?;
                            }
                            Instance::FromExports(exports) => {
                                self.spend(exports.len() as u32 + 1)?;
                            }
                        }
                    }
                }
                Section::Instances(instances) => {
                    for instance in instances {
                        let instance = self.instance(scope, instance?)?;
                        self.at(scope).instances.push(instance);
                    }
                }
                Section::Aliases(aliases) => {
                    for alias in aliases {
                        self.alias(scope, &alias?)?;
                    }
                }
                Section::Types(types) => {
                    for ty in types {
                        let ty = self.ty(scope, &ty?)?;
                        self.at(scope).types.push(ty);
                    }
                }
                Section::Canonical(functions) => {
                    for function in functions {
                        self.canonical(scope, &function?)?;
                    }
                }
                Section::Imports(imports) => {
                    for import in imports {
                        let import = import?;
                        let declared = self.declared_as(scope, &import.ty)?;
                        let item = given
                            .and_then(|given| self.find(given, import.name.name))
                            .unwrap_or(declared);
                        self.add(scope, import.ty.kind(), item)?;
                    }
                }
                Section::Exports(exports) => {
                    for export in exports {
                        let ComponentExport {
                            name,
                            kind,
                            index,
                            ty,
                        } = export?;
                        if let Some(ty) = ty {
                            self.declared_as(scope, &ty)?;
                        }
                        let item = self.item(scope, kind, index);
                        self.add(scope, kind, item)?;
                        exported.push((name.name, item));
                    }
                }
            }
        }
        self.depth -= 1;
        let instance = self.named(exported);
        self.spend(instance.size)?;
        Ok(instance)
    }

    /// A component that is defined in `scope`, with what it takes from there.
    fn component(&mut self, scope: u32, component: usize) -> Item {
        let components = self.components;
        let captures = components[component].captures.iter();
        let size = captures.fold(1_u32, |size, &(out, kind, index)| {
            size.saturating_add(self.outer(scope, out, kind, index).size)
        });
        let component = component as u32;
        let is = Is::Component { component, scope };
        Item { size, is }
    }

    fn instance(&mut self, scope: u32, instance: ComponentInstance<'a>) -> Result<Item, Malformed> {
        let (component, named) = match instance {
            ComponentInstance::Instantiate {
                component_index,
                args,
            } => {
                let component = self.item(scope, ComponentExternalKind::Component, component_index);
                let args = args.iter().map(|arg| (arg.name, arg.kind, arg.index));
                (Some(component), self.all(scope, args)?)
            }
            ComponentInstance::FromExports(exports) => {
                let exports = exports.iter();
                let exports = exports.map(|export| (export.name.name, export.kind, export.index));
                (None, self.all(scope, exports)?)
            }
        };
        let bag = self.named(named);
        let Some(component) = component else {
            self.spend(1)?;
            return Ok(bag);
        };
        self.instantiate()?;
        let exports = match (component.is, bag.is) {
            (Is::Component { component, scope }, Is::Instance(given)) if self.instantiates => {
                return self.run(component as usize, Some(scope), Some(given));
            }
            (Is::Component { component, .. }, _) => self.declared[component as usize],
            (Is::ComponentType(exports), _) => exports,
            _ => return Ok(Item::ONE),
        };
        let instance = self.instance_of(exports);
        self.spend(instance.size)?;
        Ok(instance)
    }

    /// Items of a scope, under names.
    fn all(
        &mut self,
        scope: u32,
        items: impl Iterator<Item = (&'a str, ComponentExternalKind, u32)>,
    ) -> Result<Named<'a>, Malformed> {
        items
            .map(|(name, kind, index)| {
                let item = self.item(scope, kind, index);
                self.spend(item.size)?;
                Ok((name, item))
            })
            .collect()
    }

    fn alias(&mut self, scope: u32, alias: &ComponentAlias<'a>) -> Result<(), Malformed> {
        match *alias {
            ComponentAlias::InstanceExport {
                kind,
                instance_index,
                name,
            } => {
                let instance = self.item(scope, ComponentExternalKind::Instance, instance_index);
                let item = match instance.is {
                    Is::Instance(exports) => self.find(exports, name),
                    _ => None,
                };
                self.add(scope, kind, item.unwrap_or(Item::ONE))
            }
            ComponentAlias::Outer { kind, count, index } => {
                let kind = match kind {
                    ComponentOuterAliasKind::Type => ComponentExternalKind::Type,
                    ComponentOuterAliasKind::Component => ComponentExternalKind::Component,
                    ComponentOuterAliasKind::CoreModule | ComponentOuterAliasKind::CoreType => {
                        return self.spend(1);
                    }
                };
                let item = self.outer(scope, count as usize, kind, index);
                self.add(scope, kind, item)
            }
            ComponentAlias::CoreInstanceExport { .. } => self.spend(1),
        }
    }

    fn canonical(&mut self, scope: u32, function: &CanonicalFunction) -> Result<(), Malformed> {
        match function {
            CanonicalFunction::Lift { type_index, .. } => {
                let ty = self.item(scope, ComponentExternalKind::Type, *type_index);
                self.add(scope, ComponentExternalKind::Func, Item::of_size(ty.size))
            }
            CanonicalFunction::Lower { func_index, .. } => {
                let func = self.item(scope, ComponentExternalKind::Func, *func_index);
                self.spend(func.size)
            }
            _ => self.spend(1),
        }
    }

    fn ty(&mut self, scope: u32, ty: &ComponentType<'a>) -> Result<Item, Malformed> {
        let item = match ty {
            ComponentType::Defined(ty) => Item::of_size(self.size_of(scope, parts(ty))),
            ComponentType::Func(func) => {
                let params = func.params.iter().map(|(_, ty)| *ty);
                Item::of_size(self.size_of(scope, params.chain(func.result)))
            }
            ComponentType::Resource { .. } => Item::ONE,
            ComponentType::Instance(declarations) => {
                let inner = self.scope(Some(scope));
                let mut exported = Named::new();
                for declaration in declarations {
                    match declaration {
                        InstanceTypeDeclaration::CoreType(_) => self.spend(1)?,
                        InstanceTypeDeclaration::Type(ty) => {
                            let ty = self.ty(inner, ty)?;
                            self.at(inner).types.push(ty);
                        }
                        InstanceTypeDeclaration::Alias(alias) => self.alias(inner, alias)?,
                        InstanceTypeDeclaration::Export { name, ty } => {
                            exported.push((name.name, self.declare(inner, ty)?));
                        }
                    }
                }
                self.leave(inner);
                self.named(exported)
            }
            ComponentType::Component(declarations) => {
                let inner = self.scope(Some(scope));
                let mut exported = Named::new();
                let mut imported = 0_u32;
                for declaration in declarations {
                    match declaration {
                        ComponentTypeDeclaration::CoreType(_) => self.spend(1)?,
                        ComponentTypeDeclaration::Type(ty) => {
                            let ty = self.ty(inner, ty)?;
                            self.at(inner).types.push(ty);
                        }
                        ComponentTypeDeclaration::Alias(alias) => self.alias(inner, alias)?,
                        ComponentTypeDeclaration::Export { name, ty } => {
                            exported.push((name.name, self.declare(inner, ty)?));
                        }
                        ComponentTypeDeclaration::Import(import) => {
                            let import = self.declare(inner, &import.ty)?;
                            imported = imported.saturating_add(import.size);
                        }
                    }
                }
                self.leave(inner);
                let instance = self.named(exported);
                let size = instance.size.saturating_add(imported);
                let is = match instance.is {
                    Is::Instance(exports) => Is::ComponentType(exports),
                    other => other,
                };
                Item { size, is }
            }
        };
        self.spend(item.size)?;
        Ok(item)
    }

    /// Adds what is declared to a scope.
    fn declare(&mut self, scope: u32, ty: &ComponentTypeRef) -> Result<Item, Malformed> {
        let item = self.declared_as(scope, ty)?;
        self.add(scope, ty.kind(), item)?;
        Ok(item)
    }

    /// What a declaration tells of an item.
    fn declared_as(&mut self, scope: u32, ty: &ComponentTypeRef) -> Result<Item, Malformed> {
        let item = match *ty {
            ComponentTypeRef::Module(_) | ComponentTypeRef::Type(TypeBounds::SubResource) => {
                Item::ONE
            }
            ComponentTypeRef::Value(ty) => Item::of_size(self.size_of(scope, [ty])),
            ComponentTypeRef::Func(ty)
            | ComponentTypeRef::Type(TypeBounds::Eq(ty))
            | ComponentTypeRef::Instance(ty)
            | ComponentTypeRef::Component(ty) => self.item(scope, ComponentExternalKind::Type, ty),
        };
        self.spend(item.size)?;
        Ok(item)
    }

    /// The size of what consists of these, itself included.
    fn size_of(&mut self, scope: u32, parts: impl IntoIterator<Item = ComponentValType>) -> u32 {
        parts.into_iter().fold(1, |size, part| {
            let part = match part {
                ComponentValType::Primitive(_) => 1,
                ComponentValType::Type(ty) => {
                    self.item(scope, ComponentExternalKind::Type, ty).size
                }
            };
            size.saturating_add(part)
        })
    }

    fn scope(&mut self, outer: Option<u32>) -> u32 {
        self.scopes.push(Scope {
            outer,
            ..Scope::default()
        });
        self.scopes.len() as u32 - 1
    }

    /// Forgets the scope of a type, to which nothing else refers, and all scopes in it.
    fn leave(&mut self, scope: u32) {
        self.scopes.truncate(scope as usize);
    }

    fn at(&mut self, scope: u32) -> &mut Scope {
        &mut self.scopes[scope as usize]
    }

    fn item(&mut self, scope: u32, kind: ComponentExternalKind, index: u32) -> Item {
        let space = self.at(scope).space(kind);
        let item = space.and_then(|space| space.get(index as usize));
        item.copied().unwrap_or(Item::ONE)
    }

    /// An item of a scope so far out.
    fn outer(&mut self, scope: u32, out: usize, kind: ComponentExternalKind, index: u32) -> Item {
        let outer = (0..out).try_fold(scope, |scope, _| self.at(scope).outer);
        outer.map_or(Item::ONE, |outer| self.item(outer, kind, index))
    }

    /// Adds an item to its index space.
    fn add(
        &mut self,
        scope: u32,
        kind: ComponentExternalKind,
        item: Item,
    ) -> Result<(), Malformed> {
        self.spend(item.size)?;
        if let Some(space) = self.at(scope).space(kind) {
            space.push(item);
        }
        Ok(())
    }

    /// The instance that exports these.
    fn named(&mut self, mut named: Named<'a>) -> Item {
        let size = named
            .iter()
            .fold(1_u32, |size, (_, item)| size.saturating_add(item.size));
        // What is not found is one thing anyway.
        named.retain(|(_, item)| item.size > 1 || !matches!(item.is, Is::Other));
        named.sort_unstable_by_key(|(name, _)| *name);
        let begin = self.exports.len() as u32;
        self.exports.extend(named);
        let end = self.exports.len() as u32;
        let is = Is::Instance(Exports { begin, end });
        Item { size, is }
    }

    fn instance_of(&self, exports: Exports) -> Item {
        let size = self.slice(exports).iter();
        let size = size.fold(1_u32, |size, (_, item)| size.saturating_add(item.size));
        let is = Is::Instance(exports);
        Item { size, is }
    }

    fn find(&self, exports: Exports, name: &str) -> Option<Item> {
        let exports = self.slice(exports);
        let place = exports
            .binary_search_by_key(&name, |(name, _)| *name)
            .ok()?;
        Some(exports[place].1)
    }

    fn slice(&self, Exports { begin, end }: Exports) -> &[(&'a str, Item)] {
        &self.exports[begin as usize..end as usize]
    }

    fn instantiate(&mut self) -> Result<(), Malformed> {
        self.instances += 1;
        if self.instances > MAX_INSTANCES {
            return Err(Malformed::new(format!(
                "it is made of more than {MAX_INSTANCES} instances of its modules and components"
            )));
        }
        self.spend(1)
    }

    fn spend(&mut self, items: u32) -> Result<(), Malformed> {
        self.items = self.items.saturating_add(items);
        if self.items > MAX_ITEMS {
            return Err(Malformed::new(format!(
                "its instances and types, written out, are more than {MAX_ITEMS} items"
            )));
        }
        Ok(())
    }
}

/// The types that a type consists of. A case without one, which is a name, counts as well.
fn parts(ty: &ComponentDefinedType<'_>) -> Vec<ComponentValType> {
    const NAME: ComponentValType = ComponentValType::Primitive(PrimitiveValType::Bool);
    match ty {
        ComponentDefinedType::Record(fields) => fields.iter().map(|(_, ty)| *ty).collect(),
        ComponentDefinedType::Variant(cases) => {
            cases.iter().map(|case| case.ty.unwrap_or(NAME)).collect()
        }
        ComponentDefinedType::Tuple(types) => types.to_vec(),
        ComponentDefinedType::List(ty)
        | ComponentDefinedType::FixedLengthList(ty, _)
        | ComponentDefinedType::Option(ty) => vec![*ty],
        ComponentDefinedType::Map(key, value) => vec![*key, *value],
        ComponentDefinedType::Result { ok, err } => ok.iter().chain(err).copied().collect(),
        ComponentDefinedType::Future(ty) | ComponentDefinedType::Stream(ty) => {
            ty.iter().copied().collect()
        }
        ComponentDefinedType::Flags(names) | ComponentDefinedType::Enum(names) => {
            vec![NAME; names.len()]
        }
        ComponentDefinedType::Primitive(_)
        | ComponentDefinedType::Own(_)
        | ComponentDefinedType::Borrow(_) => Vec::new(),
    }
}
