//! Files that are written.

use wasmrun_core::{Error, ErrorKind, Result};

use super::node::{Kind, Node};
use super::{RunFile, json, variables};

pub(super) fn toml(file: &RunFile) -> Result<String> {
    let mut node = said(file)?;
    large_as_text(&mut node);
    ::toml::to_string_pretty(&node).map_err(failed)
}

pub(super) fn json(file: &RunFile) -> Result<String> {
    let text = serde_json::to_string_pretty(&said(file)?).map_err(failed)?;
    Ok(text + "\n")
}

/// What has to be said of it.
fn said(file: &RunFile) -> Result<Node> {
    let mut node = node_of(file)?;
    leave_out(&mut node, Some(&node_of(&RunFile::default())?));
    escape(&mut node);
    for (name, value) in node.environment() {
        if file.launch.variables.contains(name) {
            *value = variables::reference(name);
        }
    }
    Ok(node)
}

fn node_of(file: &RunFile) -> Result<Node> {
    // Text has the order of the fields.
    let text = serde_json::to_string(file).map_err(failed)?;
    json::parse(&text).map_err(failed)
}

fn failed(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Config, "the run cannot be written to a file").with_source(source)
}

/// Leaves out of tables what is nothing, and what is so anyway.
fn leave_out(node: &mut Node, anyway: Option<&Node>) {
    match &mut node.kind {
        Kind::Table(table) => {
            let anyway = |key: &str| match anyway.map(|node| &node.kind) {
                Some(Kind::Table(table)) => table
                    .iter()
                    .find_map(|(other, node)| (other.text == key).then_some(node)),
                _ => None,
            };
            table.retain_mut(|(key, node)| {
                let anyway = anyway(&key.text);
                let is_said = !matches!(node.kind, Kind::Null) && anyway != Some(&*node);
                leave_out(node, anyway);
                is_said
            });
        }
        Kind::List(list) => list.iter_mut().for_each(|node| leave_out(node, None)),
        _ => {}
    }
}

/// TOML has numbers of 63 bits.
fn large_as_text(node: &mut Node) {
    match &mut node.kind {
        Kind::Unsigned(number) if i64::try_from(*number).is_err() => {
            node.kind = Kind::Text(number.to_string());
        }
        Kind::List(list) => list.iter_mut().for_each(large_as_text),
        Kind::Table(table) => table.iter_mut().for_each(|(_, node)| large_as_text(node)),
        _ => {}
    }
}

fn escape(node: &mut Node) {
    let escaped = node.each_text(&mut |text, _| {
        *text = variables::escaped(text);
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(()) = escaped;
}
