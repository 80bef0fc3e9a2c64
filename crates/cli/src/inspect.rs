//! `wasmrun inspect GUEST`.

#[cfg(feature = "webc")]
mod package;

use std::collections::BTreeMap;

use bytesize::ByteSize;
use serde::Serialize;
use wasmrun::guest::{ComponentFunction, Import, Inspection, MemoryDecl, TableDecl, shown};
use wasmrun::{Choice, Engines, Explanation, Result, RunConfig};

use crate::args::InspectArgs;
use crate::wrap::labelled;
use crate::{guest, say};

/// Shows what a guest is; returns the exit code.
pub fn inspect(args: &InspectArgs) -> u8 {
    shown_of(args).unwrap_or_else(|error| say::error(&error, false))
}

fn shown_of(args: &InspectArgs) -> Result<u8> {
    let source = guest::find(&args.program.launch())?;
    #[cfg(feature = "webc")]
    if let Some(package) = source.package() {
        return package::inspect(package, args);
    }
    let engines = Engines::new();
    let (guest, _) = source.open(&engines, &RunConfig::new())?;
    let found = Found {
        guest: guest.inspect(),
        engines: engines.explain(&guest, &RunConfig::new(), &Choice::Auto),
    };
    Ok(match args.json {
        true => say::print_json(&found),
        false => say::print(found.describe()),
    })
}

#[derive(Debug, Serialize)]
struct Found {
    #[serde(flatten)]
    guest: Inspection,
    engines: Explanation,
}

impl Found {
    fn describe(&self) -> String {
        let guest = &self.guest;
        let mut text = format!(
            "{}: {}, {}\n",
            shown(&guest.name),
            guest.kind,
            size(guest.bytes)
        );
        let mut label = |label: &str, words: &[String]| {
            if !words.is_empty() {
                text += &labelled(label, words);
            }
        };
        label("wasi", &[guest.wasi.to_string()]);
        label(
            "entries",
            &strings(guest.entries.iter().map(|name| shown(name))),
        );
        if guest.start_section {
            label("start", &["runs code before its entry".into()]);
        }
        if guest.needs_threads {
            label("threads", &["needs a host that starts them".into()]);
        }
        label("proposals", &strings(guest.proposals.iter()));
        label("memories", &strings(guest.memories.iter().map(memory)));
        label("tables", &strings(guest.tables.iter().map(table)));
        for imports in by_module(&guest.imports) {
            label("imports", &imports);
        }
        label("calls", &functions(&guest.imported_functions));
        label("offers", &functions(&guest.exported_functions));
        label("unserved", &strings(guest.unknown_imports.iter()));
        text += "\nEngines:\n";
        for line in self.engines.to_string().lines() {
            text += &format!("  {line}\n");
        }
        text
    }
}

fn functions(functions: &[ComponentFunction]) -> Vec<String> {
    let functions = functions.iter();
    strings(functions.map(|function| format!("{function}: {}", function.signature)))
}

fn strings<T: ToString>(items: impl Iterator<Item = T>) -> Vec<String> {
    items.map(|item| item.to_string()).collect()
}

/// A list for each module imported from, which starts with the module's name. A component's imports
/// are one list.
fn by_module(imports: &[Import]) -> Vec<Vec<String>> {
    let mut modules: BTreeMap<Option<&str>, Vec<String>> = BTreeMap::new();
    for import in imports {
        let core = !import.name.is_empty();
        let names = modules.entry(core.then_some(&*import.module)).or_default();
        names.push(match (core, names.as_slice()) {
            (true, []) => format!("{}: {}", shown(&import.module), shown(&import.name)),
            (true, _) => shown(&import.name),
            (false, _) => shown(&import.module),
        });
    }
    modules.into_values().collect()
}

fn memory(memory: &MemoryDecl) -> String {
    let mut text = size(memory.initial_bytes);
    if let Some(maximum) = memory.maximum_bytes {
        text += &format!(" to {}", size(maximum));
    }
    for (is, word) in [
        (memory.imported, " imported"),
        (memory.shared, " shared"),
        (memory.memory64, " 64-bit"),
    ] {
        if is {
            text += word;
        }
    }
    text
}

fn table(table: &TableDecl) -> String {
    let imported = if table.imported { " imported" } else { "" };
    match table.maximum {
        Some(maximum) => format!("{} to {maximum}{imported}", table.initial),
        None => format!("{}{imported}", table.initial),
    }
}

fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}
