//! What is in a file, whatever its format: values that know where in the text they are.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// A value, and where it begins in the text, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) place: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Table),
}

/// Keys with their values, in the order of the text.
pub(super) type Table = Vec<(Key, Node)>;

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) place: usize,
}

impl Node {
    /// The names and values of the environment that a config has.
    pub(super) fn environment(&mut self) -> Vec<(&String, &mut String)> {
        let Kind::Table(config) = &mut self.kind else {
            return Vec::new();
        };
        let env = config.iter_mut().find(|(key, _)| key.text == "env");
        match env.map(|(_, env)| &mut env.kind) {
            Some(Kind::Table(table)) => {
                let texts = table
                    .iter_mut()
                    .filter_map(|(key, node)| match &mut node.kind {
                        Kind::Text(value) => Some((&key.text, value)),
                        _ => None,
                    });
                texts.collect()
            }
            Some(Kind::List(pairs)) => {
                let texts = pairs.iter_mut().filter_map(|pair| match &mut pair.kind {
                    Kind::List(pair) => match &mut pair[..] {
                        [name, value] => match (&name.kind, &mut value.kind) {
                            (Kind::Text(name), Kind::Text(value)) => Some((name, value)),
                            _ => None,
                        },
                        _ => None,
                    },
                    _ => None,
                });
                texts.collect()
            }
            _ => Vec::new(),
        }
    }

    /// Calls `each` with every text that is a value.
    pub(super) fn each_text<E>(
        &mut self,
        each: &mut impl FnMut(&mut String, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        match &mut self.kind {
            Kind::Text(text) => each(text, self.place),
            Kind::List(list) => list.iter_mut().try_for_each(|node| node.each_text(each)),
            Kind::Table(table) => table
                .iter_mut()
                .try_for_each(|(_, node)| node.each_text(each)),
            Kind::Null | Kind::Bool(_) | Kind::Unsigned(_) | Kind::Signed(_) | Kind::Float(_) => {
                Ok(())
            }
        }
    }
}

/// Wherever it is.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Null, Kind::Null) => true,
            (Kind::Bool(one), Kind::Bool(other)) => one == other,
            (Kind::Unsigned(one), Kind::Unsigned(other)) => one == other,
            (Kind::Signed(one), Kind::Signed(other)) => one == other,
            (Kind::Float(one), Kind::Float(other)) => one == other,
            (Kind::Text(one), Kind::Text(other)) => one == other,
            (Kind::List(one), Kind::List(other)) => one == other,
            (Kind::Table(one), Kind::Table(other)) => {
                let keys = one.iter().zip(other);
                one.len() == other.len()
                    && keys
                        .clone()
                        .all(|((one, _), (other, _))| one.text == other.text)
                    && keys.clone().all(|((_, one), (_, other))| one == other)
            }
            _ => false,
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.kind {
            Kind::Null => to.serialize_none(),
            Kind::Bool(value) => to.serialize_bool(*value),
            Kind::Unsigned(value) => to.serialize_u64(*value),
            Kind::Signed(value) => to.serialize_i64(*value),
            Kind::Float(value) => to.serialize_f64(*value),
            Kind::Text(value) => to.serialize_str(value),
            Kind::List(list) => {
                let mut seq = to.serialize_seq(Some(list.len()))?;
                for node in list {
                    seq.serialize_element(node)?;
                }
                seq.end()
            }
            Kind::Table(table) => {
                let mut map = to.serialize_map(Some(table.len()))?;
                for (key, node) in table {
                    map.serialize_entry(&key.text, node)?;
                }
                map.end()
            }
        }
    }
}
