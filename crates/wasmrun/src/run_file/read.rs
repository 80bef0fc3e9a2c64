//! From the values of a file to those of a type, with the place of what is wrong.

use serde::de::value::{Error as NoKeys, StrDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::node::{Key, Kind, Node};
use super::problem::{Problem, Step};

/// The keys that a type with named fields has.
pub(super) fn keys_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    struct Asks<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Asks<'_> {
        type Error = NoKeys;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NoKeys> {
            Err(NoKeys::custom("it has no fields"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, NoKeys> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut keys: &[&str] = &[];
    // It only asks.
    let _ = T::deserialize(Asks(&mut keys));
    keys
}

impl Node {
    fn unexpected(&self) -> Unexpected<'_> {
        match &self.kind {
            Kind::Null => Unexpected::Other("null"),
            Kind::Bool(value) => Unexpected::Bool(*value),
            Kind::Unsigned(value) => Unexpected::Unsigned(*value),
            Kind::Signed(value) => Unexpected::Signed(*value),
            Kind::Float(value) => Unexpected::Float(*value),
            Kind::Text(value) => Unexpected::Str(value),
            Kind::List(_) => Unexpected::Other("a list"),
            Kind::Table(_) => Unexpected::Other("a table"),
        }
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Unsigned(value) => visitor.visit_u64(*value),
            Kind::Signed(value) => visitor.visit_i64(*value),
            Kind::Float(value) => visitor.visit_f64(*value),
            Kind::Text(value) => visitor.visit_borrowed_str(value),
            Kind::List(list) => visitor.visit_seq(Elements {
                left: list.iter().enumerate(),
            }),
            Kind::Table(table) => visitor.visit_map(Entries {
                left: table.iter(),
                value: None,
            }),
        }
        .map_err(|problem| problem.at(self.place))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    /// Derived code takes a list as well, for formats without names.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match &self.kind {
            Kind::Table(_) => self.deserialize_any(visitor),
            _ => Err(Problem::invalid_type(self.unexpected(), &"a table").at(self.place)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let variant = match &self.kind {
            Kind::Text(name) => Variant {
                name,
                place: self.place,
                value: None,
            },
            Kind::Table(table) => match &table[..] {
                [(Key { text, place }, value)] => Variant {
                    name: text,
                    place: *place,
                    value: Some(value),
                },
                _ => return Err(Problem::new("one key is expected here").at(self.place)),
            },
            _ => {
                let expected = &"text or a table with one key";
                return Err(Problem::invalid_type(self.unexpected(), expected).at(self.place));
            }
        };
        visitor
            .visit_enum(variant)
            .map_err(|problem| problem.at(self.place))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

struct Elements<'de> {
    left: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Problem> {
        let Some((index, node)) = self.left.next() else {
            return Ok(None);
        };
        let element = seed.deserialize(node);
        element
            .map(Some)
            .map_err(|problem| problem.at(node.place).inside(Step::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

struct Entries<'de> {
    left: std::slice::Iter<'de, (Key, Node)>,
    value: Option<&'de (Key, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        self.value = self.left.next();
        let Some((key, _)) = self.value else {
            return Ok(None);
        };
        let text: StrDeserializer<'_, Problem> = key.text.as_str().into_deserializer();
        let read = seed.deserialize(text);
        read.map(Some).map_err(|problem| problem.at(key.place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let Some((key, node)) = self.value.take() else {
            return Err(Problem::new("a value without a key"));
        };
        seed.deserialize(node)
            .map_err(|problem| problem.at(node.place).inside(Step::Key(key.text.clone())))
    }
}

/// One of several: by its name, with a value or without.
struct Variant<'de> {
    name: &'de str,
    place: usize,
    value: Option<&'de Node>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Problem;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Problem> {
        let name: StrDeserializer<'_, Problem> = self.name.into_deserializer();
        let variant = seed.deserialize(name);
        let variant = variant.map_err(|problem| problem.at(self.place))?;
        Ok((variant, self))
    }
}

impl<'de> Variant<'de> {
    fn value(&self) -> Result<&'de Node, Problem> {
        let name = self.name;
        self.value.ok_or_else(|| {
            Problem::new(format_args!("`{name}` needs a value: {{ {name} = … }}")).at(self.place)
        })
    }

    fn read<T>(self, read: impl FnOnce(&'de Node) -> Result<T, Problem>) -> Result<T, Problem> {
        let node = self.value()?;
        let step = || Step::Key(self.name.to_owned());
        read(node).map_err(|problem| problem.at(node.place).inside(step()))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(Problem::new(format_args!(
                "`{0}` has no value; it is written \"{0}\"",
                self.name
            ))
            .at(self.place)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        self.read(|node| seed.deserialize(node))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.read(|node| Deserializer::deserialize_any(node, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.read(|node| node.deserialize_struct("", fields, visitor))
    }
}
