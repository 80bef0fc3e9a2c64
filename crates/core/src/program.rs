//! A guest compiled by an engine, and the one way to run it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::compile::{Unfinished, ended, make};
use crate::host::{HostEnd, Slot};
use crate::pump::{Drain, feed};
use crate::run::panicked;
use crate::task::{Streams, resolve};
use crate::{
    Attachments, CacheUse, Capability, Code, CodeCache, Compilation, CompileOptions, Control,
    Engine, Error, ErrorKind, Guest, GuestKind, HostFunctions, HostRun, Killer, Limits, Outcome,
    Refusal, Report, Request, Result, Run, RunConfig, Stats, Stdin, Stdout, Task, check,
};

/// A guest compiled by an engine: cheap to clone, runs any number of times, from many threads.
///
/// Everything a caller asks for is checked here, once, above all engines.
#[derive(Clone, Debug)]
pub struct Program(Arc<Inner>);

struct Inner {
    engine: Arc<dyn Engine>,
    capability: Capability,
    guest: Guest,
    options: CompileOptions,
    code: Arc<dyn Code>,
    /// The guest imports functions of the host, or may be given WASI as such.
    calls_host: bool,
    /// Why it cannot run without what is privileged.
    needs_privilege: Option<Refusal>,
    compile_time: Duration,
    cache: Option<CacheUse>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("engine", &self.engine)
            .field("guest", &self.guest)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Program {
    /// Compiles `guest` on `engine` for runs as is asked: by a config or, with [functions](crate::HostFunctions) of
    /// the host, a [`Request`]. Their time begins when they do.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported), before anything is compiled, if the engine lacks
    /// what the guest needs or the config asks; otherwise what [`Engine::compile`] returns.
    pub fn compile<'a>(
        engine: Arc<dyn Engine>,
        guest: &Guest,
        request: impl Into<Request<'a>>,
    ) -> Result<Self> {
        Program::compile_with(engine, guest, request, Compilation::new())
    }

