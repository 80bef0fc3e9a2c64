//! The matrix of engines and what they can do, as a page of the documentation.

use std::fmt::Write;
use std::sync::Arc;

use wasmrun_core::{Capability, Engine, Place, Proposals, Support};

const HEAD: &str = "\
# What each engine can do

Written by the behaviour suite from what each engine says of itself, and proved by it: the suite runs
every rule on every engine, and where this page says *refused*, it asserts that the request is refused
before the guest starts.

- **native**: the engine does it.
- **emulated**: wasmrun does it around the engine, with the same effect.
- **–** (refused): neither does. Asking for it is an error that names the engine and the request.

";

/// The rows of the matrix, in groups: a heading, and the capabilities with what they mean.
const ROWS: &[(&str, &[(&str, &str)])] = &[
    (
        "Guests",
        &[
            ("modules", "core modules"),
            ("components", "components"),
            ("packages", "webc packages"),
            ("preview1", "WASI preview1"),
            ("unstable", "`wasi_unstable`"),
            ("preview2", "WASI preview2 (0.2)"),
            ("preview3", "WASI preview3 (0.3), experimental"),
            ("wasix", "WASIX"),
            ("wasi_threads", "wasi-threads"),
            ("shared_memories", "shared memories"),
            ("entry", "entry of the caller's choice"),
            ("live", "instances that stay"),
        ],
    ),
    (
        "What the guest sees",
        &[
            ("host_functions", "functions of the host"),
            ("args", "arguments of any kind"),
            ("argv0", "`argv[0]`"),
            ("env", "environment variables"),
            ("preopens", "directories"),
            ("mapped_preopens", "directories under another path"),
            ("read_only_preopens", "read-only directories"),
            ("file_mounts", "single files of the host"),
            ("own_mounts", "memory, archives and overlays"),
            ("working_directory", "working directory"),
            ("network", "network"),
            ("network_rules", "rules about the network"),
            ("fixed_clock", "fixed wall clock"),
            ("virtual_clock", "clocks that only the guest moves"),
            ("seeded_random", "seeded random numbers"),
            ("sorted_listings", "sorted listings"),
        ],
    ),
    (
        "What the guest may use",
        &[
            ("memory", "memory limit"),
            ("fuel", "fuel limit"),
            ("timeout", "timeout"),
            ("kill", "kill"),
            ("stack", "stack limit"),
            ("table_elements", "table limit"),
            ("instances", "instance limit"),
        ],
    ),
    (
        "What the caller is told",
        &[
            ("reports_exit_codes", "exit codes, all 32 bits"),
            ("reports_trap_kinds", "kind of a trap"),
            ("reports_fuel", "fuel used"),
            ("reports_peak_memory", "peak of memory"),
        ],
    ),
];

const PROPOSALS: &[Proposals] = &[
    Proposals::WASM2,
    Proposals::TAIL_CALL,
    Proposals::EXTENDED_CONST,
    Proposals::MULTI_MEMORY,
    Proposals::MEMORY64,
    Proposals::RELAXED_SIMD,
    Proposals::EXCEPTIONS,
    Proposals::LEGACY_EXCEPTIONS,
    Proposals::FUNCTION_REFERENCES,
    Proposals::GC,
    Proposals::THREADS,
    Proposals::WIDE_ARITHMETIC,
    Proposals::CUSTOM_PAGE_SIZES,
    Proposals::STACK_SWITCHING,
    Proposals::COMPONENT_ASYNC,
];

/// The whole page, for these engines in this order.
pub fn render(engines: &[Arc<dyn Engine>]) -> String {
    let mut page = HEAD.to_owned();
    table(&mut page, "Engine", engines, |out| {
        row(out, "version", engines, |engine| {
            engine.info().version.clone()
        });
        row(out, "where", engines, |engine| match engine.info().place {
            Place::InProcess => "in-process".into(),
            Place::Executable(_) => "executable".into(),
        });
    });
    for (heading, rows) in ROWS {
        table(&mut page, heading, engines, |out| {
            for (name, meaning) in *rows {
                row(out, meaning, engines, |engine| {
                    word(support(&engine.capability(), name)).into()
                });
            }
        });
    }
    table(&mut page, "WebAssembly", engines, |out| {
        for proposal in PROPOSALS {
            let name = if *proposal == Proposals::WASM2 {
                "WebAssembly 2.0".into()
            } else {
                proposal.to_string()
            };
            row(out, &name, engines, |engine| {
                let has = engine.capability().proposals.contains(*proposal);
                if has { "yes" } else { "–" }.into()
            });
        }
    });
    page
}

fn table(
    page: &mut String,
    heading: &str,
    engines: &[Arc<dyn Engine>],
    rows: impl FnOnce(&mut String),
) {
    let names: Vec<_> = engines
        .iter()
        .map(|engine| engine.info().name.as_str())
        .collect();
    // Writing to a string cannot fail.
    let _ = writeln!(page, "| {heading} | {} |", names.join(" | "));
    let _ = writeln!(page, "|---|{}", "---|".repeat(engines.len()));
    rows(page);
    page.push('\n');
}

fn row(
    page: &mut String,
    name: &str,
    engines: &[Arc<dyn Engine>],
    cell: impl Fn(&Arc<dyn Engine>) -> String,
) {
    let cells: Vec<_> = engines.iter().map(cell).collect();
    let _ = writeln!(page, "| {name} | {} |", cells.join(" | "));
}

fn word(support: Support) -> &'static str {
    match support {
        Support::Native => "native",
        Support::Emulated => "emulated",
        Support::Unsupported => "–",
    }
}

fn support(capability: &Capability, name: &str) -> Support {
    capability
        .iter()
        .find(|(field, _)| *field == name)
        .map(|(_, support)| support)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NullEngine;

    #[test]
    fn every_capability_has_a_row() {
        let rows: Vec<_> = ROWS
            .iter()
            .flat_map(|(_, rows)| *rows)
            .map(|(name, _)| *name)
            .collect();
        for (name, _) in Capability::default().iter() {
            assert_eq!(rows.iter().filter(|row| **row == name).count(), 1, "{name}");
        }
        assert_eq!(rows.len(), Capability::default().iter().count());
    }

    #[test]
    fn a_cell_says_what_the_engine_says() {
        let engine = NullEngine::default().with_capability(|capability| {
            capability.fuel = Support::Emulated;
            capability.kill = Support::Unsupported;
        });
        let page = render(&[Arc::new(engine)]);
        for line in [
            "| memory limit | native |",
            "| fuel limit | emulated |",
            "| kill | – |",
        ] {
            assert!(page.lines().any(|other| other == line), "{page}");
        }
    }
}
