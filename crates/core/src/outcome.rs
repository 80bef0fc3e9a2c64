//! How a guest ended, and what it cost.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::{CacheUse, Denied, Layer, LogLine, NetworkStats, exit_code};

/// How a guest ended. The same guest ends the same way on every engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "detail", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// The guest returned (0), called `proc_exit` (its whole argument), or is a component whose
    /// `run` returned an error (1).
    Exited(i32),
    /// The guest did something WebAssembly forbids.
    Trapped(Trap),
    /// [`Limits::timeout`](crate::Limits::timeout) ran out.
    TimedOut,
    /// [`Limits::fuel`](crate::Limits::fuel) ran out.
    OutOfFuel,
    /// The guest starts out with more memory than [`Limits::memory`](crate::Limits::memory) allows.
    OutOfMemory,
    /// The caller ended the guest.
    Killed,
    /// The guest wrote more than [`Limits::output`](crate::Limits::output) to one of its streams, and
    /// [`Overflow::Stop`](crate::Overflow::Stop) was asked for.
    TooMuchOutput,
}

impl Outcome {
    /// Whether the guest exited with 0.
    pub fn success(&self) -> bool {
        *self == Outcome::Exited(0)
    }

    /// The exit code by which a process tells this outcome; see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Outcome::Exited(code) => exit_code::of_guest(*code),
            Outcome::Trapped(_) => exit_code::TRAP,
            Outcome::TimedOut | Outcome::OutOfFuel => exit_code::TIME_OR_FUEL,
            Outcome::OutOfMemory | Outcome::Killed => exit_code::MEMORY_OR_KILL,
            Outcome::TooMuchOutput => exit_code::OUTPUT,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Exited(code) => write!(f, "exited with {code}"),
            Outcome::Trapped(trap) => write!(f, "trapped: {trap}"),
            Outcome::TimedOut => f.write_str("ran out of time"),
            Outcome::OutOfFuel => f.write_str("ran out of fuel"),
            Outcome::OutOfMemory => f.write_str("needs more memory than it may have"),
            Outcome::Killed => f.write_str("was killed"),
            Outcome::TooMuchOutput => f.write_str("wrote more than it may"),
        }
    }
}

/// A trap: its kind, and what the engine says of it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Trap {
    /// What was forbidden.
    pub kind: TrapKind,
    /// The engine's own words and, where it gives one, the guest's call stack. For people: it
    /// differs between engines.
    pub message: String,
    #[serde(skip)]
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Trap {
    /// A trap of `kind`, told in the engine's words.
    pub fn new(kind: TrapKind, message: impl Into<String>) -> Self {
        Trap {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Of a function of the host that failed: `what`, and why.
    pub(crate) fn of_host(what: String, why: Box<dyn std::error::Error + Send + Sync>) -> Self {
        let mut message = format!("{what}: {why}");
        let mut cause = why.source();
        while let Some(error) = cause {
            message.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Trap {
            source: Some(why.into()),
            ..Trap::new(TrapKind::HostFunction, message)
        }
    }

    /// The error that a [function of the host](crate::HostFunctions) failed with, as it returned it.
    ///
    /// ```
    /// # use wasmrun_core::{Trap, TrapKind};
    /// # let trap = Trap::new(TrapKind::HostFunction, "");
    /// let io = trap.source().and_then(|error| error.downcast_ref::<std::io::Error>());
    /// # assert!(io.is_none());
    /// ```
    pub fn source(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.source.as_deref()
    }
}

/// A [function of the host](crate::HostFunctions) that fails with a trap ends the guest with that trap.
impl std::error::Error for Trap {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

/// Traps are equal when their kinds are: messages differ between engines.
impl PartialEq for Trap {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Trap {}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

/// The kinds of trap, as the WebAssembly specification's tests name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TrapKind {
    /// `unreachable` was executed.
    Unreachable,
    /// An access beyond a linear memory.
    MemoryOutOfBounds,
    /// An access beyond a table.
    TableOutOfBounds,
    /// A call through an empty table element.
    UninitializedElement,
    /// A call through a table element of another type.
    IndirectCallTypeMismatch,
    /// Integer division or remainder by zero.
    DivideByZero,
    /// An integer operation whose result does not fit.
    IntegerOverflow,
    /// A float that has no such integer was converted.
    InvalidConversion,
    /// The call stack was used up.
    StackOverflow,
    /// A null reference was used.
    NullReference,
    /// An atomic access that is not aligned.
    UnalignedAtomic,
    /// An exception left the guest uncaught.
    UncaughtException,
    /// A function of the host failed, or one of WASI was handed something it cannot act on.
    HostFunction,
    /// A trap this list does not know, or one whose kind the engine does not tell.
    Other,
}

impl fmt::Display for TrapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrapKind::Unreachable => "unreachable executed",
            TrapKind::MemoryOutOfBounds => "out of bounds memory access",
            TrapKind::TableOutOfBounds => "out of bounds table access",
            TrapKind::UninitializedElement => "uninitialized table element called",
            TrapKind::IndirectCallTypeMismatch => "indirect call type mismatch",
            TrapKind::DivideByZero => "integer divide by zero",
            TrapKind::IntegerOverflow => "integer overflow",
            TrapKind::InvalidConversion => "invalid conversion to integer",
            TrapKind::StackOverflow => "call stack exhausted",
            TrapKind::NullReference => "null reference used",
            TrapKind::UnalignedAtomic => "unaligned atomic access",
            TrapKind::UncaughtException => "uncaught exception",
            TrapKind::HostFunction => "host function failed",
            TrapKind::Other => "wasm trap",
        })
    }
}

