//! [wasmer](https://wasmer.io)'s command line.
//!
//! Its guests live in a file system of wasmer's own, in memory, which they see as `/` whatever they
//! are given, and in which the directories they are given are.

use std::path::Path;

use wasmrun_core::{
    Capability, Error, ErrorKind, Guest, Outcome, Proposals, Result, Support, TrapKind, WasiVersion,
};

use super::traps::{self, trapped};
use super::{
    Adapter, Invocation, Job, Verdict, command_line, common_capability, refuse_initialize,
    refuse_start_with_wasi, unsupported, utf8,
};
use crate::stderr::Marker;
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

    fn capability(&self, _version: &Version) -> Capability {
        use Support::{Emulated, Native};
        Capability {
            proposals: Proposals::WASM2
                | Proposals::THREADS
                | Proposals::EXTENDED_CONST
                | Proposals::MULTI_MEMORY
                | Proposals::RELAXED_SIMD
                | Proposals::EXCEPTIONS
                | Proposals::WIDE_ARITHMETIC,
            unstable: Native,
            argv0: Emulated,
            preopens: Native,
            mapped_preopens: Native,
            reports_trap_kinds: Native,
            ..common_capability()
        }
    }

    fn passes_large_exit_codes(&self) -> bool {
        true
    }

    fn accept(&self, guest: &Guest) -> Result<()> {
        if guest.wasi() == WasiVersion::None {
            return refuse_initialize(guest);
        }
        refuse_start_with_wasi(guest)
    }

    fn invocation(&self, job: &Job<'_>) -> Result<Invocation> {
        let task = job.task;
        let mut args = ["run", "--offline", "--no-tty", "--disable-cache"]
            .map(Into::into)
            .to_vec();
        // Its settings and caches would be the user's.
        let own = utf8(job.scratch.path()?)?;
        args.push(format!("--wasmer-dir={own}").into());
        args.push(format!("--cache-dir={own}").into());
        for (name, value) in &task.env {
            check_variable(name, value)?;
        }
        command_line::environment(&mut args, "--env", &task.env);
        if task.preopens.iter().any(|preopen| preopen.guest == ".") {
            return Err(unsupported("cannot map a directory to `.`"));
        }
        command_line::directories(
            &mut args,
            "--volume",
            &task.preopens,
            |host, guest| format!("{host}:{guest}"),
            |text| text.rsplit_once(':').unwrap_or_default(),
        )?;
        args.push("--".into());
        // `argv[0]` is the program as it is named here.
        let program = job.program_named(job.argv0())?;
        args.push(job.argv0().into());
        let wasi = job.guest.wasi() != WasiVersion::None;
        if wasi {
            args.extend(job.args().iter().map(Into::into));
        }
        Ok(Invocation {
            args,
            directory: Some(program.parent().unwrap_or(Path::new("/")).to_owned()),
            markers: vec![
                Marker::anywhere(TRAPPED),
                Marker::anywhere(THREW),
                Marker::anywhere(NOT_INSTANTIATED),
                Marker::anywhere(NOT_SPAWNED),
                Marker::first(NOT_COMPILED),
                Marker::first(NOT_SET_UP),
            ],
            // It prints the results of a guest without WASI: none, and the end of the line.
            discards_stdout: !wasi,
        })
    }

    fn verdict(&self, _job: &Job<'_>, code: i32, words: &str) -> Verdict {
        match explain(words) {
            Some(outcome) if code != 0 => Verdict::Runtime(outcome),
            _ => Verdict::Guest(Outcome::Exited(code)),
        }
    }
}

const TRAPPED: &str = "error: RuntimeError: ";
const THREW: &str = "error: Uncaught exception";
const NOT_INSTANTIATED: &str = "error: Unable to instantiate the WebAssembly module";
const NOT_SPAWNED: &str = "error: Spawn failed";
const NOT_COMPILED: &str = "error: Unable to compile \"";
const NOT_SET_UP: &str = "error: WASI state setup failed";

/// It trims what it is given, and takes an empty value for a missing one.
fn check_variable(name: &str, value: &str) -> Result<()> {
    if value.is_empty() || value.trim_end() != value || name.trim_start() != name {
        return Err(unsupported(format!(
            "cannot pass environment variable {name}: it is empty, or starts or ends with a space"
        )));
    }
    Ok(())
}

/// `None` if the guest said it.
fn explain(words: &str) -> Option<Result<Outcome>> {
    let first = words.lines().next()?;
    // A call stack may follow, or a list of causes; nothing else.
    let mut rest = words.lines().skip(1);
    if !rest.all(|line| line.starts_with("    at ") || line.starts_with(['╰', '├', '│', ' ']))
    {
        return None;
    }
    if first == THREW {
        return Some(Ok(trapped(TrapKind::UncaughtException, words)));
    }
    if let Some(trap) = first.strip_prefix(TRAPPED) {
        return Some(Ok(trapped(kind(trap), words)));
    }
    let cause = words
        .split_once("1: ")
        .and_then(|(_, causes)| causes.lines().next())
        .unwrap_or(first);
    if let Some(trap) = cause.strip_prefix("RuntimeError: ") {
        return Some(Ok(trapped(kind(trap), words)));
    }
    let what = if first.starts_with(NOT_COMPILED) {
        ErrorKind::Invalid
    } else if first.starts_with(NOT_INSTANTIATED)
        || cause.starts_with("Failed to create the instance")
    {
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

    #[test]
    fn what_goes_on_otherwise_is_the_guests() {
        assert!(explain("error: RuntimeError: oops\nand more").is_none());
    }
}
