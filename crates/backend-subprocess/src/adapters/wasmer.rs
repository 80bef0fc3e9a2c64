//! [wasmer](https://wasmer.io)'s command line.
//!
//! Its directories are no walls: it checks a path and then opens it, and a symlink put in between
//! leads out. So it gets none, and its guests see but the file system in memory that wasmer gives
//! to all of them. It takes exit codes modulo 256.

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
        let (blank, plain): (Vec<_>, Vec<_>) = task
            .env
            .iter()
            .cloned()
            .partition(|(name, value)| is_blank(name, value));
        command_line::environment(&mut args, "--env", &plain);
        if !blank.is_empty() {
            let file = job.scratch.write("env", env_file(&blank)?.as_bytes())?;
            args.push(format!("--env-file={}", utf8(&file)?).into());
        }
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
                Marker::anywhere(if wasi { TRAPPED } else { PLAIN_TRAPPED }),
                Marker::anywhere(if wasi { THREW } else { PLAIN_THREW }),
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
        let outcome = match code {
            FAILED => explain(words),
            NO_EXEC => trap(words).map(Ok),
            _ => None,
        };
        match outcome {
            Some(outcome) => Verdict::Runtime(outcome),
            None => Verdict::Guest(Outcome::Exited(code)),
        }
    }
}

/// It could not run the guest, or a guest without WASI trapped.
const FAILED: i32 = 1;
/// A guest with WASI trapped: the number of WASI's error NOEXEC.
const NO_EXEC: i32 = 45;

const TRAPPED: &str = "RuntimeError: ";
const THREW: &str = "Uncaught exception\n";
const PLAIN_TRAPPED: &str = "error: RuntimeError: ";
const PLAIN_THREW: &str = "error: Uncaught exception\n";
const NOT_INSTANTIATED: &str = "error: Unable to instantiate the WebAssembly module";
const NOT_SPAWNED: &str = "error: Spawn failed";
const NOT_COMPILED: &str = "error: Unable to compile \"";
const NOT_SET_UP: &str = "error: WASI state setup failed";

/// Whether its command line would change a variable: it trims what it is given, and takes an empty
/// value for a missing one.
fn is_blank(name: &str, value: &str) -> bool {
    value.is_empty() || value.trim_end() != value || name.trim_start() != name
}

/// The file in which such a variable can be written, quoted; its name has to be a plain one.
fn env_file(variables: &[(String, String)]) -> Result<String> {
    let mut file = String::new();
    for (name, value) in variables {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
        let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !starts || !name.bytes().all(plain) {
            return Err(unsupported(format!(
                "cannot pass environment variable {name}: it is empty, or starts or ends with a space, and its name has other characters than A to Z, digits, dots and underscores"
            )));
        }
        let mut quoted = String::with_capacity(value.len());
        for character in value.chars() {
            match character {
                '\n' => quoted.push_str("\\n"),
                '\\' | '"' | '$' => quoted.extend(['\\', character]),
                character => quoted.push(character),
            }
        }
        file.push_str(&format!("{name}=\"{quoted}\"\n"));
    }
    Ok(file)
}

/// What a report of a trap says: its kind, and then nothing but the guest's call stack, which only
/// a stack that ran over lacks. `None` if the guest said it.
fn trap(words: &str) -> Option<Outcome> {
    let words = words.strip_prefix("error: ").unwrap_or(words);
    let (first, calls) = words.split_once('\n').unwrap_or((words, ""));
    let kind = match first.strip_prefix(TRAPPED) {
        Some(trap) => kind(trap),
        None if first == THREW.trim_end() => TrapKind::UncaughtException,
        None => return None,
    };
    let told = !calls.is_empty() || kind == TrapKind::StackOverflow;
    let told = told && calls.lines().all(|line| line.starts_with("    at "));
    told.then(|| trapped(kind, words))
}

/// What a report says of a guest that could not be run: an error and its causes. `None` if the
/// guest said it.
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

    #[test]
    fn what_goes_on_otherwise_is_the_guests() {
        for words in [
            "",
            "RuntimeError: unreachable",
            "RuntimeError: oops\nand more",
            "RuntimeError: oops\n    at f (<module>[0]:0x2b)\nand more",
            "error: RuntimeError: oops",
        ] {
            assert!(explain(words).is_none(), "{words}");
        }
    }
}
