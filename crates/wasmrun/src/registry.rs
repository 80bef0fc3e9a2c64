//! The engines wasmrun knows, best first: one line for each.

use std::path::Path;
use std::sync::Arc;

use wasmrun_core::{Answers, Engine, Result};

/// An engine wasmrun knows.
#[derive(Debug)]
pub(crate) struct Known {
    /// Its name, as `--engine` takes it.
    pub name: &'static str,
    /// The Cargo feature that builds it in.
    pub feature: &'static str,
    /// How to get at it; `None` if it is not built in.
    pub open: Option<Open>,
}

/// An engine, or why it is not here.
pub(crate) type Opened = Result<Arc<dyn Engine>>;

/// How to get at an engine.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "a build without engines makes neither")]
pub(crate) enum Open {
    /// It is linked into this process.
    InProcess(fn() -> Opened),
    /// It is a library that is loaded into this process when it is opened.
    Library(fn() -> Opened),
    /// It is an executable.
    Executable {
        /// Looks for it under its usual name.
        find: fn(&str, Option<&dyn Answers>) -> Opened,
        /// Takes the one at a path.
        at: fn(&str, &Path, Option<&dyn Answers>) -> Opened,
    },
}

macro_rules! registry {
    ($($name:literal if $feature:literal: $kind:ident($($backend:ident)::+);)*) => {
        pub(crate) const KNOWN: &[Known] = &[$(Known {
            name: $name,
            feature: $feature,
            open: {
                #[cfg(feature = $feature)]
                { Some(registry!(@$kind $($backend)::+)) }
                #[cfg(not(feature = $feature))]
                { None }
            },
        },)*];
    };
    (@InProcess $($engine:ident)::+) => {
        Open::InProcess(|| Ok(Arc::new($($engine)::+::new()?)))
    };
    (@Library $($engine:ident)::+) => {
        Open::Library(|| Ok(Arc::new($($engine)::+::new()?)))
    };
    (@Executable $backend:ident) => {
        Open::Executable {
            find: |name, answers| Ok(Arc::new($backend::find(name, answers)?)),
            at: |name, path, answers| Ok(Arc::new($backend::at(name, path, answers)?)),
        }
    };
}

// In-process engines first: they start in microseconds where an executable takes milliseconds. WasmEdge interprets
// slower than wasmi.
registry! {
    "wasmtime" if "wasmtime": InProcess(wasmrun_backend_wasmtime::WasmtimeEngine);
    "wasmer" if "wasmer": InProcess(wasmrun_backend_wasmer::WasmerEngine);
    "wasmi" if "wasmi": InProcess(wasmrun_backend_wasmi::WasmiEngine);
    "wasmedge" if "wasmedge": Library(wasmrun_backend_wasmedge::WasmEdgeEngine);
    "wasmtime-cli" if "subprocess": Executable(wasmrun_backend_subprocess);
    "wasmer-cli" if "subprocess": Executable(wasmrun_backend_subprocess);
    "wasmi-cli" if "subprocess": Executable(wasmrun_backend_subprocess);
    "wasmedge-cli" if "subprocess": Executable(wasmrun_backend_subprocess);
    "wazero-cli" if "subprocess": Executable(wasmrun_backend_subprocess);
    "node-cli" if "subprocess": Executable(wasmrun_backend_subprocess);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "subprocess")]
    #[test]
    fn every_runtime_the_subprocess_backend_knows_has_a_line() {
        let executables: Vec<_> = KNOWN
            .iter()
            .filter(|known| matches!(known.open, Some(Open::Executable { .. })))
            .map(|known| known.name)
            .collect();
        assert_eq!(executables, wasmrun_backend_subprocess::NAMES);
    }

    #[test]
    fn in_process_engines_come_before_executables() {
        let first_executable = KNOWN
            .iter()
            .position(|known| known.name.ends_with("-cli"))
            .expect("executables are known, built in or not");
        assert!(
            KNOWN[first_executable..]
                .iter()
                .all(|known| known.name.ends_with("-cli"))
        );
    }
}
