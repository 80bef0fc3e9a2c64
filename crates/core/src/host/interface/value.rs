//! Values of the component model.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::guest::{ComponentType, ResourceType, shown};

/// A value of the component model: what functions of interfaces take and give back. It does not say of which type it
/// is, and one may be of many: [`check`](ComponentValue::check) tells whether it is of a given one.
///
/// ```
/// use std::sync::Arc;
/// use wasmrun_core::ComponentValue;
/// use wasmrun_core::guest::ComponentType;
///
/// let points = ComponentType::List(Arc::new(ComponentType::Record(Arc::new([
///     ("x".into(), ComponentType::U32),
///     ("y".into(), ComponentType::U32),
/// ]))));
/// let point = |x, y| ComponentValue::Record(vec![("x".into(), x), ("y".into(), y)]);
/// let good = point(ComponentValue::U32(1), ComponentValue::U32(2));
/// let bad = point(ComponentValue::U32(1), ComponentValue::String("2".into()));
/// let error = ComponentValue::List(vec![good, bad]).check(&points).expect_err("a string");
/// assert_eq!(error.to_string(), "[1].y is a string, where u32 is expected");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum ComponentValue {
    /// A `bool`.
    Bool(bool),
    /// An `s8`.
    S8(i8),
    /// A `u8`.
    U8(u8),
    /// An `s16`.
    S16(i16),
    /// A `u16`.
    U16(u16),
    /// An `s32`.
    S32(i32),
    /// A `u32`.
    U32(u32),
    /// An `s64`.
    S64(i64),
    /// A `u64`.
    U64(u64),
    /// An `f32`.
    F32(f32),
    /// An `f64`.
    F64(f64),
    /// A `char`.
    Char(char),
    /// A `string`.
    String(String),
    /// A list.
    List(Vec<ComponentValue>),
    /// A record: all its fields, in the order of the type.
    Record(Vec<(String, ComponentValue)>),
    /// A tuple.
    Tuple(Vec<ComponentValue>),
    /// A case of a variant, with what it holds.
    Variant(String, Option<Box<ComponentValue>>),
    /// A case of an enum.
    Enum(String),
    /// An option.
    Option(Option<Box<ComponentValue>>),
    /// A result.
    Result(Result<Option<Box<ComponentValue>>, Option<Box<ComponentValue>>>),
    /// The flags that are set.
    Flags(Vec<String>),
    /// A resource of an instance.
    Resource(Resource),
}

/// A resource that an instance has handed out, as an opaque handle. It can be given back to a function of that
/// instance: where it takes `own`, the handle is used up. What is not given back is there until it is
/// [dropped](crate::Instance::drop_resource), or the instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    number: u64,
    ty: ResourceType,
}

impl Resource {
    /// A new handle of a resource of that type. Its engine keeps by the [`number`](Resource::number) what it stands for.
    pub fn new(ty: ResourceType) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Resource { number, ty }
    }

    /// What no other handle in this process is called.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its type.
    pub fn ty(&self) -> &ResourceType {
        &self.ty
    }
}

/// Where a value is not of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    place: String,
    is: String,
    expected: String,
}

impl Mismatch {
    pub(super) fn new(is: impl Into<String>, expected: impl fmt::Display) -> Self {
        Mismatch {
            place: String::new(),
            is: is.into(),
            expected: expected.to_string(),
        }
    }

    /// The same, of something that this is in.
    pub(crate) fn within(mut self, place: impl fmt::Display) -> Self {
        self.place.insert_str(0, &place.to_string());
        self
    }
}

/// `points[1].y is a string, where u32 is expected`
impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place.trim_start_matches('.') {
            "" => "it",
            place => place,
        };
        let Mismatch { is, expected, .. } = self;
        write!(f, "{place} {is}, where {expected} is expected")
    }
}

impl std::error::Error for Mismatch {}

impl ComponentValue {
    /// Whether it is of that type.
    pub fn is_of(&self, ty: &ComponentType) -> bool {
        self.check(ty).is_ok()
    }

