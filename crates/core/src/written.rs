//! How values are written in files where people are to write them: sizes and times as text with a unit, and as the
//! numbers they are.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{self, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units;

/// What a number or a text in a file stands for.
pub trait Form {
    type Value: Copy;
    /// For whom gives something else.
    const EXPECTED: &'static str;
    /// Which texts there are, as a regular expression: for schemas, so it may let through more.
    #[cfg(feature = "schema")]
    const PATTERN: &'static str;

    fn of_number(number: u64) -> Self::Value;
    fn of_text(text: &str) -> Result<Self::Value, String>;
    fn write(value: Self::Value) -> Written;
}

pub enum Written {
    Number(u64),
    Text(String),
}

/// Bytes, as a number or as text with a unit.
pub struct Size;

impl Form for Size {
    type Value = u64;
    const EXPECTED: &'static str = "bytes, as a number or as text with a unit such as \"64Mi\"";
    #[cfg(feature = "schema")]
    const PATTERN: &'static str = r"^[0-9]+(\.[0-9]*)? *[a-zA-Z]*$";

    fn of_number(number: u64) -> u64 {
        number
    }

    fn of_text(text: &str) -> Result<u64, String> {
        units::size(text)
    }

    fn write(value: u64) -> Written {
        Written::Number(value)
    }
}

/// A number of anything but bytes. It is text where a format has no number as large, as TOML has none beyond 63 bits.
pub(crate) struct Count;

impl Form for Count {
    type Value = u64;
    const EXPECTED: &'static str = "a number";
    #[cfg(feature = "schema")]
    const PATTERN: &'static str = "^[0-9]+$";

    fn of_number(number: u64) -> u64 {
        number
    }

    fn of_text(text: &str) -> Result<u64, String> {
        text.parse().map_err(|_| format!("{text:?} is no number"))
    }

    fn write(value: u64) -> Written {
        Written::Number(value)
    }
}

/// A time span.
pub(crate) struct Time;

impl Form for Time {
    type Value = Duration;
    const EXPECTED: &'static str = "milliseconds, or text with a unit such as \"2s\"";
    #[cfg(feature = "schema")]
    const PATTERN: &'static str = r"^([0-9]+(\.[0-9]+)? *[a-zA-Z]+ *)+$";

    fn of_number(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn of_text(text: &str) -> Result<Duration, String> {
        units::duration(text)
    }

    fn write(value: Duration) -> Written {
        Written::Text(units::duration_text(value))
    }
}

/// A moment.
pub(crate) struct Moment;

impl Form for Moment {
    type Value = u64;
    const EXPECTED: &'static str =
        "nanoseconds since 1970, or text such as \"2026-01-31T12:00:00Z\"";
    #[cfg(feature = "schema")]
    const PATTERN: &'static str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}";

    fn of_number(number: u64) -> u64 {
        number
    }

    fn of_text(text: &str) -> Result<u64, String> {
        units::moment(text)
    }

    fn write(value: u64) -> Written {
        Written::Text(units::moment_text(value))
    }
}

/// For `#[serde(with)]` of a value of that form.
pub(crate) struct As<F>(PhantomData<F>);

impl<F: Form> As<F> {
    pub(crate) fn serialize<S: Serializer>(value: &F::Value, to: S) -> Result<S::Ok, S::Error> {
        Held::<F>(*value).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<F::Value, D::Error> {
        Held::<F>::deserialize(from).map(|held| held.0)
    }
}

/// For `#[serde(with = "Maybe::<Size>")]` of a value that may be left out.
pub struct Maybe<F>(PhantomData<F>);

impl<F: Form> Maybe<F> {
    /// Writes it.
    ///
    /// # Errors
    ///
    /// Those of the format.
    pub fn serialize<S: Serializer>(value: &Option<F::Value>, to: S) -> Result<S::Ok, S::Error> {
        value.map(Held::<F>).serialize(to)
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// Those of the format, and what is wrong with a text.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<F::Value>, D::Error> {
        let held = Option::<Held<F>>::deserialize(from)?;
        Ok(held.map(|held| held.0))
    }
}

struct Held<F: Form>(F::Value);

impl<F: Form> Serialize for Held<F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match F::write(self.0) {
            Written::Number(number) => to.serialize_u64(number),
            Written::Text(text) => to.serialize_str(&text),
        }
    }
}

impl<'de, F: Form> Deserialize<'de> for Held<F> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct NumberOrText<F>(PhantomData<F>);

        impl<F: Form> Visitor<'_> for NumberOrText<F> {
            type Value = Held<F>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(F::EXPECTED)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Held<F>, E> {
                Ok(Held(F::of_number(number)))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Held<F>, E> {
                let positive = u64::try_from(number);
                let number =
                    positive.map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))?;
                self.visit_u64(number)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Held<F>, E> {
                F::of_text(text).map(Held).map_err(E::custom)
            }
        }

        from.deserialize_any(NumberOrText(PhantomData))
    }
}

/// For `#[serde(with)]` of an environment: a table, or a list of names and values, which may have a name twice.
pub(crate) struct Pairs;

impl Pairs {
    pub(crate) fn serialize<S: Serializer>(
        pairs: &[(String, String)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut names: Vec<&str> = pairs.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        if names.windows(2).any(|two| two[0] == two[1]) {
            return pairs.serialize(to);
        }
        let mut table = to.serialize_map(Some(pairs.len()))?;
        for (name, value) in pairs {
            table.serialize_entry(name, value)?;
        }
        table.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(String, String)>, D::Error> {
        struct TableOrList;

        impl<'de> Visitor<'de> for TableOrList {
            type Value = Vec<(String, String)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of variables, or a list of names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = list.next_element()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }

        from.deserialize_any(TableOrList)
    }
}

/// For `#[serde(with)]` of some content: text, or a list of bytes where it is none.
pub(crate) struct Content;

impl Content {
    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => to.serialize_str(text),
            Err(_) => bytes.serialize(to),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct TextOrBytes;

        impl<'de> Visitor<'de> for TextOrBytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, or a list of bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
                Ok(text.into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = list.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }

        from.deserialize_any(TextOrBytes)
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{As, Content, Form, Maybe, Pairs};

    impl<F: Form> JsonSchema for As<F> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "NumberOrText".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": ["integer", "string"], "minimum": 0, "pattern": F::PATTERN })
        }
    }

    impl<F: Form> JsonSchema for Maybe<F> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "MaybeNumberOrText".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "type": ["integer", "string", "null"], "minimum": 0, "pattern": F::PATTERN
            })
        }
    }

    impl JsonSchema for Pairs {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "Environment".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "anyOf": [
                { "type": "object", "additionalProperties": { "type": "string" } },
                { "type": "array", "items": {
                    "type": "array", "items": { "type": "string" }, "minItems": 2, "maxItems": 2
                } }
            ] })
        }
    }

    impl JsonSchema for Content {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "Content".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "integer", "minimum": 0, "maximum": 255 } }
            ] })
        }
    }
}
