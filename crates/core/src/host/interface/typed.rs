//! Values of the component model as Rust has them.

use std::sync::Arc;

use crate::guest::ComponentType;

use super::super::function::Failure;
use super::value::ComponentValue;

/// A value of the component model, as Rust has it: `bool`, integers, floats, `char`, `String`, `Vec`, `Option`,
/// `Result` and tuples. Records and the like are types of one's own:
///
/// ```
/// use wasmrun_core::guest::ComponentType;
/// use wasmrun_core::{ComponentValue, InterfaceValue};
///
/// /// record point { x: s32, y: s32 }
/// struct Point { x: i32, y: i32 }
///
/// impl InterfaceValue for Point {
///     fn ty() -> ComponentType {
///         ComponentType::Record([("x".into(), i32::ty()), ("y".into(), i32::ty())].into())
///     }
///
///     fn into_value(self) -> ComponentValue {
///         let (x, y) = (self.x.into_value(), self.y.into_value());
///         ComponentValue::Record(vec![("x".into(), x), ("y".into(), y)])
///     }
///
///     fn from_value(value: ComponentValue) -> Option<Self> {
///         let ComponentValue::Record(fields) = value else { return None };
///         let [(_, x), (_, y)] = <[_; 2]>::try_from(fields).ok()?;
///         Some(Point { x: i32::from_value(x)?, y: i32::from_value(y)? })
///     }
/// }
/// # let point = Point::from_value(Point { x: 1, y: 2 }.into_value()).expect("a point");
/// # assert_eq!((point.x, point.y), (1, 2));
/// ```
pub trait InterfaceValue: Sized {
    /// Its type.
    fn ty() -> ComponentType;

    /// The value.
    fn into_value(self) -> ComponentValue;

    /// Makes it of a value, if that is of its type.
    fn from_value(value: ComponentValue) -> Option<Self>;
}

/// What a function gives back, and a `Result` holds: nothing, or a [value](InterfaceValue).
pub trait InterfaceResult: Sized {
    /// Its type.
    fn ty() -> Option<ComponentType>;

    /// The value.
    fn into_value(self) -> Option<ComponentValue>;

    /// Makes it of a value, if that is of its type.
    fn from_value(value: Option<ComponentValue>) -> Option<Self>;
}

/// What a function takes: a tuple of [values](InterfaceValue).
pub trait InterfaceParams: Sized {
    /// Their types.
    fn types() -> Vec<ComponentType>;

    /// The values.
    fn into_values(self) -> Vec<ComponentValue>;

    /// Makes it of values, if they are of these types.
    fn from_values(values: Vec<ComponentValue>) -> Option<Self>;
}

/// What a function of the host returns: an [`InterfaceResult`], or that in a `Result` whose error, a
/// `Box<dyn Error + Send + Sync>`, ends the guest. (Any other `Result` is the guest's to see.)
pub trait InterfaceReturn {
    /// Where nothing went wrong.
    type Result: InterfaceResult;

    /// The result, or why there is none.
    #[doc(hidden)]
    fn into_result(self) -> Result<Self::Result, Failure>;
}

impl<R: InterfaceResult> InterfaceReturn for R {
    type Result = R;

    fn into_result(self) -> Result<R, Failure> {
        Ok(self)
    }
}

impl<R: InterfaceResult> InterfaceReturn for Result<R, Failure> {
    type Result = R;

    fn into_result(self) -> Result<R, Failure> {
        self
    }
}

impl<V: InterfaceValue> InterfaceResult for V {
    fn ty() -> Option<ComponentType> {
        Some(V::ty())
    }

    fn into_value(self) -> Option<ComponentValue> {
        Some(V::into_value(self))
    }

    fn from_value(value: Option<ComponentValue>) -> Option<Self> {
        V::from_value(value?)
    }
}

impl InterfaceResult for () {
    fn ty() -> Option<ComponentType> {
        None
    }

    fn into_value(self) -> Option<ComponentValue> {
        None
    }

    fn from_value(value: Option<ComponentValue>) -> Option<Self> {
        value.is_none().then_some(())
    }
}

macro_rules! plain {
    ($($type:ty, $kind:ident;)*) => {
        $(impl InterfaceValue for $type {
            fn ty() -> ComponentType {
                ComponentType::$kind
            }

            fn into_value(self) -> ComponentValue {
                ComponentValue::$kind(self)
            }

            fn from_value(value: ComponentValue) -> Option<Self> {
                match value {
                    ComponentValue::$kind(value) => Some(value),
                    _ => None,
                }
            }
        })*
    };
}

