//! [wasmtime](https://wasmtime.dev)'s command line.

use std::ffi::OsString;
use std::path::Path;

use wasmrun_core::{
    Capability, Error, ErrorKind, Limits, Network, Outcome, Proposals, Result, Support, TrapKind,
};

use super::command_line::{self, unsupported};
use super::traps;
use crate::adapter::{
    Adapter, Compiler, ComponentJob, Components, Invocation, Job, Verdict, relayed_capability,
    trapped,
};
use crate::stderr::Marker;
use crate::version::Version;

pub(super) struct Wasmtime;

/// The releases that brought what came later.
const SHARED_MEMORY_SWITCH: u32 = 40;
const WORKING_DIRECTORY: u32 = 46;
const WASM3: u32 = 47;
const PREVIEW3: u32 = 48;

impl Adapter for Wasmtime {
    fn name(&self) -> &'static str {
        "wasmtime-cli"
    }

    fn executable(&self) -> &'static str {
        "wasmtime"
    }

    fn how_to_get(&self) -> &'static str {
        "cargo install --locked wasmtime-cli"
    }

    fn version(&self, printed: &str) -> Option<Version> {
        Version::after("wasmtime ", printed)
    }

    /// The oldest release that still gets fixes.
    fn minimum(&self) -> Version {
        Version::new(36, 0, 0)
    }

    fn proposals(&self, version: &Version) -> Proposals {
        let proposals = if version.at_least(WASM3) {
            Proposals::WASM3
        } else {
            Proposals::WASM2
                | Proposals::MULTI_MEMORY
                | Proposals::RELAXED_SIMD
                | Proposals::TAIL_CALL
                | Proposals::EXTENDED_CONST
                | Proposals::MEMORY64
        };
        proposals | Proposals::THREADS
    }

    fn capability(&self, version: &Version) -> Capability {
        Capability {
            stack: Support::Native,
            reports_trap_kinds: Support::Native,
            ..relayed_capability(self.proposals(version))
        }
    }

    fn arguments(&self, job: &Job<'_>) -> Result<Vec<OsString>> {
        let mut settings = stack(job.limits);
        settings.extend(shared_memory(job));
        let mut args = command("run", &settings);
        if job.compiled {
            args.push("--allow-precompiled".into());
        }
        args.push("--".into());
        args.push(job.program.into());
        Ok(args)
    }

    fn explain(&self, words: &str) -> Option<Result<Outcome>> {
        (!words.is_empty()).then(|| explain(words))
    }

    fn compiler(&self) -> Option<&'static dyn Compiler> {
        Some(&Wasmtime)
    }

    fn components(&self) -> Option<&'static dyn Components> {
        Some(&Wasmtime)
    }
}

impl Compiler for Wasmtime {
    fn arguments(&self, job: &Job<'_>, file: &Path) -> Vec<OsString> {
        let mut settings = Vec::from_iter(shared_memory(job));
        settings.extend(fuel(job.limits));
        let mut args = command("compile", &settings);
        args.extend(["-o".into(), file.into(), "--".into(), job.program.into()]);
        args
    }
}

impl Components for Wasmtime {
    fn capability(&self, version: &Version) -> Capability {
        use Support::{Emulated, Native, Unsupported};
        let (concurrent, preview3) = match version.at_least(PREVIEW3) {
            true => (Proposals::COMPONENT_ASYNC, Native),
            false => (Proposals::MVP, Unsupported),
        };
        Capability {
            proposals: self.proposals(version) | Proposals::COMPONENT_MODEL | concurrent,
            components: Native,
            preview2: Native,
            preview3,
            args: Native,
            argv0: Native,
            env: Native,
            preopens: Native,
            mapped_preopens: Native,
            entry: Native,
            memory: Native,
            fuel: Native,
            stack: Native,
            table_elements: Native,
            instances: Native,
            network: Native,
            timeout: Emulated,
            kill: Emulated,
            working_directory: if version.at_least(WORKING_DIRECTORY) {
                Native
            } else {
                Unsupported
            },
            reports_trap_kinds: Native,
            ..Capability::default()
        }
    }

    fn invocation(&self, job: &ComponentJob<'_>) -> Result<Invocation> {
        let ComponentJob {
            program,
            compiled,
            task,
        } = job;
        let limits = &task.limits;
        let mut settings = stack(limits);
        settings.extend(fuel(limits));
        if let Some(bytes) = limits.memory {
            // The limit is each memory's own; a second one cannot come up then.
            settings.push(format!("max-memory-size={bytes},max-memories=1"));
        }
        if let Some(elements) = limits.table_elements {
            settings.push(format!("max-table-elements={elements},max-tables=1"));
        }
        if let Some(instances) = limits.instances {
            settings.push(format!("max-instances={instances}"));
        }
        let mut args = command("run", &settings);
        if *compiled {
            args.push("--allow-precompiled".into());
        }
        if task.network == Network::Host {
            args.push("-S".into());
            args.push("inherit-network=y,allow-ip-name-lookup=y".into());
        }
        if let Some(directory) = &task.working_directory {
            if directory.contains(',') {
                return Err(unsupported(format!(
                    "cannot be told the working directory {directory}: commas separate settings on its command line"
                )));
            }
            args.push("-S".into());
            args.push(format!("cwd={directory}").into());
        }
        let argv0 = task.args.first().map_or("", String::as_str);
        args.push(format!("--argv0={argv0}").into());
        command_line::environment(&mut args, "--env", &task.env);
        command_line::directories(
            &mut args,
            "--dir",
            &task.mounts,
            |host, guest| format!("{host}::{guest}"),
            |text| {
                let mut parts = text.split("::");
                (parts.next().unwrap_or(""), parts.next().unwrap_or(""))
            },
        )?;
        args.push("--".into());
        args.push((*program).into());
        args.extend(task.args.iter().skip(1).map(Into::into));

        let mut markers = vec![Marker::anywhere(format!(
            "Error: failed to run main module `{}`",
            program.display()
        ))];
        markers.extend(NOT_STARTED.map(Marker::first));
        Ok(Invocation { args, markers })
    }

