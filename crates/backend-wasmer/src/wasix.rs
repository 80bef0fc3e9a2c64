//! Modules that import WASIX, through wasmer-wasix.
//!
//! A guest gets arguments, an environment and standard streams, and a file system in memory, in which archives, volumes of
//! packages, memory and overlays of these are mounted (`files.rs`). It runs on one thread, so that nothing of it is left when
//! it ends: core refuses guests that start threads, and to start a process fails in the guest. All else that could be asked
//! is refused, because wasmer-wasix cannot keep it: it keeps more of directories in mind than it should where others may
//! change them, as on the host, and some of its calls cannot be cut short.

mod files;
mod stdio;
mod tasks;

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};
use wasmer::{Engine, Instance, InstantiationError, LinkError, Module, RuntimeError, Store};
use wasmer_wasix::runtime::PluggableRuntime;
use wasmer_wasix::wasmer_wasix_types::wasi::Errno;
use wasmer_wasix::{WasiEnvBuilder, WasiError, WasiFunctionEnv, WasiRuntimeError, WasiThreadError};
use wasmrun_core::guest::shown;
use wasmrun_core::stdio::Output;
use wasmrun_core::{
    Artifact, Clock, Code, Compile, CompileOptions, Control, Error, ErrorKind, Guest, Mount,
    Outcome, Overflow, Ran, Random, Result, Stats, Task,
};

use crate::code::{self, not_compiled, not_instantiated};
use crate::config::engine;
use crate::{exceptions, traps};
use stdio::Stream;
use tasks::OneThread;

/// A compiled WASIX module.
pub(crate) struct WasixCode {
    module: Module,
    /// The export to call before the entry.
    start: Option<String>,
    runtime: Arc<PluggableRuntime>,
}

impl WasixCode {
    pub(crate) fn compile(compile: Compile<'_>) -> Result<Self> {
        let guest = compile.guest;
        refuse(guest, compile.options)?;
        exceptions::refuse_kept(guest)?;
        let engine = engine(compile, guest.start_export());
        let module = Module::new(&engine, guest.bytes()).map_err(not_compiled)?;
        WasixCode::of(guest, engine, module)
    }

    pub(crate) fn load(compile: Compile<'_>, from: Artifact) -> Result<Self> {
        refuse(compile.guest, compile.options)?;
        let engine = engine(compile, None);
        let module = code::load(&engine, from)?;
        WasixCode::of(compile.guest, engine, module)
    }

    fn of(guest: &Guest, engine: Engine, module: Module) -> Result<Self> {
        let reactor = reactor()?;
        let _context = reactor.enter();
        let mut runtime = PluggableRuntime::new(Arc::new(OneThread::new(reactor.handle())));
        runtime.set_engine(engine);
        Ok(WasixCode {
            module,
            start: guest.start_export(),
            runtime: Arc::new(runtime),
        })
    }
}

/// What wakes guests that sleep.
fn reactor() -> Result<&'static Runtime> {
    static REACTOR: std::sync::OnceLock<Runtime> = std::sync::OnceLock::new();
    if let Some(reactor) = REACTOR.get() {
        return Ok(reactor);
    }
    let reactor = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("wasmrun-wasix")
        .enable_all()
        .build()
        .map_err(|source| {
            Error::new(ErrorKind::Io, "cannot start a thread for WASIX").with_source(source)
        })?;
    Ok(REACTOR.get_or_init(|| reactor))
}

fn refuse(guest: &Guest, options: CompileOptions) -> Result<()> {
    // wasmer-wasix calls the one before we could call the other.
    if guest.start_section() && guest.has_entry(Guest::INITIALIZE) {
        return Err(refused(
            "cannot run a guest that uses WASIX with both a start section and _initialize",
        ));
    }
    if options.fuel {
        return Err(refused("cannot limit the fuel of a guest that uses WASIX"));
    }
    if options.interruptible {
        return Err(refused(
            "cannot limit the time of a guest that uses WASIX, nor kill it",
        ));
    }
    Ok(())
}

fn refuse_requests(task: &Task) -> Result<()> {
    let of_host = |mount: &&Mount| files::is_of_host(&mount.source);
    if let Some(mount) = task.mounts.iter().find(of_host) {
        return Err(refused(format!(
            "cannot show {} to a guest that uses WASIX: it is of the host, and such a guest is shown memory, archives and \
             volumes of packages",
            mount.path
        )));
    }
    for (asked, what) in [
        (
            task.limits.memory.is_some(),
            "limit the memory of a guest that uses WASIX",
        ),
        (
            task.limits.table_elements.is_some(),
            "limit the tables of a guest that uses WASIX",
        ),
        (
            task.clock != Clock::Host,
            "stop the clock of a guest that uses WASIX",
        ),
        (
            task.random != Random::Host,
            "seed the random numbers of a guest that uses WASIX",
        ),
        (
            task.sorted_listings,
            "sort what directories list to a guest that uses WASIX",
        ),
        (
            task.limits.overflow == Overflow::Stop,
            "stop a guest that uses WASIX for what it writes",
        ),
        (
            [&task.stdout, &task.stderr]
                .iter()
                .any(|output| matches!(output, Output::Metered(..))),
            "keep what a guest that uses WASIX writes, unless it is captured",
        ),
        (
            task.entry.is_some(),
            "start a guest that uses WASIX at another export than _start",
        ),
    ] {
        if asked {
            return Err(refused(format!("cannot {what}")));
        }
    }
    Ok(())
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}