    /// Sees whether it is of that type.
    ///
    /// # Errors
    ///
    /// Where it differs.
    pub fn check(&self, ty: &ComponentType) -> Result<(), Mismatch> {
        use ComponentType as T;
        use ComponentValue as V;
        match (self, ty) {
            (V::Bool(_), T::Bool)
            | (V::S8(_), T::S8)
            | (V::U8(_), T::U8)
            | (V::S16(_), T::S16)
            | (V::U16(_), T::U16)
            | (V::S32(_), T::S32)
            | (V::U32(_), T::U32)
            | (V::S64(_), T::S64)
            | (V::U64(_), T::U64)
            | (V::F32(_), T::F32)
            | (V::F64(_), T::F64)
            | (V::Char(_), T::Char)
            | (V::String(_), T::String) => Ok(()),
            (V::List(values), T::List(of)) => {
                let each = |(place, value): (usize, &V)| in_list(value, of, place);
                values.iter().enumerate().try_for_each(each)
            }
            (V::Tuple(values), T::Tuple(types)) => {
                if values.len() != types.len() {
                    return Err(Mismatch::new(format!("has {} parts", values.len()), ty));
                }
                let each = |(place, (value, ty)): (usize, (&V, &T))| in_list(value, ty, place);
                values
                    .iter()
                    .zip(types.iter())
                    .enumerate()
                    .try_for_each(each)
            }
            (V::Record(fields), T::Record(wanted)) => {
                let names = fields.iter().map(|(name, _)| &**name);
                if !names.eq(wanted.iter().map(|(name, _)| &**name)) {
                    let names: Vec<_> = fields.iter().map(|(name, _)| shown(name)).collect();
                    let is = format!("has the fields {{{}}}", names.join(", "));
                    return Err(Mismatch::new(is, ty));
                }
                fields
                    .iter()
                    .zip(wanted.iter())
                    .try_for_each(|((name, value), (_, ty))| {
                        let within = |mismatch: Mismatch| mismatch.within(format_args!(".{name}"));
                        value.check(ty).map_err(within)
                    })
            }
            (V::Variant(case, value), T::Variant(cases)) => {
                let found = cases.iter().find(|(name, _)| **name == **case);
                let Some((_, held)) = found else {
                    return Err(Mismatch::new(format!("is the case {}", shown(case)), ty));
                };
                payload(case, value.as_deref(), held.as_ref())
            }
            (V::Enum(case), T::Enum(cases)) => match cases.iter().any(|name| **name == **case) {
                true => Ok(()),
                false => Err(Mismatch::new(format!("is the case {}", shown(case)), ty)),
            },
            (V::Flags(flags), T::Flags(names)) => {
                let wrong = flags.iter().enumerate().find(|(place, flag)| {
                    let is_known = names.iter().any(|name| **name == ***flag);
                    !is_known || flags[..*place].contains(flag)
                });
                match wrong {
                    None => Ok(()),
                    Some((place, flag)) if flags[..place].contains(flag) => {
                        let is = format!("has the flag {} twice", shown(flag));
                        Err(Mismatch::new(is, ty))
                    }
                    Some((_, flag)) => {
                        Err(Mismatch::new(format!("has the flag {}", shown(flag)), ty))
                    }
                }
            }
            (V::Option(None), T::Option(_)) => Ok(()),
            (V::Option(Some(value)), T::Option(of)) => payload("some", Some(value), Some(of)),
            (V::Result(Ok(value)), T::Result(of)) => payload("ok", value.as_deref(), of.0.as_ref()),
            (V::Result(Err(value)), T::Result(of)) => {
                payload("err", value.as_deref(), of.1.as_ref())
            }
            (V::Resource(resource), T::Own(of) | T::Borrow(of)) => match resource.ty == *of {
                true => Ok(()),
                false => {
                    let is = format!("is the resource {}", shown(resource.ty.name()));
                    Err(Mismatch::new(is, ty))
                }
            },
            _ => Err(Mismatch::new(format!("is {}", self.kind()), ty)),
        }
    }

    /// What it is, with an article.
    fn kind(&self) -> &'static str {
        match self {
            ComponentValue::Bool(_) => "a bool",
            ComponentValue::S8(_) => "an s8",
            ComponentValue::U8(_) => "a u8",
            ComponentValue::S16(_) => "an s16",
            ComponentValue::U16(_) => "a u16",
            ComponentValue::S32(_) => "an s32",
            ComponentValue::U32(_) => "a u32",
            ComponentValue::S64(_) => "an s64",
            ComponentValue::U64(_) => "a u64",
            ComponentValue::F32(_) => "an f32",
            ComponentValue::F64(_) => "an f64",
            ComponentValue::Char(_) => "a char",
            ComponentValue::String(_) => "a string",
            ComponentValue::List(_) => "a list",
            ComponentValue::Record(_) => "a record",
            ComponentValue::Tuple(_) => "a tuple",
            ComponentValue::Variant(..) => "a variant",
            ComponentValue::Enum(_) => "an enum",
            ComponentValue::Option(_) => "an option",
            ComponentValue::Result(_) => "a result",
            ComponentValue::Flags(_) => "flags",
            ComponentValue::Resource(_) => "a resource",
        }
    }
}