plain! {
    bool, Bool;
    i8, S8;
    u8, U8;
    i16, S16;
    u16, U16;
    i32, S32;
    u32, U32;
    i64, S64;
    u64, U64;
    f32, F32;
    f64, F64;
    char, Char;
    String, String;
}

impl<V: InterfaceValue> InterfaceValue for Vec<V> {
    fn ty() -> ComponentType {
        ComponentType::List(Arc::new(V::ty()))
    }

    fn into_value(self) -> ComponentValue {
        ComponentValue::List(self.into_iter().map(V::into_value).collect())
    }

    fn from_value(value: ComponentValue) -> Option<Self> {
        match value {
            ComponentValue::List(values) => values.into_iter().map(V::from_value).collect(),
            _ => None,
        }
    }
}

impl<V: InterfaceValue> InterfaceValue for Option<V> {
    fn ty() -> ComponentType {
        ComponentType::Option(Arc::new(V::ty()))
    }

    fn into_value(self) -> ComponentValue {
        ComponentValue::Option(self.map(|value| Box::new(value.into_value())))
    }

    fn from_value(value: ComponentValue) -> Option<Self> {
        match value {
            ComponentValue::Option(None) => Some(None),
            ComponentValue::Option(Some(value)) => V::from_value(*value).map(Some),
            _ => None,
        }
    }
}

impl<V: InterfaceResult, E: InterfaceResult> InterfaceValue for Result<V, E> {
    fn ty() -> ComponentType {
        ComponentType::Result(Arc::new((V::ty(), E::ty())))
    }

    fn into_value(self) -> ComponentValue {
        ComponentValue::Result(match self {
            Ok(value) => Ok(value.into_value().map(Box::new)),
            Err(error) => Err(error.into_value().map(Box::new)),
        })
    }

    fn from_value(value: ComponentValue) -> Option<Self> {
        match value {
            ComponentValue::Result(Ok(value)) => V::from_value(value.map(|value| *value)).map(Ok),
            ComponentValue::Result(Err(error)) => E::from_value(error.map(|error| *error)).map(Err),
            _ => None,
        }
    }
}

impl InterfaceParams for () {
    fn types() -> Vec<ComponentType> {
        Vec::new()
    }

    fn into_values(self) -> Vec<ComponentValue> {
        Vec::new()
    }

    fn from_values(values: Vec<ComponentValue>) -> Option<Self> {
        values.is_empty().then_some(())
    }
}

macro_rules! tuples {
    ($($value:ident)*) => {
        impl<$($value: InterfaceValue),*> InterfaceParams for ($($value,)*) {
            fn types() -> Vec<ComponentType> {
                vec![$($value::ty()),*]
            }

            #[allow(non_snake_case, reason = "a value is called as its type")]
            fn into_values(self) -> Vec<ComponentValue> {
                let ($($value,)*) = self;
                vec![$($value.into_value()),*]
            }

            fn from_values(values: Vec<ComponentValue>) -> Option<Self> {
                let mut values = values.into_iter();
                let tuple = ($($value::from_value(values.next()?)?,)*);
                values.next().is_none().then_some(tuple)
            }
        }

        impl<$($value: InterfaceValue),*> InterfaceValue for ($($value,)*) {
            fn ty() -> ComponentType {
                ComponentType::Tuple(<Self as InterfaceParams>::types().into())
            }

            fn into_value(self) -> ComponentValue {
                ComponentValue::Tuple(self.into_values())
            }

            fn from_value(value: ComponentValue) -> Option<Self> {
                match value {
                    ComponentValue::Tuple(values) => Self::from_values(values),
                    _ => None,
                }
            }
        }
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
tuples!(A B C D E F G H I);
tuples!(A B C D E F G H I J);
tuples!(A B C D E F G H I J K);
tuples!(A B C D E F G H I J K L);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_there_and_back_by_their_types() {
        type Deep = (Vec<Option<(u8, char)>>, Result<(), String>, Result<f64, ()>);
        let deep: Deep = (vec![None, Some((7, 'x'))], Err("no".into()), Ok(0.5));
        let ty = <Deep as InterfaceValue>::ty();
        assert_eq!(
            ty.to_string(),
            "tuple<list<option<tuple<u8, char>>>, result<_, string>, result<f64>>"
        );
        let value = InterfaceValue::into_value(deep.clone());
        assert_eq!(value.check(&ty), Ok(()));
        assert_eq!(<Deep as InterfaceValue>::from_value(value), Some(deep));
        assert_eq!(<(u8,)>::from_values(vec![ComponentValue::S8(1)]), None);
        assert_eq!(<(u8,)>::from_values(vec![ComponentValue::U8(1); 2]), None);
    }
}
