//! Modules on a runtime: the runtime computes, and we are the guest's host.
//!
//! Runtimes differ in nearly everything that is not WebAssembly: how their command lines spell a
//! directory, whether their sandbox holds, which exit codes they pass on. So a module is
//! [rewritten](rewrite) to send its host calls through the runtime's standard input and output, and
//! we [answer](serve) them with the WASI of `wasmrun-wasi-preview1`, the same as in-process engines
//! have. The runtime itself is given nothing: no directory, no environment, no arguments. Its standard
//! error is its own, for what it has to say of a trap.
//!
//! A call costs a few system calls and switches between two processes, some tens of microseconds. A guest does not
//! wait for writes that cannot fail, and does not ask what it was told when it began.

mod call;
mod distant;
mod memory;
mod obey;
mod protocol;
mod rewrite;
mod serve;
mod streams;
mod zeros;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tempfile::TempDir;
use wasmrun_core::stdio::Output;
use wasmrun_core::{
    Artifact, Code, Compile, Control, Error, ErrorKind, Guest, HostFunctions, Limits, Outcome, Ran,
    Result, Stats, Task, TrapKind,
};
use wasmrun_rewrite::USUAL_STACK;
use wasmrun_wasi_preview1::Wasi;

use crate::adapter::{Compiler, Job, trapped};
use crate::ahead;
use crate::readable::Readable;
use crate::runtime::Runtime;
use crate::scratch::{Scratch, private_directory, read_file};
use crate::spawn::{Dialogue, Launch, Status};
use crate::{packed, program_file};
use rewrite::{Relayed, Terms, relayed};
use serve::{End, Session};

/// A module for a runtime.
pub(crate) struct RelayedCode {
    runtime: Arc<Runtime>,
    guest: Guest,
    host: HostFunctions,
    terms: Terms,
    /// Compiling is to be waited for.
    ahead: bool,
    /// By their entries.
    files: Mutex<HashMap<String, Arc<File>>>,
}

/// A rewritten guest, in a file.
struct File {
    relayed: Relayed,
    program: Readable,
    /// By the runtime itself.
    compiled: bool,
    /// The directory in which the runtime finds what it compiled.
    code: Option<TempDir>,
}

/// What answers a guest's calls.
struct Host {
    /// Whether standard output and error take whatever is written.
    take_all: [bool; 2],
    wasi: Wasi,
}

impl RelayedCode {
    pub(crate) fn new(runtime: Arc<Runtime>, compile: Compile<'_>) -> Result<Self> {
        let code = RelayedCode::without_files(runtime, compile);
        if compile.guest.is_command() {
            code.file(Guest::DEFAULT_ENTRY)?;
        }
        Ok(code)
    }

    /// What was once [kept](Code::artifact) of the rewritten guest, for its default entry.
    pub(crate) fn load(
        runtime: Arc<Runtime>,
        compile: Compile<'_>,
        artifact: &Artifact,
    ) -> Result<Self> {
        let code = RelayedCode::without_files(runtime, compile);
        code.keep_artifact(Relayed::of(&code.guest, &code.host)?, artifact.path())?;
        Ok(code)
    }

    fn without_files(runtime: Arc<Runtime>, compile: Compile<'_>) -> Self {
        let Compile {
            guest,
            options,
            host,
            ..
        } = compile;
        let adapter = runtime.adapter;
        let bounded = adapter.stack_is_ours_to_bound();
        RelayedCode {
            terms: Terms {
                proposals: runtime.proposals(),
                first_memory_only: adapter.sees_first_memory_only(),
                spent_segments_stay: adapter.keeps_spent_segments(),
                most_pages: adapter.most_pages(),
                stack: bounded.then(|| options.stack.unwrap_or(USUAL_STACK)),
                fuel: options.fuel,
            },
            runtime,
            guest: guest.clone(),
            host: host.clone(),
            ahead: options.ahead,
            files: Mutex::default(),
        }
    }

