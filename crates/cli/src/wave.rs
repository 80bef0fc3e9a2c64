//! Values of components as people write them: WAVE, for `wasm-wave`.

use std::borrow::Cow;

use wasm_wave::parser::ParserError;
use wasm_wave::untyped::UntypedFuncCall;
use wasm_wave::wasm::{WasmType, WasmTypeKind, WasmValue, WasmValueError};
use wasmrun::ComponentValue;
use wasmrun::guest::ComponentType;

/// A value of that type, as it is written.
///
/// # Errors
///
/// What is wrong with it, and where.
pub fn value(ty: &ComponentType, text: &str) -> Result<ComponentValue, ParserError> {
    wasm_wave::from_str::<Value>(&Type(ty.clone()), text).map(|value| value.0)
}

/// The values in parentheses, one of each of these types; those at the end may be left out that are options.
///
/// # Errors
///
/// As for [`value`].
pub fn values<'a>(
    types: impl Iterator<Item = &'a ComponentType>,
    parenthesised: &str,
) -> Result<Vec<ComponentValue>, ParserError> {
    let types: Vec<_> = types.cloned().map(Type).collect();
    let call = format!("f{parenthesised}");
    let values = UntypedFuncCall::parse(&call)?.to_wasm_params::<Value>(&types)?;
    Ok(values.into_iter().map(|value| value.0).collect())
}

/// A value as it is written; `None` for one that cannot be.
pub fn written(value: &ComponentValue) -> Option<String> {
    wasm_wave::to_string(&Value(value.clone())).ok()
}

type T = ComponentType;
type V = ComponentValue;

#[derive(Clone)]
struct Type(ComponentType);

#[derive(Clone)]
struct Value(ComponentValue);

type Names<'a> = Box<dyn Iterator<Item = Cow<'a, str>> + 'a>;

fn names<'a>(names: &'a [std::sync::Arc<str>]) -> Names<'a> {
    Box::new(names.iter().map(|name| Cow::Borrowed(&**name)))
}

impl WasmType for Type {
    fn kind(&self) -> WasmTypeKind {
        match self.0 {
            T::Bool => WasmTypeKind::Bool,
            T::S8 => WasmTypeKind::S8,
            T::U8 => WasmTypeKind::U8,
            T::S16 => WasmTypeKind::S16,
            T::U16 => WasmTypeKind::U16,
            T::S32 => WasmTypeKind::S32,
            T::U32 => WasmTypeKind::U32,
            T::S64 => WasmTypeKind::S64,
            T::U64 => WasmTypeKind::U64,
            T::F32 => WasmTypeKind::F32,
            T::F64 => WasmTypeKind::F64,
            T::Char => WasmTypeKind::Char,
            T::String => WasmTypeKind::String,
            T::List(_) => WasmTypeKind::List,
            T::Record(_) => WasmTypeKind::Record,
            T::Tuple(_) => WasmTypeKind::Tuple,
            T::Variant(_) => WasmTypeKind::Variant,
            T::Enum(_) => WasmTypeKind::Enum,
            T::Option(_) => WasmTypeKind::Option,
            T::Result(_) => WasmTypeKind::Result,
            T::Flags(_) => WasmTypeKind::Flags,
            _ => WasmTypeKind::Unsupported,
        }
    }

    fn list_element_type(&self) -> Option<Self> {
        match &self.0 {
            T::List(of) => Some(Type((**of).clone())),
            _ => None,
        }
    }

