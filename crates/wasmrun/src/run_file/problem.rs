//! What is wrong with a file, and where in it.

use std::fmt;

use serde::de::{self, Expected, Unexpected};
use wasmrun_core::guest::nearest;
use wasmrun_core::{Error, ErrorKind};

/// What is wrong, found on the way from the text to values.
#[derive(Debug)]
pub(super) struct Problem {
    what: What,
    /// Where among the values, the innermost first.
    inside: Vec<Step>,
    /// Where in the text, in bytes.
    place: Option<usize>,
}

#[derive(Debug)]
enum What {
    UnknownKey(String, Vec<&'static str>),
    UnknownValue(String, Vec<&'static str>),
    Other(String),
}

#[derive(Debug)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl Problem {
    pub(super) fn new(message: impl fmt::Display) -> Self {
        What::Other(message.to_string()).into()
    }

    /// At that byte of the text, unless it is known already where.
    pub(super) fn at(mut self, place: usize) -> Self {
        self.place.get_or_insert(place);
        self
    }

    /// In what is there.
    pub(super) fn inside(mut self, step: Step) -> Self {
        self.inside.push(step);
        self
    }

    /// At the top of the file there are these keys as well.
    pub(super) fn beside(mut self, keys: &[&'static str]) -> Self {
        if let (What::UnknownKey(_, known), []) = (&mut self.what, &self.inside[..]) {
            known.extend(keys);
        }
        self
    }

    /// As an error about the file of that name with that text.
    pub(super) fn told(self, name: &str, text: &str) -> Error {
        let mut inside = String::new();
        for step in self.inside.iter().rev() {
            match step {
                Step::Key(key) if inside.is_empty() => inside.push_str(key),
                Step::Key(key) => inside.extend([".", key]),
                Step::Index(index) => inside.push_str(&format!("[{index}]")),
            }
        }
        let place = match self.place {
            Some(place) => place_in(text, place),
            None => String::new(),
        };
        let message = match self.what {
            What::UnknownKey(key, known) => {
                let inside = match inside.as_str() {
                    "" => String::new(),
                    inside => format!(" in {inside}"),
                };
                format!(
                    "unknown key `{key}`{inside}{place}; {}",
                    way_out(&key, &known)
                )
            }
            What::UnknownValue(value, known) => {
                format!(
                    "unknown value `{value}` of {inside}{place}; {}",
                    way_out(&value, &known)
                )
            }
            What::Other(message) if inside.is_empty() => format!("{message}{place}"),
            What::Other(message) => format!("{inside}: {message}{place}"),
        };
        Error::new(ErrorKind::Config, format!("{name}: {message}"))
    }
}

/// Line and column of that byte, both from 1; a column is a character.
fn place_in(text: &str, place: usize) -> String {
    let before = &text[..text.floor_char_boundary(place)];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before[start..].chars().count() + 1;
    format!(", line {line} column {column}")
}

fn way_out(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let known: Vec<_> = known.iter().map(|key| format!("`{key}`")).collect();
            format!("there are {}", known.join(", "))
        }
    }
}

impl From<What> for Problem {
    fn from(what: What) -> Self {
        Problem {
            what,
            inside: Vec::new(),
            place: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::UnknownKey(word, _) => write!(f, "unknown key `{word}`"),
            What::UnknownValue(word, _) => write!(f, "unknown value `{word}`"),
            What::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Problem::new(message)
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Problem::new(format_args!("{found}, where {expected} is expected"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Problem::invalid_type(found, expected)
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        What::UnknownKey(key.into(), known.into()).into()
    }

    fn unknown_variant(value: &str, known: &'static [&'static str]) -> Self {
        What::UnknownValue(value.into(), known.into()).into()
    }

    fn missing_field(key: &'static str) -> Self {
        Problem::new(format_args!("`{key}` is missing"))
    }
}
