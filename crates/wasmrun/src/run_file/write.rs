//! Files that are written.

use wasmrun_core::{Error, ErrorKind, Result};

use super::node::{Kind, Node, Table};
use super::{RunFile, json, variables};

pub(super) fn toml(file: &RunFile) -> Result<String> {
    ::toml::to_string_pretty(&said(file)?).map_err(failed)
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
    if let Kind::Table(table) = &mut node.kind
        && let Some(env) = value_of(table, "env")
    {
        for name in &file.launch.variables {
            refer(env, name);
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

fn escape(node: &mut Node) {
    let escaped = node.each_text(&mut |text, _| {
        *text = variables::escaped(text);
        Ok::<(), std::convert::Infallible>(())
    });
    let Ok(()) = escaped;
}

/// Has the host's value for that variable of an environment.
fn refer(env: &mut Node, name: &str) {
    let reference = Kind::Text(variables::reference(name));
    match &mut env.kind {
        Kind::Table(table) => {
            if let Some(value) = value_of(table, name) {
                value.kind = reference;
            }
        }
        Kind::List(pairs) => {
            for pair in pairs {
                if let Kind::List(pair) = &mut pair.kind
                    && let [of, value] = &mut pair[..]
                    && matches!(&of.kind, Kind::Text(text) if text == name)
                {
                    value.kind = reference.clone();
                }
            }
        }
        _ => {}
    }
}

fn value_of<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Node> {
    table
        .iter_mut()
        .find_map(|(other, node)| (other.text == key).then_some(node))
}
