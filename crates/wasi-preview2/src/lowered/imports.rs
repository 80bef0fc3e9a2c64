//! Whether a component imports of WASI what WASI has, with the types that it has.
//!
//! wasmtime compares them when it links a component. A flattened one has only core types left, and so it is done here, in
//! the same way: names of parameters do not matter, those of fields and cases do.

use std::collections::HashMap;

use wasmrun_core::guest::{ComponentSignature, ComponentType, ResourceType, shown};
use wasmrun_core::{Error, ErrorKind, Guest, Result};

use super::call::Function;
use super::list;
use super::types::{Resource, Type};

/// Looks at every interface of WASI that a component imports.
///
/// # Errors
///
/// [`Unsupported`](ErrorKind::Unsupported), by the name of the first function or resource that WASI does not have, or has
/// with another type.
pub(crate) fn check(component: &Guest) -> Result<()> {
    let refuse = |what: String| {
        let message = format!("the guest imports {what}");
        Error::new(ErrorKind::Unsupported, message)
    };
    let imports = component.wasi_imports().ok_or_else(|| {
        refuse("more functions than can be compared with those of WASI".to_owned())
    })?;
    let mut resources = Resources::default();
    for import in &imports.resources {
        let (interface, name) = (&*import.interface, &*import.name);
        let own = Resource::find(unversioned(interface), name);
        if !resources.knows(&import.resource, own) {
            return Err(refuse(format!(
                "the resource {} of {}, which WASI 0.2 does not have",
                shown(name),
                shown(interface)
            )));
        }
    }
    for import in &imports.functions {
        let Some(function) = list::find(unversioned(&import.interface), &import.name) else {
            return Err(refuse(format!("{import}, which WASI 0.2 does not have")));
        };
        if !resources.is_as(&import.signature, function) {
            let wanted = &import.signature;
            return Err(refuse(format!(
                "{import} as {wanted}, and WASI 0.2 has it as {}",
                Signature(function)
            )));
        }
    }
    Ok(())
}

fn unversioned(interface: &str) -> &str {
    interface
        .split_once('@')
        .map_or(interface, |(name, _)| name)
}

/// Which resource of WASI each of a component's is.
#[derive(Default)]
struct Resources(HashMap<ResourceType, Resource>);

impl Resources {
    /// Whether a component's resource can be this, which WASI has under its name; `None` if it has none of that name, so
    /// that it has to be one that is known.
    fn knows(&mut self, ty: &ResourceType, own: Option<Resource>) -> bool {
        match (self.0.get(ty), own) {
            (Some(known), Some(own)) => *known == own,
            (Some(_), None) => true,
            (None, Some(own)) => {
                self.0.insert(ty.clone(), own);
                true
            }
            (None, None) => false,
        }
    }

    fn is_as(&self, wanted: &ComponentSignature, function: &Function) -> bool {
        let params = wanted.params.iter().map(|(_, ty)| ty);
        wanted.params.len() == function.params.len()
            && params
                .zip(&function.params)
                .all(|(ty, own)| self.is(ty, own))
            && self.is_nothing_or(wanted.result.as_ref(), &function.result)
    }

    fn is_nothing_or(&self, ty: Option<&ComponentType>, own: &Type) -> bool {
        match ty {
            None => *own == Type::Nothing,
            Some(ty) => self.is(ty, own),
        }
    }

    fn is(&self, ty: &ComponentType, own: &Type) -> bool {
        use ComponentType as T;
        match (ty, own) {
            (T::Bool, Type::Bool)
            | (T::U8, Type::U8)
            | (T::U16, Type::U16)
            | (T::U32, Type::U32)
            | (T::U64, Type::U64)
            | (T::String, Type::String) => true,
            (T::List(ty), Type::List(own)) | (T::Option(ty), Type::Option(own)) => self.is(ty, own),
            (T::Record(fields), Type::Record(own)) => {
                let mut both = fields.iter().zip(*own);
                fields.len() == own.len()
                    && both.all(|((name, ty), (own_name, own))| {
                        **name == **own_name && self.is(ty, own)
                    })
            }
            (T::Tuple(types), Type::Tuple(own)) => {
                types.len() == own.len() && types.iter().zip(*own).all(|(ty, own)| self.is(ty, own))
            }
            (T::Variant(cases), Type::Variant(own)) => {
                let mut both = cases.iter().zip(*own);
                cases.len() == own.len()
                    && both.all(|((name, ty), (own_name, own))| {
                        **name == **own_name && self.is_nothing_or(ty.as_ref(), own)
                    })
            }
            (T::Enum(names), Type::Enum(own)) | (T::Flags(names), Type::Flags(own)) => {
                names.iter().map(|name| &**name).eq(own.iter().copied())
            }
            (T::Result(types), Type::Result((ok, err))) => {
                self.is_nothing_or(types.0.as_ref(), ok)
                    && self.is_nothing_or(types.1.as_ref(), err)
            }
            (T::Own(resource), Type::Own(own)) | (T::Borrow(resource), Type::Borrow(own)) => {
                self.0.get(resource) == Some(own)
            }
            _ => false,
        }
    }
}

/// `func(a: u32) -> bool`, of WASI's, whose parameters have no names here.
struct Signature<'a>(&'a Function);

impl std::fmt::Display for Signature<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let params: Vec<_> = self.0.params.iter().map(Type::to_string).collect();
        write!(f, "func({})", params.join(", "))?;
        match self.0.result {
            Type::Nothing => Ok(()),
            result => write!(f, " -> {result}"),
        }
    }
}
