//! Types of the component model, and functions of interfaces, as WIT writes them.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::shown::shown;

/// The type of a value of the component model. What it is made of is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComponentType {
    /// `bool`
    Bool,
    /// `s8`
    S8,
    /// `u8`
    U8,
    /// `s16`
    S16,
    /// `u16`
    U16,
    /// `s32`
    S32,
    /// `u32`
    U32,
    /// `s64`
    S64,
    /// `u64`
    U64,
    /// `f32`
    F32,
    /// `f64`
    F64,
    /// `char`
    Char,
    /// `string`
    String,
    /// `list<u8>`
    List(Arc<ComponentType>),
    /// `record { x: u8, y: u8 }`
    Record(Arc<[(Arc<str>, ComponentType)]>),
    /// `tuple<u8, u8>`
    Tuple(Arc<[ComponentType]>),
    /// `variant { none, some(u8) }`
    Variant(Arc<[(Arc<str>, Option<ComponentType>)]>),
    /// `enum { east, west }`
    Enum(Arc<[Arc<str>]>),
    /// `option<u8>`
    Option(Arc<ComponentType>),
    /// `result<u8, string>`: what it holds if all went well, and if not.
    Result(Arc<(Option<ComponentType>, Option<ComponentType>)>),
    /// `flags { read, write }`
    Flags(Arc<[Arc<str>]>),
    /// `own<file>`: a handle that is passed on with its resource.
    Own(ResourceType),
    /// `borrow<file>`: a handle that is lent for a call.
    Borrow(ResourceType),
    /// A type that no value here is of, by its kind: a stream, a future, a map.
    Other(&'static str),
}

/// A resource that a component defines or imports. Those of different guests are not to be compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResourceType {
    pub(crate) name: Arc<str>,
    /// Which of the guest's resources it is: names are not unique.
    pub(crate) number: usize,
}

impl ResourceType {
    /// What the guest calls it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The type of a function of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ComponentSignature {
    /// What it takes. A name is empty where there is none.
    pub params: Vec<(Arc<str>, ComponentType)>,
    /// What it gives back.
    pub result: Option<ComponentType>,
    /// Whether it is an `async func`.
    pub is_async: bool,
    /// Whether there is something among its types that cannot be written down: handles of resources, or
    /// [others](ComponentType::Other).
    pub is_opaque: bool,
}

impl ComponentSignature {
    /// Whether the types are the same, whatever the parameters are called.
    pub fn is_as(&self, other: &ComponentSignature) -> bool {
        let types = self.params.iter().map(|(_, ty)| ty);
        types.eq(other.params.iter().map(|(_, ty)| ty)) && self.result == other.result
    }
}

/// A function that a component exports or imports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentFunction {
    /// The interface (`ns:pkg/name@1.0.0`); empty for a function of the component itself.
    pub interface: Arc<str>,
    /// Its name there.
    pub name: Arc<str>,
    /// Its type.
    #[serde(rename = "type", serialize_with = "as_text")]
    pub signature: Arc<ComponentSignature>,
}

impl ComponentFunction {
    /// Whether it is called so: `ns:pkg/name@1.0.0#function`, or `function` if it is of no interface.
    pub fn is_called(&self, name: &str) -> bool {
        match name.rsplit_once('#') {
            Some((interface, name)) => *interface == *self.interface && *name == *self.name,
            None => self.interface.is_empty() && *name == *self.name,
        }
    }
}

/// What a component imports of WASI: of the interfaces that WASI has, by their names, whatever they are to the component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WasiImports {
    /// The functions.
    pub functions: Vec<ComponentFunction>,
    /// The resources, in the order in which they come. One that an interface has of another comes again.
    pub resources: Vec<ImportedResource>,
}

/// A resource that an interface has which a component imports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportedResource {
    /// The interface; empty for a resource that is imported as such.
    pub interface: Arc<str>,
    /// Its name there.
    pub name: Arc<str>,
    /// Which resource of the component's that is.
    pub resource: ResourceType,
    /// Nothing that was imported before has it.
    pub is_new: bool,
}

fn as_text<S: Serializer>(signature: &ComponentSignature, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(signature)
}

