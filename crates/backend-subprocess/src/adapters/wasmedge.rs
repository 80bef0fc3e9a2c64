//! [WasmEdge](https://wasmedge.org)'s command line.
//!
//! Its diagnostics would go to standard output, where the guest's own output goes, so they are
//! switched off. What is left is the exit code: 134 for every trap, and 1 for a guest it cannot
//! start, which a guest's own 1 looks like. `argv[0]` is the file's name with its extension made
//! `.wasm`. Its read-only directories let the files of a directory in them be removed, so it gets
//! none.

use wasmrun_core::{
    Capability, Error, ErrorKind, Guest, Outcome, Proposals, Result, Support, TrapKind,
};

use super::traps::trapped;
use super::{
    Adapter, Invocation, Job, Verdict, command_line, common_capability, refuse_initialize,
    refuse_several_memories, unsupported,
};
use crate::version::Version;

pub(super) struct WasmEdge;

const PAGE: u64 = 64 << 10;
/// The largest number it reads: more than any memory has.
const MOST_PAGES: u64 = i32::MAX as u64;

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
        use Support::Native;
        Capability {
            proposals: Proposals::WASM3 | Proposals::THREADS,
            preopens: Native,
            mapped_preopens: Native,
            memory: Native,
            ..common_capability()
        }
    }

    fn passes_large_exit_codes(&self) -> bool {
        true
    }

    fn accept(&self, guest: &Guest) -> Result<()> {
        if guest.start_section() {
            return Err(unsupported(
                "does not tell how a start section ended, and the guest has one",
            ));
        }
        refuse_initialize(guest)
    }

    fn invocation(&self, job: &Job<'_>) -> Result<Invocation> {
        let Job { guest, task, .. } = job;
        let mut args = vec!["--log-level=off".into()];
        if let Some(bytes) = task.limits.memory {
            refuse_several_memories(guest, task.limits.memory)?;
            let pages = (bytes / PAGE).min(MOST_PAGES);
            args.push(format!("--memory-page-limit={pages}").into());
        }
        if guest.proposals().contains(Proposals::THREADS) {
            args.push("--enable-threads".into());
        }
        command_line::environment(&mut args, "--env", &task.env);
        command_line::directories(
            &mut args,
            "--dir",
            &task.preopens,
            |host, guest| format!("{guest}:{host}"),
            |text| {
                let mut parts = text.split(':');
                let guest = parts.next().unwrap_or("");
                (parts.next().unwrap_or(""), guest)
            },
        )?;
        args.push("--".into());
        // Whatever it is called, `argv[0]` ends in `.wasm`.
        args.push(job.program_named(job.argv0())?.into());
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

/// Why the guest may not have been started at all, where that can be told without its words.
fn not_started(guest: &Guest) -> Option<Error> {
    let invalid = wasmparser::validate(guest.bytes()).err()?;
    Some(Error::new(ErrorKind::Invalid, invalid.to_string()))
}