    fn record_fields(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Self)> + '_> {
        let fields: &[_] = match &self.0 {
            T::Record(fields) => fields,
            _ => &[],
        };
        let fields = fields.iter();
        Box::new(fields.map(|(name, ty)| (Cow::Borrowed(&**name), Type(ty.clone()))))
    }

    fn tuple_element_types(&self) -> Box<dyn Iterator<Item = Self> + '_> {
        let types: &[_] = match &self.0 {
            T::Tuple(types) => types,
            _ => &[],
        };
        Box::new(types.iter().cloned().map(Type))
    }

    fn variant_cases(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Option<Self>)> + '_> {
        let cases: &[_] = match &self.0 {
            T::Variant(cases) => cases,
            _ => &[],
        };
        let cases = cases.iter();
        Box::new(cases.map(|(name, ty)| (Cow::Borrowed(&**name), ty.clone().map(Type))))
    }

    fn enum_cases(&self) -> Names<'_> {
        match &self.0 {
            T::Enum(cases) => names(cases),
            _ => names(&[]),
        }
    }

    fn option_some_type(&self) -> Option<Self> {
        match &self.0 {
            T::Option(of) => Some(Type((**of).clone())),
            _ => None,
        }
    }

    fn result_types(&self) -> Option<(Option<Self>, Option<Self>)> {
        match &self.0 {
            T::Result(of) => Some((of.0.clone().map(Type), of.1.clone().map(Type))),
            _ => None,
        }
    }

    fn flags_names(&self) -> Names<'_> {
        match &self.0 {
            T::Flags(flags) => names(flags),
            _ => names(&[]),
        }
    }
}

/// A value, if it is of that type.
fn checked(ty: &Type, value: ComponentValue) -> Result<Value, WasmValueError> {
    match value.check(&ty.0) {
        Ok(()) => Ok(Value(value)),
        Err(mismatch) => Err(WasmValueError::Other(mismatch.to_string())),
    }
}

fn held(value: Option<Value>) -> Option<Box<ComponentValue>> {
    value.map(|value| Box::new(value.0))
}

fn lent(value: &Option<Box<ComponentValue>>) -> Option<Cow<'_, Value>> {
    value.as_deref().map(owned)
}

fn owned(value: &ComponentValue) -> Cow<'_, Value> {
    Cow::Owned(Value(value.clone()))
}

/// Values without parts. `wasm-wave` takes one apart only as what it says that it is.
macro_rules! plain {
    ($($kind:ident, $type:ty, $make:ident, $unwrap:ident;)*) => {
        $(
            fn $make(value: $type) -> Self {
                Value(V::$kind(value))
            }

            fn $unwrap(&self) -> $type {
                match self.0 {
                    V::$kind(value) => value,
                    _ => Default::default(),
                }
            }
        )*
    };
}

impl WasmValue for Value {
    type Type = Type;

    plain! {
        Bool, bool, make_bool, unwrap_bool;
        S8, i8, make_s8, unwrap_s8;
        U8, u8, make_u8, unwrap_u8;
        S16, i16, make_s16, unwrap_s16;
        U16, u16, make_u16, unwrap_u16;
        S32, i32, make_s32, unwrap_s32;
        U32, u32, make_u32, unwrap_u32;
        S64, i64, make_s64, unwrap_s64;
        U64, u64, make_u64, unwrap_u64;
        F32, f32, make_f32, unwrap_f32;
        F64, f64, make_f64, unwrap_f64;
        Char, char, make_char, unwrap_char;
    }

    fn kind(&self) -> WasmTypeKind {
        match self.0 {
            V::Bool(_) => WasmTypeKind::Bool,
            V::S8(_) => WasmTypeKind::S8,
            V::U8(_) => WasmTypeKind::U8,
            V::S16(_) => WasmTypeKind::S16,
            V::U16(_) => WasmTypeKind::U16,
            V::S32(_) => WasmTypeKind::S32,
            V::U32(_) => WasmTypeKind::U32,
            V::S64(_) => WasmTypeKind::S64,
            V::U64(_) => WasmTypeKind::U64,
            V::F32(_) => WasmTypeKind::F32,
            V::F64(_) => WasmTypeKind::F64,
            V::Char(_) => WasmTypeKind::Char,
            V::String(_) => WasmTypeKind::String,
            V::List(_) => WasmTypeKind::List,
            V::Record(_) => WasmTypeKind::Record,
            V::Tuple(_) => WasmTypeKind::Tuple,
            V::Variant(..) => WasmTypeKind::Variant,
            V::Enum(_) => WasmTypeKind::Enum,
            V::Option(_) => WasmTypeKind::Option,
            V::Result(_) => WasmTypeKind::Result,
            V::Flags(_) => WasmTypeKind::Flags,
            V::Resource(_) => WasmTypeKind::Unsupported,
        }
    }

