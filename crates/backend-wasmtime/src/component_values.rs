//! Values of components, as wasmtime has them on their way between guest and host.

use wasmrun_core::guest::{ComponentType, ResourceType};
use wasmrun_core::{ComponentValue, Error, ErrorKind, Resource, Result};
use wasmtime::component::{ResourceAny, Val};

/// What handles of resources stand for, on one side of a call.
pub(crate) trait Resources {
    /// What the guest is given for a handle; `is_lent` if it has it for the call alone.
    ///
    /// # Errors
    ///
    /// There is nothing that it stands for.
    fn give(&mut self, handle: &Resource, is_lent: bool) -> Result<ResourceAny>;

    /// A handle for what the guest hands out; `None` where handles are not taken.
    fn take(&mut self, resource: ResourceAny, ty: &ResourceType) -> Option<Resource>;
}

/// Where there are no handles, which core has seen to.
pub(crate) struct NoResources;

impl Resources for NoResources {
    fn give(&mut self, _: &Resource, _: bool) -> Result<ResourceAny> {
        Err(no_counterpart())
    }

    fn take(&mut self, _: ResourceAny, _: &ResourceType) -> Option<Resource> {
        None
    }
}

fn no_counterpart() -> Error {
    Error::new(
        ErrorKind::Engine,
        "cannot pass a value that is not of its type",
    )
}

type T = ComponentType;
type V = ComponentValue;

/// A value for wasmtime, which core has seen to be of that type.
///
/// # Errors
///
/// Those of [`Resources::give`].
pub(crate) fn to_wasmtime(value: &V, ty: &T, resources: &mut impl Resources) -> Result<Val> {
    let mut held = |value: &Option<Box<V>>, ty: Option<&T>| match (value, ty) {
        (Some(value), Some(ty)) => Ok(Some(Box::new(to_wasmtime(value, ty, resources)?))),
        (None, _) => Ok(None),
        (Some(_), None) => Err(no_counterpart()),
    };
    Ok(match (value, ty) {
        (V::Bool(value), _) => Val::Bool(*value),
        (V::S8(value), _) => Val::S8(*value),
        (V::U8(value), _) => Val::U8(*value),
        (V::S16(value), _) => Val::S16(*value),
        (V::U16(value), _) => Val::U16(*value),
        (V::S32(value), _) => Val::S32(*value),
        (V::U32(value), _) => Val::U32(*value),
        (V::S64(value), _) => Val::S64(*value),
        (V::U64(value), _) => Val::U64(*value),
        (V::F32(value), _) => Val::Float32(*value),
        (V::F64(value), _) => Val::Float64(*value),
        (V::Char(value), _) => Val::Char(*value),
        (V::String(value), _) => Val::String(value.clone()),
        (V::Enum(case), _) => Val::Enum(case.clone()),
        (V::Flags(flags), _) => Val::Flags(flags.clone()),
        (V::List(values), T::List(of)) => {
            let values = values.iter().map(|value| to_wasmtime(value, of, resources));
            Val::List(values.collect::<Result<_>>()?)
        }
        (V::Tuple(values), T::Tuple(types)) => {
            let pairs = values.iter().zip(types.iter());
            let values = pairs.map(|(value, ty)| to_wasmtime(value, ty, resources));
            Val::Tuple(values.collect::<Result<_>>()?)
        }
        (V::Record(fields), T::Record(types)) => {
            let pairs = fields.iter().zip(types.iter());
            let fields = pairs.map(|((name, value), (_, ty))| {
                Ok((name.clone(), to_wasmtime(value, ty, resources)?))
            });
            Val::Record(fields.collect::<Result<_>>()?)
        }
        (V::Variant(case, value), T::Variant(cases)) => {
            let ty = cases.iter().find(|(name, _)| **name == **case);
            let ty = ty.and_then(|(_, ty)| ty.as_ref());
            Val::Variant(case.clone(), held(value, ty)?)
        }
        (V::Option(value), T::Option(of)) => Val::Option(held(value, Some(of))?),
        (V::Result(Ok(value)), T::Result(of)) => Val::Result(Ok(held(value, of.0.as_ref())?)),
        (V::Result(Err(value)), T::Result(of)) => Val::Result(Err(held(value, of.1.as_ref())?)),
        (V::Resource(handle), T::Own(_)) => Val::Resource(resources.give(handle, false)?),
        (V::Resource(handle), T::Borrow(_)) => Val::Resource(resources.give(handle, true)?),
        _ => return Err(no_counterpart()),
    })
}

/// A value that wasmtime gave, of that type. `None` for what has no counterpart.
pub(crate) fn from_wasmtime(value: Val, ty: &T, resources: &mut impl Resources) -> Option<V> {
    let mut held = |value: Option<Box<Val>>, ty: Option<&T>| match (value, ty) {
        (Some(value), Some(ty)) => Some(Some(Box::new(from_wasmtime(*value, ty, resources)?))),
        (None, _) => Some(None),
        (Some(_), None) => None,
    };
    Some(match (value, ty) {
        (Val::Bool(value), _) => V::Bool(value),
        (Val::S8(value), _) => V::S8(value),
        (Val::U8(value), _) => V::U8(value),
        (Val::S16(value), _) => V::S16(value),
        (Val::U16(value), _) => V::U16(value),
        (Val::S32(value), _) => V::S32(value),
        (Val::U32(value), _) => V::U32(value),
        (Val::S64(value), _) => V::S64(value),
        (Val::U64(value), _) => V::U64(value),
        (Val::Float32(value), _) => V::F32(value),
        (Val::Float64(value), _) => V::F64(value),
        (Val::Char(value), _) => V::Char(value),
        (Val::String(value), _) => V::String(value),
        (Val::Enum(case), _) => V::Enum(case),
        (Val::Flags(flags), _) => V::Flags(flags),
        (Val::List(values), T::List(of)) => {
            let values = values.into_iter();
            let values = values.map(|value| from_wasmtime(value, of, resources));
            V::List(values.collect::<Option<_>>()?)
        }
        (Val::Tuple(values), T::Tuple(types)) => {
            let pairs = values.into_iter().zip(types.iter());
            let values = pairs.map(|(value, ty)| from_wasmtime(value, ty, resources));
            V::Tuple(values.collect::<Option<_>>()?)
        }
        (Val::Record(fields), T::Record(types)) => {
            let pairs = fields.into_iter().zip(types.iter());
            let fields = pairs
                .map(|((name, value), (_, ty))| Some((name, from_wasmtime(value, ty, resources)?)));
            V::Record(fields.collect::<Option<_>>()?)
        }
        (Val::Variant(case, value), T::Variant(cases)) => {
            let ty = cases.iter().find(|(name, _)| **name == *case);
            let ty = ty.and_then(|(_, ty)| ty.as_ref());
            let value = held(value, ty)?;
            V::Variant(case, value)
        }
        (Val::Option(value), T::Option(of)) => V::Option(held(value, Some(of))?),
        (Val::Result(Ok(value)), T::Result(of)) => V::Result(Ok(held(value, of.0.as_ref())?)),
        (Val::Result(Err(value)), T::Result(of)) => V::Result(Err(held(value, of.1.as_ref())?)),
        (Val::Resource(resource), T::Own(ty) | T::Borrow(ty)) => {
            V::Resource(resources.take(resource, ty)?)
        }
        _ => return None,
    })
}
