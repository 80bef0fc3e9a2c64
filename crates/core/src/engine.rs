//! What a backend implements: an [`Engine`] that compiles, and [`Code`] that runs.
//!
//! Everything else is written once, above the backends, in [`Program`](crate::Program) and
//! [`Run`](crate::Run): checks, streams, deadlines, threads. Neither trait can be called with
//! anything unchecked, because only core makes a [`Compile`] or a [`Task`].

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::guest::{ComponentFunction, FuncSignature, ValueType};
use crate::stdio::{Input, Output};
use crate::{
    Artifact, Capability, Clock, ComponentValue, Control, Denials, Error, ErrorKind, Guest,
    HostFunctions, HostMemory, HostRun, Layers, Limits, Mount, Network, Outcome, Random, Request,
    Resource, Result, Stats, Usage, Value, VirtualClock,
};

/// An engine that is present and ready.
pub trait Engine: Send + Sync + fmt::Debug {
    /// Its name, version and place.
    fn info(&self) -> &EngineInfo;

    /// What it can do. Constant for the life of the engine.
    fn capability(&self) -> Capability;

    /// What it can do with `guest`, where that depends on the guest: an engine may do more for modules
    /// than for components. Constant as well.
    fn capability_for(&self, guest: &Guest) -> Capability {
        let _ = guest;
        self.capability()
    }

    /// Why it lacks `what` for this guest, where it has it for others: what follows "cannot limit memory: ".
    /// `what` is the name of a field of [`Capability`].
    fn reason(&self, guest: &Guest, what: &str) -> Option<Cow<'static, str>> {
        let _ = (guest, what);
        None
    }

    /// Makes what all code like this needs of the machine, where the machine may not have it. A choice of
    /// engines passes over one that fails here.
    ///
    /// # Errors
    ///
    /// What is missing.
    fn set_up(&self, compile: Compile<'_>) -> Result<()> {
        let _ = compile;
        Ok(())
    }

    /// Compiles a guest, or does as much of that as can be done before a run.
    ///
    /// When its [control](Compile::control) is interrupted this must end soon, and leave nothing behind that
    /// runs; which error, or code, is returned then does not matter. It may
    /// [unwind](Control::unwind_if_interrupted).
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a guest that does not validate,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for one that this engine turns out not to take,
    /// [`Engine`](crate::ErrorKind::Engine) for a failure of the engine's own.
    fn compile(&self, compile: Compile<'_>) -> Result<Arc<dyn Code>>;

    /// What the code of a guest depends on beside the guest, the options, and the engine's name and
    /// version: settings, features of the processor, what wasmrun compiles into it. The same bytes
    /// mean that code can be exchanged. `None`, the default, if no code of this engine can be kept.
    /// The guest may be one that is not [read](Guest::is_read).
    ///
    /// # Errors
    ///
    /// As for [`compile`](Engine::compile).
    fn code_identity(&self, compile: Compile<'_>) -> Result<Option<Vec<u8>>> {
        let _ = compile;
        Ok(None)
    }

    /// Makes code out of what [`Code::artifact`] once gave of code for the same guest and options.
    /// The guest may be one that is not [read](Guest::is_read).
    ///
    /// # Errors
    ///
    /// Why the artifact is not taken. The guest is compiled then.
    fn load(&self, compile: Compile<'_>, artifact: Artifact) -> Result<Arc<dyn Code>> {
        let _ = (compile, artifact);
        Err(Error::new(
            ErrorKind::Unsupported,
            "cannot load compiled code",
        ))
    }
}

/// A guest made ready by an engine; runs any number of times, at the same time too.
pub trait Code: Send + Sync {
    /// Runs the guest on the calling thread until it ends.
    ///
    /// When `control` is interrupted the guest must end soon, and leave nothing behind that runs;
    /// which [`Outcome`] is returned then does not matter.
    ///
    /// # Errors
    ///
    /// What kept the guest from starting or from being observed. How it ended, however badly, is an
    /// [`Outcome`].
    fn run(&self, task: Task, control: &Control) -> Result<Ran>;