    /// Like [`compile`](Program::compile), but takes code that `cache` has kept, and otherwise lets
    /// it keep what was compiled. What a cache fails at is no error.
    ///
    /// # Errors
    ///
    /// As for [`compile`](Program::compile).
    pub fn compile_cached<'a>(
        engine: Arc<dyn Engine>,
        guest: &Guest,
        request: impl Into<Request<'a>>,
        cache: &dyn CodeCache,
    ) -> Result<Self> {
        Program::compile_with(engine, guest, request, Compilation::new().cache(cache))
    }

    /// Like [`compile`](Program::compile), in the way that is asked.
    ///
    /// # Errors
    ///
    /// As for [`compile`](Program::compile), and [`Interrupted`](ErrorKind::Interrupted) if the compiling
    /// was [ended](Compilation::control).
    pub fn compile_with<'a>(
        engine: Arc<dyn Engine>,
        guest: &Guest,
        request: impl Into<Request<'a>>,
        how: Compilation<'_>,
    ) -> Result<Self> {
        let (began, request) = (Instant::now(), request.into());
        let options = CompileOptions {
            ahead: how.ahead,
            ..CompileOptions::of(request)
        };
        let made = make(&*engine, guest, options, request, how);
        if let Some(reason) = how.control.and_then(Control::interrupted) {
            let error = ended(reason).with_operation("compile");
            return Err(error.with_engine(&engine.info().name));
        }
        let (guest, code, cache) = made?;
        Ok(Program(Arc::new(Inner {
            calls_host: calls_host(&guest, request.host),
            needs_privilege: check::privileged(&guest, request.host),
            capability: engine.capability_for(&guest),
            guest,
            options,
            code,
            compile_time: began.elapsed(),
            cache,
            engine,
        })))
    }

    /// Like [`compile_with`](Program::compile_with) for a run that has begun already: its `control`, to be handed
    /// [to the run](Attachments::control), ends the compiling as it ends the run, and the timeout in the config is for
    /// both together. If the compiling was ended, so is the run, which will report it.
    ///
    /// # Errors
    ///
    /// As for [`compile`](Program::compile).
    pub fn compile_for_run<'a>(
        engine: Arc<dyn Engine>,
        guest: &Guest,
        request: impl Into<Request<'a>>,
        cache: Option<&dyn CodeCache>,
        control: &Control,
    ) -> Result<Self> {
        let request @ Request { config, host, .. } = request.into();
        if let Some(timeout) = config.limits.timeout {
            control.expire_after(timeout)?;
        }
        let began = Instant::now();
        let how = Compilation {
            cache,
            control: Some(control),
            ahead: false,
        };
        match Program::compile_with(engine.clone(), guest, request, how) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Program(Arc::new(Inner {
                calls_host: calls_host(guest, host),
                needs_privilege: check::privileged(guest, host),
                capability: engine.capability_for(guest),
                guest: guest.clone(),
                options: CompileOptions::of(request),
                code: Arc::new(Unfinished),
                compile_time: began.elapsed(),
                cache: None,
                engine,
            }))),
            made => made,
        }
    }

    /// How long it took to compile it, or to load it compiled.
    pub fn compile_time(&self) -> Duration {
        self.0.compile_time
    }

    /// What the cache had of it, where one was asked.
    pub fn cache_use(&self) -> Option<&CacheUse> {
        self.0.cache.as_ref()
    }

    /// The engine that compiled it.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.0.engine
    }

    /// The guest.
    pub fn guest(&self) -> &Guest {
        &self.0.guest
    }

    /// Runs the guest on the calling thread until it ends.
    ///
    /// # Errors
    ///
    /// What kept the guest from starting or from being observed; how it ended is in the
    /// [`Report`]. A stream that is a [pipe](Stdout::Pipe) needs [`Program::start`], and is a
    /// [`Config`](ErrorKind::Config) error here.
    pub fn run(&self, config: &RunConfig) -> Result<Report> {
        self.run_here(config, Attachments::new())
    }

    /// As [`run`](Program::run), for a config that is [killable](RunConfig::killable). Before the guest starts,
    /// `hand_out` is given its [`Killer`], for other threads.
    ///
    /// # Errors
    ///
    /// As for [`Program::run`] and [`Run::killer`]. An engine that panics is an error, as it is with
    /// [`Program::start`].
    pub fn run_killable(
        &self,
        config: &RunConfig,
        hand_out: impl FnOnce(Killer),
    ) -> Result<Report> {
        let control = Control::new();
        hand_out(Killer::new(&control, config.killable)?);
        self.run_with(config, Attachments::new().control(&control))
    }

    /// As [`run`](Program::run), with what the run is handed beside its config.
    ///
    /// # Errors
    ///
    /// As for [`Program::run`]. An engine that panics is an error, as it is with [`Program::start`].
    pub fn run_with(&self, config: &RunConfig, attachments: Attachments) -> Result<Report> {
        let run = AssertUnwindSafe(|| self.run_here(config, attachments));
        catch_unwind(run).unwrap_or_else(|_| Err(self.named(panicked())))
    }

    fn run_here(&self, config: &RunConfig, attachments: Attachments) -> Result<Report> {
        if config.stdin == Stdin::Pipe
            || config.stdout == Stdout::Pipe
            || config.stderr == Stdout::Pipe
        {
            return Err(self.named(Error::new(
                ErrorKind::Config,
                "a stream is a pipe, and nobody could use its other end before the guest has ended",
            )));
        }
        let prepared = self.prepare(config.into(), attachments)?;
        let Some(stack) = config.limits.stack else {
            return self.execute(prepared);
        };
        // The caller's stack may be smaller than what the guest is to have.
        thread::scope(|scope| {
            guest_thread(Some(stack))
                .spawn_scoped(scope, || self.execute(prepared))
                .map_err(|source| self.named(no_thread(source)))?
                .join()
                .unwrap_or_else(|_| Err(self.named(panicked())))
        })
    }

    /// Starts the guest on a thread of its own.
    ///
    /// # Errors
    ///
    /// As for [`Program::run`]; what keeps an engine from starting the guest is told by
    /// [`Run::wait`].
    pub fn start(&self, config: &RunConfig) -> Result<Run> {
        self.start_with(config, Attachments::new())
    }

    /// As [`start`](Program::start), with what the run is handed beside its config.
    ///
    /// # Errors
    ///
    /// As for [`Program::start`].
    pub fn start_with(&self, config: &RunConfig, attachments: Attachments) -> Result<Run> {
        let mut prepared = self.prepare(config.into(), attachments)?;
        let streams = &mut prepared.streams;
        let ours = (
            streams.stdin.take(),
            streams.stdout.take(),
            streams.stderr.take(),
        );
        let (program, control) = (self.clone(), prepared.control.clone());
        let (usage, log) = (prepared.task.usage.clone(), streams.log.clone());
        let thread = guest_thread(config.limits.stack);
        let guest = move || program.execute(prepared);
        let run = Run::start(thread, control, config.killable, usage, guest);
        let mut run = run.map_err(|source| self.named(no_thread(source)))?;
        run.log = log;
        (run.stdin, run.stdout, run.stderr) = ours;
        Ok(run)
    }

    /// Checks and resolves what is asked of a run or, if it is for one, of an instance.
    pub(crate) fn prepare(
        &self,
        request: Request<'_>,
        attachments: Attachments,
    ) -> Result<Prepared> {
        let config = request.config;
        let Attachments {
            control,
            state,
            listener,
            stdin,
            stdout,
            stderr,
            log,
        } = attachments;
        let control = control.unwrap_or_default();
        let inner = &*self.0;
        // It may have been compiled for runs that have more.
        let privilege = inner.needs_privilege.clone();
        let refusal = privilege
            .filter(|_| !config.privileged)
            .into_iter()
            .chain(check::unmet_requests(
                &inner.capability,
                &inner.guest,
                request,
            ))
            .next();
        if let Some(refusal) = refusal {
            let refusal = refusal.by(&*inner.engine, &inner.guest);
            return Err(self.named(refusal.into()).with_operation("check"));
        }
        if !inner.options.serve(&CompileOptions::of(request)) {
            let message = match request.live && !inner.options.live {
                true => "the program was compiled for runs; compile it with Request::live",
                false => {
                    "the program was compiled for runs with other limits on fuel, time or stack; \
                     compile it with the config it is to run with"
                }
            };
            return Err(self.named(Error::new(ErrorKind::Unsupported, message)));
        }
        if let Some(timeout) = config.limits.timeout {
            control
                .expire_after(timeout)
                .map_err(|error| self.named(error))?;
        }
        let attached = (stdin.is_some(), stdout.is_some(), stderr.is_some());
        let piped;
        let config = match attached {
            (false, false, false) => config,
            attached => {
                piped = with_pipes(config, attached);
                &piped
            }
        };
        let started = |error: Error| error.with_operation("start");
        let (mut task, mut streams) =
            resolve(&inner.guest, config, &control, log).map_err(started)?;
        if let (Some(stdin), Some(pipe)) = (stdin, streams.stdin.take_if(|_| attached.0)) {
            feed(stdin, pipe).map_err(started)?;
        }
        let outputs = [
            (stdout, streams.stdout.take_if(|_| attached.1)),
            (stderr, streams.stderr.take_if(|_| attached.2)),
        ];
        let drains = outputs
            .into_iter()
            .filter_map(|(to, from)| Some((from?, to?)));
        let drains = drains.map(|(from, to)| Drain::new(from, to));
        let drains = drains.collect::<Result<Vec<_>>>().map_err(started)?;
        let host_end = inner.calls_host.then(Slot::default);
        if let Some(end) = &host_end {
            task.host = HostRun::new(&control, state, listener, end.clone());
        }
        Ok(Prepared {
            task,
            streams,
            drains,
            control,
            host_end,
        })
    }

    fn execute(&self, prepared: Prepared) -> Result<Report> {
        let Prepared {
            task,
            streams,
            drains,
            control,
            host_end,
        } = prepared;
        let inner = &*self.0;
        let info = inner.engine.info();
        let (layers, denials) = (task.layers.clone(), task.denials.clone());
        let (outcome, mut stats) = if let Some(reason) = control.interrupted() {
            (reason.outcome(), Stats::default())
        } else if exceeds(&inner.guest, &task.limits) {
            (Outcome::OutOfMemory, Stats::default())
        } else {
            self.execute_within_limits(task, &control, host_end.as_ref())?
        };
        for drain in drains {
            drain.finish(control.interrupted().map(|_| AFTER_THE_END));
        }
        stats.compile = stats.compile.or(Some(inner.compile_time));
        stats.cache = inner.cache.clone();
        let take = |capture: &Option<crate::stdio::Capture>| {
            capture.as_ref().map(|capture| capture.take())
        };
        Ok(Report {
            engine: info.name.clone(),
            engine_version: info.version.clone(),
            outcome,
            stats,
            stdout: take(&streams.stdout_capture).unwrap_or_default(),
            stderr: take(&streams.stderr_capture).unwrap_or_default(),
            logs: streams
                .log
                .map(|log| log.tail(usize::MAX))
                .unwrap_or_default(),
            layers: layers.all(),
            denied: denials.all(),
        })
    }

    fn execute_within_limits(
        &self,
        task: Task,
        control: &Control,
        host_end: Option<&Slot>,
    ) -> Result<(Outcome, Stats)> {
        let usage = task.usage.clone();
        let ran = self.0.code.run(task, control).map(|mut ran| {
            ran.stats.cpu = usage.cpu();
            ran.stats.network = usage.traffic().stats();
            ran
        });
        match (ended_from_outside(control, host_end), ran) {
            (Some(Ok(outcome)), ran) => {
                let stats = ran.map(|ran| ran.stats).unwrap_or_default();
                Ok((outcome, stats))
            }
            (None, Ok(ran)) => Ok((ran.outcome, ran.stats)),
            (Some(Err(error)), _) | (None, Err(error)) => {
                Err(self.named(error).with_operation("run"))
            }
        }
    }

    pub(crate) fn code(&self) -> &dyn Code {
        &*self.0.code
    }

    pub(crate) fn named(&self, error: Error) -> Error {
        error.with_engine(&self.0.engine.info().name)
    }
}

