//! Values of a text in TOML.

use toml::Spanned;
use toml::de::{DeInteger, DeString, DeTable, DeValue};

use super::node::{Key, Kind, Node, Table};
use super::problem::Problem;

pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let table = DeTable::parse(text).map_err(|error| {
        let problem = Problem::new(error.message());
        match error.span() {
            Some(span) => problem.at(span.start),
            None => problem,
        }
    })?;
    Ok(Node {
        kind: Kind::Table(entries(table.into_inner())?),
        place: 0,
    })
}

fn entries(table: DeTable<'_>) -> Result<Table, Problem> {
    let entry = |(key, value): (Spanned<DeString<'_>>, _)| {
        let place = key.span().start;
        let text = key.into_inner().into_owned();
        Ok((Key { text, place }, node(value)?))
    };
    table.into_iter().map(entry).collect()
}

fn node(value: Spanned<DeValue<'_>>) -> Result<Node, Problem> {
    let place = value.span().start;
    let kind = match value.into_inner() {
        DeValue::String(text) => Kind::Text(text.into_owned()),
        DeValue::Integer(number) => {
            integer(&number).ok_or_else(|| Problem::new("the number is too large").at(place))?
        }
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => Kind::Float(number),
            Err(_) => return Err(Problem::new("this is no number").at(place)),
        },
        DeValue::Boolean(value) => Kind::Bool(value),
        // A moment need not be put in quotes.
        DeValue::Datetime(moment) => Kind::Text(moment.to_string()),
        DeValue::Array(list) => {
            let list: Result<_, _> = list.into_iter().map(node).collect();
            Kind::List(list?)
        }
        DeValue::Table(table) => Kind::Table(entries(table)?),
    };
    Ok(Node { kind, place })
}

fn integer(number: &DeInteger<'_>) -> Option<Kind> {
    let number = i128::from_str_radix(number.as_str(), number.radix()).ok()?;
    let unsigned = u64::try_from(number).map(Kind::Unsigned);
    unsigned
        .or_else(|_| i64::try_from(number).map(Kind::Signed))
        .ok()
}