/// `ns:pkg/name@1.0.0#function`, fit for a message.
impl fmt::Display for ComponentFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.interface.is_empty() {
            write!(f, "{}#", shown(&self.interface))?;
        }
        f.write_str(&shown(&self.name))
    }
}

/// `func(a: u32, b: list<string>) -> bool`, or `async func`, cut where it is long.
impl fmt::Display for ComponentSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Text::new(f);
        text.put(if self.is_async { "async func" } else { "func" })?;
        text.list("(", &self.params, ")", |text, (name, ty)| {
            if !name.is_empty() {
                text.put(&shown(name))?;
                text.put(": ")?;
            }
            text.ty(ty)
        })?;
        if let Some(result) = &self.result {
            text.put(" -> ")?;
            text.ty(result)?;
        }
        Ok(())
    }
}

/// As WIT writes it, with records and the like in full, cut where it is long.
impl fmt::Display for ComponentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text::new(f).ty(self)
    }
}

/// The text of types. Written in full, what is shared may be a million times as long.
struct Text<'a, 'b> {
    to: &'a mut fmt::Formatter<'b>,
    room: usize,
}

/// So many names and types are written.
const ROOM: usize = 100;

impl<'a, 'b> Text<'a, 'b> {
    fn new(to: &'a mut fmt::Formatter<'b>) -> Self {
        Text { to, room: ROOM }
    }

    fn put(&mut self, text: &str) -> fmt::Result {
        self.to.write_str(text)
    }

    fn list<T>(
        &mut self,
        open: &str,
        items: &[T],
        close: &str,
        each: impl Fn(&mut Self, &T) -> fmt::Result,
    ) -> fmt::Result {
        self.put(open)?;
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                self.put(", ")?;
            }
            if self.room == 0 {
                self.put("…")?;
                break;
            }
            self.room -= 1;
            each(self, item)?;
        }
        self.put(close)
    }

    fn names(&mut self, kind: &str, names: &[Arc<str>]) -> fmt::Result {
        self.list(&format!("{kind} {{ "), names, " }", |text, name| {
            text.put(&shown(name))
        })
    }

    fn ty(&mut self, ty: &ComponentType) -> fmt::Result {
        use ComponentType as T;
        let plain = match ty {
            T::Bool => "bool",
            T::S8 => "s8",
            T::U8 => "u8",
            T::S16 => "s16",
            T::U16 => "u16",
            T::S32 => "s32",
            T::U32 => "u32",
            T::S64 => "s64",
            T::U64 => "u64",
            T::F32 => "f32",
            T::F64 => "f64",
            T::Char => "char",
            T::String => "string",
            T::Other(kind) => kind,
            T::List(of) => return self.list("list<", &[&**of], ">", |text, ty| text.ty(ty)),
            T::Option(of) => return self.list("option<", &[&**of], ">", |text, ty| text.ty(ty)),
            T::Tuple(types) => return self.list("tuple<", types, ">", Self::ty),
            T::Record(fields) => {
                return self.list("record { ", fields, " }", |text, (name, ty)| {
                    text.put(&shown(name))?;
                    text.put(": ")?;
                    text.ty(ty)
                });
            }
            T::Variant(cases) => {
                return self.list("variant { ", cases, " }", |text, (name, ty)| {
                    text.put(&shown(name))?;
                    match ty {
                        Some(ty) => text.list("(", &[ty], ")", |text, ty| text.ty(ty)),
                        None => Ok(()),
                    }
                });
            }
            T::Enum(names) => return self.names("enum", names),
            T::Flags(names) => return self.names("flags", names),
            T::Result(types) => {
                let each = |text: &mut Self, ty: &Option<&ComponentType>| match ty {
                    Some(ty) => text.ty(ty),
                    None => text.put("_"),
                };
                return match (&types.0, &types.1) {
                    (None, None) => self.put("result"),
                    (Some(ok), None) => self.list("result<", &[Some(ok)], ">", each),
                    (ok, Some(err)) => self.list("result<", &[ok.as_ref(), Some(err)], ">", each),
                };
            }
            T::Own(resource) => return write!(self.to, "own<{}>", shown(&resource.name)),
            T::Borrow(resource) => return write!(self.to, "borrow<{}>", shown(&resource.name)),
        };
        self.put(plain)
    }
}