impl Code for WasixCode {
    fn run(&self, task: Task, control: &Control) -> Result<Ran> {
        refuse_requests(&task)?;
        task.usage.on_this_thread();
        let began = Instant::now();
        let reactor = reactor()?;
        let _context = reactor.enter();
        let mut store = Store::new(self.runtime.engine.clone());
        let mut stats = Stats::default();
        let instantiated = environment(task, control)?
            .runtime(self.runtime.clone())
            .instantiate(self.module.clone(), &mut store);
        let (instance, environment) = match instantiated {
            Ok(instantiated) => instantiated,
            Err(error) => {
                let outcome = ended(error)?;
                return Ok(Ran { outcome, stats });
            }
        };
        let started = Instant::now();
        stats.instantiate = Some(started - began);
        let outcome = self.call(&mut store, &instance)?;
        stats.run = Some(started.elapsed());
        close(&environment, &mut store, &outcome);
        Ok(Ran { outcome, stats })
    }

    fn artifact(&self, _: Option<&Control>) -> Result<Option<Vec<u8>>> {
        code::artifact(&self.module)
    }
}

impl WasixCode {
    /// Calls the start function, if there is one, and the entry.
    fn call(&self, store: &mut Store, instance: &Instance) -> Result<Outcome> {
        for name in self
            .start
            .as_deref()
            .into_iter()
            .chain([Guest::DEFAULT_ENTRY])
        {
            let function = code::entry_function(store, instance, name)?;
            if let Err(error) = function.call(store) {
                return ended(error.into());
            }
        }
        Ok(Outcome::Exited(0))
    }
}

/// What the guest sees.
fn environment(task: Task, control: &Control) -> Result<WasiEnvBuilder> {
    let mounted = files::mounted(&task, control)?;
    let mut args = task.args.iter();
    let environment = WasiEnvBuilder::new(args.next().map_or("", String::as_str))
        .args(args)
        .envs(task.env)
        .stdin(Box::new(Stream::input(task.stdin)?))
        .stdout(Box::new(Stream::output(task.stdout, std::io::stdout())?))
        .stderr(Box::new(Stream::output(task.stderr, std::io::stderr())?));
    let Some(mounted) = mounted else {
        return Ok(environment);
    };
    // A guest finds files by what is opened for it: the root, which is where it begins as well.
    let environment = environment.mount_fs(mounted).preopen_dir("/");
    environment
        .and_then(|environment| environment.map_dir(".", "/"))
        .map_err(not_started)
}

fn ended(error: WasiRuntimeError) -> Result<Outcome> {
    if let Some(code) = error.as_exit_code() {
        // WASIX keeps the remainder of a division by 256, with its sign in the upper half of 16 bits.
        return Ok(Outcome::Exited(i32::from(code.raw() as u16 as i16)));
    }
    match error {
        WasiRuntimeError::Runtime(error) => Ok(match error.downcast_ref::<WasiError>() {
            Some(WasiError::ThreadExit) => Outcome::Exited(0),
            _ => traps::outcome(error),
        }),
        WasiRuntimeError::Thread(WasiThreadError::InstanceCreateFailed(error)) => match *error {
            InstantiationError::Start(error) => ended(error.into()),
            InstantiationError::Link(LinkError::Import(module, name, _)) => Err(refused(format!(
                "the guest imports {}.{}, which wasmer's WASIX does not have with that type",
                shown(&module),
                shown(&name)
            ))),
            error => Err(not_instantiated(error)),
        },
        WasiRuntimeError::Thread(WasiThreadError::InitFailed(error)) => {
            match error.downcast_ref::<RuntimeError>() {
                Some(error) => ended(error.clone().into()),
                None => Err(not_started(WasiThreadError::InitFailed(error))),
            }
        }
        error => Err(not_started(error)),
    }
}

fn not_started(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Engine, "cannot start the guest with WASIX").with_source(source)
}

/// Closes what the guest left open.
fn close(environment: &WasiFunctionEnv, store: &mut Store, outcome: &Outcome) {
    let code = match outcome {
        Outcome::Exited(code) => (*code).into(),
        _ => Errno::Noexec.into(),
    };
    environment.on_exit(store, Some(code));
}
