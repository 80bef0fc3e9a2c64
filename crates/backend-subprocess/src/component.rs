//! Components on a runtime: the runtime is their host, driven by its command line.

use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use wasmrun_core::stdio::{Input, Output};
use wasmrun_core::{
    Artifact, Code, Compile, Control, Error, ErrorKind, Guest, Limits, Outcome, Ran, Result, Stats,
    Task,
};

use crate::adapter::{ComponentJob, Components, Job, Verdict};
use crate::ahead;
use crate::program_file::{self, ProgramFile};
use crate::readable::Readable;
use crate::runtime::Runtime;
use crate::scratch::Scratch;
use crate::spawn::{Launch, Status, Streams, Words, execute};
use crate::stderr::Splitter;

/// A component for a runtime that takes components.
pub(crate) struct ComponentCode {
    runtime: Arc<Runtime>,
    components: &'static dyn Components,
    guest: Guest,
    /// Its code is to count fuel.
    fuel: bool,
    source: OnceLock<ProgramFile>,
    /// What the runtime compiled of it.
    compiled: Mutex<Option<Arc<Readable>>>,
}

impl ComponentCode {
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        components: &'static dyn Components,
        compile: Compile<'_>,
    ) -> Self {
        ComponentCode {
            source: ProgramFile::new(compile.guest.clone()).into(),
            ..ComponentCode::without_files(runtime, components, compile)
        }
    }

    /// What the runtime once compiled of it.
    pub(crate) fn load(
        runtime: Arc<Runtime>,
        components: &'static dyn Components,
        compile: Compile<'_>,
        artifact: &Artifact,
    ) -> Self {
        let code = ComponentCode::without_files(runtime, components, compile);
        code.kept(artifact);
        code
    }

    fn without_files(
        runtime: Arc<Runtime>,
        components: &'static dyn Components,
        Compile { guest, options, .. }: Compile<'_>,
    ) -> Self {
        ComponentCode {
            runtime,
            components,
            guest: guest.clone(),
            fuel: options.fuel,
            source: OnceLock::new(),
            compiled: Mutex::default(),
        }
    }

    /// The file to run, and whether it is compiled.
    fn program(&self) -> Result<(Arc<Readable>, bool)> {
        match &*self.compiled() {
            // One of a cache may be gone. One that goes from here on is an error: what the guest was to read is
            // handed over by then.
            Some(compiled) if !compiled.is_gone() => Ok((compiled.clone(), true)),
            _ => Ok((self.source()?.program()?, false)),
        }
    }

    fn compiled(&self) -> MutexGuard<'_, Option<Arc<Readable>>> {
        // What is under this lock is whole or not there.
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn source(&self) -> Result<&ProgramFile> {
        if let Some(source) = self.source.get() {
            return Ok(source);
        }
        let guest = program_file::read(&self.guest)?;
        Ok(self.source.get_or_init(|| ProgramFile::new(guest)))
    }
}

impl Code for ComponentCode {
    fn run(&self, mut task: Task, control: &Control) -> Result<Ran> {
        check_directories(&task)?;
        let stdin = std::mem::replace(&mut task.stdin, Input::Null);
        let stdout = std::mem::replace(&mut task.stdout, Output::Null);
        let stderr = std::mem::replace(&mut task.stderr, Output::Null);
        let (program, compiled) = self.program()?;
        let invocation = self.components.invocation(&ComponentJob {
            program: program.path(),
            compiled,
            task: &task,
        })?;
        let launch = Launch {
            executable: self.runtime.path.clone(),
            args: invocation.args,
            handed: program.handed(),
            usage: task.usage.clone(),
        };
        let streams = Streams {
            stdin,
            stdout,
            stderr,
            splitter: Splitter::new(invocation.markers),
        };
        tracing::debug!(executable = %launch.executable.display(), "starting runtime");
        let began = Instant::now();
        let (status, words) = execute(launch, streams, control)?;
        let mut stats = Stats::default();
        stats.run = Some(began.elapsed());
        let outcome = self.outcome(status, words, control)?;
        Ok(Ran { outcome, stats })
    }

    /// What the runtime compiles of the guest; from then on it runs that.
    fn artifact(&self, control: Option<&Control>) -> Result<Option<Vec<u8>>> {
        let Some(compiler) = self.runtime.adapter.compiler() else {
            return Ok(None);
        };
        // The guest's own file may change meanwhile, and what is kept goes by what was looked at.
        let program = self.source()?.copy()?;
        let (mut limits, scratch) = (Limits::default(), Scratch::default());
        limits.fuel = self.fuel.then_some(1);
        let job = Job {
            version: &self.runtime.version,
            program: program.path(),
            compiled: false,
            code: None,
            shared_memory: false,
            limits: &limits,
            scratch: &scratch,
        };
        let code = ahead::compile(&self.runtime, compiler, &job, program.handed(), control)?;
        *self.compiled() = Some(Arc::new(Readable::of("guest.cwasm", &code)?));
        Ok(Some(code))
    }

    fn kept(&self, artifact: &Artifact) {
        *self.compiled() = Some(Arc::new(Readable::at(artifact.path().to_owned())));
    }
}

impl ComponentCode {
    fn outcome(&self, status: Status, words: Words, control: &Control) -> Result<Outcome> {
        const SIGPIPE: i32 = 13;
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
    for mount in &task.mounts {
        let Some(host) = mount.host() else { continue };
        File::open(host).map_err(|source| {
            let message = format!(
                "cannot map {} to {}: the directory cannot be opened",
                host.display(),
                mount.path
            );
            Error::new(ErrorKind::Preopen, message).with_source(source)
        })?;
    }
    Ok(())
}