fn in_list(value: &ComponentValue, ty: &ComponentType, place: usize) -> Result<(), Mismatch> {
    let within = |mismatch: Mismatch| mismatch.within(format_args!("[{place}]"));
    value.check(ty).map_err(within)
}

/// What a case holds.
fn payload(
    case: &str,
    value: Option<&ComponentValue>,
    ty: Option<&ComponentType>,
) -> Result<(), Mismatch> {
    let held = match (value, ty) {
        (None, None) => Ok(()),
        (Some(value), Some(ty)) => value.check(ty),
        (None, Some(ty)) => Err(Mismatch::new("holds nothing", ty)),
        (Some(value), None) => Err(Mismatch::new(format!("holds {}", value.kind()), "nothing")),
    };
    held.map_err(|mismatch| mismatch.within(format_args!(".{case}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn names(names: &[&str]) -> Arc<[Arc<str>]> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn values_are_of_their_types() {
        use ComponentType as T;
        use ComponentValue as V;
        let variant = T::Variant(Arc::new([
            ("none".into(), None),
            ("at".into(), Some(T::U8)),
        ]));
        let result = T::Result(Arc::new((None, Some(T::String))));
        let boxed = |value| Some(Box::new(value));
        for (value, ty) in [
            (V::S64(-1), T::S64),
            (V::List(vec![]), T::List(Arc::new(T::Bool))),
            (
                V::Tuple(vec![V::U8(1), V::Char('x')]),
                T::Tuple(Arc::new([T::U8, T::Char])),
            ),
            (V::Variant("none".into(), None), variant.clone()),
            (V::Variant("at".into(), boxed(V::U8(1))), variant.clone()),
            (V::Enum("b".into()), T::Enum(names(&["a", "b"]))),
            (
                V::Flags(vec!["b".into(), "a".into()]),
                T::Flags(names(&["a", "b"])),
            ),
            (
                V::Option(boxed(V::Option(None))),
                T::Option(Arc::new(T::Option(Arc::new(T::U8)))),
            ),
            (V::Result(Ok(None)), result.clone()),
            (
                V::Result(Err(boxed(V::String("no".into())))),
                result.clone(),
            ),
        ] {
            assert_eq!(value.check(&ty), Ok(()), "{ty}");
        }
        for (value, ty, told) in [
            (V::S32(1), T::U32, "it is an s32, where u32 is expected"),
            (
                V::U8(1),
                T::Other("stream"),
                "it is a u8, where stream is expected",
            ),
            (
                V::Tuple(vec![V::U8(1)]),
                T::Tuple(Arc::new([T::U8, T::U8])),
                "it has 1 parts, where tuple<u8, u8> is expected",
            ),
            (
                V::Tuple(vec![V::List(vec![V::U8(1), V::S8(1)])]),
                T::Tuple(Arc::new([T::List(Arc::new(T::U8))])),
                "[0][1] is an s8, where u8 is expected",
            ),
            (
                V::Variant("on".into(), None),
                variant.clone(),
                "it is the case on, where variant { none, at(u8) } is expected",
            ),
            (
                V::Variant("at".into(), None),
                variant.clone(),
                "at holds nothing, where u8 is expected",
            ),
            (
                V::Variant("none".into(), boxed(V::U8(1))),
                variant,
                "none holds a u8, where nothing is expected",
            ),
            (
                V::Result(Err(boxed(V::U8(1)))),
                result,
                "err is a u8, where string is expected",
            ),
            (
                V::Flags(vec!["a".into(), "a".into()]),
                T::Flags(names(&["a"])),
                "it has the flag a twice, where flags { a } is expected",
            ),
            (
                V::Record(vec![("y".into(), V::U8(1))]),
                T::Record(Arc::new([("x".into(), T::U8)])),
                "it has the fields {y}, where record { x: u8 } is expected",
            ),
        ] {
            let mismatch = value.check(&ty).expect_err(told);
            assert_eq!(mismatch.to_string(), told);
        }
    }
}
