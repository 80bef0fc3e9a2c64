//! Components on a runtime: the runtime is their host, driven by its command line.

use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use wasmrun_core::stdio::{Input, Output};
use wasmrun_core::{Code, Control, Error, ErrorKind, Guest, Outcome, Ran, Result, Stats, Task};

use crate::adapters::{ComponentJob, Components, Verdict};
use crate::engine::Runtime;
use crate::program_file::ProgramFile;
use crate::spawn::{Ended, Launch, Status, Streams, execute};
use crate::stderr::Splitter;

/// A component for a runtime that takes components.
pub(crate) struct ComponentCode {
    runtime: Arc<Runtime>,
    components: &'static dyn Components,
    program: ProgramFile,
}

impl ComponentCode {
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        components: &'static dyn Components,
        guest: &Guest,
    ) -> Self {
        ComponentCode {
            runtime,
            components,
            program: ProgramFile::new(guest.clone()),
        }
    }
}

impl Code for ComponentCode {
    fn run(&self, mut task: Task, control: &Control) -> Result<Ran> {
        check_directories(&task)?;
        let stdin = std::mem::replace(&mut task.stdin, Input::Null);
        let stdout = std::mem::replace(&mut task.stdout, Output::Null);
        let stderr = std::mem::replace(&mut task.stderr, Output::Null);
        let program = self.program.path()?;
        let invocation = self.components.invocation(&ComponentJob {
            program: &program,
            task: &task,
        })?;
        let launch = Launch {
            executable: self.runtime.path.clone(),
            args: invocation.args,
        };
        let streams = Streams {
            stdin,
            stdout,
            stderr,
            splitter: Splitter::new(invocation.markers),
        };
        tracing::debug!(executable = %launch.executable.display(), "starting runtime");
        let began = Instant::now();
        let ended = execute(launch, streams, control)?;
        let mut stats = Stats::default();
        stats.run = Some(began.elapsed());
        let outcome = self.outcome(ended, control)?;
        Ok(Ran { outcome, stats })
    }
}

impl ComponentCode {
    fn outcome(&self, ended: Ended, control: &Control) -> Result<Outcome> {
        const SIGPIPE: i32 = 13;
        let Ended { status, words } = ended;
        if let Some(reason) = control.interrupted() {
            return Ok(reason.outcome());
        }
        let code = match status {
            Status::Code(code) => code,
            // Its reader is gone, and it takes that as native programs do: a quiet end.
            Status::Signal(SIGPIPE) => return Ok(Outcome::Exited(128 + SIGPIPE)),
            Status::Signal(signal) => {
                let said = words.text();
                words.release(control);
                return Err(self.runtime.killed(signal).with_context("said", said));
            }
        };
        match self.components.verdict(code, &words.text()) {
            Verdict::Runtime(outcome) => outcome,
            Verdict::Guest(outcome) => {
                words.release(control);
                Ok(outcome)
            }
        }
    }
}

/// Some runtimes pass over a directory they cannot open.
fn check_directories(task: &Task) -> Result<()> {
    for preopen in &task.preopens {
        File::open(&preopen.host).map_err(|source| {
            Error::new(
                ErrorKind::Preopen,
                format!(
                    "cannot map {} to {}: the directory cannot be opened",
                    preopen.host.display(),
                    preopen.guest
                ),
            )
            .with_source(source)
        })?;
    }
    Ok(())
}
