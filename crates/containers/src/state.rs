//! Where a container is in its life.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize, Serializer};
use wasmrun::{
    Error, ErrorKind, Limits, LiveStats, Log, LogStream, NetworkStats, Outcome, exit_code,
};

use crate::{GuestRef, Signal};

/// Where a container is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum State {
    /// It was never started.
    Created,
    /// Its program is found and compiled.
    Starting,
    /// It runs.
    Running,
    /// It has ended, and is started again after a pause.
    Restarting,
    /// It ended by itself, with this code, or because it was to: then the code is 128 and the number of the signal, which is
    /// SIGKILL if it was stopped and did not end in time.
    Exited {
        /// The code, whole.
        code: i32,
    },
    /// It could not be started, or was ended because of something that it may not do.
    Failed {
        /// What sort of thing went wrong.
        kind: Failure,
        /// What it was, for people.
        reason: String,
    },
}

/// What sort of thing made a container fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Failure {
    /// It did something WebAssembly forbids.
    Trapped,
    /// Its time ran out.
    TimedOut,
    /// Its fuel ran out.
    OutOfFuel,
    /// It starts out with more memory than it may have.
    OutOfMemory,
    /// It wrote more than it may.
    TooMuchOutput,
    /// It could not be started, or not observed to its end.
    Error(ErrorKind),
}

impl State {
    /// Whether it does not run, and will not by itself.
    pub fn is_over(&self) -> bool {
        matches!(self, State::Exited { .. } | State::Failed { .. })
    }

    /// The exit code by which a process tells how it ended; `None` unless it has.
    pub fn exit_code(&self) -> Option<u8> {
        match self {
            State::Exited { code } => Some(exit_code::of_guest(*code)),
            State::Failed { kind, .. } => Some(kind.exit_code()),
            State::Created | State::Starting | State::Running | State::Restarting => None,
        }
    }

    /// Of a container that ended like this, after it was asked to, if it was.
    pub(crate) fn of_outcome(outcome: &Outcome, signal: Option<Signal>) -> Self {
        let kind = match outcome {
            Outcome::Exited(code) => return State::Exited { code: *code },
            Outcome::Killed => {
                let code = exit_code::of_signal(signal.unwrap_or(Signal::Kill).number());
                return State::Exited { code: code.into() };
            }
            Outcome::TimedOut => Failure::TimedOut,
            Outcome::OutOfFuel => Failure::OutOfFuel,
            Outcome::OutOfMemory => Failure::OutOfMemory,
            Outcome::TooMuchOutput => Failure::TooMuchOutput,
            Outcome::Trapped(trap) => {
                let first = trap.message.lines().next().unwrap_or_default();
                let reason = match first {
                    "" => outcome.to_string(),
                    first => format!("{outcome} ({first})"),
                };
                let kind = Failure::Trapped;
                return State::Failed { kind, reason };
            }
            // What core learns to tell is a failure until it is known here.
            _ => Failure::Error(ErrorKind::Engine),
        };
        State::Failed {
            kind,
            reason: outcome.to_string(),
        }
    }

    pub(crate) fn of_error(error: &Error) -> Self {
        State::Failed {
            kind: Failure::Error(error.kind()),
            reason: error.to_string(),
        }
    }
}

impl Failure {
    fn exit_code(self) -> u8 {
        match self {
            Failure::Trapped => exit_code::TRAP,
            Failure::TimedOut | Failure::OutOfFuel => exit_code::TIME_OR_FUEL,
            Failure::OutOfMemory => exit_code::MEMORY_OR_KILL,
            Failure::TooMuchOutput => exit_code::OUTPUT,
            Failure::Error(kind) => kind.exit_code(),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Created => f.write_str("created"),
            State::Starting => f.write_str("starting"),
            State::Running => f.write_str("running"),
            State::Restarting => f.write_str("restarting"),
            State::Exited { code } => write!(f, "exited with {code}"),
            State::Failed { reason, .. } => write!(f, "failed: {reason}"),
        }
    }
}

/// What is known of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Its name.
    pub id: String,
    /// Where it is in its life.
    pub state: State,
    /// Its program.
    pub guest: GuestRef,
    /// The engine that it runs on, or ran on last.
    pub engine: Option<String>,
    /// When it was created.
    pub created: SystemTime,
    /// When it was started last.
    pub started: Option<SystemTime>,
    /// When it ended last.
    pub ended: Option<SystemTime>,
    /// How often it was started again because of its [policy](crate::RestartPolicy), since somebody started it.
    pub restarts: u32,
}

/// What a container uses, or has used: of its run or, between two and after the last, of the one before. What its engine does
/// not tell is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ContainerStats {
    /// Time since its start, or from its start to its end.
    #[serde(rename = "elapsed_ms", serialize_with = "millis")]
    pub elapsed: Duration,
    /// Processor time.
    #[serde(rename = "cpu_ms", serialize_with = "maybe_millis")]
    pub cpu: Option<Duration>,
    /// Bytes of all linear memories and tables together, now.
    pub memory: Option<u64>,
    /// The most there were of them.
    pub peak_memory: Option<u64>,
    /// How many there may be; `None` if nobody said.
    pub memory_limit: Option<u64>,
    /// Fuel units used.
    pub fuel_used: Option<u64>,
    /// How many it may use; `None` if nobody said.
    pub fuel_limit: Option<u64>,
    /// What it has had of the network.
    pub network: Option<NetworkStats>,
    /// Bytes that it has written to standard output, in all its runs.
    pub stdout_bytes: u64,
    /// Likewise to standard error.
    pub stderr_bytes: u64,
}

fn millis<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    maybe_millis(&Some(*time), to)
}

fn maybe_millis<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64() * 1e3).serialize(to)
}

impl ContainerStats {
    pub(crate) fn new(live: &LiveStats, runs: bool, limits: &Limits, log: &Log) -> Self {
        ContainerStats {
            elapsed: live.elapsed,
            cpu: live.cpu,
            memory: if runs { live.memory } else { Some(0) },
            // Memories never shrink.
            peak_memory: live.memory,
            memory_limit: limits.memory,
            fuel_used: live.fuel_used,
            fuel_limit: limits.fuel,
            network: live.network,
            stdout_bytes: log.written(LogStream::Stdout),
            stderr_bytes: log.written(LogStream::Stderr),
        }
    }
}