/// A run that is about to begin, or an instance.
pub(crate) struct Prepared {
    pub(crate) task: Task,
    pub(crate) streams: Streams,
    pub(crate) drains: Vec<Drain>,
    pub(crate) control: Control,
    /// How a function of the host ended the guest, if one could.
    pub(crate) host_end: Option<Slot>,
}

/// The output of a guest that was ended may be on its way for so long.
const AFTER_THE_END: Duration = Duration::from_millis(100);

/// The config with pipes in place of those streams: input, output, error.
fn with_pipes(config: &RunConfig, (stdin, stdout, stderr): (bool, bool, bool)) -> RunConfig {
    let mut config = config.clone();
    if stdin {
        config.stdin = Stdin::Pipe;
    }
    if stdout {
        config.stdout = Stdout::Pipe;
    }
    if stderr {
        config.stderr = Stdout::Pipe;
    }
    config
}

/// How the guest ended, if an interruption or a function of the host was why, whatever it looked like to its engine.
pub(crate) fn ended_from_outside(
    control: &Control,
    host_end: Option<&Slot>,
) -> Option<Result<Outcome>> {
    match (control.interrupted(), host_end) {
        (Some(reason), _) => Some(Ok(reason.outcome())),
        (None, Some(slot)) => slot.take().map(HostEnd::outcome),
        (None, None) => None,
    }
}

