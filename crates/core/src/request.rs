//! What a caller asks of an engine, and what it hands to a run beside that.

use std::any::Any;
use std::fmt;
use std::io::{Read, Write};

use crate::host::Listener;
use crate::pump::Chunks;
use crate::{Control, HostFunctions, Log, RunConfig};

/// What is asked for a guest: a config, and functions of the host for it to import. A config alone is one without
/// such functions.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub(crate) config: &'a RunConfig,
    pub(crate) host: &'a HostFunctions,
    pub(crate) live: bool,
}

impl<'a> Request<'a> {
    /// What `config` asks, with the functions of `host`.
    pub fn new(config: &'a RunConfig, host: &'a HostFunctions) -> Self {
        Request {
            config,
            host,
            live: false,
        }
    }

    /// For [instances](crate::Instance), which stay and are called: the guest need not be a command. Runs of one that
    /// is are possible as well.
    #[must_use]
    pub fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// The config.
    pub fn config(&self) -> &'a RunConfig {
        self.config
    }

    /// The functions of the host.
    pub fn host(&self) -> &'a HostFunctions {
        self.host
    }
}

impl<'a> From<&'a RunConfig> for Request<'a> {
    fn from(config: &'a RunConfig) -> Self {
        static NONE: HostFunctions = HostFunctions::new();
        Request::new(config, &NONE)
    }
}

/// What one run is handed beside its config: what is no data, and cannot be written to a file.
#[derive(Default)]
pub struct Attachments {
    pub(crate) control: Option<Control>,
    pub(crate) state: Option<Box<dyn Any + Send>>,
    pub(crate) listener: Option<Box<dyn Any + Send>>,
    pub(crate) stdin: Option<Box<dyn Read + Send>>,
    pub(crate) stdout: Option<Box<dyn Write + Send>>,
    pub(crate) stderr: Option<Box<dyn Write + Send>>,
    pub(crate) log: Option<Log>,
}

impl Attachments {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A control of the caller's. It ends the guest as far as the config provides for that: by its timeout, and in
    /// other ways if it is [killable](RunConfig::killable). If its [time](Control::expire_after) runs already, that is
    /// the time of all: of an instance, not of each call.
    #[must_use]
    pub fn control(mut self, control: &Control) -> Self {
        self.control = Some(control.clone());
        self
    }

    /// What functions of the host find as their [state](crate::HostCall::state). It goes with the run; of what is to
    /// outlive it, hand over an [`Arc`](std::sync::Arc).
    #[must_use]
    pub fn state<T: Send + 'static>(mut self, state: T) -> Self {
        self.state = Some(Box::new(state));
        self
    }

    /// Calls `listener`, on the guest's thread, with each event of that type that a function of the host
    /// [emits](crate::HostCall::emit).
    #[must_use]
    pub fn listener<E: 'static>(mut self, listener: impl FnMut(E) + Send + 'static) -> Self {
        let listener: Listener<E> = Box::new(listener);
        self.listener = Some(Box::new(listener));
        self
    }

    /// Lets the guest read its standard input from `reader`, in place of what the config says. A thread reads it, as far
    /// ahead as a pipe holds, until it ends or the guest has and it returns.
    #[must_use]
    pub fn stdin(mut self, reader: impl Read + Send + 'static) -> Self {
        self.stdin = Some(Box::new(reader));
        self
    }

    /// Writes the guest's standard output to `writer`, in place of what the config says. A thread does, and a writer that
    /// takes its time holds the guest up. All of it is written, and the writer dropped, when the run is over; of a run
    /// that was ended, what is written within a tenth of a second after that. Where the writer fails, the guest's
    /// output is closed.
    #[must_use]
    pub fn stdout(mut self, writer: impl Write + Send + 'static) -> Self {
        self.stdout = Some(Box::new(writer));
        self
    }

    /// Likewise for its standard error.
    #[must_use]
    pub fn stderr(mut self, writer: impl Write + Send + 'static) -> Self {
        self.stderr = Some(Box::new(writer));
        self
    }

    /// Keeps what the guest writes in this log, in place of one of the run's own: it may be read after the run, and be the
    /// log of several. [`Run::logs`](crate::Run::logs) and the report have none of it.
    #[must_use]
    pub fn log(mut self, log: &Log) -> Self {
        self.log = Some(log.clone());
        self
    }

    /// Calls `each` with every piece of the guest's standard output, as [`stdout`](Attachments::stdout) would write it.
    #[must_use]
    pub fn stdout_chunks(self, each: impl FnMut(&[u8]) + Send + 'static) -> Self {
        self.stdout(Chunks(each))
    }

    /// Likewise for its standard error.
    #[must_use]
    pub fn stderr_chunks(self, each: impl FnMut(&[u8]) + Send + 'static) -> Self {
        self.stderr(Chunks(each))
    }
}

impl fmt::Debug for Attachments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachments")
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}