    fn make_string(value: Cow<'_, str>) -> Self {
        Value(V::String(value.into_owned()))
    }

    fn make_list(
        ty: &Type,
        values: impl IntoIterator<Item = Self>,
    ) -> Result<Self, WasmValueError> {
        let values = values.into_iter().map(|value| value.0);
        checked(ty, V::List(values.collect()))
    }

    fn make_record<'a>(
        ty: &Type,
        fields: impl IntoIterator<Item = (&'a str, Self)>,
    ) -> Result<Self, WasmValueError> {
        let fields = fields.into_iter();
        let fields = fields.map(|(name, value)| (name.to_owned(), value.0));
        checked(ty, V::Record(fields.collect()))
    }

    fn make_tuple(
        ty: &Type,
        values: impl IntoIterator<Item = Self>,
    ) -> Result<Self, WasmValueError> {
        let values = values.into_iter().map(|value| value.0);
        checked(ty, V::Tuple(values.collect()))
    }

    fn make_variant(ty: &Type, case: &str, value: Option<Self>) -> Result<Self, WasmValueError> {
        checked(ty, V::Variant(case.to_owned(), held(value)))
    }

    fn make_enum(ty: &Type, case: &str) -> Result<Self, WasmValueError> {
        checked(ty, V::Enum(case.to_owned()))
    }

    fn make_option(ty: &Type, value: Option<Self>) -> Result<Self, WasmValueError> {
        checked(ty, V::Option(held(value)))
    }

    fn make_result(
        ty: &Type,
        value: Result<Option<Self>, Option<Self>>,
    ) -> Result<Self, WasmValueError> {
        checked(ty, V::Result(value.map(held).map_err(held)))
    }

    fn make_flags<'a>(
        ty: &Type,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, WasmValueError> {
        let names = names.into_iter().map(str::to_owned);
        checked(ty, V::Flags(names.collect()))
    }