    fn file(&self, entry: &str) -> Result<Arc<File>> {
        let known = self.files().get(entry).cloned();
        if let Some(file) = known.filter(|file| !file.program.is_gone()) {
            return Ok(file);
        }
        let (wasm, relayed) = relayed(
            &program_file::read(&self.guest)?,
            &self.host,
            entry,
            self.terms,
        )?;
        let file = File {
            relayed,
            program: self.readable(&wasm)?,
            compiled: false,
            code: None,
        };
        Ok(self.keep(entry, file))
    }

    fn readable(&self, bytes: &[u8]) -> Result<Readable> {
        Readable::of(&file_name(self.guest.name()), bytes)
    }

    /// What the runtime is to open in place of a program that it cannot.
    fn named_copy(&self, program: &Readable) -> Result<Option<Readable>> {
        match self.runtime.adapter.opens_by_name() {
            true => program.named_copy(&file_name(self.guest.name())),
            false => Ok(None),
        }
    }

    fn keep(&self, entry: &str, file: File) -> Arc<File> {
        let file = Arc::new(file);
        self.files().insert(entry.to_owned(), file.clone());
        file
    }

    /// Takes an artifact for what is to be run.
    fn keep_artifact(&self, relayed: Relayed, artifact: &Path) -> Result<()> {
        let compiler = self.runtime.adapter.compiler();
        let (program, code) = match compiler.is_some_and(Compiler::keeps_a_directory) {
            true => {
                let code = private_directory()?;
                let guest = packed::unpack(artifact, code.path())?;
                let program = self.readable(&guest)?;
                (program, Some(code))
            }
            false => (Readable::at(artifact.to_owned()), None),
        };
        let file = File {
            relayed,
            program,
            compiled: compiler.is_some(),
            code,
        };
        self.keep(Guest::DEFAULT_ENTRY, file);
        Ok(())
    }

    fn files(&self) -> MutexGuard<'_, HashMap<String, Arc<File>>> {
        // No panic leaves half a file here.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job<'a>(
        &'a self,
        file: &'a File,
        program: &'a Readable,
        limits: &'a Limits,
        scratch: &'a Scratch,
    ) -> Job<'a> {
        Job {
            version: &self.runtime.version,
            shared_memory: self.guest.memories().iter().any(|memory| memory.shared),
            program: program.path(),
            compiled: file.compiled,
            code: file.code.as_ref().map(TempDir::path),
            limits,
            scratch,
        }
    }
}

impl Code for RelayedCode {
    fn run(&self, mut task: Task, control: &Control) -> Result<Ran> {
        let mut host = None;
        loop {
            let file = self.file(task.entry())?;
            if let Some(ran) = self.attempt(&file, &mut task, &mut host, control)? {
                return Ok(ran);
            }
        }
    }

