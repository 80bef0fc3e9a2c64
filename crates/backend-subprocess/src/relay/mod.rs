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

mod apart;
mod call;
mod distant;
mod file;
mod live;
mod memory;
mod obey;
mod protocol;
mod rewrite;
mod serve;
mod standby;
mod streams;
mod talk;
mod values;
mod zeros;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tempfile::TempDir;
use wasmrun_core::{
    Artifact, Code, Compile, Control, Error, ErrorKind, Guest, HostFunctions, Instantiated, Limits,
    Ran, Result, Stats, Task,
};
use wasmrun_rewrite::USUAL_STACK;

use crate::adapter::{Compiler, Job};
use crate::ahead;
use crate::readable::Readable;
use crate::runtime::Runtime;
use crate::scratch::{Scratch, private_directory, read_file};
use crate::spawn::{Dialogue, Launch};
use crate::{packed, program_file};
use file::File;
use live::LiveRelay;
use protocol::Purpose;
use rewrite::{Relayed, Terms, relayed};
use serve::{Host, Served, Session};
use talk::Talk;

/// A module for a runtime.
pub(crate) struct RelayedCode {
    runtime: Arc<Runtime>,
    guest: Guest,
    host: HostFunctions,
    terms: Terms,
    /// Compiling is to be waited for.
    ahead: bool,
    /// What it is compiled for; it may be run from other entries as well.
    purpose: Purpose<'static>,
    /// By what they are for: an entry, or none for what stays.
    files: Mutex<HashMap<Option<String>, Arc<File>>>,
}

impl RelayedCode {
    pub(crate) fn new(runtime: Arc<Runtime>, compile: Compile<'_>) -> Result<Self> {
        let code = RelayedCode::without_files(runtime, compile);
        if code.has_purpose() {
            code.file(code.purpose)?;
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
        code.keep_artifact(artifact.path())?;
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
            purpose: match options.live {
                true => Purpose::Live,
                false => Purpose::Run(Guest::DEFAULT_ENTRY),
            },
            files: Mutex::default(),
        }
    }

    /// Whether it can be started for what it was compiled for.
    fn has_purpose(&self) -> bool {
        self.purpose == Purpose::Live || self.guest.is_command()
    }

    fn file(&self, purpose: Purpose<'_>) -> Result<Arc<File>> {
        let known = self.files().get(&key(purpose)).cloned();
        if let Some(file) = known.filter(|file| !file.program.is_gone()) {
            return Ok(file);
        }
        let (wasm, relayed) = relayed(
            &program_file::read(&self.guest)?,
            &self.host,
            purpose,
            self.terms,
        )?;
        let file = File {
            relayed: Arc::new(relayed),
            program: self.readable(&wasm)?,
            compiled: false,
            code: None,
        };
        Ok(self.keep(purpose, file))
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

    fn keep(&self, purpose: Purpose<'_>, file: File) -> Arc<File> {
        let file = Arc::new(file);
        self.files().insert(key(purpose), file.clone());
        file
    }

    /// Takes an artifact for what is to be run.
    fn keep_artifact(&self, artifact: &Path) -> Result<()> {
        let relayed = Relayed::of(&self.guest, &self.host, self.purpose)?;
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
            relayed: Arc::new(relayed),
            program,
            compiled: compiler.is_some(),
            code,
        };
        self.keep(self.purpose, file);
        Ok(())
    }

    fn files(&self) -> MutexGuard<'_, HashMap<Option<String>, Arc<File>>> {
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
        let purpose = task.entry.clone();
        let purpose = Purpose::Run(purpose.as_deref().unwrap_or(Guest::DEFAULT_ENTRY));
        loop {
            let mut talk = self.talk(purpose, &mut task, host, control, Dialogue::start)?;
            let served = talk.session.serve(&mut talk.dialogue);
            let ended = Instant::now();
            if talk.found_no_file(&served, control) {
                host = Some(talk.session.into_host());
                continue;
            }
            let mut stats = Stats::default();
            if let Some(began) = talk.session.began {
                stats.instantiate = Some(began - talk.spawned);
                stats.run = Some(ended - began);
                stats.peak_memory = Some(task.usage.account().bytes());
            }
            stats.fuel_used = talk.session.fuel_used();
            let outcome = talk.outcome(served, control)?;
            return Ok(Ran { outcome, stats });
        }
    }

    fn instantiate(&self, mut task: Task, control: &Control) -> Result<Instantiated> {
        let mut host = None;
        loop {
            let start = Dialogue::start_lasting;
            let mut talk = self.talk(Purpose::Live, &mut task, host, control, start)?;
            let served = talk.session.serve(&mut talk.dialogue);
            if talk.found_no_file(&served, control) {
                host = Some(talk.session.into_host());
                continue;
            }
            return Ok(match served {
                Ok(Served::Ready) => {
                    Instantiated::Live(Box::new(LiveRelay::new(talk, &self.guest)))
                }
                served => Instantiated::Ended(talk.outcome(served, control)?),
            });
        }
    }

    /// What the runtime compiles of the rewritten guest, and from then on it runs that. Of one that does not
    /// compile ahead, the rewritten guest itself.
    fn artifact(&self, control: Option<&Control>) -> Result<Option<Vec<u8>>> {
        if !self.has_purpose() {
            return Ok(None);
        }
        let Some(compiler) = self.runtime.adapter.compiler() else {
            let file = self.file(self.purpose)?;
            return read_file(file.program.path()).map(Some);
        };
        if compiler.is_slow() && !self.ahead {
            let message = "takes its time to compile, so it does that only when it is asked to; `wasmrun compile` asks it";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let module = self.file(self.purpose)?;
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
            self.keep(self.purpose, file);
        }
        Ok(Some(code))
    }

    fn kept(&self, artifact: &Artifact) {
        if let Err(error) = self.keep_artifact(artifact.path()) {
            tracing::warn!(guest = ?self.guest, %error, "what is kept of it is not used");
        }
    }
}

impl RelayedCode {
    /// Starts the runtime, by `start`, and a session with the guest in it. `host` is what answered calls before.
    fn talk(
        &self,
        purpose: Purpose<'_>,
        task: &mut Task,
        host: Option<Host>,
        control: &Control,
        start: fn(&Launch, &Control) -> Result<Dialogue>,
    ) -> Result<Talk> {
        let file = self.file(purpose)?;
        let scratch = Scratch::default();
        let named = self.named_copy(&file.program)?;
        let program = named.as_ref().unwrap_or(&file.program);
        let job = self.job(&file, program, &task.limits, &scratch);
        let launch = Launch {
            executable: self.runtime.path.clone(),
            args: self.runtime.adapter.arguments(&job)?,
            handed: program.handed(),
            usage: task.usage.clone(),
        };
        tracing::debug!(executable = %launch.executable.display(), guest = ?self.guest, "starting runtime");
        let spawned = Instant::now();
        let dialogue = start(&launch, control)?;
        // While the runtime starts. Whatever the guest asks for waits until then.
        let host = match host {
            Some(host) => host,
            None => Host::of(task, control)?,
        };
        let mut session = Session::new(file.relayed.clone(), self.terms.fuel, host, task);
        session.opened_at_start = named;
        Ok(Talk {
            dialogue,
            session,
            spawned,
            runtime: self.runtime.clone(),
            launch,
            file,
            _scratch: scratch,
        })
    }
}

/// By what a file is known: its entry, or none.
fn key(purpose: Purpose<'_>) -> Option<String> {
    match purpose {
        Purpose::Run(entry) => Some(entry.to_owned()),
        Purpose::Live => None,
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