    fn unwrap_string(&self) -> Cow<'_, str> {
        match &self.0 {
            V::String(value) => Cow::Borrowed(value),
            _ => Cow::default(),
        }
    }

    fn unwrap_list(&self) -> Box<dyn Iterator<Item = Cow<'_, Self>> + '_> {
        let values: &[_] = match &self.0 {
            V::List(values) => values,
            _ => &[],
        };
        Box::new(values.iter().map(owned))
    }

    fn unwrap_record(&self) -> Box<dyn Iterator<Item = (Cow<'_, str>, Cow<'_, Self>)> + '_> {
        let fields: &[_] = match &self.0 {
            V::Record(fields) => fields,
            _ => &[],
        };
        let fields = fields.iter();
        Box::new(fields.map(|(name, value)| (Cow::Borrowed(&**name), owned(value))))
    }

    fn unwrap_tuple(&self) -> Box<dyn Iterator<Item = Cow<'_, Self>> + '_> {
        let values: &[_] = match &self.0 {
            V::Tuple(values) => values,
            _ => &[],
        };
        Box::new(values.iter().map(owned))
    }

    fn unwrap_variant(&self) -> (Cow<'_, str>, Option<Cow<'_, Self>>) {
        match &self.0 {
            V::Variant(case, value) => (Cow::Borrowed(case), lent(value)),
            _ => Default::default(),
        }
    }

    fn unwrap_enum(&self) -> Cow<'_, str> {
        match &self.0 {
            V::Enum(case) => Cow::Borrowed(case),
            _ => Cow::default(),
        }
    }

    fn unwrap_option(&self) -> Option<Cow<'_, Self>> {
        match &self.0 {
            V::Option(value) => lent(value),
            _ => None,
        }
    }

    fn unwrap_result(&self) -> Result<Option<Cow<'_, Self>>, Option<Cow<'_, Self>>> {
        match &self.0 {
            V::Result(Ok(value)) => Ok(lent(value)),
            V::Result(Err(value)) => Err(lent(value)),
            _ => Ok(None),
        }
    }

    fn unwrap_flags(&self) -> Names<'_> {
        let flags: &[String] = match &self.0 {
            V::Flags(flags) => flags,
            _ => &[],
        };
        Box::new(flags.iter().map(|flag| Cow::Borrowed(&**flag)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn record() -> T {
        let variant = T::Variant(Arc::new([
            ("some".into(), Some(T::U8)),
            ("other".into(), None),
        ]));
        T::Record(Arc::new([
            ("name".into(), T::String),
            ("at".into(), T::Tuple(Arc::new([T::S32, T::F64]))),
            ("of".into(), T::List(Arc::new(variant))),
            ("if".into(), T::Option(Arc::new(T::Char))),
            ("how".into(), T::Flags(Arc::new(["r".into(), "w".into()]))),
            (
                "then".into(),
                T::Result(Arc::new((None, Some(T::Enum(Arc::new(["no".into()])))))),
            ),
        ]))
    }

    #[test]
    fn values_are_written_as_they_are_read() {
        let text = r#"{name: "a\"é", at: (-1, 0.5), of: [%some(1), other], if: some('x'), how: {r}, then: err(no)}"#;
        let read = value(&record(), text).expect("it is one");
        assert_eq!(read.check(&record()), Ok(()));
        assert_eq!(written(&read).as_deref(), Some(text));
        // Fields in any order, options left out.
        let text = r#"{then: ok, how: {}, of: [], at: (1, nan), name: ""}"#;
        let read = value(&record(), text).expect("it is one");
        let text = r#"{name: "", at: (1, nan), of: [], how: {}, then: ok}"#;
        assert_eq!(written(&read).as_deref(), Some(text));
    }

    #[test]
    fn what_is_not_of_the_type_is_refused() {
        for (ty, text) in [
            (T::U8, "256"),
            (T::U8, "-1"),
            (T::U8, ""),
            (T::U8, "1 2"),
            (T::String, "bare"),
            (T::Enum(Arc::new(["a".into()])), "b"),
            (T::Flags(Arc::new(["a".into()])), "{b}"),
            (T::Tuple(Arc::new([T::U8])), "(1, 2)"),
            (record(), "{}"),
            (T::Other("stream"), "1"),
        ] {
            assert!(value(&ty, text).is_err(), "{ty}: {text}");
        }
    }

    #[test]
    fn options_at_the_end_may_be_left_out() {
        let types = [T::U8, T::Option(Arc::new(T::U8))];
        let one = values(types.iter(), "(1)").expect("they are of these types");
        assert_eq!(one, [V::U8(1), V::Option(None)]);
        assert!(values(types.iter(), "()").is_err());
        assert!(values(types.iter(), "(1, 2, 3)").is_err());
        assert!(values(types.iter(), "(1) 2").is_err());
        assert_eq!(values([].iter(), "()").expect("none").len(), 0);
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_is_a_value_that_is_written_and_read_again(
            text in "([{}()\\[\\],:%\"'a-z0-9. -]|some|none|ok|err|name: |at: |of: |how: |then: |inf|\u{e9}){0,20}",
            kind in 0..5_usize,
        ) {
            let types = [T::F32, T::String, T::Char, T::List(Arc::new(T::Option(Arc::new(T::S8)))), record()];
            let ty = &types[kind];
            if let Ok(read) = value(ty, &text) {
                prop_assert!(read.is_of(ty));
                let text = written(&read).expect("it can be written");
                let again = value(ty, &text).ok().and_then(|again| written(&again));
                prop_assert_eq!(again, Some(text));
            }
            // Nothing is known of it but that it does not panic.
            let _ = values(types.iter(), &text);
        }
    }
}
