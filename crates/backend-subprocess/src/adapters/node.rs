//! [Node.js](https://nodejs.org), whose `node:wasi` is a library: `node.mjs` is the command line.

use std::ffi::OsString;
use std::path::Path;

use serde_json::Value;
use wasmrun_core::{Error, ErrorKind, Outcome, Proposals, Result, TrapKind};

use super::traps;
use crate::adapter::{Adapter, Job, trapped};
use crate::version::Version;

pub(super) struct Node;

/// Runs as `node --eval SHIM -- PROGRAM`, and says in JSON what went wrong.
const SHIM: &str = include_str!("node.mjs");

impl Adapter for Node {
    fn name(&self) -> &'static str {
        "node-cli"
    }

    fn executable(&self) -> &'static str {
        "node"
    }

    fn how_to_get(&self) -> &'static str {
        "installing Node.js, https://nodejs.org"
    }

    fn version(&self, printed: &str) -> Option<Version> {
        let printed = printed.trim();
        (printed.starts_with('v') && printed.lines().count() == 1)
            .then(|| Version::parse(printed))?
    }

    /// The first whose `node:wasi` needs no flag.
    fn minimum(&self) -> Version {
        Version::new(20, 0, 0)
    }

    fn proposals(&self, version: &Version) -> Proposals {
        proposals(version)
    }

    fn arguments(&self, job: &Job<'_>) -> Result<Vec<OsString>> {
        Ok(vec![
            "--no-warnings".into(),
            "--input-type=module".into(),
            "--eval".into(),
            SHIM.into(),
            "--".into(),
            job.program.into(),
        ])
    }

    /// It has no command that runs a module: that takes a script.
    fn plain_arguments(&self, _: &Path, _: &[String]) -> Option<Vec<OsString>> {
        None
    }

    fn explain(&self, words: &str) -> Option<Result<Outcome>> {
        // Before, V8 may have said something.
        let told = words.lines().next_back()?;
        explain(&serde_json::from_str(told).ok()?)
    }
}

/// As V8 came to have them on by default.
fn proposals(version: &Version) -> Proposals {
    let mut proposals = Proposals::WASM2 | Proposals::TAIL_CALL | Proposals::LEGACY_EXCEPTIONS;
    if version.at_least(22) {
        proposals |= Proposals::EXTENDED_CONST
            | Proposals::RELAXED_SIMD
            | Proposals::MULTI_MEMORY
            | Proposals::FUNCTION_REFERENCES
            | Proposals::GC;
    }
    if version.at_least(24) {
        proposals |= Proposals::MEMORY64;
    }
    if version.at_least(25) {
        proposals |= Proposals::EXCEPTIONS;
    }
    proposals | Proposals::THREADS
}

/// V8's words. A call through a bad table element is told without its kind, and both ways in which a
/// float cannot become an integer by the same words.
const WORDS: &traps::Words = &[
    ("unreachable", TrapKind::Unreachable),
    ("memory access out of bounds", TrapKind::MemoryOutOfBounds),
    ("data segment", TrapKind::MemoryOutOfBounds),
    ("table index is out of bounds", TrapKind::TableOutOfBounds),
    ("table access out of bounds", TrapKind::TableOutOfBounds),
    ("element segment", TrapKind::TableOutOfBounds),
    ("divide by zero", TrapKind::DivideByZero),
    ("remainder by zero", TrapKind::DivideByZero),
    ("divide result unrepresentable", TrapKind::IntegerOverflow),
    ("dereferencing a null pointer", TrapKind::NullReference),
    (
        "operation does not support unaligned accesses",
        TrapKind::UnalignedAtomic,
    ),
    ("Maximum call stack size exceeded", TrapKind::StackOverflow),
];

fn explain(told: &Value) -> Option<Result<Outcome>> {
    let message = told["message"].as_str()?;
    let story = told["story"].as_str().unwrap_or(message);
    let error = |kind| Err(Error::new(kind, message).with_context("said", story));
    let began = told["began"].as_bool().unwrap_or_default();
    Some(match told["name"].as_str()? {
        "CompileError" => error(ErrorKind::Invalid),
        "LinkError" => error(ErrorKind::Unsupported),
        "RangeError" if !began => {
            let message = format!("cannot give the guest what it begins with: {message}");
            Err(Error::new(ErrorKind::Engine, message).with_context("said", story))
        }
        "RuntimeError" | "RangeError" => {
            let words = message
                .split_once("(): ")
                .map_or(message, |(_, words)| words);
            let kind = traps::kind(WORDS, words).unwrap_or(TrapKind::Other);
            Ok(trapped(kind, story))
        }
        "Exception" => Ok(trapped(TrapKind::UncaughtException, story)),
        _ => error(ErrorKind::Engine),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_cannot_begin_without_is_no_trap() {
        let told = |name: &str, began: bool, message: &str| {
            let told = serde_json::json!({ "name": name, "began": began, "message": message });
            Node.explain(&format!("Error: unrecognized flag\n{told}"))
                .expect("its own")
        };
        let error = told(
            "RangeError",
            false,
            "WebAssembly.Instance(): Out of memory: ...",
        );
        let error = error.expect_err("no outcome");
        assert_eq!(error.kind(), ErrorKind::Engine);
        assert!(error.to_string().contains("Out of memory"), "{error}");
        let overflow = told("RangeError", true, "Maximum call stack size exceeded");
        assert_eq!(
            overflow.expect("an outcome"),
            trapped(TrapKind::StackOverflow, "")
        );
        let segment = "WebAssembly.Instance(): data segment 0 is out of bounds";
        assert_eq!(
            told("RuntimeError", false, segment).expect("an outcome"),
            trapped(TrapKind::MemoryOutOfBounds, "")
        );
    }
}
