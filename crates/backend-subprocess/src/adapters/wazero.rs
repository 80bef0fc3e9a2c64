//! [wazero](https://wazero.io)'s command line.

mod source_map;

use std::ffi::OsString;
use std::path::Path;

use wasmrun_core::{Error, ErrorKind, Outcome, Proposals, Result, TrapKind};

use super::traps;
use crate::adapter::{Adapter, Compiler, Job, trapped};
use crate::version::Version;

pub(super) struct Wazero;

impl Adapter for Wazero {
    fn name(&self) -> &'static str {
        "wazero-cli"
    }

    fn executable(&self) -> &'static str {
        "wazero"
    }

    fn how_to_get(&self) -> &'static str {
        "installing wazero, https://wazero.io"
    }

    fn version_args(&self) -> &'static [&'static str] {
        &["version"]
    }

    /// Nothing but the version, or `dev` where whoever built it did not set one.
    fn version(&self, printed: &str) -> Option<Version> {
        match printed.trim() {
            "dev" => Some(Version::unreleased("dev", self.minimum())),
            printed if printed.lines().count() == 1 => Version::parse(printed),
            _ => None,
        }
    }

    fn minimum(&self) -> Version {
        Version::new(1, 0, 0)
    }

    fn proposals(&self, _version: &Version) -> Proposals {
        Proposals::WASM2
    }

    /// Seen of 1.12.0.
    fn keeps_spent_segments(&self) -> bool {
        true
    }

    /// It counts bytes in 32 bits, in which those of one page more are 0. Seen of 1.12.0.
    fn most_pages(&self) -> Option<u64> {
        Some(65535)
    }

    fn arguments(&self, job: &Job<'_>) -> Result<Vec<OsString>> {
        let mut args = vec!["run".into()];
        if let Some(code) = job.code {
            args.extend([CACHE.into(), code.into()]);
        }
        args.push(job.program.into());
        Ok(args)
    }

    fn explain(&self, words: &str) -> Option<Result<Outcome>> {
        (!words.is_empty()).then(|| explain(words))
    }

    /// Elsewhere it interprets.
    fn compiler(&self) -> Option<&'static dyn Compiler> {
        let compiles = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
        compiles.then_some(&Wazero as &dyn Compiler)
    }
}

impl Compiler for Wazero {
    fn arguments(&self, job: &Job<'_>, file: &Path) -> Vec<OsString> {
        let cache = [CACHE.into(), file.into()];
        let args = ["compile".into()].into_iter().chain(cache);
        args.chain([job.program.into()]).collect()
    }

    fn keeps_a_directory(&self) -> bool {
        true
    }

    fn trimmed(&self, kept: Vec<u8>) -> Vec<u8> {
        source_map::left_out(kept)
    }
}

/// The option that names the directory in which it keeps code.
const CACHE: &str = "-cachedir";

/// `_start` is called as a part of instantiating.
const NOT_ENDED: &str = "error instantiating wasm binary: ";
const NOT_COMPILED: &str = "error compiling wasm binary: ";
/// Of the file that its code is in, or of what is in there.
const NOT_KEPT: &[&str] = &[
    "compilationcache: ",
    "open ",
    "read ",
    "remove ",
    "rename ",
    "sync ",
    "write ",
];

/// Its own words. An "invalid table access" may be of three kinds.
const WORDS: &traps::Words = &[
    ("wasm error: unreachable", TrapKind::Unreachable),
    (
        "wasm error: out of bounds memory access",
        TrapKind::MemoryOutOfBounds,
    ),
    ("wasm error: integer divide by zero", TrapKind::DivideByZero),
    ("wasm error: integer overflow", TrapKind::IntegerOverflow),
    (
        "wasm error: invalid conversion to integer",
        TrapKind::InvalidConversion,
    ),
    (
        "wasm error: indirect call type mismatch",
        TrapKind::IndirectCallTypeMismatch,
    ),
    ("wasm error: ", TrapKind::Other),
    ("stack overflow", TrapKind::StackOverflow),
];

fn explain(words: &str) -> Result<Outcome> {
    let first = words.lines().next().unwrap_or_default();
    if let Some(cause) = first.strip_prefix(NOT_COMPILED) {
        if NOT_KEPT.iter().any(|start| cause.starts_with(start)) {
            let message = format!("cannot use the code it once compiled: {cause}");
            return Err(Error::new(ErrorKind::Engine, message).with_context("said", words));
        }
        return Err(Error::new(ErrorKind::Invalid, cause).with_context("said", words));
    }
    let cause = first.strip_prefix(NOT_ENDED).unwrap_or(first);
    // `module[NAME] function[_start] failed: CAUSE`, `start function[0] failed: CAUSE`
    if let Some((_, cause)) = cause.split_once("] failed: ") {
        let kind = traps::kind(WORDS, cause).unwrap_or(TrapKind::HostFunction);
        return Ok(trapped(kind, words));
    }
    // `data[0]: out of bounds memory access`
    let segment = cause
        .split_once("]: ")
        .and_then(|(_, cause)| traps::kind(traps::SPECIFICATION, cause));
    match segment {
        Some(kind) => Ok(trapped(kind, words)),
        None => Err(Error::new(ErrorKind::Unsupported, cause).with_context("said", words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_first_line_tells_what_happened() {
        let outcome = |words: &str| explain(words).expect("an outcome");
        let start = "error instantiating wasm binary: module[app] function[_start] failed: ";
        assert_eq!(
            outcome(&format!(
                "{start}wasm error: integer divide by zero\nwasm stack trace:\n\t.$0()"
            )),
            trapped(TrapKind::DivideByZero, "")
        );
        assert_eq!(
            outcome(&format!("{start}wasm error: invalid table access")),
            trapped(TrapKind::Other, "")
        );
        assert_eq!(
            outcome("error instantiating wasm binary: data[0]: out of bounds memory access"),
            trapped(TrapKind::MemoryOutOfBounds, "")
        );
        let error = explain("error instantiating wasm binary: module[env] not instantiated")
            .expect_err("not linked");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