    /// Makes an instance of the guest that stays, on the calling thread: its start function and its
    /// [`_initialize`](Guest::INITIALIZE) have returned, and nothing else of it has run.
    ///
    /// # Errors
    ///
    /// As for [`run`](Code::run).
    fn instantiate(&self, task: Task, control: &Control) -> Result<Instantiated> {
        let _ = (task, control);
        Err(Error::new(
            ErrorKind::Unsupported,
            "cannot keep an instance of a guest",
        ))
    }

    /// The compiled code, or what else saves an engine work, as [`Engine::load`] takes it. `None`, the
    /// default, if it cannot be kept. `control`, as for [`Engine::compile`], ends an engine that compiles
    /// only here.
    ///
    /// # Errors
    ///
    /// What the engine fails with.
    fn artifact(&self, control: Option<&Control>) -> Result<Option<Vec<u8>>> {
        let _ = control;
        Ok(None)
    }

    /// Hears where its [artifact](Code::artifact) is kept, so that it need not keep another. By default it goes on
    /// with what it has.
    fn kept(&self, _artifact: &Artifact) {}
}

/// What comes of making an [instance that stays](Code::instantiate).
pub enum Instantiated {
    /// The instance.
    Live(Box<dyn Live>),
    /// The guest ended before there was one, in its start function or because its segments do not fit.
    Ended(Outcome),
}

/// An instance of a guest that stays. It is used by one thread at a time, not always the same. Once a call has not
/// returned, it is only dropped.
pub trait Live: Send {
    /// The number by which that exported function is [called](Live::call). It is there, and of that type: core has
    /// seen it. The same name may be asked for again.
    ///
    /// # Errors
    ///
    /// The engine cannot call it from outside.
    fn function(&mut self, name: &str, signature: &FuncSignature) -> Result<usize>;

    /// Calls a function to its end, with its parameters in the first of these slots, and leaves its results there: as
    /// [`HostFunction::call`](crate::HostFunction::call) does. How the guest ended, unless the function returned.
    ///
    /// When `control`, the one that the instance was made with, is interrupted the guest must end soon, and leave
    /// nothing behind that runs; what is returned then does not matter.
    ///
    /// # Errors
    ///
    /// What kept the guest from being observed.
    fn call(
        &mut self,
        function: usize,
        slots: &mut [u64],
        call: CallLimits,
        control: &Control,
    ) -> Result<Option<Outcome>>;

    /// The memory that is exported by that name.
    ///
    /// # Errors
    ///
    /// The engine cannot reach it.
    fn memory(&mut self, name: &str) -> Result<HostMemory<'_>>;

    /// What the global holds that is exported by that name, of this type. It is there: core has seen it.
    ///
    /// # Errors
    ///
    /// The engine cannot reach it.
    fn global(&mut self, name: &str, ty: ValueType) -> Result<Value>;

    /// Puts a value of its type into such a global, which is mutable.
    ///
    /// # Errors
    ///
    /// As for [`global`](Live::global).
    fn set_global(&mut self, name: &str, value: Value) -> Result<()>;

    /// The number by which that function of a component is [called](Live::call_component). It is among the guest's
    /// [exports](Guest::exported_functions). By default there is none: whoever keeps an instance of a component has this
    /// and the two that follow.
    ///
    /// # Errors
    ///
    /// As for [`function`](Live::function).
    fn component_function(&mut self, function: &ComponentFunction) -> Result<usize> {
        let _ = function;
        Err(no_components())
    }

    /// Calls a function of a component to its end, with values of the types that it takes, and as [`call`](Live::call)
    /// calls others. What it returned, or how the guest ended.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) for a [`Resource`] that is not this instance's, or was used up: the instance goes on.
    /// Otherwise what kept the guest from being observed.
    fn call_component(
        &mut self,
        function: usize,
        params: &[ComponentValue],
        call: CallLimits,
        control: &Control,
    ) -> Result<Result<Option<ComponentValue>, Outcome>> {
        let _ = (function, params, call, control);
        Err(no_components())
    }

    /// Drops a resource that a call gave back, for which the guest may have something to do. How it ended, if it did.
    ///
    /// # Errors
    ///
    /// As for [`call_component`](Live::call_component).
    fn drop_resource(
        &mut self,
        resource: &Resource,
        call: CallLimits,
        control: &Control,
    ) -> Result<Option<Outcome>> {
        let _ = (resource, call, control);
        Err(no_components())
    }

    /// What it tells of its cost so far: the fuel of the last call, the peak of memory.
    fn stats(&mut self) -> Stats;
}