fn calls_host(guest: &Guest, host: &HostFunctions) -> bool {
    let mut imports = guest.imports().iter();
    // Of a component that was flattened, everything that it imports is a function of the host.
    guest.kind() == GuestKind::Component
        || imports.any(|import| host.of_import(import).is_some() || host.serves(import))
}

/// Whether the guest starts out with more than the limits allow.
pub(crate) fn exceeds(guest: &Guest, limits: &Limits) -> bool {
    let memories = guest.memories().iter().map(|memory| memory.initial_bytes);
    let tables = || guest.tables().iter().map(|table| table.initial);
    let bytes = tables().map(|elements| elements.saturating_mul(Limits::TABLE_ELEMENT_BYTES));
    sum_exceeds(memories.chain(bytes), limits.memory)
        || sum_exceeds(tables(), limits.table_elements)
        || (guest.kind() == GuestKind::Module && limits.instances == Some(0))
}

fn sum_exceeds(mut sizes: impl Iterator<Item = u64>, limit: Option<u64>) -> bool {
    limit.is_some_and(|limit| {
        sizes
            .try_fold(0u64, |sum, size| sum.checked_add(size))
            .is_none_or(|sum| sum > limit)
    })
}

/// Room for the host's own frames beneath the guest's.
const HOST_STACK: usize = 2 << 20;

pub(crate) fn guest_thread(stack: Option<u64>) -> thread::Builder {
    let stack = stack.map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    thread::Builder::new()
        .name("wasmrun-guest".into())
        .stack_size(stack.saturating_add(HOST_STACK))
}

pub(crate) fn no_thread(source: io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot start a thread for the guest").with_source(source)
}
