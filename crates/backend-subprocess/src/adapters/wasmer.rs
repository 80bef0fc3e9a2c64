//! [wasmer](https://wasmer.io)'s command line.

use std::path::Path;

use wasmrun_core::{
    Capability, Error, ErrorKind, Guest, Outcome, Proposals, Result, Support, TrapKind, WasiVersion,
};

use super::traps::{self, trapped};
use super::{
    Adapter, Invocation, Job, Verdict, command_line, common_capability, refuse_initialize,
    unsupported, utf8,
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

    /// Before, its command line mapped directories by other options.
    fn minimum(&self) -> Version {
        Version::new(7, 0, 0)
    }

    fn capability(&self, _version: &Version) -> Capability {
        use Support::Emulated;
        Capability {
            proposals: Proposals::WASM2,
            argv0: Emulated,
            ..common_capability()
        }
    }

    fn accept(&self, guest: &Guest) -> Result<()> {
        refuse_initialize(guest)
    }

    fn invocation(&self, job: &Job<'_>) -> Result<Invocation> {
        let task = job.task;
        let mut args = vec!["run".into(), "--no-tty".into(), "--disable-cache".into()];
        // Its settings and caches would be the user's.
        let own = utf8(job.scratch.path()?)?;
        args.push(format!("--wasmer-dir={own}").into());
        args.push(format!("--cache-dir={own}").into());
        for (name, value) in &task.env {
            check_variable(name, value)?;
        }
        command_line::environment(&mut args, "--env", &task.env);
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
            markers: vec![Marker::anywhere(FAILED)],
            // It prints the results of a guest without WASI: none, and the end of the line.
            discards_stdout: !wasi,
        })
    }

    fn verdict(&self, _job: &Job<'_>, code: i32, words: &str) -> Verdict {
        match words {
            "" => Verdict::Guest(Outcome::Exited(code)),
            words => Verdict::Runtime(explain(words)),
        }
    }
}

const FAILED: &str = "error: ";

/// It trims what it is given, and takes an empty value for a missing one.
fn check_variable(name: &str, value: &str) -> Result<()> {
    if value.is_empty() || value.trim_end() != value || name.trim_start() != name {
        return Err(unsupported(format!(
            "cannot pass environment variable {name}: it is empty, or starts or ends with a space"
        )));
    }
    Ok(())
}

fn explain(words: &str) -> Result<Outcome> {
    match traps::kind(traps::SPECIFICATION, words) {
        Some(kind) => Ok(trapped(kind, words)),
        None => Err(Error::new(
            ErrorKind::Engine,
            words.lines().next().unwrap_or_default(),
        )),
    }
}

const _: TrapKind = TrapKind::Other;
