//! [wasmi](https://github.com/wasmi-labs/wasmi)'s command line.

use std::ffi::OsString;

use wasmrun_core::{Capability, Error, ErrorKind, Outcome, Proposals, Result, Support, TrapKind};

use super::traps;
use crate::adapter::{Adapter, Job, relayed_capability, trapped};
use crate::version::Version;

pub(super) struct Wasmi;

impl Adapter for Wasmi {
    fn name(&self) -> &'static str {
        "wasmi-cli"
    }

    fn executable(&self) -> &'static str {
        "wasmi"
    }

    fn how_to_get(&self) -> &'static str {
        "cargo install --locked wasmi_cli"
    }

    fn version(&self, printed: &str) -> Option<Version> {
        Version::after("wasmi ", printed)
    }

    /// Before, its executable had another name and its command line no `run`.
    fn minimum(&self) -> Version {
        Version::new(2, 0, 0)
    }

    fn proposals(&self, _version: &Version) -> Proposals {
        Proposals::WASM2
            | Proposals::TAIL_CALL
            | Proposals::EXTENDED_CONST
            | Proposals::MULTI_MEMORY
            | Proposals::MEMORY64
            | Proposals::RELAXED_SIMD
            | Proposals::WIDE_ARITHMETIC
            | Proposals::CUSTOM_PAGE_SIZES
    }

    fn capability(&self, version: &Version) -> Capability {
        Capability {
            reports_trap_kinds: Support::Native,
            ..relayed_capability(self.proposals(version))
        }
    }

    fn arguments(&self, job: &Job<'_>) -> Result<Vec<OsString>> {
        let mut args = WITHOUT_READING_ALL.map(OsString::from).to_vec();
        args.extend(["--".into(), job.program.into()]);
        Ok(args)
    }

    fn explain(&self, words: &str) -> Option<Result<Outcome>> {
        (!words.is_empty()).then(|| explain(words))
    }
}

/// By itself it validates all functions at each start, and so did we when we rewrote them: now each when it is first
/// called.
const WITHOUT_READING_ALL: [&str; 3] = ["run", "--compilation-mode", "lazy"];

const NOT_INSTANTIATED: &str = "Error: failed to instantiate and start the Wasm module: ";
const NOT_LINKED: &str = "Error: failed to populate WASI externals: ";
const NOT_COMPILED: &str = "Error: failed to compile Wasm module \"";
const NOT_READ: &str = "Error: failed to read Wasm file ";

fn explain(words: &str) -> Result<Outcome> {
    let first = words.lines().next().unwrap_or_default();
    let error = |kind, start: &str| {
        let cause = first.strip_prefix(start).unwrap_or(first);
        Err(Error::new(kind, cause).with_context("said", words))
    };
    if first.starts_with(NOT_COMPILED) {
        return error(ErrorKind::Invalid, "Error: failed to compile Wasm module ");
    }
    if first.starts_with(NOT_LINKED) {
        return error(ErrorKind::Unsupported, NOT_LINKED);
    }
    if first.starts_with(NOT_READ) {
        return error(ErrorKind::Engine, "Error: ");
    }
    let instantiating = first.strip_prefix(NOT_INSTANTIATED);
    let cause = match instantiating {
        Some(cause) => cause,
        None => first
            .strip_prefix("Error: failed during execution of ")
            .and_then(|rest| rest.split_once(": "))
            .map_or(first, |(_, cause)| cause),
    };
    let cause = cause.strip_prefix("wasm `").unwrap_or(cause);
    match traps::kind(traps::SPECIFICATION, cause) {
        Some(kind) => Ok(trapped(kind, words)),
        None if instantiating.is_some() => error(ErrorKind::Unsupported, NOT_INSTANTIATED),
        None => Ok(trapped(TrapKind::HostFunction, words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_first_line_tells_what_happened() {
        let outcome = |words: &str| explain(words).expect("an outcome");
        assert_eq!(
            outcome(
                "Error: failed during execution of _start: wasm `unreachable` instruction executed"
            ),
            trapped(TrapKind::Unreachable, "")
        );
        assert_eq!(
            outcome(
                "Error: failed to instantiate and start the Wasm module: out of bounds memory access"
            ),
            trapped(TrapKind::MemoryOutOfBounds, "")
        );
        let error = explain("Error: failed to populate WASI externals: invalid Wasi import: a::b")
            .expect_err("not linked");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.to_string(), "invalid Wasi import: a::b");
    }
}
