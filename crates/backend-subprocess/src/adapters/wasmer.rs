//! [wasmer](https://wasmer.io)'s command line.

use std::ffi::OsString;
use std::path::Path;

use wasmrun_core::{Capability, Error, ErrorKind, Outcome, Proposals, Result, Support, TrapKind};

use super::command_line::utf8;
use super::traps;
use crate::adapter::{Adapter, Compiler, Job, relayed_capability, trapped};
use crate::version::Version;

pub(super) struct Wasmer;

impl Adapter for Wasmer {
    fn name(&self) -> &'static str {
        "wasmer-cli"
    }

    fn executable(&self) -> &'static str {
        "wasmer"
    }

    fn how_to_get(&self) -> &'static str {
        "cargo install --locked wasmer-cli --features cranelift"
    }

    fn version(&self, printed: &str) -> Option<Version> {
        Version::after("wasmer ", printed)
    }

    /// Before, it cannot be kept off the network.
    fn minimum(&self) -> Version {
        Version::new(7, 4, 0)
    }

    fn proposals(&self, _version: &Version) -> Proposals {
        Proposals::WASM2
            | Proposals::THREADS
            | Proposals::EXTENDED_CONST
            | Proposals::MULTI_MEMORY
            | Proposals::RELAXED_SIMD
            | Proposals::EXCEPTIONS
            | Proposals::WIDE_ARITHMETIC
    }

    fn capability(&self, version: &Version) -> Capability {
        Capability {
            reports_trap_kinds: Support::Native,
            ..relayed_capability(self.proposals(version))
        }
    }

    /// It resolves the path, and what a file in memory resolves to is not there.
    fn opens_by_name(&self) -> bool {
        true
    }

    fn arguments(&self, job: &Job<'_>) -> Result<Vec<OsString>> {
        let mut args: Vec<OsString> = ["run", "--offline", "--no-tty", "--disable-cache"]
            .map(Into::into)
            .to_vec();
        // Its settings and caches would be the user's.
        let own = utf8(job.scratch.path()?)?;
        args.push(format!("--wasmer-dir={own}").into());
        args.push(format!("--cache-dir={own}").into());
        args.push("--".into());
        args.push(job.program.into());
        Ok(args)
    }

    fn plain_arguments(&self, program: &Path, args: &[String]) -> Option<Vec<OsString>> {
        let words = ["run".into(), program.into(), "--".into()].into_iter();
        Some(words.chain(args.iter().map(OsString::from)).collect())
    }

    fn explain(&self, words: &str) -> Option<Result<Outcome>> {
        explain(words)
    }

    fn compiler(&self) -> Option<&'static dyn Compiler> {
        Some(&Wasmer)
    }
}

impl Compiler for Wasmer {
    fn arguments(&self, job: &Job<'_>, file: &Path) -> Vec<OsString> {
        vec![
            "compile".into(),
            "--quiet".into(),
            "-o".into(),
            file.into(),
            "--".into(),
            job.program.into(),
        ]
    }
}

const TRAPPED: &str = "RuntimeError: ";
const THREW: &str = "Uncaught exception";
const NOT_INSTANTIATED: &str = "error: Unable to instantiate the WebAssembly module";
const NOT_COMPILED: &str = "error: Unable to compile \"";

/// What a report of a trap says: its kind, and then the guest's call stack.
fn trap(words: &str) -> Option<Outcome> {
    let words = words.strip_prefix("error: ").unwrap_or(words);
    let first = words.lines().next()?;
    let kind = match first.strip_prefix(TRAPPED) {
        Some(trap) => kind(trap),
        None if first == THREW => TrapKind::UncaughtException,
        None => return None,
    };
    Some(trapped(kind, words))
}

/// What a report says of a guest that could not be run: an error and its causes.
fn explain(words: &str) -> Option<Result<Outcome>> {
    if let Some(outcome) = trap(words) {
        return Some(Ok(outcome));
    }
    let (first, causes) = words.split_once("\n╰─▶ 1: ")?;
    let cause = causes.lines().next().unwrap_or(first);
    let within = cause
        .strip_prefix("Failed to create the instance - ")
        .unwrap_or(cause);
    if let Some(trap) = within.strip_prefix(TRAPPED) {
        return Some(Ok(trapped(kind(trap), words)));
    }
    let what = if first.starts_with(NOT_COMPILED) {
        ErrorKind::Invalid
    } else if first.starts_with(NOT_INSTANTIATED) || within != cause {
        ErrorKind::Unsupported
    } else {
        ErrorKind::Engine
    };
    Some(Err(Error::new(what, cause).with_context("said", words)))
}

fn kind(trap: &str) -> TrapKind {
    traps::kind(traps::SPECIFICATION, trap).unwrap_or(TrapKind::HostFunction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_report_tells_what_happened() {
        let outcome = |words: &str| explain(words).expect("its own").expect("an outcome");
        assert_eq!(
            outcome("error: RuntimeError: integer overflow\n    at <unnamed> (<module>[0]:0x2b)"),
            trapped(TrapKind::IntegerOverflow, "")
        );
        assert_eq!(
            outcome(
                "error: Unable to instantiate the WebAssembly module\n╰─▶ 1: RuntimeError: unreachable\n           at s (<module>[0]:0x27)"
            ),
            trapped(TrapKind::Unreachable, "")
        );
        let error =
            explain("error: Unable to compile \"a.wasm\"\n╰─▶ 1: compile error: Validate(\"x\")")
                .expect("its own")
                .expect_err("invalid");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string(), "compile error: Validate(\"x\")");
    }
}
