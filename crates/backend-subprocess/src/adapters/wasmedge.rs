//! [WasmEdge](https://wasmedge.org)'s command line.
//!
//! Its diagnostics would go to standard output, where the guest's own output goes, so they are
//! switched off. What is left is the exit code: 134 for every trap, and 1 for a guest it cannot
//! start, which a guest's own 1 looks like. `argv[0]` is the file's name with its extension made
//! `.wasm`.

use std::path::Path;

use wasmrun_core::{
    Access, Capability, Error, ErrorKind, Guest, Outcome, Proposals, Result, Support, TrapKind,
};

use super::traps::trapped;
use super::{
    Adapter, Invocation, Job, Verdict, command_line, common_capability, refuse_initialize,
    refuse_several_memories, unsupported,
};
use crate::version::Version;

pub(super) struct WasmEdge;

const PAGE: u64 = 64 << 10;

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

    fn capability(&self, _version: &Version) -> Capability {
        use Support::{Emulated, Native};
        Capability {
            proposals: Proposals::WASM3 | Proposals::THREADS,
            argv0: Emulated,
            preopens: Native,
            mapped_preopens: Native,
            read_only_preopens: Native,
            memory: Native,
            ..common_capability()
        }
    }

    fn accept(&self, guest: &Guest) -> Result<()> {
        refuse_initialize(guest)
    }

    fn invocation(&self, job: &Job<'_>) -> Result<Invocation> {
        let Job { guest, task, .. } = job;
        let mut args = vec!["--log-level=off".into()];
        if let Some(bytes) = task.limits.memory {
            refuse_several_memories(guest, task.limits.memory)?;
            args.push(format!("--memory-page-limit={}", bytes / PAGE).into());
        }
        if guest.proposals().contains(Proposals::THREADS) {
            args.push("--enable-threads".into());
        }
        command_line::environment(&mut args, "--env", &task.env);
        command_line::directories(
            &mut args,
            "--dir",
            &task.preopens,
            |host, guest, access| match access {
                Access::ReadOnly => format!("{guest}:{host}:readonly"),
                Access::ReadWrite => format!("{guest}:{host}"),
            },
            |text| {
                let mut parts = text.splitn(3, ':');
                let guest = parts.next().unwrap_or("");
                let host = parts.next().unwrap_or("");
                match parts.next() {
                    None | Some("readonly") => (host, guest),
                    Some(_) => ("", ""),
                }
            },
        )?;
        args.push("--".into());
        args.push(program(job)?.into());
        args.extend(job.args().iter().map(Into::into));
        Ok(Invocation {
            args,
            ..Invocation::default()
        })
    }

    fn verdict(&self, job: &Job<'_>, code: i32, _words: &str) -> Verdict {
        const FAILED: i32 = 1;
        const ABORTED: i32 = 134;
        match code {
            ABORTED => Verdict::Runtime(Ok(trapped(TrapKind::Other, ""))),
            FAILED => match not_started(job.guest) {
                Some(error) => Verdict::Runtime(Err(error)),
                None => Verdict::Guest(Outcome::Exited(FAILED)),
            },
            code => Verdict::Guest(Outcome::Exited(code)),
        }
    }
}

fn program(job: &Job<'_>) -> Result<std::path::PathBuf> {
    let name = job.argv0();
    let kept = Path::new(name).extension().is_some_and(|end| end == "wasm");
    // The file's own name is the default, which nobody asked for.
    if !kept && name != job.guest.name() {
        return Err(unsupported(format!(
            "cannot make argv[0] {name:?}: it always ends in .wasm"
        )));
    }
    job.program_named(name)
}

/// Why the guest may not have been started at all, where that can be told without its words.
fn not_started(guest: &Guest) -> Option<Error> {
    if let Err(invalid) = wasmparser::validate(guest.bytes()) {
        return Some(Error::new(ErrorKind::Invalid, invalid.to_string()));
    }
    guest.start_section().then(|| {
        Error::new(
            ErrorKind::Engine,
            "ended with 1, which is the guest's own exit code or a trap in its start function",
        )
    })
}
