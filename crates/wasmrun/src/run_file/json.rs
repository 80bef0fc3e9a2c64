//! Values of a text in JSON.

use serde_json::{Deserializer, Value};

use super::node::{Key, Kind, Node};
use super::problem::Problem;

pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    // That it is JSON, and is not too deep, is known first: what is left is where its values are.
    serde_json::from_str::<Value>(text).map_err(|error| refused(text, &error))?;
    Walk { text, at: 0 }.node()
}

fn refused(text: &str, error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let before = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1));
    let line: usize = before.map(str::len).sum();
    let message = message.strip_suffix(&place).unwrap_or(&message);
    Problem::new(message).at(line + error.column().saturating_sub(1))
}

/// A way through a text that is JSON.
struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl Walk<'_> {
    fn node(&mut self) -> Result<Node, Problem> {
        let first = self.next();
        let place = self.at;
        let kind = match first {
            Some(b'{') => {
                let mut table: Vec<(Key, Node)> = Vec::new();
                self.at += 1;
                while self.next() != Some(b'}') {
                    let place = self.at;
                    let Value::String(text) = self.scalar()? else {
                        return Err(Problem::new("this is no key").at(place));
                    };
                    if table.iter().any(|(key, _)| key.text == text) {
                        return Err(
                            Problem::new(format_args!("key `{text}` is there twice")).at(place)
                        );
                    }
                    self.pass(b':');
                    table.push((Key { text, place }, self.node()?));
                    self.pass(b',');
                }
                self.at += 1;
                Kind::Table(table)
            }
            Some(b'[') => {
                let mut list = Vec::new();
                self.at += 1;
                while self.next() != Some(b']') {
                    list.push(self.node()?);
                    self.pass(b',');
                }
                self.at += 1;
                Kind::List(list)
            }
            _ => match self.scalar()? {
                Value::Bool(value) => Kind::Bool(value),
                Value::String(text) => Kind::Text(text),
                Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                    (Some(number), _) => Kind::Unsigned(number),
                    (None, Some(number)) => Kind::Signed(number),
                    (None, None) => Kind::Float(number.as_f64().unwrap_or(f64::NAN)),
                },
                _ => Kind::Null,
            },
        };
        Ok(Node { kind, place })
    }

    /// The next character, which is not passed.
    fn next(&mut self) -> Option<u8> {
        let rest = &self.text[self.at..];
        let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
        self.at += rest.len() - rest.trim_start_matches(blank).len();
        self.text.as_bytes().get(self.at).copied()
    }

    fn pass(&mut self, expected: u8) {
        if self.next() == Some(expected) {
            self.at += 1;
        }
    }

    fn scalar(&mut self) -> Result<Value, Problem> {
        let mut values = Deserializer::from_str(&self.text[self.at..]).into_iter();
        let value = values.next().unwrap_or(Ok(Value::Null));
        let value = value.map_err(|error| Problem::new(error).at(self.at))?;
        self.at += values.byte_offset();
        Ok(value)
    }
}
