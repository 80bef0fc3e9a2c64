//! The engine: an adapter at a path.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use wasmrun_core::stdio::{Input, Output};
use wasmrun_core::{
    Capability, Code, Compile, Control, Engine, EngineInfo, Error, ErrorKind, Outcome, Place, Ran,
    Result, Stats, Task,
};

use crate::adapters::{Adapter, Job, Verdict, lost_exit_code};
use crate::program_file::ProgramFile;
use crate::scratch::Scratch;
use crate::spawn::{Ended, Launch, Status, Streams, execute};
use crate::stderr::Splitter;
use crate::version::Version;

/// A runtime that is an executable on this machine.
#[derive(Clone)]
pub struct SubprocessEngine(Arc<Runtime>);

struct Runtime {
    adapter: &'static dyn Adapter,
    version: Version,
    path: PathBuf,
    info: EngineInfo,
}

impl SubprocessEngine {
    pub(crate) fn new(adapter: &'static dyn Adapter, version: Version, path: PathBuf) -> Self {
        let info = EngineInfo {
            name: adapter.name().to_owned(),
            version: version.to_string(),
            place: Place::Executable(path.clone()),
        };
        SubprocessEngine(Arc::new(Runtime {
            adapter,
            version,
            path,
            info,
        }))
    }
}

impl fmt::Debug for SubprocessEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EngineInfo {
            name,
            version,
            place,
        } = &self.0.info;
        write!(f, "SubprocessEngine({name} {version}, {place})")
    }
}

impl Engine for SubprocessEngine {
    fn info(&self) -> &EngineInfo {
        &self.0.info
    }

    fn capability(&self) -> Capability {
        self.0.adapter.capability(&self.0.version)
    }

    /// Nothing is compiled yet: each run does that, in its own process.
    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>> {
        self.0.adapter.accept(compile.guest)?;
        Ok(Arc::new(SubprocessCode {
            runtime: self.0.clone(),
            program: ProgramFile::new(compile.guest.clone()),
        }))
    }
}

struct SubprocessCode {
    runtime: Arc<Runtime>,
    program: ProgramFile,
}

impl Code for SubprocessCode {
    fn run(&self, mut task: Task, control: &Control) -> Result<Ran> {
        let Runtime {
            adapter,
            version,
            path,
            ..
        } = &*self.runtime;
        check_directories(&task)?;
        let stdin = std::mem::replace(&mut task.stdin, Input::Null);
        let stdout = std::mem::replace(&mut task.stdout, Output::Null);
        let stderr = std::mem::replace(&mut task.stderr, Output::Null);
        let scratch = Scratch::default();
        let job = Job {
            version,
            guest: self.program.guest(),
            program: self.program.path()?,
            task: &task,
            scratch: &scratch,
        };
        let invocation = adapter.invocation(&job)?;
        let launch = Launch {
            executable: path.clone(),
            args: invocation.args,
            directory: invocation.directory,
            passes_large_exit_codes: adapter.passes_large_exit_codes(),
        };
        let streams = Streams {
            stdin,
            stdout: if invocation.discards_stdout {
                Output::Null
            } else {
                stdout
            },
            stderr,
            splitter: Splitter::new(invocation.markers),
        };
        tracing::debug!(executable = %path.display(), guest = ?job.guest, "starting runtime");
        let began = Instant::now();
        let ended = execute(launch, streams, control)?;
        let mut stats = Stats::default();
        stats.run = Some(began.elapsed());
        let outcome = outcome(*adapter, &job, ended, control)?;
        Ok(Ran { outcome, stats })
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

fn outcome(
    adapter: &dyn Adapter,
    job: &Job<'_>,
    ended: Ended,
    control: &Control,
) -> Result<Outcome> {
    let Ended { status, words } = ended;
    if let Some(reason) = control.interrupted() {
        return Ok(reason.outcome());
    }
    let code = match status {
        Status::Code(code) => code,
        Status::LargeCode => return Err(lost_exit_code("0 to 255")),
        // Its reader is gone, and it takes that as native programs do: a quiet end.
        Status::Signal(SIGPIPE) => return Ok(Outcome::Exited(128 + SIGPIPE)),
        Status::Signal(signal) => {
            let said = words.text();
            words.release(control);
            return Err(killed(adapter, signal).with_context("said", said));
        }
    };
    let text = words.text();
    match adapter.verdict(job, code, &text) {
        Verdict::Runtime(outcome) => outcome,
        Verdict::Guest(outcome) => {
            words.release(control);
            Ok(outcome)
        }
    }
}

const SIGKILL: i32 = 9;
const SIGPIPE: i32 = 13;

fn killed(adapter: &dyn Adapter, signal: i32) -> Error {
    let why = match signal {
        SIGKILL => "someone killed it; the system does when memory runs out",
        _ => "it crashed",
    };
    Error::new(
        ErrorKind::Engine,
        format!("{} ended by signal {signal}: {why}", adapter.executable()),
    )
}