    fn verdict(&self, code: i32, words: &str) -> Verdict {
        // Guests cannot exit with it, and a trap may have found its standard error closed.
        const ABORTED: i32 = 134;
        match (code, words) {
            (ABORTED, "") => Verdict::Runtime(Ok(trapped(TrapKind::Other, ""))),
            (1 | ABORTED, words) if !words.is_empty() => Verdict::Runtime(explain(words)),
            (code, _) => Verdict::Guest(Outcome::Exited(code)),
        }
    }
}

/// The start of a command line, with settings.
fn command(verb: &str, settings: &[String]) -> Vec<OsString> {
    // Its cache would be the user's, and outlive the run.
    let mut args = vec![verb.into(), "-C".into(), "cache=n".into()];
    for setting in settings {
        args.push("-W".into());
        args.push(setting.into());
    }
    args
}

/// What it says of a program it cannot compile.
const NOT_STARTED: [&str; 3] = [
    "Error: failed to compile: wasm[",
    "Error: failed to parse WebAssembly module",
    "Error: failed to open wasm module ",
];

/// The setting for memories that threads may share, where they have to be asked for.
fn shared_memory(job: &Job<'_>) -> Option<String> {
    let asked = job.shared_memory && job.version.at_least(SHARED_MEMORY_SWITCH);
    asked.then(|| "shared-memory=y".into())
}

/// The setting for fuel, if it is to be counted.
fn fuel(limits: &Limits) -> Option<String> {
    limits.fuel.map(|fuel| format!("fuel={fuel}"))
}

/// The setting for a bound on the stack, if there is one.
fn stack(limits: &Limits) -> Vec<String> {
    // The guest's stack is a part of one that its host calls need as well.
    let setting = |stack: u64| {
        let whole = stack.saturating_add(1 << 20);
        format!("max-wasm-stack={stack},async-stack-size={whole}")
    };
    limits.stack.map(setting).into_iter().collect()
}

/// What its report of an error says of the guest: a chain of causes, the last of which counts.
fn explain(words: &str) -> Result<Outcome> {
    let last = words.lines().next_back().unwrap_or_default().trim_start();
    let cause = last
        .split_once(": ")
        .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(last, |(_, cause)| cause);
    if NOT_STARTED.iter().any(|start| words.starts_with(start)) {
        return Err(Error::new(ErrorKind::Invalid, cause).with_context("said", words));
    }
    if let Some(trap) = cause.strip_prefix("wasm trap: ") {
        let trap = trap.strip_prefix("wasm `").unwrap_or(trap);
        if trap.starts_with("all fuel consumed") {
            return Ok(Outcome::OutOfFuel);
        }
        let kind = traps::kind(traps::SPECIFICATION, trap).unwrap_or(TrapKind::Other);
        return Ok(trapped(kind, words));
    }
    if cause.starts_with("thrown Wasm exception") {
        return Ok(trapped(TrapKind::UncaughtException, words));
    }
    if cause.starts_with("exit with invalid exit status") {
        return Err(unsupported(
            "the guest exited with a code beyond 125, and this runtime passes on no such code",
        )
        .with_context("said", words));
    }
    if cause.starts_with("resource limit exceeded") || cause.contains("exceeds memory limits") {
        return Ok(Outcome::OutOfMemory);
    }
    if words.contains("failed to instantiate") {
        return Err(Error::new(ErrorKind::Unsupported, cause).with_context("said", words));
    }
    Ok(trapped(TrapKind::HostFunction, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_cause_decides() {
        let report = |cause: &str| {
            format!(
                "Error: failed to run main module `/a.wasm`\n\nCaused by:\n    0: failed to invoke command default\n    1: error while executing at wasm backtrace:\n    0: 0x24 - <unknown>!wasm trap: integer overflow\n    2: {cause}"
            )
        };
        let outcome = |cause: &str| explain(&report(cause)).expect("an outcome");
        assert_eq!(
            outcome("wasm trap: wasm `unreachable` instruction executed"),
            trapped(TrapKind::Unreachable, "")
        );
        assert_eq!(
            outcome("wasm trap: undefined element: out of bounds table access"),
            trapped(TrapKind::TableOutOfBounds, "")
        );
        assert_eq!(
            outcome("wasm trap: all fuel consumed by WebAssembly"),
            Outcome::OutOfFuel
        );
        assert_eq!(
            outcome("Pointer out of bounds: Region { start: 9, len: 4 }"),
            trapped(TrapKind::HostFunction, "")
        );
        let error = explain(&report("exit with invalid exit status outside of [0..126)"))
            .expect_err("no code is told");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
