//! [WasmEdge](https://wasmedge.org)'s command line. What it says of errors goes to its standard output.

use std::ffi::OsString;
use std::path::Path;

use wasmrun_core::{Capability, Error, ErrorKind, Outcome, Proposals, Result, Support, TrapKind};

use super::traps;
use crate::adapter::{Adapter, Compiler, Job, relayed_capability, trapped};
use crate::version::Version;

pub(super) struct WasmEdge;

impl Adapter for WasmEdge {
    fn name(&self) -> &'static str {
        "wasmedge-cli"
    }

    fn executable(&self) -> &'static str {
        "wasmedge"
    }

    fn how_to_get(&self) -> &'static str {
        "installing WasmEdge, https://wasmedge.org/docs/start/install"
    }

    fn version(&self, printed: &str) -> Option<Version> {
        let told = printed.to_ascii_lowercase().contains("wasmedge");
        told.then(|| Version::after("version ", printed))?
    }

    /// Before, there was no way to keep its diagnostics out of the guest's standard output.
    fn minimum(&self) -> Version {
        Version::new(0, 17, 0)
    }

    fn proposals(&self, version: &Version) -> Proposals {
        // A memory of 64 bits would be the first one, and WASI's own has 32.
        let proposals = Proposals::WASM3.difference(Proposals::MEMORY64) | Proposals::THREADS;
        if version.is_older_than(&Version::new(0, 18, 0)) {
            // A guest that leaves a `try_table` by a branch can make it write outside its stack.
            return proposals.difference(Proposals::EXCEPTIONS);
        }
        proposals
    }

    fn capability(&self, version: &Version) -> Capability {
        Capability {
            stack: Support::Emulated,
            reports_trap_kinds: Support::Native,
            ..relayed_capability(self.proposals(version))
        }
    }

    fn stack_is_ours_to_bound(&self) -> bool {
        true
    }

    fn sees_first_memory_only(&self) -> bool {
        true
    }

    fn arguments(&self, job: &Job<'_>) -> Result<Vec<OsString>> {
        Ok(vec![
            "--log-level=error".into(),
            "--enable-threads".into(),
            "--".into(),
            job.program.into(),
        ])
    }

    fn plain_arguments(&self, program: &Path, args: &[String]) -> Option<Vec<OsString>> {
        let words = [program.into()].into_iter();
        Some(words.chain(args.iter().map(OsString::from)).collect())
    }

    fn explain(&self, words: &str) -> Option<Result<Outcome>> {
        explain(words)
    }

    fn compiler(&self) -> Option<&'static dyn Compiler> {
        Some(&WasmEdge)
    }
}

impl Compiler for WasmEdge {
    fn arguments(&self, job: &Job<'_>, file: &Path) -> Vec<OsString> {
        vec![
            "compile".into(),
            "--enable-threads".into(),
            job.program.into(),
            file.into(),
        ]
    }

    fn is_slow(&self) -> bool {
        true
    }
}

/// Its first error tells what happened: `[TIME] [error] execution failed: unreachable, Code: 0x40a`.
fn explain(words: &str) -> Option<Result<Outcome>> {
    let (_, error) = words.lines().find_map(|line| line.split_once("[error] "))?;
    let (what, cause) = error.split_once(" failed: ")?;
    let cause = cause
        .split_once(", Code: ")
        .map_or(cause, |(cause, _)| cause);
    Some(match what {
        "execution" => {
            let kind = traps::kind(traps::SPECIFICATION, cause).unwrap_or(TrapKind::Other);
            Ok(trapped(kind, words))
        }
        "instantiation" => match traps::kind(traps::SPECIFICATION, cause) {
            Some(kind) => Ok(trapped(kind, words)),
            None => Err(Error::new(ErrorKind::Unsupported, cause).with_context("said", words)),
        },
        _ => Err(Error::new(ErrorKind::Invalid, cause).with_context("said", words)),
    })
}
