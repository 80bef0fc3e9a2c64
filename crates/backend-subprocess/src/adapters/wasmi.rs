//! [wasmi](https://github.com/wasmi-labs/wasmi)'s command line.
//!
//! It shows directories under their host paths only, and its `--fuel` writes a line into the
//! guest's standard output.

use std::path::{Path, PathBuf};

use wasmrun_core::{
    Capability, Error, ErrorKind, Guest, Outcome, Preopen, Proposals, Result, Support, TrapKind,
};

use super::traps::{self, trapped};
use super::{
    Adapter, Invocation, Job, Verdict, command_line, common_capability, lost_exit_code,
    refuse_initialize, unsupported, utf8,
};
use crate::stderr::Marker;
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

    fn capability(&self, _version: &Version) -> Capability {
        use Support::{Emulated, Native};
        Capability {
            proposals: Proposals::WASM2
                | Proposals::TAIL_CALL
                | Proposals::EXTENDED_CONST
                | Proposals::MULTI_MEMORY
                | Proposals::MEMORY64
                | Proposals::RELAXED_SIMD
                | Proposals::WIDE_ARITHMETIC
                | Proposals::CUSTOM_PAGE_SIZES,
            argv0: Emulated,
            preopens: Native,
            entry: Native,
            reports_trap_kinds: Native,
            ..common_capability()
        }
    }

    fn accept(&self, guest: &Guest) -> Result<()> {
        refuse_initialize(guest)
    }

    fn invocation(&self, job: &Job<'_>) -> Result<Invocation> {
        let task = job.task;
        if let Some((name, _)) = task.env.iter().find(|(_, value)| value.is_empty()) {
            return Err(unsupported(format!(
                "cannot pass environment variable {name} with an empty value"
            )));
        }
        let entry = job.entry();
        // Without this an export without a name would be called before `_start`.
        let mut args = vec!["run".into(), format!("--invoke={entry}").into()];
        command_line::environment(&mut args, "--env", &task.env);
        for preopen in &task.preopens {
            check_path(preopen)?;
            args.push(format!("--dir={}", preopen.guest).into());
        }
        args.push("--".into());
        // `argv[0]` is the program as it is named here.
        args.push(job.argv0().into());
        args.extend(job.args().iter().map(Into::into));
        Ok(Invocation {
            args,
            directory: Some(directory(job)?),
            markers: vec![
                Marker::anywhere(format!("Error: failed during execution of {entry}: ")),
                Marker::anywhere(NOT_INSTANTIATED),
                Marker::first(NOT_LINKED),
                Marker::first(NOT_COMPILED),
                Marker::first(NOT_READ),
            ],
            ..Invocation::default()
        })
    }

    fn verdict(&self, _job: &Job<'_>, code: i32, words: &str) -> Verdict {
        match (code, words) {
            (1, words) if !words.is_empty() => Verdict::Runtime(explain(words)),
            (code, _) => Verdict::Guest(Outcome::Exited(code)),
        }
    }
}

const NOT_INSTANTIATED: &str = "Error: failed to instantiate and start the Wasm module: ";
const NOT_LINKED: &str = "Error: failed to populate WASI externals: ";
const NOT_COMPILED: &str = "Error: failed to compile Wasm module \"";
const NOT_READ: &str = "Error: failed to read Wasm file ";

/// A directory's name in the guest is the one it is opened by.
fn check_path(preopen: &Preopen) -> Result<()> {
    let guest = Path::new(&preopen.guest);
    let same = |host: &Path| {
        let real = |path: &Path| path.canonicalize().ok();
        real(guest).is_some() && real(guest) == real(host)
    };
    // Relative names are made to lead to the right place, see `directory`.
    if guest.is_absolute() && !same(&preopen.host) {
        return Err(unsupported(format!(
            "cannot show {} as {}: directories keep their host path",
            preopen.host.display(),
            preopen.guest
        )));
    }
    Ok(())
}

/// The working directory, in which the program is found by the name that becomes `argv[0]`, and
/// directories are found by their relative names.
fn directory(job: &Job<'_>) -> Result<PathBuf> {
    let relative: Vec<_> = job
        .task
        .preopens
        .iter()
        .filter(|preopen| !Path::new(&preopen.guest).is_absolute())
        .collect();
    if let Some(here) = relative.iter().find(|preopen| preopen.guest == ".") {
        return here_is(&here.host, job, &relative);
    }
    let program = job.program_named(job.argv0())?;
    if relative.is_empty() {
        return Ok(program.parent().unwrap_or(Path::new("/")).to_owned());
    }
    let directory = job.scratch.path()?.to_owned();
    if program.parent() != Some(&directory) {
        job.scratch.link(job.argv0(), &program)?;
    }
    for preopen in relative {
        if preopen.guest == job.argv0() {
            return Err(unsupported(format!(
                "cannot tell directory {} from argv[0]",
                preopen.guest
            )));
        }
        job.scratch.link(&preopen.guest, &preopen.host)?;
    }
    Ok(directory)
}

/// `.` is one directory only: the program and the other relative directories must be in it.
fn here_is(host: &Path, job: &Job<'_>, relative: &[&Preopen]) -> Result<PathBuf> {
    let same = |name: &str, target: &Path| {
        let there = host.join(name).canonicalize().ok();
        there.is_some() && there == target.canonicalize().ok()
    };
    if !same(job.argv0(), &job.program) {
        return Err(unsupported(format!(
            "cannot show {} as `.` unless the guest's file is in it under the name {}",
            utf8(host)?,
            job.argv0()
        )));
    }
    for preopen in relative {
        if !same(&preopen.guest, &preopen.host) {
            return Err(unsupported(format!(
                "cannot show {} as {} while {} is `.`: directories keep their host path",
                preopen.host.display(),
                preopen.guest,
                host.display()
            )));
        }
    }
    Ok(host.to_owned())
}

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
    if cause.starts_with("exit with invalid exit status") {
        return Err(lost_exit_code("0 to 125").with_context("said", words));
    }
    if let Some(code) = cause.strip_prefix("Exited with i32 exit status ")
        && let Ok(code) = code.trim().parse()
    {
        return Ok(Outcome::Exited(code));
    }
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
