//! [Node.js](https://nodejs.org), whose `node:wasi` is a library: `node.mjs` is the command line.
//!
//! Its directories are no walls, as its documentation says and symlinks show. So it gets none.

use serde_json::{Value, json};
use wasmrun_core::{
    Capability, Error, ErrorKind, Guest, Outcome, Proposals, Result, Support, TrapKind,
};

use super::traps::{self, trapped};
use super::{Adapter, Invocation, Job, Verdict, common_capability, refuse_start_with_wasi, utf8};
use crate::version::Version;

pub(super) struct Node;

/// Runs as `node --eval SHIM -- JOB`, and writes how the guest ended to the file that the job
/// names.
const SHIM: &str = include_str!("node.mjs");
const JOB: &str = "job.json";
const OUTCOME: &str = "outcome.json";

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

    fn capability(&self, version: &Version) -> Capability {
        use Support::Native;
        Capability {
            proposals: proposals(version),
            argv0: Native,
            entry: Native,
            reports_exit_codes: Native,
            ..common_capability()
        }
    }

    fn accept(&self, guest: &Guest) -> Result<()> {
        refuse_start_with_wasi(guest)
    }

    fn invocation(&self, job: &Job<'_>) -> Result<Invocation> {
        let task = job.task;
        let outcome = job.scratch.path()?.join(OUTCOME);
        let told = json!({
            "program": utf8(&job.program)?,
            "args": task.args,
            "env": task.env,
            "entry": job.entry(),
            "outcome": utf8(&outcome)?,
        });
        let told = job.scratch.write(JOB, told.to_string().as_bytes())?;
        Ok(Invocation {
            args: vec![
                "--no-warnings".into(),
                "--input-type=module".into(),
                "--eval".into(),
                SHIM.into(),
                "--".into(),
                told.into(),
            ],
            ..Invocation::default()
        })
    }

    fn verdict(&self, job: &Job<'_>, code: i32, _words: &str) -> Verdict {
        let told = job
            .scratch
            .path()
            .ok()
            .and_then(|directory| std::fs::read(directory.join(OUTCOME)).ok())
            .and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        Verdict::Runtime(match told.as_ref().and_then(explain) {
            Some(outcome) => outcome,
            None => Err(Error::new(
                ErrorKind::Engine,
                format!("ended with {code} and did not tell why"),
            )),
        })
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

/// V8's words. A call through a bad table element is told without its kind.
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
    (
        "float unrepresentable in integer range",
        TrapKind::InvalidConversion,
    ),
    ("dereferencing a null pointer", TrapKind::NullReference),
    (
        "operation does not support unaligned accesses",
        TrapKind::UnalignedAtomic,
    ),
    ("Maximum call stack size exceeded", TrapKind::StackOverflow),
];

fn explain(told: &Value) -> Option<Result<Outcome>> {
    let message = told["message"].as_str().unwrap_or_default();
    let story = told["story"].as_str().unwrap_or(message);
    let error = |kind| Err(Error::new(kind, message).with_context("said", story));
    Some(match told["kind"].as_str()? {
        "exited" => {
            // Exit codes are unsigned in WASI, and signed to everybody who reads them.
            let code = told["code"].as_i64()? as i32;
            Ok(Outcome::Exited(code))
        }
        "trapped" => {
            let words = message
                .split_once("(): ")
                .map_or(message, |(_, words)| words);
            let kind = traps::kind(WORDS, words).unwrap_or(TrapKind::Other);
            Ok(trapped(kind, story))
        }
        "threw" => Ok(trapped(TrapKind::UncaughtException, story)),
        "failed" => Ok(trapped(TrapKind::HostFunction, story)),
        "invalid" => error(ErrorKind::Invalid),
        "unlinkable" => error(ErrorKind::Unsupported),
        _ => error(ErrorKind::Engine),
    })
}