    /// What the runtime compiles of the rewritten guest, and from then on it runs that. Of one that does not
    /// compile ahead, the rewritten guest itself.
    fn artifact(&self, control: Option<&Control>) -> Result<Option<Vec<u8>>> {
        if !self.guest.is_command() {
            return Ok(None);
        }
        let Some(compiler) = self.runtime.adapter.compiler() else {
            let file = self.file(Guest::DEFAULT_ENTRY)?;
            return read_file(file.program.path()).map(Some);
        };
        if compiler.is_slow() && !self.ahead {
            let message = "takes its time to compile, so it does that only when it is asked to; `wasmrun compile` asks it";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let module = self.file(Guest::DEFAULT_ENTRY)?;
        let (limits, scratch) = (Limits::default(), Scratch::default());
        let named = self.named_copy(&module.program)?;
        let program = named.as_ref().unwrap_or(&module.program);
        let job = self.job(&module, program, &limits, &scratch);
        let handed = program.handed();
        let code = ahead::compile(&self.runtime, compiler, &job, handed, control)?;
        if !compiler.keeps_a_directory() {
            let file = File {
                relayed: module.relayed.clone(),
                program: self.readable(&code)?,
                compiled: true,
                code: None,
            };
            self.keep(Guest::DEFAULT_ENTRY, file);
        }
        Ok(Some(code))
    }

    fn kept(&self, artifact: &Artifact) {
        let taken = Relayed::of(&self.guest, &self.host)
            .and_then(|relayed| self.keep_artifact(relayed, artifact.path()));
        if let Err(error) = taken {
            tracing::warn!(guest = ?self.guest, %error, "what is kept of it is not used");
        }
    }
}

impl RelayedCode {
    /// Runs it, unless its file went while the runtime was starting.
    fn attempt(
        &self,
        file: &File,
        task: &mut Task,
        host: &mut Option<Host>,
        control: &Control,
    ) -> Result<Option<Ran>> {
        let scratch = Scratch::default();
        let named = self.named_copy(&file.program)?;
        let program = named.as_ref().unwrap_or(&file.program);
        let job = self.job(file, program, &task.limits, &scratch);
        let launch = Launch {
            executable: self.runtime.path.clone(),
            args: self.runtime.adapter.arguments(&job)?,
            handed: program.handed(),
        };
        tracing::debug!(executable = %launch.executable.display(), guest = ?self.guest, "starting runtime");
        let spawned = Instant::now();
        let mut dialogue = Dialogue::start(&launch, control)?;
        // While the runtime starts. Whatever the guest asks for waits until then.
        let Host { take_all, wasi } = match host {
            Some(host) => host,
            None => host.insert(Host {
                take_all: [&task.stdout, &task.stderr].map(Output::takes_all),
                wasi: Wasi::of(task, control)?,
            }),
        };
        let mut session = Session::new(&file.relayed, self.terms.fuel, *take_all, wasi, task);
        session.opened_at_start = named;
        let served = session.serve(&mut dialogue);
        let ended = Instant::now();

        let mut stats = Stats::default();
        if let Some(began) = session.began {
            stats.instantiate = Some(began - spawned);
            stats.run = Some(ended - began);
            stats.peak_memory = Some(session.peak);
        }
        stats.fuel_used = session.fuel_used();
        let outcome = match served {
            Ok(End::Returned) => Some(Outcome::Exited(0)),
            Ok(End::Stopped(stop)) => Some(stop.outcome()),
            Ok(End::OutOfFuel) => Some(Outcome::OutOfFuel),
            Ok(End::Overflowed) => Some(trapped(
                TrapKind::StackOverflow,
                "the guest's calls nest too deep",
            )),
            Ok(End::Babbled(start)) => {
                dialogue.overhear(&start);
                None
            }
            Err(error) if is_end(&error) => None,
            Err(error) => return Err(launch.lost_contact(error)),
        };
        if let Some(outcome) = outcome {
            // The runtime has nothing to add.
            return Ok(Some(Ran { outcome, stats }));
        }
        let (status, words) = dialogue.end().map_err(|error| launch.lost_contact(error))?;
        let outcome = match control.interrupted() {
            Some(reason) => reason.outcome(),
            None if session.began.is_none() && file.program.is_gone() => return Ok(None),
            None => self.explain(session.began.is_some(), status, &words)?,
        };
        Ok(Some(Ran { outcome, stats }))
    }

    /// What became of a guest that did not say how it ended.
    fn explain(&self, began: bool, status: Status, words: &str) -> Result<Outcome> {
        match self.runtime.adapter.explain(words) {
            Some(outcome) => outcome,
            None => match status {
                Status::Signal(signal) => {
                    Err(self.runtime.killed(signal).with_context("said", words))
                }
                Status::Code(_) if began => Ok(trapped(TrapKind::Other, words)),
                Status::Code(code) => {
                    let said = words.lines().next().unwrap_or("nothing");
                    let message =
                        format!("could not start the guest; it ended with {code} and said: {said}");
                    Err(Error::new(ErrorKind::Engine, message).with_context("said", words))
                }
            },
        }
    }
}

/// The guest's own name, for those who look at processes, if it can be a file's.
fn file_name(guest: &str) -> String {
    let stem = guest.strip_suffix(".wasm").unwrap_or(guest);
    let plain = |character: char| character.is_alphanumeric() || "-_.".contains(character);
    if stem.len() <= 200 && !stem.starts_with('-') && stem.chars().all(plain) {
        format!("{stem}.wasm")
    } else {
        "guest.wasm".into()
    }
}

/// The other side is gone.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset)
}