/// What a run cost. What an engine does not tell is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Time to compile the guest, or to load it compiled.
    #[serde(rename = "compile_ms", serialize_with = "millis")]
    pub compile: Option<Duration>,
    /// What the [cache](crate::CodeCache) had of the guest, where one was asked.
    pub cache: Option<CacheUse>,
    /// Time to set the guest up: memories, imports, preopens. For a runtime in a process of its own, its
    /// start as well, and whatever compiling it does.
    #[serde(rename = "instantiate_ms", serialize_with = "millis")]
    pub instantiate: Option<Duration>,
    /// Time the guest ran. A component on a runtime in a process of its own counts whole, the
    /// runtime's start included.
    #[serde(rename = "run_ms", serialize_with = "millis")]
    pub run: Option<Duration>,
    /// Processor time that the run took: of the guest's thread or, of a runtime in a process of its own, of that
    /// process, its start included. Not of an [instance](crate::Instance) in this process; and WasmEdge, for a guest
    /// that can be interrupted, does not tell.
    #[serde(rename = "cpu_ms", serialize_with = "millis")]
    pub cpu: Option<Duration>,
    /// Fuel units used.
    pub fuel_used: Option<u64>,
    /// The largest size of all linear memories and tables together, in bytes, as
    /// [`Limits::memory`](crate::Limits::memory) counts them.
    pub peak_memory: Option<u64>,
    /// What a component that was granted any had of the network. Runtimes in a process of their own do not tell, and it is
    /// not told of connections by WASI 0.3.
    pub network: Option<NetworkStats>,
}

fn millis<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64() * 1e3).serialize(to)
}

/// A captured output stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// What was kept.
    pub bytes: Vec<u8>,
    /// How many bytes beyond [`Limits::output`](crate::Limits::output) were dropped.
    pub dropped: u64,
}

/// A finished run: which engine ran it, how it ended, what it cost, what it wrote.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The engine's name.
    pub engine: String,
    /// The engine's version.
    pub engine_version: String,
    /// How the guest ended.
    pub outcome: Outcome,
    /// What it cost.
    pub stats: Stats,
    /// Standard output, where [`Stdout::Capture`](crate::Stdout::Capture) asked for it.
    pub stdout: Captured,
    /// Standard error, likewise.
    pub stderr: Captured,
    /// What it wrote last, as far as [`RunConfig::logs`](crate::RunConfig::logs) asked for it to be kept.
    pub logs: Vec<LogLine>,
    /// What the guest changed of overlays and of file systems in memory, in the order of the mounts.
    pub layers: Vec<Layer>,
    /// What it tried of the network and was denied by the [rules](crate::NetworkRules).
    pub denied: Denied,
}