fn no_components() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "cannot call functions of components",
    )
}

/// What one call of an instance may use.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct CallLimits {
    /// Fuel units.
    pub fuel: Option<u64>,
}

/// Which engine this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineInfo {
    /// Its name, as `--engine` takes it.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// Where it is.
    pub place: Place,
}

/// Where an engine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Linked into this process.
    InProcess,
    /// An executable, started for each run.
    Executable(#[serde(serialize_with = "crate::guest::serialize_path")] PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::InProcess => f.write_str("in-process"),
            Place::Executable(path) => path.display().fmt(f),
        }
    }
}

/// A checked request to compile: the engine can run this guest.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Compile<'a> {
    /// What to compile.
    pub guest: &'a Guest,
    /// What the code must be able to do.
    pub options: CompileOptions,
    /// What may end the compiling, if anybody may.
    pub control: Option<&'a Control>,
    /// The functions that the guest may import of the host. Each that it does import is
    /// [there](HostFunctions::of_import), and of its type, or is WASI's.
    pub host: &'a HostFunctions,
}

/// What compiled code must be able to do. It costs speed on some engines, so it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CompileOptions {
    /// Count fuel.
    pub fuel: bool,
    /// End when [`Control`] is interrupted, in loops too.
    pub interruptible: bool,
    /// Run with this many bytes of stack.
    pub stack: Option<u64>,
    /// Make [instances that stay](Code::instantiate).
    pub live: bool,
    /// Be the best there is, however long that takes: it is to be kept, and nobody waits to run it.
    /// Code that was compiled without serves as well, and is served as well.
    pub ahead: bool,
}

impl CompileOptions {
    /// What is needed for what is asked.
    pub fn of<'a>(request: impl Into<Request<'a>>) -> Self {
        let Request { config, live, .. } = request.into();
        CompileOptions {
            live,
            fuel: config.limits.fuel.is_some(),
            interruptible: config.limits.timeout.is_some() || config.killable,
            stack: config.limits.stack,
            ahead: false,
        }
    }

    /// Whether code compiled with these options serves runs that need `other`.
    pub(crate) fn serve(&self, other: &CompileOptions) -> bool {
        self.fuel == other.fuel
            && (self.interruptible || !other.interruptible)
            && self.stack == other.stack
            && (self.live || !other.live)
    }
}

/// A checked and resolved request to run: everything in it is to be honoured.
#[derive(Debug)]
#[non_exhaustive]
pub struct Task {
    /// Arguments, `argv[0]` included. None contains NUL.
    pub args: Vec<String>,
    /// The whole environment: names are unique and sound.
    pub env: Vec<(String, String)>,
    /// What the guest sees of files: hosts absolute and seen to be directories, paths normalised and unique.
    pub mounts: Vec<Mount>,
    /// Where mounts are left that keep what the guest changes apart.
    pub layers: Layers,
    /// The working directory, for components.
    pub working_directory: Option<String>,
    /// Standard input.
    pub stdin: Input,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// Limits. The guest's declared memory and tables are within them. The timeout is kept by core
    /// through [`Control`]; a backend may keep it as well.
    pub limits: Limits,
    /// Where to tell what the guest uses, while it runs.
    pub usage: Usage,
    /// What of the network may be reached.
    pub network: Network,
    /// Where to note what the guest tried of the network and was denied.
    pub denials: Denials,
    /// The clocks.
    pub clock: Clock,
    /// Those of this run, if they are virtual.
    pub virtual_clock: Option<VirtualClock>,
    /// Random numbers.
    pub random: Random,
    /// Whether listings are sorted, and files numbered as they are met.
    pub sorted_listings: bool,
    /// What the functions of the host have of the run.
    pub host: HostRun,
    /// The export to call: a function of no parameters and no results, which the guest has. `None`
    /// for the default entry.
    pub entry: Option<String>,
}

impl Task {
    /// The name of the export to call.
    pub fn entry(&self) -> &str {
        self.entry.as_deref().unwrap_or(Guest::DEFAULT_ENTRY)
    }
}

/// A run that ended.
#[derive(Debug)]
pub struct Ran {
    /// How the guest ended.
    pub outcome: Outcome,
    /// What the engine tells of the cost.
    pub stats: Stats,
}
